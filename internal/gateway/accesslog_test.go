package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
)

func TestAccessLogBudget(t *testing.T) {
	for _, c := range []struct {
		name   string
		budget fleet.AccessLog
		line   Line
		want   bool
	}{
		{"an error", fleet.AccessLog{Errors: "all"}, Line{Status: 500}, true},
		{"an error of greenroom's own", fleet.AccessLog{Errors: "all"}, Line{Status: 404, Error: CodeNoRoute}, true},
		{"errors off", fleet.AccessLog{Errors: "none", Sample: 1}, Line{Status: 500}, false},
		{"a broken answer", fleet.AccessLog{Errors: "all"}, Line{Status: 0, Error: codeBroken}, true},
		{"a client that left is no error", fleet.AccessLog{Errors: "all"}, Line{Status: 499, Error: CodeClientGone}, false},
		{"a service's 404 is no error", fleet.AccessLog{Errors: "all"}, Line{Status: 404}, false},
		{"all", fleet.AccessLog{Sample: 1}, Line{Status: 200}, true},
		{"none", fleet.AccessLog{}, Line{Status: 200}, false},
	} {
		c.line.budget = c.budget
		if got := c.line.wanted(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestSampleFollowsTheRequest(t *testing.T) {
	n := 0
	for range 20_000 {
		id := NewID()
		first := sampled(id, 0.1)
		if first != sampled(id, 0.1) {
			t.Fatal("two hops of one request disagree")
		}
		if first {
			n++
		}
	}
	if n < 1700 || n > 2300 {
		t.Errorf("%d of 20000 at 10%%", n)
	}
}

func TestTextLineCannotBeForged(t *testing.T) {
	l := Line{Method: "GET", Host: "h", Path: "/a\nb c\x1b[1m", budget: fleet.AccessLog{Format: "text"}}
	text := string(l.encode())
	if strings.Count(text, "\n") != 1 || strings.Contains(text, "\x1b") || !strings.Contains(text, `/a\nb c\x1b[1m`) {
		t.Errorf("%q", text)
	}
	l.budget.Format = "json"
	var read map[string]any
	if err := json.Unmarshal(l.encode(), &read); err != nil || read["path"] != l.Path {
		t.Errorf("%v, %v", read, err)
	}
}

type gate struct {
	open chan struct{}
	got  bytes.Buffer
}

func (g *gate) Write(b []byte) (int, error) {
	<-g.open
	return g.got.Write(b)
}

// A writer that takes nothing must not stop requests; what it missed is
// counted, and the rest comes when it moves again.
func TestAccessLogNeverBlocks(t *testing.T) {
	w := &gate{open: make(chan struct{})}
	a := newAccessLog(w, slog.New(slog.DiscardHandler))
	line := &Line{Time: time.Unix(0, 0), Path: "/" + strings.Repeat("x", 100), budget: fleet.AccessLog{Sample: 1}}
	const n = 3 * maxLines
	for range n {
		a.write(line)
	}
	dropped := a.dropped.Load()
	if dropped == 0 {
		t.Error("nothing was dropped")
	}
	close(w.open)
	a.close()
	if written := int64(bytes.Count(w.got.Bytes(), []byte("\n"))); written+dropped != n {
		t.Errorf("%d written and %d dropped of %d", written, dropped, n)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestAccessLogTellsItsFailureOnce(t *testing.T) {
	var log bytes.Buffer
	a := newAccessLog(broken{}, slog.New(slog.NewTextHandler(&log, nil)))
	for range 100 {
		a.write(&Line{budget: fleet.AccessLog{Sample: 1}})
	}
	a.close()
	if n := strings.Count(log.String(), "disk full"); n != 1 {
		t.Errorf("told %d times", n)
	}
}
