package kubernetes

import (
	"slices"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		change func(*crd.Fleet)
		says   string
	}{
		{func(*crd.Fleet) {}, ""},
		{func(f *crd.Fleet) { f.Spec.Services = nil }, "at least one service"},
		{func(f *crd.Fleet) { f.Spec.Services[1].Name = "web" }, "two services called web"},
		{func(f *crd.Fleet) { f.Spec.Services[0].Calls = []string{"nobody"} }, "no service is called nobody"},
		{func(f *crd.Fleet) { f.Spec.Services[0].Drain = "25h" }, "from 0s to 24h"},
		{func(f *crd.Fleet) { f.Spec.Services[0].Timeout = "soon" }, "not a duration"},
		{func(f *crd.Fleet) { f.Spec.Services[0].Retries = &crd.Retries{PerTryTimeout: "2d"} }, "from 1ms to 24h"},
		{func(f *crd.Fleet) { f.Spec.Quiet = "2h" }, "from 1s to 1h"},
		{func(f *crd.Fleet) { f.Spec.Edge.Gateways = nil }, "at least one gateway"},
		{func(f *crd.Fleet) { f.Spec.Edge.Gateways[0].Selector = nil }, "labels of the gateway's pods"},
		{func(f *crd.Fleet) { f.Spec.Edge.Gateways[0].Hosts = nil }, "fleet's hosts"},
		{func(f *crd.Fleet) { f.Spec.Edge.Gateways[0].Hosts = []string{"*"} }, "takes every host"},
		{func(f *crd.Fleet) { f.Spec.Edge.Gateways[0].Name = "istio-ingress/public.v2" }, "no routes for a Gateway called istio-ingress/public.v2"},
		{func(f *crd.Fleet) { f.Spec.Edge.Gateways[0].Name = "istio-ingress/" + strings.Repeat("x", 64) }, "at most 63"},
		{func(f *crd.Fleet) {
			f.Spec.Edge.Gateways[0].Hosts = []string{"Live.example.com", "*.example.com", "example.org.", "localhost", "10.0.0.1", "fd00::1"}
		}, ""},
		{func(f *crd.Fleet) { f.Spec.Edge.Gateways[0].Hosts = []string{"live.example.com:8443"} }, "without a port"},
		{func(f *crd.Fleet) { f.Spec.Edge.Gateways[0].Hosts = []string{"my_app.example.com"} }, "my_app.example.com is no host"},
		{func(f *crd.Fleet) { f.Spec.Edge.Gateways[0].Hosts = []string{"live.*.example.com"} }, "live.*.example.com is no host"},
		{func(f *crd.Fleet) { f.Spec.Edge.Gateways[0].Hosts = []string{"app.1"} }, "app.1 is no host"},
		{func(f *crd.Fleet) { f.Spec.Services[0].Service = "chat" }, "web and chat are both the Kubernetes Service chat"},
		{func(f *crd.Fleet) {
			f.Spec.Services[0].Retries = &crd.Retries{Attempts: 2, RetryOn: "5xx, reset,503,unavailable"}
		}, ""},
		{func(f *crd.Fleet) { f.Spec.Services[0].Retries = &crd.Retries{Attempts: 2, RetryOn: "5xx,refused"} }, `"refused" is nothing`},
		{func(f *crd.Fleet) { f.Spec.Edge.Routes[0].Retries = &crd.Retries{Attempts: 2, RetryOn: "503,520"} }, `"520" is nothing`},
		{func(f *crd.Fleet) { f.Spec.Edge.Routes[0].Methods = slices.Repeat([]string{"PROPFIND"}, 60) }, "more than the 512 that fit"},
		{func(f *crd.Fleet) {
			f.Spec.Edge.Routes[0].CORS = &crd.CORS{AllowOrigins: []string{"*"}, AllowMethods: []string{"GET", "*"}, AllowHeaders: []string{"X-A", "*"}}
		}, ""},
		{func(f *crd.Fleet) { f.Spec.Edge.Routes[0].CORS = &crd.CORS{AllowOrigins: []string{""}} }, "one is empty"},
		{func(f *crd.Fleet) { f.Spec.Edge.Routes[0].CORS = &crd.CORS{AllowMethods: []string{"get"}} }, `"get" is no method`},
		{func(f *crd.Fleet) { f.Spec.Edge.Routes[0].CORS = &crd.CORS{AllowHeaders: []string{"X-A, X-B"}} }, `"X-A, X-B" is no name`},
		{func(f *crd.Fleet) { f.Spec.Edge.Routes = nil }, "needs routes"},
		{func(f *crd.Fleet) { f.Spec.Edge.Routes[0].Service = "nobody" }, "no service is called nobody"},
		{func(f *crd.Fleet) {
			f.Spec.Edge.Routes = append(f.Spec.Edge.Routes, crd.Route{Route: v1alpha1.Route{Path: "/chat/rooms", Service: "chat"}})
		}, "never reached: route 1"},
		{func(f *crd.Fleet) { f.Spec.Edge.Routes[0].CORS = &crd.CORS{MaxAge: "31d"} }, "from 0s to 30d"},
		{func(f *crd.Fleet) { f.Spec.Edge.SessionPinning = "2d" }, "from 0s to 24h"},
		{func(f *crd.Fleet) { f.Spec.Edge.AccessLog = &crd.AccessLog{Sample: "101%"} }, "more than 100%"},
		{func(f *crd.Fleet) { f.Spec.Edge.PublicURL = "live.example.com" }, "scheme, host and port"},
	} {
		f := newWorld(t, "web", "chat").in.Fleet
		c.change(f)
		got := ""
		for _, one := range Check(f) {
			if one.Type != Invalid || !one.Blocks {
				t.Errorf("got %+v", one)
			}
			got += one.Message + one.Remedy + "\n"
		}
		if c.says == "" && got != "" || !strings.Contains(got, c.says) {
			t.Errorf("got %q, want %q", got, c.says)
		}
	}
}

func TestCheckRelease(t *testing.T) {
	f := newWorld(t, "web", "chat").in.Fleet
	f.Spec.Services[1].Fixed = true
	for _, c := range []struct {
		spec crd.ReleaseSpec
		says string
	}{
		{crd.ReleaseSpec{Fleet: "live", Services: []crd.ReleaseService{{Name: "web"}}}, ""},
		{crd.ReleaseSpec{Fleet: "dead"}, "it names dead"},
		{crd.ReleaseSpec{Services: []crd.ReleaseService{{Name: "webb"}}}, "no service webb"},
		{crd.ReleaseSpec{Services: []crd.ReleaseService{{Name: "chat"}}}, "chat is fixed"},
		{crd.ReleaseSpec{Services: []crd.ReleaseService{{Name: "web"}, {Name: "web"}}}, "web is given twice"},
		{crd.ReleaseSpec{RollbackWindow: "31d"}, "from 0s to 30d"},
		{crd.ReleaseSpec{Keep: "1s"}, "from 1m to 30d"},
	} {
		got := ""
		for _, one := range CheckRelease(&crd.Release{Spec: c.spec}, f) {
			got += one.Message + "\n"
		}
		if c.says == "" && got != "" || !strings.Contains(got, c.says) {
			t.Errorf("got %q, want %q", got, c.says)
		}
	}
}
