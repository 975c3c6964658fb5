package app

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/controller"
	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
	"github.com/greenroom-dev/greenroom/internal/release"
	"github.com/greenroom-dev/greenroom/internal/stage"
)

// A release's versions become ready before there is a view of them. Its first
// request must find them.
func TestInstancesReadyBeforeTheirViewAreFound(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer backend.Close()
	gw := gateway.New(gateway.Options{Now: time.Now})
	defer gw.Close()
	h := newHops(gw, stage.New(stageLease, time.Time{}))
	rec := controller.Record{
		State: release.State{
			Default:  "baseline",
			Views:    map[string]release.View{"baseline": {Stamp: "baseline", Versions: map[string]string{"web": "web@v1"}}},
			Versions: map[string]release.Version{"web@v1": {ID: "web@v1", Service: "web", Name: "v1"}},
		},
		Fleet: fleet.Fleet{Name: "live", Services: []fleet.Service{{Name: "web"}}, Edge: fleet.Edge{Routes: []fleet.Route{{Service: "web"}}}},
	}
	h.ready("web@v1", []forward.Instance{{ID: "1", Addr: strings.TrimPrefix(backend.URL, "http://")}})
	publish, err := h.Prepare(rec)
	if err != nil {
		t.Fatal(err)
	}
	publish()
	if got := h.pools["web@v1"].Ready(); got != 1 {
		t.Errorf("the pool of a new view has %d instances, want the one that was ready before", got)
	}
	if len(h.early) != 0 {
		t.Errorf("%v is still kept for a pool that exists", h.early)
	}

	h.ready("web@v2", []forward.Instance{{ID: "2", Addr: "127.0.0.1:1"}})
	h.forget("web@v2")
	if len(h.early) != 0 {
		t.Errorf("%v is kept of a version that is gone", h.early)
	}
}
