//go:build e2e

package e2e

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/test/cluster"
	"github.com/greenroom-dev/greenroom/test/e2e/hop"
)

var (
	//go:embed manifests/edge.yaml
	edgeManifest string
	//go:embed manifests/services.yaml
	servicesManifest string
	//go:embed manifests/virtualservice.yaml
	virtualServiceManifest string
)

// hub leads the names of the stories' images. Nothing is fetched from there.
const hub = "images.test"

// stray is a version that no release brings. Argo goes back to one that it still
// keeps without a pause, so no version of a release may come too early.
const stray = "v4"

const hopProgram = "github.com/greenroom-dev/greenroom/test/e2e/images/hop"

// released are the services that releases of the stories change together:
// within one request they must all be of one version.
func released() []string { return []string{"api", "chat", "gift"} }

// fleet is the demo fleet in a namespace. A request to it takes the way api,
// chat, gift; one below /feed takes feed, gift, and feed passes on nothing but
// OpenTelemetry's baggage.
type fleet struct {
	Namespace, Host string
	Replicas        int // of each service
	Gateways        int // pods of its gateway
	ScaleDownDelay  int // seconds, of Rollouts
	Services        []*service
	Fixed           []string // services that no release names; feed's pods answer for them
}

// service is a service and what runs its pods.
type service struct {
	hop.Service
	Kind    string // Deployment or Rollout: what has its template
	Adopted bool   // a Rollout has taken the Deployment's place, and takes its template from it
}

// APIVersion is that of the service's kind.
func (s *service) APIVersion() string {
	if s.Kind == "Rollout" {
		return "argoproj.io/v1alpha1"
	}
	return "apps/v1"
}

// NextList is Next as the program reads it.
func (s *service) NextList() string { return strings.Join(s.Next, ",") }

// newFleet is the fleet in its first version, of Rollouts.
func newFleet(namespace string) *fleet {
	f := &fleet{Namespace: namespace, Host: namespace + ".test", Replicas: 1, Gateways: 1, ScaleDownDelay: 3600}
	for _, one := range []hop.Service{
		{Name: "api", Next: []string{"chat"}, Passing: hop.Header},
		{Name: "chat", Next: []string{"gift"}, Passing: hop.Header},
		{Name: "gift", Passing: hop.Header},
		{Name: "feed", Next: []string{"gift"}, Passing: hop.Baggage},
	} {
		f.add(one)
	}
	return f
}

// add gives the fleet one more service, in its first version.
func (f *fleet) add(one hop.Service) {
	one.Version = "v1"
	f.Services = append(f.Services, &service{Service: one, Kind: "Rollout"})
}

// service is the one of that name.
func (f *fleet) service(name string) *service {
	return f.Services[slices.IndexFunc(f.Services, func(s *service) bool { return s.Name == name })]
}

// Hub is where the manifest says the images are from.
func (f *fleet) Hub() string { return hub }

// NodePort is where the machine's loopback leads to the gateway of the one
// fleet that is there.
func (f *fleet) NodePort() int { return 30081 }

// address is the host and port at which the fleet's gateway takes requests.
func (f *fleet) address() string { return fmt.Sprintf("127.0.0.1:%d", f.NodePort()) }

// loadImages gives the cluster every version of every service as an image.
func (s *stage) loadImages(t *testing.T) {
	t.Helper()
	program, err := s.GoImage(s.ctx, hub+"/hop:1", hopProgram)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"api", "chat", "gift", "feed", "probe", "stranger"} {
		for _, version := range []string{"v1", "v2", "v3", stray} {
			image := program
			image.Name = imageOf(name, version)
			image.Files = append(slices.Clone(program.Files),
				cluster.File{Path: "/etc/hop/service", Content: []byte(name)},
				cluster.File{Path: "/etc/hop/version", Content: []byte(version)})
			if err := s.LoadImage(s.ctx, image); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func imageOf(service, version string) string { return fmt.Sprintf("%s/%s:%s", hub, service, version) }

// place brings a fleet up behind the gateway, as somebody would run it without
// greenroom, and takes it away when the test is over.
func (s *stage) place(t *testing.T, f *fleet) {
	t.Helper()
	s.forget(t, f.Namespace)
	s.apply(t, render(t, "edge.yaml", edgeManifest, f))
	s.apply(t, render(t, "services.yaml", servicesManifest, f))
	s.apply(t, render(t, "virtualservice.yaml", virtualServiceManifest, f))
	s.kubectl(t, "rollout", "status", "deployment/gateway", "-n", f.Namespace, "--timeout", podWait.String())
	for _, one := range f.Services {
		s.awaitReady(t, f, one.Name)
	}
	s.await(t, "an answer of the fleet", routeWait, func() error {
		a, err := s.ask(f, "/", nil)
		if err == nil && a.status != 200 {
			err = fmt.Errorf("%d: %s", a.status, a.body)
		}
		return err
	})
}

// awaitReady waits until a Deployment or Rollout is what its template says, or
// pauses with its preview beside what serves.
func (s *stage) awaitReady(t *testing.T, f *fleet, name string) {
	t.Helper()
	one := f.service(name)
	if one.Kind == "Deployment" && !one.Adopted {
		s.kubectl(t, "rollout", "status", "deployment/"+name, "-n", f.Namespace, "--timeout", podWait.String())
		return
	}
	s.await(t, "the Rollout "+name, podWait, func() error {
		r, err := s.rollout(f.Namespace, name)
		if err != nil {
			return err
		}
		current := r.current()
		if one.Adopted {
			var d struct{ Metadata struct{ Generation int64 } }
			if err := s.Get(s.ctx, "/apis/apps/v1/namespaces/"+f.Namespace+"/deployments/"+name, &d); err != nil {
				return err
			}
			current = current && r.Status.WorkloadObservedGeneration == fmt.Sprint(d.Metadata.Generation)
		}
		if !current || r.Status.Phase != "Healthy" && r.Status.Phase != "Paused" {
			return fmt.Errorf("it is %s: %s", r.Status.Phase, r.Status.Message)
		}
		return nil
	})
}
