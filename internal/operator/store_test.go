package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	networkingapi "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// errReset is what a connection that breaks leaves of a request: nobody knows
// what became of it.
var errReset = errors.New("connection reset by peer")

// line is a connection to the API server that breaks as a test wants it.
type line struct {
	client.WithWatch
	put    putStatus
	update func(do func() error) error // of a status, once
	get    func() error                // instead of the answer, once
}

func (l *line) client() client.Client {
	return interceptor.NewClient(l.WithWatch, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if get := l.get; get != nil {
				l.get = nil
				return get()
			}
			return c.Get(ctx, key, o, opts...)
		},
	})
}

// send writes a status.
func (l *line) send(ctx context.Context, fleet *crd.Fleet) error {
	do := func() error { return l.put(context.WithoutCancel(ctx), fleet) } // it may come late
	if update := l.update; update != nil {
		l.update = nil
		return update(do)
	}
	return do()
}

// kept is a Fleet's status in an API server, and the line to it.
type kept struct {
	*testing.T
	*line
	status *status
	lost   bool
	v      kubernetes.Value
}

func keep(t *testing.T, cluster *operatortest.Cluster) *kept {
	scheme, err := Scheme()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.NewWithWatch(cluster.Admin(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	put, err := newPutStatus(cluster.Admin(), scheme)
	if err != nil {
		t.Fatal(err)
	}
	k := &kept{T: t, line: &line{WithWatch: c, put: put}}
	key := types.NamespacedName{Namespace: cluster.Namespace(t), Name: "live"}
	err = c.Create(t.Context(), &crd.Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}, Spec: crd.FleetSpec{
		Services: []crd.Service{{Name: "api"}},
		Edge: crd.Edge{
			Gateways: []crd.Gateway{{Name: "istio-ingress/edge", Hosts: []string{"a.test"}, Selector: map[string]string{"istio": "ingress"}}},
			Routes:   []crd.Route{{Route: v1alpha1.Route{Service: "api"}}},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	k.status = &status{put: k.send, live: k.client(), key: key, now: time.Now, lost: func() { k.lost = true }}
	if _, _, err := k.status.Load(); err != nil {
		t.Fatal(err)
	}
	first := release.Version{ID: "api@1", Service: "api", Name: "1", Digest: "1", Replicas: 1}
	k.v = kubernetes.Value{State: release.New(map[string]release.Service{"api": {}}, []release.Version{first}, release.Settings{}, release.Greenroom(), time.Now())}
	if err := k.save(1); err != nil {
		t.Fatal(err)
	}
	return k
}

// save writes the state with a revision.
func (k *kept) save(revision uint64) error {
	k.v.State.Revision = revision
	return k.status.Save(k.v, nil)
}

// read is the Fleet as the API server has it.
func (k *kept) read() (*crd.Fleet, uint64) {
	k.Helper()
	fleet := &crd.Fleet{}
	if err := k.Get(k.Context(), k.status.key, fleet); err != nil {
		k.Fatal(err)
	}
	v, err := kubernetes.DecodeValue(fleet.Status.State)
	if err != nil {
		k.Fatal(err)
	}
	return fleet, v.State.Revision
}

func (k *kept) expect(revision uint64) {
	k.Helper()
	if _, got := k.read(); got != revision {
		k.Errorf("the state in the cluster has revision %d, want %d", got, revision)
	}
	if k.lost {
		k.Error("the state counts as lost")
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	cluster := operatortest.Start(t)
	for name, test := range map[string]func(*kept){
		"a write whose answer was lost is found":                testAnswerLost,
		"a write that was lost is made again":                   testWriteLost,
		"a write that comes late is refused":                    testWriteLate,
		"a state of somebody else ends it":                      testOvertaken,
		"not to know what is in force ends it":                  testUnreadable,
		"a refusal changes nothing":                             testRefusal,
		"a former leader switches no edge back":                 testFence,
		"a former leader puts nothing back and deletes nothing": testFencePass,
		"conditions stay until there is something to tell":      testUntold,
	} {
		t.Run(name, func(t *testing.T) { test(keep(t, cluster)) })
	}
}

// An operator that does not know yet that another one leads has its edges
// refused, and learns of it.
func testFence(k *kept) {
	edges := func(stamp string) []*networkingv1.VirtualService {
		v := k.v
		v.State.Default = stamp
		return kubernetes.Edges(kubernetes.Input{Fleet: k.status.object(), Value: v, Begun: map[string]bool{}})
	}
	served := func() string {
		vs := &networkingv1.VirtualService{}
		if err := k.Get(k.Context(), client.ObjectKeyFromObject(edges("baseline")[0]), vs); err != nil {
			k.Fatal(err)
		}
		stamp, _ := kubernetes.Served(vs)
		return stamp
	}
	log := slog.New(slog.DiscardHandler)
	former := newApplier(k.client(), log, time.Now, k.status.holds)
	former.follow(k.Context(), k.v, edges("r1"))
	if got := served(); got != "r1" || k.lost {
		k.Fatalf("the edge gives %s", got)
	}
	vs := &networkingv1.VirtualService{}
	vs.Namespace, vs.Name = k.status.key.Namespace, edges("r1")[0].Name
	if err := k.Patch(k.Context(), vs, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"somebody":"else"}}}`))); err != nil {
		k.Fatal(err)
	}
	former.follow(k.Context(), k.v, edges("r2"))
	if got := served(); got != "r2" || k.lost {
		k.Fatalf("after somebody else's note the edge gives %s", got)
	}

	next := &status{put: k.send, live: k.client(), key: k.status.key, now: time.Now, lost: func() { k.Error("the next leader has lost the state") }}
	if _, _, err := next.Load(); err != nil {
		k.Fatal(err)
	}
	v := k.v
	v.State.Revision = 2
	if err := next.Save(v, nil); err != nil {
		k.Fatal(err)
	}
	newApplier(k.client(), log, time.Now, next.holds).follow(k.Context(), v, edges("r3"))
	former.follow(k.Context(), k.v, edges("r1"))
	if got := served(); got != "r3" {
		k.Errorf("the edge gives %s", got)
	}
	if !k.lost {
		k.Error("the former leader does not know")
	}
}

// The same of what a pass writes and deletes.
func testFencePass(k *kept) {
	log := slog.New(slog.DiscardHandler)
	former := newApplier(k.client(), log, time.Now, k.status.holds)
	rule := func(name, host string) *networkingv1.DestinationRule {
		o := &networkingv1.DestinationRule{Spec: networkingapi.DestinationRule{Host: host}}
		o.SetGroupVersionKind(networkingv1.SchemeGroupVersion.WithKind("DestinationRule"))
		o.Namespace, o.Name, o.Labels = k.status.key.Namespace, name, kubernetes.Labels(k.status.object())
		return o
	}
	host := func(name string) string {
		o := rule(name, "")
		if err := k.Get(k.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return string(apierrors.ReasonForError(err))
		}
		return o.Spec.Host
	}
	ours := func() *world {
		w := &world{fleet: k.status.object()}
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(networkingv1.SchemeGroupVersion.WithKind("DestinationRuleList"))
		if err := k.List(k.Context(), list, client.InNamespace(k.status.key.Namespace)); err != nil {
			k.Fatal(err)
		}
		for i := range list.Items {
			list.Items[i].SetGroupVersionKind(networkingv1.SchemeGroupVersion.WithKind("DestinationRule"))
			w.mine(&list.Items[i])
		}
		return w
	}
	pass := func(a *applier, v kubernetes.Value, w *world, rules ...*networkingv1.DestinationRule) error {
		return a.pass(k.Context(), v, w, kubernetes.Objects{DestinationRules: rules})
	}
	former.follow(k.Context(), k.v, nil)
	if err := pass(former, k.v, ours(), rule("kept", "first"), rule("goes", "first")); err != nil {
		k.Fatal(err)
	}
	// Somebody else's change is no obstacle.
	if err := k.Patch(k.Context(), rule("kept", "first"), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"somebody":"else"}}}`))); err != nil {
		k.Fatal(err)
	}
	if err := pass(former, k.v, ours(), rule("kept", "second"), rule("goes", "first")); err != nil || host("kept") != "second" {
		k.Fatalf("after somebody else's note it is %s (%v)", host("kept"), err)
	}
	before := ours()
	late := newApplier(k.client(), log, time.Now, k.status.holds) // one that has written nothing itself
	late.follow(k.Context(), k.v, nil)

	next := &status{put: k.send, live: k.client(), key: k.status.key, now: time.Now, lost: func() { k.Error("the next leader has lost the state") }}
	if _, _, err := next.Load(); err != nil {
		k.Fatal(err)
	}
	v := k.v
	v.State.Revision = 2
	if err := next.Save(v, nil); err != nil {
		k.Fatal(err)
	}
	leads := newApplier(k.client(), log, time.Now, next.holds)
	leads.follow(k.Context(), v, nil)
	if err := pass(leads, v, ours(), rule("kept", "third"), rule("goes", "third"), rule("new", "third")); err != nil {
		k.Fatal(err)
	}
	for what, a := range map[string]*applier{"that wrote it": former, "that wrote nothing": late} {
		for when, w := range map[string]*world{"before": before, "after": ours()} {
			if err := pass(a, k.v, w, rule("kept", "fourth")); !errors.Is(err, ErrOvertaken) {
				k.Errorf("one %s, which saw the world %s: %v", what, when, err)
			}
		}
		a.wanted = map[string]bool{}
		a.now = func() time.Time { return time.Now().Add(time.Hour) } // nothing lingers
		a.unwanted = map[string]time.Time{"DestinationRule " + k.status.key.Namespace + "/new": time.Now()}
		if err := a.prune(k.Context(), k.v, ours()); !errors.Is(err, ErrOvertaken) {
			k.Errorf("one %s deletes: %v", what, err)
		}
	}
	for _, name := range []string{"kept", "goes", "new"} {
		if got := host(name); got != "third" {
			k.Errorf("%s is %s", name, got)
		}
	}
	if !k.lost {
		k.Error("the former leader does not know")
	}
}

