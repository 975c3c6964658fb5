package system

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/durable/disktest"
)

// fullFleet has a receiver of notifications, an API for browsers, and a service
// that runs elsewhere, so that nothing but the state needs the disk.
const fullFleet = `apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: full}
spec:
  edge: {listen: "EDGE"}
  api: {listen: %q}
  notify:
  - {name: audit, kind: webhook, url: %q}
  services:
  - {name: web, version: v1, endpoints: [%q], health: {path: /healthz}}
`

// ear is a receiver of notifications that takes nothing until it is told to.
type ear struct {
	*httptest.Server
	open atomic.Bool
	mu   sync.Mutex
	took map[uint64]int // how often, by number of the event
}

func newEar(t *testing.T) *ear {
	e := &ear{took: map[uint64]int{}}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var d struct{ Event client.Event }
		if !e.open.Load() || json.NewDecoder(r.Body).Decode(&d) != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.took[d.Event.Seq]++
	}))
	t.Cleanup(e.Close)
	return e
}

// missed says which of the events up to one were never taken. Who is new begins
// with what happens next: the first that was taken begins the count.
func (e *ear) missed(last uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.took) == 0 {
		return fmt.Errorf("none was taken")
	}
	first := last
	for seq := range e.took {
		first = min(first, seq)
	}
	for seq := first; seq <= last; seq++ {
		if e.took[seq] == 0 {
			return fmt.Errorf("event %d was not taken: %v", seq, e.took)
		}
	}
	return nil
}

// counted is a service that counts what reaches it below /oauth.
func counted(t *testing.T, name string) (addr string, calls *atomic.Int64) {
	calls = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/oauth") {
			calls.Add(1)
		}
		_, _ = io.WriteString(w, "web="+name)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), calls
}

// browser asks the dashboard, without following where it is led.
type browser struct {
	*system
	at string
}

func (b browser) ask(method, path, cookie string, form url.Values) *http.Response {
	b.t.Helper()
	r, err := http.NewRequest(method, b.at+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if cookie != "" {
		r.AddCookie(&http.Cookie{Name: "greenroom_login", Value: cookie})
	}
	resp, err := b.http.Transport.RoundTrip(r)
	if err != nil {
		b.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp
}

// logIn logs in with a token and returns the session's cookie.
func (b browser) logIn(token string) string {
	b.t.Helper()
	resp := b.ask("POST", "/login", "", url.Values{"token": {token}})
	for _, c := range resp.Cookies() {
		if c.Name == "greenroom_login" && resp.StatusCode == http.StatusSeeOther {
			return c.Value
		}
	}
	b.t.Fatalf("the login is answered %s", resp.Status)
	return ""
}

func (b browser) loggedIn(cookie string) bool {
	b.t.Helper()
	return b.ask("GET", "/passes", cookie, nil).StatusCode == http.StatusOK
}

// TestDiskThatFillsUp fills the disk that the state is on, kills greenroom in that, and
// makes room again. What serves is served throughout, no callback address takes
// more calls than it may, nobody is thrown out of the dashboard or kept from it,
// and no notification is lost.
func TestDiskThatFillsUp(t *testing.T) {
	t.Parallel()
	audit := newEar(t)
	v1, _ := counted(t, "v1")
	v2, calls := counted(t, "v2")
	api := freeAddress(t)
	s := newSystem(t, fmt.Sprintf(fullFleet, api, audit.URL, v1))
	disk := disktest.Mount(t, s.state, 32<<20)
	s.start()
	s.open("r1", fmt.Sprintf("  services: [{name: web, version: v2, endpoints: [%q]}]\n", v2))
	s.awaitPhase("r1", "Previewing")
	made := decode[client.MintedCallback](t, s.must("pass", "callback", "r1", "--path", "/oauth/callback", "--count", "3", "-o", "json").out)
	address := strings.TrimPrefix(made.Addresses[0], "http://"+s.edge)
	token := decode[client.MadeToken](t, s.must("token", "create", "ann", "--role", "admin", "-o", "json").out).Secret
	b := browser{system: s, at: "http://" + api}
	before := b.logIn(token)
	last := s.lastEvent()

	disk.Fill()
	s.answers("web=v1")
	var answered int64 // with what the service says
	for range 10 {
		a, err := s.try("POST", address)
		switch {
		case err != nil:
			t.Fatal(err)
		case a.status == http.StatusOK:
			answered++
		case a.status == http.StatusNotFound && answered == 3:
		case a.status != http.StatusInternalServerError || a.header.Get("X-Greenroom-Error") != "internal":
			t.Errorf("a call is answered %d %s", a.status, a.body)
		}
	}
	if calls.Load() != answered || answered > 3 {
		t.Errorf("%d calls of 3 were answered by the service, and %d reached it", answered, calls.Load())
	}
	if !b.loggedIn(before) || !b.loggedIn(b.logIn(token)) {
		t.Error("the dashboard is shut")
	}
	s.refused(1, "full disk", "doctor")
	audit.open.Store(true)
	s.eventually("everything is told from a full disk", func() error { return audit.missed(last) })

	s.kill()
	s.start()
	s.answers("web=v1")
	if !b.loggedIn(before) {
		t.Error("who was logged in before is thrown out")
	}
	disk.Free()
	s.must("doctor")
	s.must("pass", "create", "r1")
	for range 5 {
		if a, err := s.try("POST", address); err != nil || a.status != http.StatusOK && a.status != http.StatusNotFound {
			t.Errorf("with room again a call is answered %d %s, %v", a.status, a.body, err)
		}
	}
	if calls.Load() != 3 {
		t.Errorf("%d calls of 3 reached the service", calls.Load())
	}
	s.eventually("everything is told after that", func() error { return audit.missed(s.lastEvent()) })
}

// lastEvent is the number of the last event.
func (s *system) lastEvent() uint64 {
	s.t.Helper()
	events, err := s.api.Events(s.t.Context(), client.EventQuery{Last: 1})
	if err != nil || len(events) != 1 {
		s.t.Fatalf("the last event: %+v, %v", events, err)
	}
	return events[0].Seq
}
