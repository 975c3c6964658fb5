package kubernetes

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	"pgregory.net/rapid"

	"github.com/greenroom-dev/greenroom/internal/release"
	"github.com/greenroom-dev/greenroom/internal/route"
)

// anyWorld is a fleet after a history that chance made up.
func anyWorld(t *rapid.T) *world {
	services := []string{"web", "chat", "wallet"}
	w := newWorld(t, services...)
	names := []string{"r1", "r2", "r3"}
	version := 2
	for range rapid.IntRange(0, 12).Draw(t, "steps") {
		s, name := w.in.Value.State, rapid.SampledFrom(names).Draw(t, "release")
		o := w.observation()
		var err error
		switch rapid.SampledFrom([]string{"open", "open", "promote", "promote", "rollback", "abort", "settle", "canary", "later"}).Draw(t, "do") {
		case "open":
			opening := release.Opening{Name: name, UID: "uid-" + name, RollbackWindow: time.Hour, Keep: time.Hour}
			for _, service := range services {
				if rapid.Bool().Draw(t, service) {
					opening.Versions = append(opening.Versions, w.version(service, string(rune('0'+version))))
					version++
				}
			}
			s, err = s.Open(opening, w.alice, w.now)
		case "promote":
			s, err = s.Promote(release.Promotion{Name: name}, o, w.alice, w.now)
		case "rollback":
			s, err = s.Rollback(name, w.alice, w.now)
		case "abort":
			s, err = s.Abort(name, w.alice, w.now)
		case "settle":
			s, err = s.Settle(name, w.alice, w.now)
		case "canary":
			s, err = s.StartCanary(name, o, w.alice, w.now)
		case "later":
			w.now = w.now.Add(rapid.SampledFrom([]time.Duration{time.Second, 20 * time.Second, time.Minute, 2 * time.Hour}).Draw(t, "by"))
		}
		if err == nil {
			w.in.Value.State = s
		}
		w.step()
	}
	for _, service := range services { // what Argo calls active may be anything that there is
		versions := []string{""}
		for id, v := range w.in.Value.State.Versions {
			if v.Service == service {
				versions = append(versions, w.in.Value.Templates[id].Hash)
			}
		}
		slices.Sort(versions)
		w.in.Services[service].Spec.Selector[HashLabel] = rapid.SampledFrom(versions).Draw(t, "active "+service)
	}
	return w
}

// table is what package route makes of the same views.
func (w *world) table() *route.Table[string] {
	c := route.Config{Default: w.in.Value.State.Default}
	for _, stamp := range slices.Sorted(maps.Keys(w.in.Value.State.Views)) {
		v := w.in.Value.State.Views[stamp]
		c.Views = append(c.Views, route.View{Stamp: stamp, Versions: v.Versions, Ending: v.Ending()})
	}
	table, err := route.Build(c, func(version string) string { return w.in.Value.Templates[version].Hash })
	if err != nil {
		w.t.Fatal(err)
	}
	return table
}

// podsOf is the hash of the pods that a host leads to.
func (w *world) podsOf(o Objects, host string) string {
	name, _, _ := strings.Cut(host, ".")
	if base, ok := w.in.Services[name]; ok {
		return base.Spec.Selector[HashLabel]
	}
	for _, s := range o.Services {
		if s.Name == name {
			return s.Spec.Selector[HashLabel]
		}
	}
	w.t.Fatalf("no Service has the host %s", host)
	return ""
}

// forms are the ways in which a call can carry a stamp, and what it then
// carries by the words of the design.
func forms(header string, stamps []string) []map[string]string {
	out := []map[string]string{{}, {"baggage": "user=7"}}
	for _, s := range append(slices.Clone(stamps), "r99", "r1.99") {
		out = append(out,
			map[string]string{header: s},
			map[string]string{"baggage": "greenroom.release=" + s},
			map[string]string{"baggage": "user=7, greenroom.release = " + s + " ;p=1,a=b"},
			map[string]string{header: s, "baggage": "greenroom.release=" + s + ",user=7"},
			map[string]string{header: s, "baggage": "user=7"},
			map[string]string{header: s, "baggage": "greenroom.release=" + stamps[0]},
			map[string]string{header: "", "baggage": "greenroom.release=" + s},
			map[string]string{header: "r99", "baggage": "greenroom.release=" + s},
			map[string]string{"baggage": "xgreenroom.release=" + s + ",greenroomxrelease=" + s},
		)
	}
	return out
}

// carried reads the stamp of a call between services: the header, else the
// baggage member.
func carried(header string, h map[string]string) string {
	if h[header] != "" {
		return h[header]
	}
	return memberIn(h["baggage"])
}

func memberIn(baggage string) string {
	for member := range strings.SplitSeq(baggage, ",") {
		pair, _, _ := strings.Cut(member, ";")
		if key, value, ok := strings.Cut(pair, "="); ok && strings.TrimSpace(key) == baggageMember {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// For every caller and every way to carry a stamp, the routes between services
// lead where package route says, and the call carries the right stamp on in
// both forms.
func TestMeshRoutesAgreeWithTheTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		objects, _ := Translate(w.in)
		table, stamps := w.table(), slices.Sorted(maps.Keys(w.in.Value.State.Views))
		for _, vs := range objects.Mesh {
			callee := vs.Labels[LabelService]
			for caller, labels := range w.callers() {
				for _, headers := range forms("x-greenroom-release", stamps) {
					known := caller
					if caller == "stranger" {
						known = "" // believed, as the edge is
					}
					want, _ := table.Lookup(callee, carried("x-greenroom-release", headers), known)
					w.compare(t, objects, vs, want, request{headers: headers, labels: labels, namespace: "shop", port: 80}, caller)
				}
			}
		}
	})
}

