package kubernetes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/google/go-cmp/cmp"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/golden"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// cases are the states of a fleet whose objects are held to golden files.
func cases() map[string]func(tester) *world {
	return map[string]func(tester) *world{
		"one-service": func(t tester) *world { return newWorld(t, "web") },
		"preview": func(t tester) *world {
			w := newWorld(t, "web", "chat", "wallet")
			w.open("r42", "chat", "2", "wallet", "2")
			return w
		},
		"several-previews": func(t tester) *world {
			w := newWorld(t, "web", "chat", "wallet")
			w.open("r42", "chat", "2")
			w.open("r43", "wallet", "3")
			return w
		},
		"hold-writes": func(t tester) *world {
			w := newWorld(t, "web", "chat")
			w.open("r42", "chat", "2")
			w.in.Passes.Live, w.in.Passes.Revoked = true, []string{"p1"}
			w.in.Value.State = w.in.Value.State.BeginHold(release.Holding{Mode: release.HoldWrites, For: time.Hour}, release.Actor{Who: "ann"}, w.now)
			return w
		},
		"hold-page": func(t tester) *world {
			w := newWorld(t, "web", "chat")
			w.in.Fleet.Spec.Edge.Hold = crd.Hold{Message: "Back at nine.", HTML: "<h1>Ours</h1>", RetryAfter: "2m"}
			w.in.Value.State = w.in.Value.State.BeginHold(release.Holding{Mode: release.HoldPage,
				Routes: []release.HoldRoute{{Path: "/shop"}, {Host: "api.example.com"}}}, release.Actor{Who: "ann"}, w.now)
			return w
		},
		"live": func(t tester) *world {
			w := newWorld(t, "web", "chat")
			w.open("r42", "chat", "2")
			w.promote("r42")
			return w
		},
		"settling": func(t tester) *world {
			w := newWorld(t, "web", "chat")
			w.open("r42", "chat", "2")
			w.promote("r42")
			w.activate()
			w.later(time.Hour)
			return w
		},
		"settled": func(t tester) *world {
			w := newWorld(t, "web", "chat")
			w.open("r42", "chat", "2")
			w.promote("r42")
			w.activate()
			w.later(time.Hour)
			w.later(time.Hour)
			return w
		},
		"stacked": func(t tester) *world {
			w := newWorld(t, "web", "chat")
			w.open("r42", "chat", "2")
			w.promote("r42")
			w.open("r43", "chat", "3", "web", "3")
			w.promote("r43")
			return w
		},
		"rolled-back": func(t tester) *world {
			w := newWorld(t, "web", "chat")
			w.open("r42", "chat", "2")
			w.promote("r42")
			w.must(w.in.Value.State.Rollback("r42", w.alice, w.now))
			return w
		},
		"headers-and-hosts": headersAndHosts,
		"grpc": func(t tester) *world {
			w := newWorld(t, "web", "wallet")
			w.in.Fleet.Spec.Services[1].Protocol = "grpc"
			w.in.Services["wallet"].Spec.Ports = []corev1.ServicePort{
				{Name: "metrics", Port: 9100, AppProtocol: new("tcp")}, {Name: "rpc", Port: 9000}, {Name: "grpc-admin", Port: 9001},
			}
			w.open("r42", "wallet", "2")
			return w
		},
		"outside-mesh": func(t tester) *world {
			w := newWorld(t, "web", "legacy", "chat")
			w.in.Fleet.Spec.Services[1].Fixed = true
			w.in.Fleet.Spec.Services[2].OutsideMesh = true
			delete(w.in.Services["legacy"].Spec.Selector, HashLabel)
			w.open("r42", "chat", "2")
			return w
		},
		"revoked-passes": func(t tester) *world {
			w := newWorld(t, "web")
			w.open("r42", "web", "2")
			w.open("r43", "web", "3")
			w.must(w.in.Value.State.Abort("r43", w.alice, w.now))
			w.in.Passes.Revoked = []string{"p9", "p2", "p9"}
			return w
		},
		"canary": func(t tester) *world {
			w := newWorld(t, "web", "chat")
			w.open("r42", "chat", "2")
			w.must(w.in.Value.State.StartCanary("r42", w.observation(), w.alice, w.now))
			w.in.Canary = 5
			return w
		},
		"session-pinning": func(t tester) *world {
			w := newWorld(t, "web")
			w.in.Fleet.Spec.Edge.SessionPinning = "10m"
			w.in.Value.State.Settings.Pinning = 10 * time.Minute
			w.open("r42", "web", "2")
			w.promote("r42")
			return w
		},
		"access-log": func(t tester) *world {
			w := newWorld(t, "web")
			w.in.Fleet.Spec.Edge.AccessLog = &crd.AccessLog{Sample: "1%"}
			return w
		},
		"destination-rule": func(t tester) *world {
			w := newWorld(t, "web")
			rule := &networkingv1.DestinationRule{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
			rule.Spec = *destinationRule()
			w.in.DestinationRules = []*networkingv1.DestinationRule{rule}
			w.open("r42", "web", "2")
			return w
		},
		"foreign": func(t tester) *world {
			w := newWorld(t, "web", "chat")
			w.in.VirtualServices = []*networkingv1.VirtualService{{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "chat"},
				Spec:       v1alpha3.VirtualService{Hosts: []string{"chat"}},
			}}
			return w
		},
	}
}

