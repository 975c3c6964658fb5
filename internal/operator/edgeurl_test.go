package operator

import (
	"testing"

	istioapi "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestSchemeAt(t *testing.T) {
	server := func(protocol, host string, redirect bool) *istioapi.Server {
		return &istioapi.Server{Port: &istioapi.Port{Number: 80, Protocol: protocol}, Hosts: []string{host}, Tls: &istioapi.ServerTLSSettings{HttpsRedirect: redirect}}
	}
	for name, c := range map[string]struct {
		servers []*istioapi.Server
		want    string
	}{
		"HTTP alone":                  {[]*istioapi.Server{server("HTTP", "*", false)}, "http"},
		"HTTP/2 in cleartext":         {[]*istioapi.Server{server("HTTP2", "live.test", false)}, "http"},
		"both":                        {[]*istioapi.Server{server("HTTP", "*", false), server("HTTPS", "*.test", false)}, "https"},
		"TLS that passes through":     {[]*istioapi.Server{server("TLS", "live.test", false)}, "https"},
		"HTTP that leads to HTTPS":    {[]*istioapi.Server{server("http", "live.test", true)}, "https"},
		"HTTPS of other hosts":        {[]*istioapi.Server{server("HTTP", "live.test", false), server("HTTPS", "admin.test", false)}, "http"},
		"HTTPS of another namespace":  {[]*istioapi.Server{server("HTTP", "live.test", false), server("HTTPS", "other/*", false)}, "http"},
		"no server for it":            {[]*istioapi.Server{server("HTTP", "admin.test", false)}, ""},
		"a protocol that is not HTTP": {[]*istioapi.Server{server("TCP", "*", false)}, ""},
	} {
		gw := &networkingv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "istio-ingress"}, Spec: istioapi.Gateway{Servers: c.servers}}
		if got := schemeAt(gw, "shop", "live.test"); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
