package system

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// waiting sends a request that a hold keeps, and returns when it waits.
func (s *system) waiting() <-chan answer {
	s.t.Helper()
	before := s.status().Hold.Waiting
	got := make(chan answer, 1)
	go func() {
		a, err := s.try(http.MethodGet, "/")
		if err != nil {
			a.body = err.Error()
		}
		got <- a
	}()
	s.eventually("the request waits", func() error {
		if h := s.status().Hold; h == nil || h.Waiting != before+1 {
			return fmt.Errorf("the hold is %+v", h)
		}
		return nil
	})
	return got
}

// metric is a line of the metrics, "" where there is none that begins so.
func (s *system) metric(name string) string {
	s.t.Helper()
	socket := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(s.state, "greenroom.sock"))
	}}}
	resp, err := socket.Get("http://greenroom/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// TestSwitchAndRestartWhileRequestsWait rolls a release back, and ends greenroom
// in both ways, while requests wait: those get what serves when they go on, or
// are told at once that they were not served; the hold goes on with its end.
func TestSwitchAndRestartWhileRequestsWait(t *testing.T) {
	s := newSystem(t, `
apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: small}
spec:
  edge: {listen: "EDGE", hold: {maxWait: 10m}}
  services:
  - {name: web, version: v1, run: {command: [SERVICE], env: {NAME: web, VERSION: v1}}}
`).start()
	s.open("r1", `  services: [{name: web, version: v2, run: {env: {VERSION: v2}}}]`)
	s.must("promote", "r1", "--yes")
	s.answers("web=v2")
	on := func(want string) {
		t.Helper()
		if got := s.metric(`greenroom_hold{mode="wait"}`); got != want {
			t.Errorf("the metrics say %q of the hold, want %s", got, want)
		}
	}
	on("0")

	s.must("hold", "on", "--for", "10m")
	first := s.waiting()
	on("1")
	if got := s.metric("greenroom_hold_waiting_requests"); got != "1" {
		t.Errorf("the metrics say that %q wait", got)
	}
	s.must("rollback", "r1", "--yes", "--reason", "while one waits")
	select {
	case a := <-first:
		t.Errorf("a rollback lets go what waits: %+v", a)
	default:
	}
	s.must("hold", "off")
	if a := <-first; a.status != http.StatusOK || a.body != "web=v1" {
		t.Errorf("what waited over a rollback got %+v", a)
	}
	on("0")

	s.must("hold", "on", "--for", "10m")
	until := s.status().Hold.Until
	again := func(how string) {
		t.Helper()
		s.launch() // and not start, whose look at the edge would wait
		s.eventually("greenroom is back", func() error { _, err := s.api.Status(t.Context()); return err })
		h := s.status().Hold
		if h == nil || !h.On || h.Mode != "wait" || !h.Until.Equal(until) || h.Waiting != 0 {
			t.Fatalf("%s, the hold is %+v, and was until %s", how, h, until)
		}
	}
	lost := s.waiting()
	s.kill()
	if a := <-lost; a.status != 0 {
		t.Errorf("what waited when greenroom was killed got %+v", a)
	}
	again("killed and started again")

	told := s.waiting()
	s.must("down", "--leave-services", "--yes")
	if a := <-told; a.status == http.StatusOK {
		t.Errorf("what waited when greenroom ended got %+v", a)
	} else {
		t.Logf("what waited when greenroom ended got %d %s", a.status, a.body)
	}
	again("ended and started again")

	last := s.waiting()
	s.must("hold", "off")
	if a := <-last; a.status != http.StatusOK || a.body != "web=v1" {
		t.Errorf("what waited after the restarts got %+v", a)
	}
}
