package operator

import (
	"cmp"
	"context"
	"strings"
	"sync"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// edgeURL is how the fleet is reached: as the Fleet says, else at its first host
// by the scheme that the host's Gateway has, https where that is not known.
func (e *Engine) edgeURL() string {
	edge := e.world.Load().fleet.Spec.Edge
	if edge.PublicURL != "" {
		return strings.TrimRight(edge.PublicURL, "/")
	}
	gateway, host := firstHost(edge)
	if host == "" {
		return ""
	}
	return cmp.Or(e.scheme.of(gateway, host), "https") + "://" + host
}

// firstHost is the first host of a fleet by which people can ask, and the
// Gateway that takes it.
func firstHost(edge crd.Edge) (gateway, host string) {
	for _, g := range edge.Gateways {
		for _, h := range g.Hosts {
			if !strings.HasPrefix(h, "*") {
				return g.Name, h
			}
		}
	}
	return "", ""
}

// edgeScheme is the scheme of a fleet's first host, as its Gateway had it when
// it was read last. It may be read while it is looked at anew.
type edgeScheme struct {
	mu            sync.Mutex
	at            time.Time
	gateway, host string
	scheme        string // "": not known
}

// of is the scheme of a host at a Gateway, "" where it is not known.
func (s *edgeScheme) of(gateway, host string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gateway != gateway || s.host != host {
		return ""
	}
	return s.scheme
}

// due reports whether the Gateway has to be read for a host.
func (s *edgeScheme) due(gateway, host string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gateway != gateway || s.host != host || now.Sub(s.at) >= gatewaysEvery
}

func (s *edgeScheme) learn(gateway, host, scheme string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.gateway, s.host, s.scheme = now, gateway, host, scheme
}

// lookAtScheme reads how the fleet's first host is reached, where the Fleet does
// not say it. A Gateway that cannot be read tells nothing; whatever else needs
// it says so.
func (e *Engine) lookAtScheme(ctx context.Context, f *crd.Fleet) {
	name, host := firstHost(f.Spec.Edge)
	if f.Spec.Edge.PublicURL != "" || host == "" || !e.scheme.due(name, host, e.d.Now()) {
		return
	}
	key := types.NamespacedName{}
	key.Namespace, key.Name, _ = strings.Cut(name, "/")
	var gw networkingv1.Gateway
	scheme := ""
	if err := e.d.Direct.Get(ctx, key, &gw); err == nil {
		scheme = schemeAt(&gw, f.Namespace, host)
	}
	e.scheme.learn(name, host, scheme, e.d.Now())
}

// schemeAt is by which scheme a Gateway takes a host for a fleet of a namespace:
// https where any of its servers does, "" where none takes the host.
func schemeAt(gw *networkingv1.Gateway, namespace, host string) string {
	scheme := ""
	for _, s := range gw.Spec.Servers {
		if _, takes := askedHost(s.GetHosts(), gw.Namespace, namespace, []string{host}); !takes {
			continue
		}
		switch strings.ToUpper(s.GetPort().GetProtocol()) {
		case "HTTPS", "TLS":
			return "https"
		case "HTTP", "HTTP2", "GRPC":
			if s.GetTls().GetHttpsRedirect() {
				return "https"
			}
			scheme = "http"
		}
	}
	return scheme
}