func testAnswerLost(k *kept) {
	k.update = func(do func() error) error { return errors.Join(do(), errReset) }
	if err := k.save(2); err != nil {
		k.Errorf("a state that is in force: %v", err)
	}
	k.expect(2)
	if err := k.save(3); err != nil {
		k.Errorf("and the next: %v", err)
	}
	k.expect(3)
}

func testWriteLost(k *kept) {
	k.update = func(func() error) error { return errReset }
	if err := k.save(2); err != nil {
		k.Error(err)
	}
	k.expect(2)
}

// The write is still under way when it is looked for, and comes through
// afterwards.
func testWriteLate(k *kept) {
	var late func() error
	k.update = func(do func() error) error { late = do; return errReset }
	if err := k.save(2); err != nil {
		k.Error(err)
	}
	if err := k.save(3); err != nil {
		k.Error(err)
	}
	if err := late(); !apierrors.IsConflict(err) {
		k.Errorf("the former write: %v, want a conflict", err)
	}
	k.expect(3)
}

func testOvertaken(k *kept) {
	k.update = func(func() error) error {
		fleet, _ := k.read()
		v := k.v
		v.State.Revision, v.State.Epoch = 2, 77
		raw, err := kubernetes.EncodeValue(v)
		if err != nil {
			return err
		}
		fleet.Status.State = raw
		return errors.Join(errReset, k.Status().Update(k.Context(), fleet))
	}
	if err := k.save(2); !errors.Is(err, ErrOvertaken) || !k.lost {
		k.Errorf("error %v, lost %t", err, k.lost)
	}
}

