package operator_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	networkingapi "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"

	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
)

// edgeRoutes waits until the routes of the gateway are as they have to be.
func (r *rig) edgeRoutes(what string, as func([]*networkingapi.HTTPRoute) error) {
	r.t.Helper()
	r.until(what, func() error {
		var vs networkingv1.VirtualService
		if err := r.get(&vs, "greenroom.live.edge."+r.ns+".edge"); err != nil {
			return err
		}
		return as(vs.Spec.Http)
	})
}

// first is where the first of the routes is whose name begins so; -1: there is
// none.
func first(routes []*networkingapi.HTTPRoute, begin string) int {
	return slices.IndexFunc(routes, func(o *networkingapi.HTTPRoute) bool { return strings.HasPrefix(o.Name, begin) })
}

func names(routes []*networkingapi.HTTPRoute) (out []string) {
	for _, o := range routes {
		out = append(out, o.Name)
	}
	return out
}

// testHold is what the gateways turn away while the fleet is on hold, and who
// goes through.
func testHold(t *testing.T, cluster *operatortest.Cluster) {
	ctx := t.Context()
	r := newRig(t, cluster, "api")
	r.fleet("api")
	r.serves("baseline")
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	minted, err := r.api.MintPass(ctx, api.MintPass{Live: true, For: "1h"})
	if err != nil || minted.Token == "" || !minted.Live || minted.Release != "" {
		t.Fatalf("a pass for what serves: %+v, %v", minted, err)
	}
	if _, err := r.api.MintPass(ctx, api.MintPass{Live: true, Release: "r1"}); err == nil {
		t.Error("a pass was made for a release and for what serves")
	}

	_, err = r.api.HoldOn(ctx, api.HoldOn{Mode: "wait"})
	var refused *api.Error
	if !errors.As(err, &refused) || refused.Code != "input" || !strings.Contains(err.Error(), "not supported here") {
		t.Errorf("requests that wait: %v", err)
	}
	if h, err := r.api.Hold(ctx); err != nil || h.On {
		t.Errorf("the fleet is on hold: %+v, %v", h, err)
	}

	out, err := r.api.HoldOn(ctx, api.HoldOn{Mode: "writes-only", For: "10m", Routes: []string{"/orders"}})
	if err != nil || !out.Changed || !out.Hold.On || !strings.Contains(strings.Join(out.Notes, " "), "as soon as istiod has told them") {
		t.Fatalf("hold on: %+v, %v", out, err)
	}
	r.edgeRoutes("writes are turned away", func(routes []*networkingapi.HTTPRoute) error {
		hold, live, preview, ordinary := first(routes, "hold."), first(routes, "live."), first(routes, "pass."), first(routes, "default.")
		if live < 0 || preview < 0 || hold < max(live, preview) || ordinary < hold {
			return fmt.Errorf("the routes are %v", names(routes))
		}
		for _, o := range routes[hold:ordinary] {
			for _, m := range o.Match {
				if m.Method.GetRegex() == "" || !strings.HasPrefix(m.Uri.GetExact()+m.Uri.GetPrefix(), "/orders") || o.DirectResponse.GetStatus() != 503 {
					return fmt.Errorf("%s is %v", o.Name, o)
				}
			}
		}
		return nil
	})
	if out, err = r.api.HoldOn(ctx, api.HoldOn{Mode: "page"}); err != nil || !out.Changed {
		t.Fatalf("page: %+v, %v", out, err)
	}
	r.edgeRoutes("everything is turned away", func(routes []*networkingapi.HTTPRoute) error {
		i := first(routes, "hold.rest")
		if i < 0 || len(routes[i].Match) > 0 || routes[i].DirectResponse.GetStatus() != 503 || routes[i].Headers.Response.Set["x-greenroom-error"] != "on-hold" {
			return fmt.Errorf("the routes are %v", names(routes))
		}
		return nil
	})
	// A release goes live on hold, and the hold stays.
	r.promoted("r1")
	r.edgeRoutes("r1 serves, on hold", func(routes []*networkingapi.HTTPRoute) error {
		if i := first(routes, "hold.rest"); i < 0 || routes[0].DirectResponse.Body.GetString_() != "r1\n" {
			return fmt.Errorf("the routes are %v", names(routes))
		}
		return nil
	})
	if out, err := r.api.HoldOff(ctx, api.Asked{}); err != nil || !out.Changed || out.Hold.On {
		t.Fatalf("hold off: %+v, %v", out, err)
	}
	noHold := func(routes []*networkingapi.HTTPRoute) error {
		if first(routes, "hold.") >= 0 {
			return fmt.Errorf("the routes are %v", names(routes))
		}
		return nil
	}
	r.edgeRoutes("nothing is turned away", noHold)
	if _, err := r.api.HoldOn(ctx, api.HoldOn{Mode: "page", For: "2s"}); err != nil {
		t.Fatal(err)
	}
	r.logged("HoldBegan", "HoldChanged", "HoldEnded", "HoldBegan", "HoldEnded")
	r.edgeRoutes("it ends by itself", noHold)
}

