//go:build e2e

package e2e

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/client"
)

var (
	//go:embed manifests/fleet.yaml
	fleetManifest string
	//go:embed manifests/release.yaml
	releaseManifest string
)

// story is the life of a fleet under greenroom, chapter by chapter: each begins
// where the one before it ended.
type story struct {
	*stage
	whole *testing.T // of all chapters
	fleet *fleet
	by    *person

	manifests string // that installed the operator
	plugins   string // the folder of kubectl's
	gone      bool   // greenroom was uninstalled
	brief     string // the path of a callback address that is for a minute
}

// greenroomsStory installs the operator and tells what its users live through.
func (s *stage) greenroomsStory(t *testing.T) {
	st := &story{stage: s, whole: t, fleet: newFleet("shop")}
	st.fleet.Gateways = 2
	st.fleet.service("chat").Kind = "Deployment"
	st.manifests = s.installOperator(t)
	st.installPlugin(t)
	s.place(t, st.fleet)
	t.Cleanup(func() { st.letGo(t) })
	for _, chapter := range []struct {
		name string
		tell func(*testing.T)
	}{
		{"a Deployment is adopted", st.adopted},
		{"a fleet comes under greenroom", st.begin},
		{"a release of three is previewed", st.preview},
		{"passes that open nothing", st.badPasses},
		{"the fleet is on hold, and outside systems call back", st.onHold},
		{"users bring tokens of their own", st.userTokens},
		{"a newer image is refused while a release is under way", st.guarded},
		{"somebody promotes one Rollout by hand", st.promotedByHand},
		{"a newer image comes in where the guard is missing", st.unguarded},
		{"a pod of the preview is killed", st.previewPodKilled},
		{"the autoscaler wants more pods", st.autoscaled},
		{"it is done by kubectl greenroom", st.verbs},
		{"one of two gateway pods is behind", st.oneGatewayBehind},
		{"switches under load", st.switches},
		{"a callback address is over", st.callbackOver},
		{"what a switch takes", st.measuredFew},
		{"a rollback asks for the revert, which Argo does not pause", st.reverted},
		{"the operator is killed in a promotion", st.operatorKilled},
		{"a newer image comes while a release is live", st.newerWhileLive},
		{"istiod restarts in a rollback", st.istiodRestarted},
		{"the release settles, and the operator is killed meanwhile", st.settle},
		{"another release goes over a live one", st.stacked},
		{"nothing of the former release is left", st.cleared},
		{"greenroom is taken away", st.uninstalled},
	} {
		began := time.Now()
		ok := t.Run(chapter.name, chapter.tell)
		t.Logf("%6.1f s  %s", time.Since(began).Seconds(), chapter.name)
		if !ok {
			return // what follows has lost its ground
		}
	}
}

