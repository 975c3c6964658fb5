package operator_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/operator/journal"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
)

// TestPromote is what comes between a promotion and its switch.
func TestPromote(t *testing.T) {
	t.Parallel()
	tell(t, 1, []story{
		{"a view that was built meanwhile", testBuiltMeanwhile}, {"before the first look", testFirstLook},
		{"a gateway's pod that goes", testGateGoes}, {"beside an old log", testOldLog},
		{"what is counted", testCounted}, {"what a switch waits for", testSwitchWaits},
		{"an API server that goes away behind a switch", testAwayBehindSwitch},
	})
}

// seasoning is how long a view must have been in the cluster before it serves.
const seasoning = 3 * time.Second

// While a promotion waits for the proxies, another view takes the place of the
// one that it waits for: that one is waited for too.
func testBuiltMeanwhile(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api", "chat")
	r.fleet("api", "chat")
	r.serves("baseline")
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	if _, err := r.api.Promote(t.Context(), "r1", api.Promote{}); err != nil {
		t.Fatal(err)
	}
	r.release("r2", "2", "chat")
	r.phase("r2", "Previewing")
	former, err := r.api.Release(t.Context(), "r2")
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	type result struct {
		out api.Changed
		err error
	}
	done := make(chan result, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		for {
			out, err := r.api.Promote(ctx, "r2", api.Promote{})
			var refused *api.Error
			if errors.As(err, &refused) && strings.Contains(refused.Detail, "rebuilt") { // it came in that very moment
				continue
			}
			done <- result{out, err}
			return
		}
	}()
	if _, err := r.api.Rollback(t.Context(), "r1", api.Asked{}); err != nil {
		t.Fatal(err)
	}
	got := <-done
	if got.err != nil {
		t.Fatal(got.err)
	}
	if got.out.Serving.Stamp == former.Stamp || got.out.Serving.Release != "r2" {
		t.Fatalf("ordinary requests get %+v, and %s was built upon what was rolled back", got.out.Serving, former.Stamp)
	}
	if waited := got.out.Serving.Since.Sub(before); waited < seasoning {
		t.Errorf("%s, which was built meanwhile, serves after %v", got.out.Serving.Stamp, waited)
	}
}

// What speaks against promotions is not known to an operator that has just
// started: it looks first.
func testFirstLook(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	r.fleet("api")
	r.serves("baseline")
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	r.stop()
	r.foreign("api")
	r.start()
	r.until("a promotion is refused", func() error {
		_, err := r.api.Promote(t.Context(), "r1", api.Promote{})
		var answered *api.Error
		if err == nil {
			t.Fatal("promoted beside routes of somebody else")
		}
		if !errors.As(err, &answered) || answered.Code != "refused" {
			return err // the operator is on its way
		}
		if answered.Rule != "condition" {
			t.Errorf("refused by %s: %s", answered.Rule, answered.Detail)
		}
		return nil
	})
	if got, err := r.asked(); err != nil || got != "baseline" {
		t.Errorf("ordinary requests get %q (%v)", got, err)
	}
}

// A pod of a gateway that is taken away while it is waited for is waited for no
// more: neither before a switch, for it to show the view, nor behind one.
func testGateGoes(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	r.fleet("api")
	r.serves("baseline")
	silent := r.silentGateway()
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	done := r.promoting("r1")
	select {
	case err := <-done:
		t.Fatalf("a pod that shows nothing was not waited for: %v", err)
	case <-time.After(2 * seasoning):
	}
	if got, err := r.asked(); err != nil || got != "baseline" {
		t.Errorf("before every gateway shows r1, ordinary requests get %q (%v)", got, err)
	}
	r.delete(silent)
	if err := <-done; err != nil {
		t.Fatalf("its pod is gone: %v", err)
	}
	r.serves("r1")

	if _, err := r.api.Rollback(t.Context(), "r1", api.Asked{}); err != nil {
		t.Fatal(err)
	}
	silent = r.silentGateway()
	done = r.promoting("r1")
	r.serves("r1")
	select {
	case err := <-done:
		t.Fatalf("a pod that does not answer was not waited for: %v", err)
	default:
	}
	r.delete(silent)
	if err := <-done; err != nil {
		t.Errorf("its pod is gone: %v", err)
	}
}

// silentGateway makes a gateway's pod that runs and answers nobody.
func (r *rig) silentGateway() *corev1.Pod {
	r.t.Helper()
	silent := &corev1.Pod{ObjectMeta: r.meta("silent"), Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "istio-proxy", Image: "proxy"}}}}
	silent.Labels = map[string]string{"istio": "ingress-" + r.ns}
	r.create(silent)
	silent.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "127.77.77.77"}
	if err := r.c.Status().Update(r.t.Context(), silent); err != nil {
		r.t.Fatal(err)
	}
	return silent
}

// promoting promotes a release, and says what came of it.
func (r *rig) promoting(name string) <-chan error {
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		_, err := r.api.Promote(ctx, name, api.Promote{})
		done <- err
	}()
	return done
}

// A Fleet that begins where another had its event log goes on with it.
func testOldLog(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	old, err := journal.Open(t.Context(), r.c, types.NamespacedName{Namespace: r.ns, Name: "live"})
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Append(t.Context(), 400, journal.Event{Event: api.Event{Time: time.Now(), Type: "FleetEnded", Who: "ada"}}); err != nil {
		t.Fatal(err)
	}
	r.fleet("api")
	r.serves("baseline")
	r.logged("FleetEnded", "FleetStarted")
	status, err := r.api.Status(t.Context())
	if err == nil && status.Revision <= 400 {
		err = fmt.Errorf("revision %d", status.Revision)
	}
	if err != nil {
		t.Error(err)
	}
}