func testUnreadable(k *kept) {
	k.update = func(do func() error) error { return errors.Join(do(), errReset) }
	k.get = func() error { return fmt.Errorf("read: %w", errReset) }
	if err := k.save(2); !errors.Is(err, ErrOvertaken) || !k.lost {
		k.Errorf("error %v, lost %t", err, k.lost)
	}
}

func testRefusal(k *kept) {
	k.update = func(func() error) error {
		return apierrors.NewForbidden(crd.GroupVersion().WithResource("fleets").GroupResource(), "live", errors.New("no"))
	}
	if err := k.save(2); !apierrors.IsForbidden(err) {
		k.Errorf("error %v", err)
	}
	k.expect(1)
}

func testUntold(k *kept) {
	blocked := []kubernetes.Condition{{Type: kubernetes.NotApplied, Object: "Fleet live", Message: "it is not.", Blocks: true}}
	if err := k.status.Tell(blocked, 1); err != nil {
		k.Fatal(err)
	}
	next := &status{put: k.send, live: k.client(), key: k.status.key, now: time.Now, lost: func() { k.lost = true }}
	if _, _, err := next.Load(); err != nil { // after a restart
		k.Fatal(err)
	}
	short, cancel := context.WithCancel(k.Context())
	cancel()
	if err := next.awaitTold(short); err == nil {
		k.Error("what speaks against promotions counts as known before it was told")
	}
	k.status = next
	if err := k.save(2); err != nil {
		k.Fatal(err)
	}
	fleet, _ := k.read()
	if !meta.IsStatusConditionFalse(fleet.Status.Conditions, "Ready") || fleet.Status.ObservedGeneration != 1 {
		k.Errorf("of generation %d: %+v", fleet.Status.ObservedGeneration, fleet.Status.Conditions)
	}
	if err := next.Tell(nil, 1); err != nil {
		k.Fatal(err)
	}
	if err := next.awaitTold(short); err != nil {
		k.Errorf("after it was told: %v", err)
	}
	if fleet, _ := k.read(); !meta.IsStatusConditionTrue(fleet.Status.Conditions, "Ready") {
		k.Errorf("afterwards: %+v", fleet.Status.Conditions)
	}
	k.expect(2)
}