// letGo shows what the operator thought where a chapter failed, and takes away
// what would keep the namespace from going: a release that is live waits in its
// deletion until it has settled.
func (st *story) letGo(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(st.ctx), time.Minute)
	defer cancel()
	if st.gone {
		return
	}
	if t.Failed() {
		for _, args := range [][]string{
			{"get", "fleets.greenroom.dev,releases.greenroom.dev", "-n", st.fleet.Namespace, "-o", "yaml"},
			{"logs", "-n", operatorNamespace, "deployment/greenroom-operator", "--tail=60"},
			{"get", "pods,events", "-n", operatorNamespace},
		} {
			out, err := st.Kubectl(ctx, "", args...)
			t.Logf("kubectl %s (%v):\n%s", strings.Join(args, " "), err, out)
		}
	}
	for _, kind := range []string{"fleets.greenroom.dev", "releases.greenroom.dev"} {
		if _, err := st.Kubectl(ctx, "", "delete", kind, "--all", "-n", st.fleet.Namespace, "--wait=false"); err != nil {
			t.Error(err)
		}
		names, err := st.Kubectl(ctx, "", "get", kind, "-n", st.fleet.Namespace, "-o", "name")
		for _, name := range strings.Fields(names) {
			_, e := st.Kubectl(ctx, "", "patch", name, "-n", st.fleet.Namespace, "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
			err = errors.Join(err, e)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// begin applies the Fleet. While the VirtualService of before is there,
// greenroom says so and keeps its hands off.
func (st *story) begin(t *testing.T) {
	st.apply(t, render(t, "fleet.yaml", fleetManifest, st.fleet))
	st.awaitCondition(t, st.fleet, "ForeignVirtualService", true)
	if err := st.serves(st.fleet, "v1"); err != nil {
		t.Errorf("with both there: %v", err)
	}
	st.kubectl(t, "delete", "virtualservice", "edge", "-n", st.fleet.Namespace)
	st.awaitCondition(t, st.fleet, "ForeignVirtualService", false)
	st.awaitServing(t, "baseline")
	st.await(t, "an answer by greenroom's routes", routeWait, func() error { return st.serves(st.fleet, "v1") })
	st.by = st.person(st.whole, st.fleet)
}

func (st *story) awaitServing(t *testing.T, stamp string) {
	t.Helper()
	st.await(t, "the gateway to serve "+stamp, routeWait, func() error {
		r, err := st.ask(st.fleet, "/.greenroom/default", nil)
		if err == nil && r.body != stamp+"\n" {
			err = fmt.Errorf("it says %d %q", r.status, r.body)
		}
		return err
	})
}

// open applies a Release as users do, and waits for its preview.
func (st *story) open(t *testing.T, name, version string, services ...string) {
	t.Helper()
	st.apply(t, st.releaseOf(t, name, version, services...))
	st.awaitPhase(t, st.fleet, name, "Previewing")
}

// releaseOf is the manifest of a release of one version of some services.
func (st *story) releaseOf(t *testing.T, name, version string, services ...string) string {
	t.Helper()
	return render(t, "release.yaml", releaseManifest, map[string]any{
		"Name": name, "Namespace": st.fleet.Namespace, "Services": services, "Version": version, "Hub": hub,
	})
}

func (st *story) mint(t *testing.T, release string) client.MintedPass {
	t.Helper()
	p, err := st.by.MintPass(st.ctx, client.MintPass{Release: release, For: "1h"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func held(token string) http.Header { return http.Header{"Greenroom-Pass": {token}} }

// answers waits until a request is answered so: with a path of versions, or a
// status.
func (st *story) answers(t *testing.T, what, path string, header http.Header, want string) {
	t.Helper()
	st.await(t, what, routeWait, func() error {
		r, err := st.ask(st.fleet, path, header)
		got := fmt.Sprint(r.status)
		if r.Service != "" {
			got = r.Answer.String()
		}
		if err == nil && got != want {
			err = fmt.Errorf("%d %.200s, want %s", r.status, got, want)
		}
		return err
	})
}

// preview opens r42 of three services, which only holders of a pass get.
func (st *story) preview(t *testing.T) {
	st.setImages(t, st.fleet, "v2") // Git brings them
	before := st.made(t)
	opened := st.does(t, st.releaseOf(t, "r42", "v2", released()...), "release", "open", "-f", "-")
	if err := st.inPhase(st.fleet, "r42", "Previewing"); err != nil {
		t.Errorf("release open returned: %v\n%s", err, opened)
	}
	for kind, n := range st.made(t) {
		if n > before[kind] {
			t.Logf("a release of three services adds %d of kind %s", n-before[kind], kind)
		}
	}
	const v1, v2 = "api=v1 chat=v1 gift=v1", "api=v2 chat=v2 gift=v2"
	var p client.MintedPass
	if err := json.Unmarshal([]byte(st.does(t, "", "pass", "create", "r42", "--for", "1h", "-o", "json")), &p); err != nil {
		t.Fatal(err)
	}
	st.answers(t, "a pass in the header", "/", held(p.Token), v2)
	st.answers(t, "a pass in the cookie", "/", http.Header{"Cookie": {"greenroom_pass=" + p.Token}}, v2)
	st.answers(t, "a pass by baggage alone", "/feed", held(p.Token), "feed=v1 gift=v2")
	st.answers(t, "nobody in particular", "/", nil, v1)
	st.answers(t, "a forged stamp", "/", http.Header{"X-Greenroom-Release": {"r42"}}, v1)
	st.answers(t, "a forged stamp in baggage", "/feed", http.Header{"Baggage": {"greenroom.release=r42"}}, "feed=v1 gift=v1")
	st.answers(t, "a pass beside a user's own token", "/", http.Header{"Greenroom-Pass": {p.Token}, "Authorization": {"Bearer of.their.own"}}, v2)

	st.setImage(t, st.fleet, "feed", "v2")
	st.open(t, "r43", "v2", "feed")
	q := st.mint(t, "r43")
	st.answers(t, "the other release", "/feed", held(q.Token), "feed=v2 gift=v1")
	if _, err := st.by.Abort(st.ctx, "r43", client.Asked{Reason: "only to be looked at"}); err != nil {
		t.Fatal(err)
	}
	st.answers(t, "a pass for a release that was aborted", "/feed", held(q.Token), "403")
	st.setImage(t, st.fleet, "feed", "v1")
}

// switches promotes and rolls back under load.
func (st *story) switches(t *testing.T) {
	tr := st.traffic(t, st.fleet, "/", released())
	tr.answered(t, st.stage, 200)
	var longest, slowest time.Duration
	type one struct {
		at      time.Time
		version string
	}
	var done []one
	for i := range switches {
		version, do := "v2", func() error {
			_, err := st.by.Promote(st.ctx, "r42", client.Promote{})
			return err
		}
		if i%2 == 1 {
			version, do = "v1", func() error {
				_, err := st.by.Rollback(st.ctx, "r42", client.Asked{Reason: "there and back"})
				return err
			}
		}
		at := time.Now()
		if err := do(); err != nil {
			t.Fatal(err)
		}
		slowest = max(slowest, time.Since(at))
		if err := st.serves(st.fleet, version); err != nil {
			t.Errorf("behind the switch to %s: %v", version, err)
		}
		done = append(done, one{at, version})
		tr.answered(t, st.stage, 200)
	}
	done = append(done, one{at: time.Now()})
	r := tr.stop()
	var firsts []time.Duration
	for i, d := range done[:switches] {
		first, last := r.switched(d.at, done[i+1].at, d.version)
		longest = max(longest, last-first)
		firsts = append(firsts, first.Round(time.Millisecond))
	}
	t.Logf("greenroom: %s", r)
	t.Logf("from asking to the first request of the new release %v, and from there to the last of the old one up to %s; the slowest call returned after %s",
		firsts, longest.Round(time.Millisecond), slowest.Round(time.Millisecond))
	if err := r.trouble(); err != nil {
		t.Error(err)
	}
}