// Each switch is counted once, with the time until it had arrived, and so is
// each look at the fleet.
func testCounted(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	r.fleet("api")
	r.serves("baseline")
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	r.promoted("r1")
	if out, err := r.api.Promote(t.Context(), "r1", api.Promote{}); err != nil || out.Changed {
		t.Fatalf("promoted twice: %+v, %v", out, err)
	}
	if _, err := r.api.Rollback(t.Context(), "r1", api.Asked{}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint64{"greenroom_switches_total": 2, "greenroom_switch_arrival_seconds": 2} {
		if got := r.sum(name); got != want {
			t.Errorf("%s is %d after %d switches", name, got, want)
		}
	}
	if got := r.sum("greenroom_round_duration_seconds"); got == 0 {
		t.Error("no look at the fleet was counted")
	}
}

// sum is how much was counted by a metric, or how often it was measured.
func (r *rig) sum(name string) uint64 {
	r.t.Helper()
	families, err := r.meters.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	var sum uint64
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			sum += m.GetHistogram().GetSampleCount() + uint64(m.GetCounter().GetValue())
		}
	}
	return sum
}

// requests keeps what an API server is asked of a namespace.
type requests struct {
	namespace string
	mu        sync.Mutex
	list      []string
}

// through keeps what goes through a transport.
func (q *requests) through(rt http.RoundTripper) http.RoundTripper {
	return transport(func(r *http.Request) (*http.Response, error) {
		if before, of, found := strings.Cut(r.URL.Path, "/namespaces/"+q.namespace+"/"); found {
			q.mu.Lock()
			q.list = append(q.list, r.Method+" "+before+" "+of)
			q.mu.Unlock()
		}
		return rt.RoundTrip(r)
	})
}

// transport is a function as an http.RoundTripper.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// take returns what was asked since the last take.
func (q *requests) take() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := q.list
	q.list = nil
	return out
}

// Everybody waits for a switch: nothing of its fleet is asked of the API server
// before the edge is written, and nothing is written but the state. A round that
// began before may still ask, so one switch of several has to be without.
func testSwitchWaits(t *testing.T, cluster *operatortest.Cluster) {
	r := placeFleet(t, cluster, "api")
	asked := &requests{namespace: r.ns}
	r.config.Wrap(asked.through)
	r.start()
	t.Cleanup(func() { r.stop() })
	r.fleet("api")
	r.serves("baseline")
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	r.promoted("r1")
	edge := "PATCH /apis/networking.istio.io/v1 virtualservices/" + r.edge()
	want := []string{"PUT /apis/greenroom.dev/v1alpha1 fleets/live/status", edge}
	var got []string
	for range 10 {
		for _, do := range []func() error{
			func() error { _, err := r.api.Rollback(t.Context(), "r1", api.Asked{}); return err },
			func() error { _, err := r.api.Promote(t.Context(), "r1", api.Promote{}); return err },
		} {
			asked.take()
			if err := do(); err != nil {
				t.Fatal(err)
			}
			all := asked.take()
			switched := slices.Index(all, edge)
			if switched < 0 {
				t.Fatalf("no edge was written: %q", all)
			}
			if got = all[:switched+1]; slices.Equal(got, want) {
				return
			}
		}
	}
	t.Errorf("a switch waits for %q, and not for %q alone", got, want)
}

// away is an API server that, behind a write of an edge, does not answer who asks
// for a Gateway so many times.
type away struct {
	edge  string // its path
	mu    sync.Mutex
	times int
	gone  bool // the edge was written
}

func (a *away) through(rt http.RoundTripper) http.RoundTripper {
	return transport(func(r *http.Request) (*http.Response, error) {
		if a.keepsFrom(r) {
			return nil, errors.New("the API server is away")
		}
		return rt.RoundTrip(r)
	})
}

func (a *away) keepsFrom(r *http.Request) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gone = a.gone || r.Method == http.MethodPatch && r.URL.Path == a.edge
	if !a.gone || a.times == 0 || r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/gateways/edge") {
		return false
	}
	a.times--
	return true
}

// behindTheNextSwitch sets how often it does not answer.
func (a *away) behindTheNextSwitch(times int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times, a.gone = times, false
}

// Whoever asks for a switch is told whether it has arrived. An API server that is
// away for a moment is asked again; where it stays away nobody is told that all is
// well, since the edge may be as it was.
func testAwayBehindSwitch(t *testing.T, cluster *operatortest.Cluster) {
	r := placeFleet(t, cluster, "api")
	server := &away{edge: "/apis/networking.istio.io/v1/namespaces/" + r.ns + "/virtualservices/" + r.edge()}
	r.config.Wrap(server.through)
	r.start()
	t.Cleanup(func() { r.stop() })
	r.fleet("api")
	r.serves("baseline")
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	r.promoted("r1")

	server.behindTheNextSwitch(1)
	out, err := r.api.Rollback(t.Context(), "r1", api.Asked{})
	if err != nil {
		t.Fatal(err)
	}
	if notes := strings.Join(out.Notes, "; "); strings.Contains(notes, "not known") {
		t.Errorf("it was away for a moment: %s", notes)
	}

	server.behindTheNextSwitch(1 << 30)
	_, err = r.api.Promote(t.Context(), "r1", api.Promote{})
	var answered *api.Error
	if !errors.As(err, &answered) || !strings.Contains(answered.Detail, "the switch is made, and whether it has arrived is not known") {
		t.Errorf("it stayed away: %v", err)
	}
	server.behindTheNextSwitch(0)
	r.serves("r1")
}
