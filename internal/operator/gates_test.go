package operator

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	istioapi "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestAskedHost(t *testing.T) {
	for _, c := range []struct {
		served []string // by a server of a Gateway in istio-ingress
		hosts  []string // of a fleet in shop
		want   string   // "": none
	}{
		{[]string{"*"}, []string{"a.test"}, "a.test"},
		{[]string{"b.test"}, []string{"a.test"}, ""},
		{[]string{"b.test", "A.test"}, []string{"a.test"}, "a.test"},
		{[]string{"b.test"}, []string{"a.test", "b.test"}, "b.test"},
		{[]string{"*.test"}, []string{"a.test"}, "a.test"},
		{[]string{"*.test"}, []string{"test"}, ""},
		{[]string{"*.test"}, []string{"*.a.test"}, "greenroom-asks.a.test"},
		{[]string{"a.test"}, []string{"*.test"}, "a.test"},
		{[]string{"*.a.test"}, []string{"*"}, "greenroom-asks.a.test"},
		{[]string{"*"}, []string{"*"}, "greenroom-asks"},
		{[]string{"shop/*"}, []string{"a.test"}, "a.test"},
		{[]string{"*/a.test"}, []string{"a.test"}, "a.test"},
		{[]string{"other/a.test"}, []string{"a.test"}, ""},
		{[]string{"./a.test"}, []string{"a.test"}, ""},
		{[]string{"./a.test", "shop/*.test"}, []string{"a.test"}, "a.test"},
		{nil, []string{"a.test"}, ""},
	} {
		got, ok := askedHost(c.served, "istio-ingress", "shop", c.hosts)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("a server of %v and a fleet of %v: asked for %q (%t), want %q", c.served, c.hosts, got, ok, c.want)
		}
	}
	if got, ok := askedHost([]string{"./a.test"}, "shop", "shop", []string{"a.test"}); !ok || got != "a.test" {
		t.Errorf("a server for its own namespace alone, of the fleet's: %q, %t", got, ok)
	}
}

// A Gateway that serves others too is asked where it serves the fleet.
func TestAskAtSkipsServersOfOthers(t *testing.T) {
	server := func(number uint32, protocol, host string, tls *istioapi.ServerTLSSettings) *istioapi.Server {
		return &istioapi.Server{Port: &istioapi.Port{Number: number, Protocol: protocol}, Hosts: []string{host}, Tls: tls}
	}
	gw := &networkingv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "istio-ingress"}, Spec: istioapi.Gateway{Servers: []*istioapi.Server{
		server(8080, "HTTP", "admin.test", nil),
		server(80, "HTTP", "a.test", &istioapi.ServerTLSSettings{HttpsRedirect: true}),
		server(8443, "HTTPS", "other/*", &istioapi.ServerTLSSettings{Mode: istioapi.ServerTLSSettings_SIMPLE}),
		server(443, "HTTPS", "a.test", &istioapi.ServerTLSSettings{Mode: istioapi.ServerTLSSettings_SIMPLE}),
	}}}
	port, scheme, host, ok := askAt(gw, "shop", []string{"a.test"}, &corev1.Pod{}, nil)
	if !ok || port != 443 || scheme != "https" || host != "a.test" {
		t.Errorf("asked at %s %d for %q (%t), want https 443 for a.test", scheme, port, host, ok)
	}
	if port, _, _, ok := askAt(gw, "shop", []string{"b.test"}, &corev1.Pod{}, nil); ok {
		t.Errorf("a Gateway without the fleet's host is asked at %d", port)
	}
}

// TestAwaitGatesTellsTheLastAnswer: what a pod said goes on counting when the
// wait ends in the middle of the next question.
func TestAwaitGatesTellsTheLastAnswer(t *testing.T) {
	for _, c := range []struct{ answer, want string }{
		{"r41", "(r41)"},
		{`{"service":"web"}`, "(it answers with something other than a stamp"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var asked atomic.Int32
		pod := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1) == 1 {
				fmt.Fprint(w, c.answer)
				return
			}
			cancel()
			<-r.Context().Done()
		}))
		one := gate{pod: types.NamespacedName{Namespace: "ingress", Name: "gateway-1"}, scheme: "http", host: "live.example.com", addr: strings.TrimPrefix(pod.URL, "http://")}
		err := (&Engine{}).awaitGates(ctx, []gate{one}, "r42")
		cancel()
		pod.Close()
		if err == nil || !strings.Contains(err.Error(), "ingress/gateway-1 "+c.want) {
			t.Errorf("a pod that said %q: %v; want %q", c.answer, err, c.want)
		}
	}
}

func TestDoNotGive(t *testing.T) {
	for _, c := range []struct {
		behind, all int
		want        string
	}{
		{1, 1, "the gateway pod does not give"}, {2, 2, "none of the 2 gateway pods gives"},
		{1, 3, "1 of the 3 gateway pods does not give"}, {2, 3, "2 of the 3 gateway pods do not give"},
	} {
		if got := doNotGive(c.behind, c.all); got != c.want {
			t.Errorf("%d of %d: %q, want %q", c.behind, c.all, got, c.want)
		}
	}
}