// callers are the labels of the pods that may call: of every version of a
// view, and of a pod that is no part of the fleet.
func (w *world) callers() map[string]map[string]string {
	out := map[string]map[string]string{"stranger": {"app": "cron"}}
	for _, v := range w.in.Value.State.Views {
		for service, version := range v.Versions {
			out[version] = map[string]string{"app": service, HashLabel: w.in.Value.Templates[version].Hash, "more": "labels"}
		}
	}
	return out
}

func (w *world) compare(t *rapid.T, o Objects, vs *networkingv1.VirtualService, want route.Route[string], q request, caller string) {
	r := w.proxy.pick(t, vs, q)
	if r == nil || len(r.Route) != 1 {
		t.Fatalf("%s, a call by %s with %v: no route with one destination: %v", vs.Name, caller, q.headers, r)
	}
	after := sent(q.headers, r.Headers.GetRequest())
	got, stamp := w.podsOf(o, r.Route[0].Destination.Host), after["x-greenroom-release"]
	if got != want.Target || stamp != want.Stamp || memberIn(after["baggage"]) != want.Stamp {
		t.Fatalf("%s, a call by %s with %v: %s leads to pods %s with stamp %s and baggage %q; want %s (%s) and %s",
			vs.Name, caller, q.headers, r.Name, got, stamp, after["baggage"], want.Target, want.Version, want.Stamp)
	}
	if strings.Contains(q.headers["baggage"], "user=7") && !strings.Contains(after["baggage"], "user=7") {
		if was := memberIn(q.headers["baggage"]); was == "" || was == want.Stamp {
			t.Fatalf("%s: a call with %v lost its own baggage: %q", r.Name, q.headers, after["baggage"])
		}
	}
}

// At the edge a pass decides, then everybody gets the default, whatever stamp
// was forged.
func TestEdgeRoutesAgreeWithTheTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		objects, _ := Translate(w.in)
		table, s := w.table(), w.in.Value.State
		if served, ok := Served(objects.Edges[0]); !ok || served != s.Default {
			t.Fatalf("the gateway says that it serves %q (%v), not %s", served, ok, s.Default)
		}
		stamps := slices.Sorted(maps.Keys(s.Views))
		for _, service := range []string{"web", "chat", "wallet"} {
			for _, name := range []string{"", "r1", "r2", "r3", "r99"} {
				stamp := s.Default
				r, known := s.Releases[name]
				if known && passOpens(s, r) == previewOpens {
					stamp = r.View
				}
				claims := map[string]string{"iss": "greenroom", "greenroom_release": name, "greenroom_uid": "uid-" + name}
				if name == "" {
					claims = map[string]string{"iss": "https://login.example.com", "greenroom_release": "r1", "greenroom_uid": "uid-r1"}
				}
				want, _ := table.Lookup(service, stamp, "")
				for _, headers := range forms("x-greenroom-release", stamps) {
					w.compareEdge(t, objects, want, request{authority: "live.example.com", path: "/" + service + "/x", method: "GET", headers: headers, claims: claims})
				}
			}
		}
	})
}

func (w *world) compareEdge(t *rapid.T, o Objects, want route.Route[string], q request) {
	r := w.proxy.pick(t, o.Edges[0], q)
	if r == nil || len(r.Route) != 1 {
		t.Fatalf("%v: no route with one destination: %v", q, r)
	}
	after := sent(q.headers, r.Headers.GetRequest())
	if got := w.podsOf(o, r.Route[0].Destination.Host); got != want.Target || after["x-greenroom-release"] != want.Stamp || after["baggage"] != baggageMember+"="+want.Stamp {
		t.Fatalf("%v: %s leads to %s with %v; want %s and %s", q, r.Name, got, after, want.Target, want.Stamp)
	}
	private := r.Headers.GetResponse().GetSet()["cache-control"] == "private, no-store"
	if private != (want.Stamp != w.in.Value.State.Default) {
		t.Fatalf("%v: %s forbids caching: %v", q, r.Name, private)
	}
}

// Where views differ in a service, its versions are told apart by Services of
// our own: Argo moves its own ones whenever it likes. And nothing that is
// applied or deleted is without our labels.
func TestNothingHangsOnWhatArgoOwns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		objects, _ := Translate(w.in)
		tr := translation{Input: w.in, stamps: slices.Sorted(maps.Keys(w.in.Value.State.Views))}
		for _, vs := range append(objects.Mesh, objects.Edges...) {
			seen := map[string]bool{}
			for _, r := range vs.Spec.Http {
				if r.Name == "" || seen[r.Name] {
					t.Fatalf("%s: route %q has no name of its own", vs.Name, r.Name)
				}
				seen[r.Name] = true
				for _, d := range r.Route {
					name, _, _ := strings.Cut(d.Destination.Host, ".")
					if _, argos := w.in.Services[name]; argos && tr.inPlay(name) {
						t.Fatalf("%s: %s leads to %s, whose selector is Argo's", vs.Name, r.Name, name)
					}
				}
			}
		}
		names := map[string]bool{}
		for _, o := range objects.All() {
			id := o.GetObjectKind().GroupVersionKind().Kind + " " + o.GetNamespace() + "/" + o.GetName()
			if !Owns(w.in.Fleet, o) || names[id] {
				t.Fatalf("%s is not ours alone: %v", id, o.GetLabels())
			}
			names[id] = true
		}
	})
}
