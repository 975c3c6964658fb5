package system

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/client"
)

const ledgerFleet = `
apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: ledger}
spec:
  edge:
    listen: "EDGE"
    hold: {message: "Back at nine.", page: {htmlFile: page.html}}
  services:
  - {name: web, version: v1, run: {command: [LEDGER], env: {DATABASE: "URL"}, replicas: 2}}
`

// TestDatabaseRestartUnderLoad restarts PostgreSQL below a fleet that is asked
// without a pause. On hold, no request fails and no row is lost; without, some
// do.
func TestDatabaseRestartUnderLoad(t *testing.T) {
	db := newPostgres(t)
	s := newSystem(t, strings.NewReplacer("LEDGER", ledger+", DIR", "URL", db.url()).Replace(ledgerFleet))
	s.write("page.html", "<h1>Ours</h1>")
	s.start()

	l := startLoad(s, 16, func(answer) error { return nil })
	l.more(300)
	began := time.Now()
	s.must("hold", "on", "--for", "50s", "--reason", "restart the database")
	held := s.status()
	if h := held.Hold; h == nil || !h.On || h.Mode != "wait" || h.UnderWay != 0 || h.Reason != "restart the database" {
		t.Fatalf("the hold is %+v", h)
	}
	s.eventually("all clients wait", func() error {
		if h := s.status().Hold; h.Waiting != 16 {
			return fmt.Errorf("%d wait", h.Waiting)
		}
		return nil
	})
	before := l.count()
	db.restart()
	db.restart()
	if n := l.count(); n != before {
		t.Errorf("%d requests were answered on hold", n-before)
	}
	s.must("hold", "off")
	t.Logf("on hold for %s with 16 clients, two restarts of PostgreSQL", time.Since(began).Round(time.Millisecond))
	l.more(300)
	l.end()
	t.Logf("%d requests answered, 0 failed", l.count())
	count := strings.TrimPrefix(s.get("/").body, "ledger=")
	posts := 0
	for _, id := range l.answered {
		if id[len(id)-1]%2 == 0 {
			posts++
		}
	}
	if count != fmt.Sprint(posts) {
		t.Errorf("%s rows of %d gifts", count, posts)
	}

	// The same without a hold.
	bare := startLoad(s, 16, func(answer) error { return nil })
	bare.more(300)
	db.restart()
	bare.more(300)
	bare.stopped.Store(true)
	bare.workers.Wait()
	if len(bare.failures) == 0 {
		t.Error("without a hold no request failed: the test shows nothing")
	}
	t.Logf("without a hold: %d requests answered, %d failed", len(bare.answered), len(bare.failures))
}

// A hold survives greenroom's death and its restart, with its end, and staff
// with a pass for what serves go through.
func TestHoldSurvivesRestart(t *testing.T) {
	s := newSystem(t, `
apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: small}
spec:
  edge: {listen: "EDGE", hold: {message: "Back at nine.", maxWait: 2m, page: {htmlFile: page.html}}}
  services:
  - {name: web, version: v1, run: {command: [SERVICE], env: {NAME: web, VERSION: v1}}}
`)
	s.write("page.html", "<h1>Ours</h1>")
	s.start()
	var pass client.MintedPass
	if err := json.Unmarshal([]byte(s.must("pass", "create", "--live", "-o", "json").out), &pass); err != nil || !pass.Live || pass.Token == "" {
		t.Fatalf("%+v, %v", pass, err)
	}
	s.refused(2, "1s to 2m", "hold", "on", "--for", "3m")
	s.must("hold", "on", "--mode", "page", "--for", "20m", "--reason", "move the data")
	until := s.status().Hold.Until
	s.kill()
	s.launch()
	s.eventually("greenroom is back", func() error { return s.serves() })
	h := s.status().Hold
	if h == nil || !h.Until.Equal(until) || h.Mode != "page" || h.Reason != "move the data" || h.By == "" {
		t.Fatalf("after a restart the hold is %+v, before it ended at %s", h, until)
	}
	got := s.get("/", "Accept", "text/html")
	if got.status != 503 || got.body != "<h1>Ours</h1>" || got.header.Get("Retry-After") == "" || got.header.Get("X-Greenroom-Error") != "on-hold" {
		t.Errorf("a browser gets %+v", got)
	}
	if got := s.get("/"); got.status != 503 || !strings.Contains(got.body, "Back at nine.") {
		t.Errorf("a program gets %+v", got)
	}
	s.answers("web=v1", "Greenroom-Pass", pass.Token)

	// The pass follows a promotion, also while requests wait, which get what
	// serves when they go on.
	s.open("r1", `  services: [{name: web, version: v2, run: {env: {VERSION: v2}}}]`)
	s.must("hold", "on", "--for", "60s")
	waits := make(chan answer, 1)
	go func() {
		a, err := s.try(http.MethodPost, "/")
		if err != nil {
			a.body = err.Error()
		}
		waits <- a
	}()
	s.eventually("a request waits", func() error {
		if h := s.status().Hold; h.Waiting != 1 {
			return fmt.Errorf("%d wait", h.Waiting)
		}
		return nil
	})
	s.must("promote", "r1", "--yes")
	if a := s.get("/", "Greenroom-Pass", pass.Token); a.body != "web=v2" || a.header.Get("X-Greenroom-Release") != "r1" {
		t.Errorf("the pass opens %+v", a)
	}
	s.must("hold", "off")
	if a := <-waits; a.body != "web=v2" {
		t.Errorf("the request that waited got %+v", a)
	}
	s.answers("web=v2")

	// It ends by itself, as an event of greenroom's.
	s.must("hold", "on", "--mode", "writes-only", "--for", "1s")
	if a, err := s.try(http.MethodPost, "/"); err != nil || a.status != 503 {
		t.Errorf("a write gets %+v, %v", a, err)
	}
	s.eventually("the hold ends by itself", func() error {
		a, err := s.try(http.MethodPost, "/")
		if err == nil && a.status != 200 {
			err = fmt.Errorf("%d", a.status)
		}
		return err
	})
	s.eventually("the end is an event", func() error {
		log := s.must("events", "-o", "json").out
		if !strings.Contains(log, `"HoldEnded"`) || !strings.Contains(log, "its time is over") {
			return fmt.Errorf("it is not in %s", log)
		}
		return nil
	})
	if out := s.must("hold", "status").out; !strings.HasPrefix(out, "Serving r1") || !strings.Contains(out, "Not on hold") {
		t.Errorf("hold status: %s", out)
	}
}