func headersAndHosts(t tester) *world {
	w := newWorld(t, "web", "api")
	f := w.in.Fleet
	f.Spec.Stamp.Header = "X-Release"
	f.Spec.Edge.ShowRelease = true
	f.Spec.Edge.Gateways = append(f.Spec.Edge.Gateways, crd.Gateway{
		Name: "istio-system/internal", Namespace: "gateways", Hosts: []string{"*.corp.example.com"}, Selector: map[string]string{"istio": "internal"}, Ports: []int{8080, 8443},
	})
	f.Spec.Edge.Routes = []crd.Route{{
		Route:   v1alpha1.Route{Host: "Live.example.com", Path: "/api/", Methods: []string{"GET", "POST"}, Service: "api", Timeout: "15s"},
		Retries: &crd.Retries{Attempts: 2, PerTryTimeout: "2s", RetryOn: "connect-failure"},
		CORS:    &crd.CORS{AllowOrigins: []string{"https://app.example.com"}, AllowMethods: []string{"GET"}, MaxAge: "1d", AllowCredentials: new(true)},
	}, {Route: v1alpha1.Route{Host: "*.corp.example.com", Service: "web"}}, {Route: v1alpha1.Route{Service: "web"}}}
	f.Spec.Services[1].Timeout, f.Spec.Services[1].Retries = "3s", &crd.Retries{Attempts: 0}
	w.open("r42", "api", "2")
	return w
}

func destinationRule() *v1alpha3.DestinationRule {
	return &v1alpha3.DestinationRule{
		Host:          "web",
		TrafficPolicy: &v1alpha3.TrafficPolicy{ConnectionPool: &v1alpha3.ConnectionPoolSettings{Http: &v1alpha3.ConnectionPoolSettings_HTTPSettings{MaxRequestsPerConnection: 7}}},
		Subsets:       []*v1alpha3.Subset{{Name: "v1"}},
	}
}

func TestObjects(t *testing.T) {
	for name, made := range cases() {
		t.Run(name, func(t *testing.T) {
			objects, conditions := Translate(made(t).in)
			golden.Check(t, filepath.Join("testdata", name+".yaml"), render(t, objects, conditions))
		})
	}
}

func TestTheSameInputGivesTheSameObjects(t *testing.T) {
	for name, made := range cases() {
		first, conditions := Translate(made(t).in)
		want := render(t, first, conditions)
		for range 5 {
			again, conditions := Translate(made(t).in)
			if diff := cmp.Diff(want, render(t, again, conditions)); diff != "" {
				t.Fatalf("%s: %s", name, diff)
			}
		}
	}
}

