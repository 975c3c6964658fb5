package kubernetes

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	telemetryv1 "istio.io/client-go/pkg/apis/telemetry/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// Input is everything that the objects of a fleet follow from.
type Input struct {
	Fleet  *crd.Fleet
	Value  Value
	Passes Passes
	// Callbacks are the addresses that outside systems can call now, the newest
	// first.
	Callbacks []Callback
	Pages     *Backend // who answers below /.greenroom/; nil: nobody, but for /.greenroom/default
	Canary    int      // per cent of users that a release in Canary gets

	// What was observed. Objects that greenroom made need not be among them.
	Services               map[string]*corev1.Service // by the fleet's name for the service
	VirtualServices        []*networkingv1.VirtualService
	DestinationRules       []*networkingv1.DestinationRule
	RequestAuthentications []*securityv1.RequestAuthentication
	GatewayPods            []GatewayPods   // those whose labels are known
	Begun                  map[string]bool // names of the VirtualServices in the fleet's namespace that greenroom made for it

	ClusterDomain string // cluster.local if empty
	RootNamespace string // of the mesh; istio-system if empty
}

// Passes is what the gateways have to know of passes.
type Passes struct {
	Issuer   string   // as the tokens name it; unlike that of any other fleet at the same gateway pods
	Audience string   // as the tokens name it
	JWKS     string   // the public keys; empty: there are no passes yet
	Revoked  []string // IDs of passes that are not over
	Live     bool     // some that are not over are for whatever serves
}

// Backend is a host of the mesh and a port.
type Backend struct {
	Host string
	Port int
}

// Objects is what a fleet needs in the cluster, each list in a fixed order. They
// have parts in common, so they are to be read, not changed.
type Objects struct {
	Services               []*corev1.Service
	DestinationRules       []*networkingv1.DestinationRule
	RequestAuthentications []*securityv1.RequestAuthentication
	AuthorizationPolicies  []*securityv1.AuthorizationPolicy
	Telemetries            []*telemetryv1.Telemetry
	Mesh                   []*networkingv1.VirtualService // one per service
	Edges                  []*networkingv1.VirtualService // one per Gateway; a promotion is a change of these alone
}

// Object is what a client applies.
type Object interface {
	metav1.Object
	runtime.Object
}

// All returns every object in the order in which they are applied, so that no
// route leads to what is not there: destinations, who may pass, the routes
// between services, and last those of the edge. A switch applies the Edges
// first: the others know both sides of it already.
func (o Objects) All() []Object {
	var out []Object
	out = appendAll(out, o.Services)
	out = appendAll(out, o.DestinationRules)
	out = appendAll(out, o.RequestAuthentications)
	out = appendAll(out, o.AuthorizationPolicies)
	out = appendAll(out, o.Telemetries)
	out = appendAll(out, o.Mesh)
	return appendAll(out, o.Edges)
}

func appendAll[T Object](out []Object, list []T) []Object {
	for _, o := range list {
		out = append(out, o)
	}
	return out
}

// Unwanted returns those of the existing objects of a kind that greenroom made
// for the fleet and that it does not need any more. Destinations are deleted
// only when the proxies have long had the routes that do without them.
func Unwanted[T metav1.Object](f *crd.Fleet, existing, desired []T) []T {
	keep := map[string]bool{}
	for _, o := range desired {
		keep[o.GetNamespace()+"/"+o.GetName()] = true
	}
	var out []T
	for _, o := range existing {
		if Owns(f, o) && !keep[o.GetNamespace()+"/"+o.GetName()] {
			out = append(out, o)
		}
	}
	return out
}

// Translate says which objects a fleet comes to, and what is in the way. The
// same Input gives the same objects, byte by byte. A Fleet that Check refuses
// comes to nothing but its conditions.
func Translate(in Input) (Objects, []Condition) {
	if invalid := Check(in.Fleet); len(invalid) > 0 {
		return Objects{}, invalid
	}
	t := begin(in)
	var out Objects
	for _, s := range t.Fleet.Spec.Services {
		if vs := t.meshOf(s); vs != nil {
			out.Mesh = append(out.Mesh, vs)
		}
	}
	t.weighMesh(out.Mesh)
	out.Edges = t.edges()
	t.pinAll()
	for _, name := range slices.Sorted(maps.Keys(t.pinned)) {
		out.Services = append(out.Services, t.pinned[name])
	}
	out.DestinationRules = t.destinationRules(out.Services)
	t.guard(&out)
	out.Telemetries = t.telemetries()
	return out, sortConditions(t.conditions)
}

// Edges is Objects.Edges of Translate alone, for a Fleet that Check accepts: what
// a switch writes, without the cost of the routes between services, which grows
// with the fleet, and of looking for what is wrong.
func Edges(in Input) []*networkingv1.VirtualService { return begin(in).edges() }

func begin(in Input) *translation {
	t := &translation{Input: in, pinned: map[string]*corev1.Service{}, places: map[string]int{}, ways: map[int][]way{}}
	for i, s := range in.Fleet.Spec.Services {
		t.places[s.Name] = i
	}
	t.ClusterDomain = cmp.Or(t.ClusterDomain, "cluster.local")
	t.RootNamespace = cmp.Or(t.RootNamespace, "istio-system")
	t.header = strings.ToLower(cmp.Or(t.Fleet.Spec.Stamp.Header, defaultHeader)) // Istio wants it so
	t.stamps = slices.Sorted(maps.Keys(t.Value.State.Views))
	t.callers = t.findCallers()
	return t
}

// translation is one Translate under way.
type translation struct {
	Input
	places     map[string]int             // of the fleet's services
	header     string                     // that carries the stamp
	stamps     []string                   // of all views, sorted
	callers    []caller                   // versions that not every view holds
	pinned     map[string]*corev1.Service // by name
	ways       map[int][]way              // by port, for calls between services
	conditions []Condition
}

func (t *translation) say(c Condition) { t.conditions = append(t.conditions, c) }

// service returns the fleet's service of that name.
func (t *translation) service(name string) (crd.Service, bool) {
	i, ok := t.places[name]
	if !ok {
		return crd.Service{}, false
	}
	return t.Fleet.Spec.Services[i], true
}

// inPlay reports whether views differ in a service's version: its versions are
// then told apart by pinned Services alone.
func (t *translation) inPlay(service string) bool {
	first, seen := "", false
	for _, stamp := range t.stamps {
		version, ok := t.Value.State.Views[stamp].Versions[service]
		switch {
		case !ok:
		case !seen:
			first, seen = version, true
		case version != first:
			return true
		}
	}
	return false
}

// held reports whether any view has a version of a service. One that has just
// joined the Fleet is in none until its Rollout was found.
func (t *translation) held(service string) bool {
	for _, v := range t.Value.State.Views {
		if v.Versions[service] != "" {
			return true
		}
	}
	return false
}

// idle reports whether nothing but one view is there: no request can tell
// greenroom's routes from none.
func (t *translation) idle() bool { return len(t.stamps) <= 1 }

// duration reads a checked duration; zero for one that is left out.
func duration(text interface{ Parse() (time.Duration, error) }) time.Duration {
	d, err := text.Parse()
	if err != nil {
		return 0
	}
	return d
}
