package app

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

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
	rec := Record{
		State: release.State{
			Default:  "baseline",
			Views:    map[string]release.View{"baseline": {Stamp: "baseline", Versions: map[string]string{"web": "web@v1"}}},
			Versions: map[string]release.Version{"web@v1": {ID: "web@v1", Service: "web", Name: "v1"}},
		},
		Kept: &Kept{Fleet: fleet.Fleet{Name: "live", Services: []fleet.Service{{Name: "web"}}, Edge: fleet.Edge{Routes: []fleet.Route{{Service: "web"}}}}},
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

// A switch shortly before a crash must not interrupt the background work of
// services that it did not change.
func TestARestartKeepsServicesOnStageThatTheLastSwitchDidNotChange(t *testing.T) {
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	views := map[string]release.View{
		"baseline": {Stamp: "baseline", Versions: map[string]string{"web": "web@v1", "worker": "worker@v1"}},
		"r1":       {Stamp: "r1", Release: "r1", Versions: map[string]string{"web": "web@v2", "worker": "worker@v1"}},
	}
	for name, c := range map[string]struct {
		serves  string
		release release.Release
		changed string // version of web that serves since the switch
	}{
		"promotion": {"r1", release.Release{Name: "r1", Phase: release.Live, View: "r1", Former: "baseline"}, "web@v2"},
		"rollback":  {"baseline", release.Release{Name: "r1", Phase: release.Previewing, View: "r1", RolledBack: &release.Note{At: now}}, "web@v1"},
	} {
		t.Run(name, func(t *testing.T) {
			gw := gateway.New(gateway.Options{Now: time.Now})
			defer gw.Close()
			keeper := stage.New(stageLease, settledAfter(true, now, stageLease))
			h := newHops(gw, keeper)
			const before, epoch = 1, 2
			publish, err := h.Prepare(Record{
				State: release.State{Views: views, Default: c.serves, Since: now, Epoch: epoch, Releases: map[string]release.Release{"r1": c.release}},
				Kept:  &Kept{Fleet: fleet.Fleet{Name: "live", Services: []fleet.Service{{Name: "web"}, {Name: "worker"}}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			publish()
			if a := keeper.Ask("worker", "worker@v1", "1", before, false, now); !a.OnStage || a.Epoch != epoch {
				t.Errorf("a worker that the switch did not change: %+v, want it on stage in epoch %d", a, epoch)
			}
			if a := keeper.Ask("web", c.changed, "1", before, false, now); a.OnStage {
				t.Errorf("who did not serve in the epoch that it names: %+v, want it to wait", a)
			}
		})
	}
}