// render writes objects as they are applied, and the conditions after them.
func render(t testing.TB, o Objects, conditions []Condition) string {
	t.Helper()
	var b strings.Builder
	for _, one := range o.All() {
		object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(one)
		if err != nil {
			t.Fatal(err)
		}
		delete(object, "status")
		delete(object["metadata"].(map[string]any), "creationTimestamp")
		data, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString("---\n" + string(data))
	}
	for _, s := range Summarise(conditions) {
		fmt.Fprintf(&b, "---\n# %s (blocks promotion: %v)\n# %s\n", s.Type, s.Blocks, strings.ReplaceAll(s.Message, "\n", "\n# "))
	}
	return b.String()
}

func TestASwitchWritesTheSameEdges(t *testing.T) {
	for name, made := range cases() {
		all, _ := Translate(made(t).in)
		if diff := cmp.Diff(render(t, Objects{Edges: all.Edges}, nil), render(t, Objects{Edges: Edges(made(t).in)}, nil)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestAFleetThatOutgrowsAnObjectSaysSo(t *testing.T) {
	var services []string
	for i := range 390 {
		services = append(services, fmt.Sprintf("service-%d", i))
	}
	w := newWorld(t, services...)
	if _, conditions := Translate(w.in); len(conditions) != 0 {
		t.Errorf("without a release: %+v", conditions)
	}
	for i := range 5 {
		w.open(fmt.Sprintf("r%d", i), services[i], "2")
	}
	objects, conditions := Translate(w.in)
	if len(conditions) != 1 || conditions[0].Type != TooLarge || !conditions[0].Blocks || !strings.Contains(conditions[0].Message, "without those of pass.r") {
		t.Errorf("%+v", conditions)
	}
	switched, _ := json.Marshal(Edges(w.in)[0])
	data, err := json.Marshal(objects.Edges[0])
	if err != nil || len(data) > maxRoutes || string(switched) != string(data) {
		t.Errorf("%d bytes, and %d of a switch, %v", len(data), len(switched), err)
	}
	for name, c := range map[string]struct {
		release string
		status  uint32
		stamp   string
	}{"everybody": {"", 0, "baseline"}, "who has a pass": {"r0", 0, "r0"}, "who has the last one": {"r4", 503, ""}} {
		q := request{authority: "live.example.com", path: "/service-200", method: "GET"}
		if c.release != "" {
			q.claims = map[string]string{"iss": "greenroom", "greenroom_release": c.release, "greenroom_uid": "uid-" + c.release}
		}
		r := w.proxy.pick(t, objects.Edges[0], q)
		if r.DirectResponse.GetStatus() != c.status || r.Headers.Request.GetSet()["x-greenroom-release"] != c.stamp {
			t.Errorf("%s gets %s", name, r.Name)
		}
	}
	for i := range 200 { // one that takes all of the fleet's routes, twice each
		w.in.Callbacks = append(w.in.Callbacks, Callback{Token: fmt.Sprintf("T%d", i), Base: "https://live.example.com/.greenroom/cb/T", Release: "r0", UID: "uid-r0", Paths: []string{"/"}, Methods: []string{"POST"}})
	}
	if data, err := json.Marshal(Edges(w.in)[0]); err != nil || len(data) > maxRoutes {
		t.Errorf("with callback addresses %d bytes, %v", len(data), err)
	}
}

// Every version that views differ in is told apart in the routes of every service.
func TestAReleaseThatOutgrowsAnObjectSaysSo(t *testing.T) {
	var services []string
	for i := range 600 {
		services = append(services, fmt.Sprintf("service-%d", i))
	}
	for _, n := range []int{20, 600} {
		w := newWorld(t, services...)
		w.in.Fleet.Spec.Edge.Routes = w.in.Fleet.Spec.Edge.Routes[600:]
		var brings []string
		for _, s := range services[:n] {
			brings = append(brings, s, "2")
		}
		w.open("r42", brings...)
		objects, conditions := Translate(w.in)
		data, err := json.Marshal(objects.Mesh[0])
		t.Logf("a release of %d services: %d bytes, weighed %d", n, len(data), weight(objects.Mesh[0].Spec.Http))
		said := len(conditions) == 1 && conditions[0].Type == TooLarge && conditions[0].Blocks && strings.Contains(conditions[0].Message, fmt.Sprintf("with %d versions", 2*n))
		if err != nil || said != (n == 600) || said != (len(data) > maxRoutes) || len(conditions) > 1 {
			t.Errorf("a release of %d services: %d bytes, %v, %+v", n, len(data), err, conditions)
		}
	}
}

func TestAFleetThatIsWrongComesToNothing(t *testing.T) {
	w := newWorld(t, "web")
	w.in.Fleet.Spec.Services[0].Drain = "2d"
	objects, conditions := Translate(w.in)
	if len(objects.All()) != 0 || len(conditions) != 1 || conditions[0].Type != Invalid || !conditions[0].Blocks {
		t.Errorf("got %d objects, %+v", len(objects.All()), conditions)
	}
}

// Once releases are under way, somebody else's routes do not take ours away.
func TestForeignRoutesDoNotEndARelease(t *testing.T) {
	w := newWorld(t, "web", "chat")
	w.open("r42", "chat", "2")
	w.in.VirtualServices = cases()["foreign"](t).in.VirtualServices
	objects, conditions := Translate(w.in)
	other := w.in.VirtualServices[0].DeepCopy()
	other.Labels = Labels(&crd.Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "other"}})
	w.in.VirtualServices = []*networkingv1.VirtualService{other}
	if _, again := Translate(w.in); len(again) != 1 {
		t.Errorf("another fleet's routes: %+v", again)
	}
	if len(objects.Mesh) != 2 || len(conditions) != 1 || conditions[0].Type != ForeignVirtualService {
		t.Errorf("got %d of 2 VirtualServices, %+v", len(objects.Mesh), conditions)
	}
}

func TestUnwantedLeavesOthersAlone(t *testing.T) {
	w := newWorld(t, "web")
	w.open("r42", "web", "2")
	made, _ := Translate(w.in)
	w.must(w.in.Value.State.Abort("r42", w.alice, w.now))
	w.later(time.Hour)
	now, _ := Translate(w.in)
	foreign := made.Services[0].DeepCopy()
	foreign.Labels = map[string]string{"app": "web"}
	foreign.Name = "web-by-hand"
	other := made.Services[0].DeepCopy()
	other.Labels[LabelFleet] = "another"
	other.Name = "gr-of-another"
	got := Unwanted(w.in.Fleet, append(made.Services, foreign, other), now.Services)
	if len(made.Services) != 2 || len(now.Services) != 0 || len(got) != 2 {
		t.Errorf("made %d, then wants %d, would delete %d", len(made.Services), len(now.Services), len(got))
	}
	for _, o := range got {
		if !Owns(w.in.Fleet, o) {
			t.Errorf("would delete %s", o.Name)
		}
	}
}

func TestValueSurvivesTheAPIServer(t *testing.T) {
	for name, services := range map[string]int{"small": 2, "packed": 200} {
		t.Run(name, func(t *testing.T) {
			list := make([]string, services)
			for i := range list {
				list[i] = fmt.Sprintf("s%03d", i)
			}
			w := newWorld(t, list...)
			w.open("r42", "s001", "2")
			w.version("s001", "forgotten")
			raw, err := EncodeValue(w.in.Value)
			delete(w.in.Value.Templates, "s001@forgotten")
			if err != nil {
				t.Fatal(err)
			}
			got, err := DecodeValue(raw)
			want := w.in.Value
			want.Format = valueFormat
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%v %s", err, diff)
			}
			if readable := bytes.Contains(raw.Raw, []byte(`"views"`)); readable != (name == "small") {
				t.Errorf("that people can read it is %t: %d bytes", readable, len(raw.Raw))
			}
			want.State.Versions["x"] = release.Version{Name: strings.Repeat("x", maxValue)}
			if _, err := EncodeValue(want); err == nil {
				t.Error("a state that does not fit was written")
			}
		})
	}
}