// testCallback is the addresses that outside systems call.
func testCallback(t *testing.T, cluster *operatortest.Cluster) {
	ctx := t.Context()
	r := newRig(t, cluster, "api")
	r.fleet("api")
	r.serves("baseline")
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	ask := api.MintCallback{Release: "r1", Paths: []string{"/oauth/callback"}, Methods: []string{"GET"}, For: "1h"}
	counted := ask
	counted.Count = 3
	_, err := r.api.MintCallback(ctx, counted)
	ruled(t, err, "unsupported")
	unknown := ask
	unknown.Release = "r9"
	if _, err := r.api.MintCallback(ctx, unknown); err == nil {
		t.Error("an address was made for a release that is not there")
	}
	made, err := r.api.MintCallback(ctx, ask)
	if err != nil {
		t.Fatal(err)
	}
	other, err := r.api.MintCallback(ctx, api.MintCallback{Release: "r1", Paths: []string{"/hooks"}})
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + r.ns + ".test/.greenroom/cb/"
	token, is := strings.CutPrefix(made.Base, base)
	if !is || len(made.Addresses) != 1 || made.Addresses[0] != made.Base+"/oauth/callback" || len(token) < 20 {
		t.Fatalf("the address is %+v", made)
	}
	leads := func(base, path, methods string) func([]*networkingapi.HTTPRoute) error {
		at := strings.TrimPrefix(base, "http://"+r.ns+".test") + path
		return func(routes []*networkingapi.HTTPRoute) error {
			var found []string
			for i, o := range routes {
				for _, m := range o.Match {
					uri := m.Uri.GetExact() + m.Uri.GetPrefix()
					if !strings.HasPrefix(uri, at) {
						continue
					}
					found = append(found, uri)
					if i > first(routes, "own.pages") || m.Method.GetRegex() != methods || o.Headers.Request.Set["x-greenroom-release"] != "r1" ||
						o.Rewrite.GetUri() != strings.TrimPrefix(uri, strings.TrimSuffix(at, path)) {
						return fmt.Errorf("%s is %v", o.Name, o)
					}
				}
			}
			if !slices.Equal(found, []string{at, at + "/"}) {
				return fmt.Errorf("it takes %v, by %v", found, names(routes))
			}
			return nil
		}
	}
	r.edgeRoutes("it can be called", leads(made.Base, "/oauth/callback", "GET"))
	r.edgeRoutes("so can the other", leads(other.Base, "/hooks", "GET|POST"))
	list, err := r.api.Passes(ctx)
	if err != nil || len(list) != 2 || list[1].Kind != "callback" || strings.Contains(fmt.Sprint(list), token) {
		t.Errorf("the list is %+v, %v", list, err)
	}

	gone := func(base string) func([]*networkingapi.HTTPRoute) error {
		return func(routes []*networkingapi.HTTPRoute) error {
			if text := fmt.Sprint(routes); strings.Contains(text, strings.TrimPrefix(base, "http://"+r.ns+".test/")+"/") {
				return errors.New("it is there")
			}
			return nil
		}
	}
	if _, err := r.api.RevokePass(ctx, other.ID, api.Asked{}); err != nil {
		t.Fatal(err)
	}
	r.edgeRoutes("what was taken back leads nowhere", gone(other.Base))
	r.edgeRoutes("the other one stays", leads(made.Base, "/oauth/callback", "GET"))

	// It ends while an operator runs that has found it good.
	r.stop()
	r.expire(made.ID, time.Now().Add(5*time.Second))
	r.start()
	r.edgeRoutes("what is over leads nowhere", gone(made.Base))
	r.until("it is shown as over", func() error {
		list, err := r.api.Passes(ctx)
		if err == nil && !slices.ContainsFunc(list, func(p api.Pass) bool { return p.ID == made.ID && p.State == "expired" }) {
			err = fmt.Errorf("the list is %+v", list)
		}
		return err
	})
	r.logged("CallbackCreated", "CallbackCreated", "PassRevoked")
}

// expire lets a pass or callback address end, as the operator keeps it.
func (r *rig) expire(id string, at time.Time) {
	r.t.Helper()
	var kept corev1.ConfigMap
	if err := r.get(&kept, "greenroom.live.passes"); err != nil {
		r.t.Fatal(err)
	}
	var list []map[string]any
	if err := json.Unmarshal([]byte(kept.Data["passes.json"]), &list); err != nil {
		r.t.Fatal(err)
	}
	for _, p := range list {
		if p["id"] == id {
			p["expires"] = at.UTC().Truncate(time.Second)
		}
	}
	text, err := json.Marshal(list)
	if err != nil {
		r.t.Fatal(err)
	}
	kept.Data["passes.json"] = string(text)
	if err := r.c.Update(r.t.Context(), &kept); err != nil {
		r.t.Fatal(err)
	}
}