// Nothing is taken for a state that is none.
// A state that takes in another release leaves room for a rollback, whoever makes
// it and whatever the reason.
func TestALargeStateLeavesRoomForARollback(t *testing.T) {
	w := newWorld(t, "web")
	w.open("r1", "web", "2")
	w.promote("r1")
	pad := func(bytes int) { // a version that is remembered
		w.in.Value.Templates["web@1"] = Template{Hash: hashOf("web", "1"), Images: map[string]string{"web": strings.Repeat("x", bytes)}}
	}
	pad(maxValue - spare - w.in.Value.size())
	before := w.in.Value
	before.Templates = maps.Clone(before.Templates)
	w.open("r2", "web", "3")
	var refused *release.Refused
	if err := w.in.Value.Opens(before); !errors.As(err, &refused) || !strings.Contains(refused.Remedy, "spec.history") {
		t.Errorf("r2 takes %d bytes after %d: %v", w.in.Value.size(), before.size(), err)
	}
	if err := before.Opens(before); err != nil {
		t.Errorf("what is no larger: %v", err)
	}
	by := release.Actor{Who: strings.Repeat("w", 1000), Why: strings.Repeat("\x01", 1000)}
	back, err := before.State.Rollback("r1", by, w.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := EncodeValue(before.With(back)); err != nil {
		t.Errorf("a rollback is refused: %v", err)
	}
}

func TestNoValue(t *testing.T) {
	w := newWorld(t, "web", "chat")
	whole, err := EncodeValue(w.in.Value)
	if err != nil {
		t.Fatal(err)
	}
	packed := func(data []byte) string {
		out, err := pack(data)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if _, err := DecodeValue(&runtime.RawExtension{Raw: []byte(packed(whole.Raw))}); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"nothing": "", "half": "{", "another form": `{"format":3}`, "nothing packed": `{"format":2}`, "no view": `{"format":1,"state":{"default":"r9"}}`,
		"packed damage": packed(whole.Raw[1:]), "packed without a form": packed([]byte(`{}`)), "packed twice": packed([]byte(packed(whole.Raw))),
		"cut short":      `{"format":2,"gzip":"H4sIAAAAAAAE/w=="}`,
		"more than fits": packed(append(bytes.Repeat([]byte(" "), maxValue), whole.Raw...)),
	} {
		if _, err := DecodeValue(&runtime.RawExtension{Raw: []byte(bad)}); err == nil {
			t.Errorf("%s was taken for a state", name)
		}
	}
	if _, err := DecodeValue(nil); err == nil {
		t.Error("nothing was taken for a state")
	}
}

// Two Inputs have one print only if they come to the same objects.
func TestPrint(t *testing.T) {
	print := func(w *world) Digest {
		d, err := w.in.Print()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	w := newWorld(t, "web", "chat")
	first := print(w)
	w.in.Value.State.Revision++
	if print(w) != first {
		t.Error("a revision counts")
	}
	for name, change := range map[string]func(){
		"a release":        func() { w.open("r42", "chat", "2") },
		"a promotion":      func() { w.promote("r42") },
		"the Fleet":        func() { w.in.Fleet.Spec.Services[0].Timeout = "3s" },
		"a Service":        func() { w.in.Services["web"].ResourceVersion = "2" },
		"a revoked pass":   func() { w.in.Passes.Revoked = []string{"p1"} },
		"a foreign route":  func() { w.in.VirtualServices = []*networkingv1.VirtualService{{}} },
		"what was begun":   func() { w.in.Begun = map[string]bool{"x": true} },
		"a gateway's pods": func() { w.in.GatewayPods = []GatewayPods{{Namespace: "istio-ingress"}} },
		"a template":       func() { w.in.Value.Templates["web@1"] = Template{Hash: "other"} },
	} {
		before := print(w)
		if name == "a promotion" && w.in.Value.State.Releases["r42"].Name == "" {
			continue // there is nothing to promote yet
		}
		change()
		if print(w) == before {
			t.Errorf("%s does not count", name)
		}
	}
}

// A VirtualService of ours is told from its metadata.
func TestRoutedBy(t *testing.T) {
	w := headersAndHosts(t)
	objects, _ := Translate(w.in)
	for _, vs := range append(objects.Mesh, objects.Edges...) {
		got := RoutedBy(vs.ObjectMeta)
		if diff := cmp.Diff([][]string{vs.Spec.Gateways, vs.Spec.Hosts}, [][]string{got.Spec.Gateways, got.Spec.Hosts}); diff != "" {
			t.Errorf("%s: %s", vs.Name, diff)
		}
	}
}
