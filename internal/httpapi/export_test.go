package httpapi

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/greenroom-dev/greenroom/client"
)

var someDay = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// history gives a world events of an hour each, by two people, of two kinds.
func (w *world) history(n int) {
	for i := range n {
		w.happens(client.Event{
			Time: someDay.Add(time.Duration(i) * time.Hour), Type: []string{"A", "B", "C"}[i%3], Release: fmt.Sprint("r", i%2),
			Who: []string{"ann", "bob"}[i%2], Message: fmt.Sprint("event ", i+1),
		})
	}
}

func seqs(events []client.Event) []uint64 {
	out := []uint64{}
	for _, e := range events {
		out = append(out, e.Seq)
	}
	return out
}

func TestEventsAreFiltered(t *testing.T) {
	s := serve(t)
	s.history(12)
	for query, want := range map[string][]uint64{
		"kind=A":                            {1, 4, 7, 10},
		"kind=A&kind=B&limit=3":             {1, 2, 4},
		"who=bob&kind=C":                    {6, 12},
		"release=r0&who=ann&after=7":        {9, 11},
		"since=2026-03-04T21:00:00Z":        {10, 11, 12},
		"until=2026-03-04T14:00:00Z":        {1, 2},
		"since=2026-03-04T22:00:00%2B01:00": {10, 11, 12},
		"last=2&kind=A":                     {7, 10},
		"last=2&until=2026-03-04T15:00:00Z": {2, 3},
		"last=100&who=ann&kind=B":           {5, 11},
		"who=nobody":                        {},
		"last=5&who=nobody":                 {},
		"kind=A&since=2027-01-01T00:00:00Z": {},
		"last=1&release=r1&kind=A&who=bob":  {10},
		"limit=2":                           {1, 2},
	} {
		resp, body := s.ask(t, "GET", "/v1/events?"+query, "s-viewer", "")
		var got []client.Event
		if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %s", query, resp.Status, body)
			continue
		}
		if diff := cmp.Diff(want, seqs(got)); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
}

// TestEventsAreFilteredFarBack pages through more events than are read at once.
func TestEventsAreFilteredFarBack(t *testing.T) {
	s := serve(t)
	s.happens(client.Event{Type: "First", Who: "kim", Time: someDay})
	s.history(3 * batch)
	for _, query := range []string{"kind=First", "last=7&kind=First", "last=1000&who=kim"} {
		_, body := s.ask(t, "GET", "/v1/events?"+query, "s-viewer", "")
		var got []client.Event
		if err := json.Unmarshal([]byte(body), &got); err != nil || len(got) != 1 || got[0].Seq != 1 {
			t.Errorf("%s: %.200s", query, body)
		}
	}
	c, err := client.Remote(s.url, "s-viewer", nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = c.EachEvent(t.Context(), client.EventQuery{Who: "ann"}, func(e client.Event) error { n++; return nil })
	if err != nil || n != 3*batch/2 {
		t.Errorf("%d events, %v", n, err)
	}
}

func TestFollowedEventsAreFiltered(t *testing.T) {
	s := serve(t, hurried)
	s.history(6)
	stream := s.stream(t, "/v1/events/stream?kind=A&who=bob", "s-viewer")
	if got := stream.next("id: "); got != "id: 4" {
		t.Errorf("first came %s", got)
	}
	s.happens(client.Event{Type: "A", Who: "ann"})
	s.happens(client.Event{Type: "A", Who: "bob"})
	if got := stream.next("id: "); got != "id: 8" {
		t.Errorf("then came %s", got)
	}
}

// formulas are texts that a spreadsheet would reckon with, or run.
var formulas = []string{
	`=HYPERLINK("http://evil.example.com","click")`, "+1+1", "-2+3", "@SUM(A1)", "\t=1+1", "\r=1+1", "  =1+1", "\n=cmd|' /C calc'!A0",
	"|calc", "＝1+1", "＋1", "－1", "＠x", "\u00a0=1",
}

func TestExport(t *testing.T) {
	s := serve(t)
	s.history(batch + 3)
	for _, f := range formulas {
		s.happens(client.Event{Time: someDay, Type: "A", Who: f, Why: f, Release: "r0", Message: f})
	}
	s.happens(client.Event{Time: someDay, Type: "A", Who: "kim", Message: "two\nlines, \"quoted\"", Why: "a - b = c"})
	total := batch + 3 + len(formulas) + 1

	resp, body := s.ask(t, "GET", "/v1/events/export", "s-viewer", "")
	lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
	if resp.Header.Get("Content-Type") != "application/jsonl" || len(lines) != total || !strings.HasPrefix(resp.Header.Get("Content-Disposition"), `attachment; filename="events-`) {
		t.Errorf("%d lines of %s", len(lines), resp.Header)
	}
	var e client.Event
	if err := json.Unmarshal([]byte(lines[batch+3]), &e); err != nil || e.Message != formulas[0] {
		t.Errorf("%s, %v", lines[batch+3], err) // JSON is for programs: as it is
	}

	resp, body = s.ask(t, "GET", "/v1/events/export?format=csv", "s-viewer", "")
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil || len(rows) != total+1 || resp.Header.Get("Content-Type") != "text/csv; charset=utf-8; header=present" {
		t.Fatalf("%d rows, %v, %v", len(rows), err, resp.Header)
	}
	if diff := cmp.Diff([]string{"seq", "time", "kind", "release", "who", "why", "message"}, rows[0]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"1", "2026-03-04T12:00:00Z", "A", "r0", "ann", "", "event 1"}, rows[1]); diff != "" {
		t.Error(diff)
	}
	for i, f := range formulas {
		for _, cell := range rows[batch+3+1+i][4:] {
			if cell != "'"+f && cell != "'"+strings.ReplaceAll(f, "\r", "\n") && cell != strings.ReplaceAll("'"+f, "\r\n", "\n") {
				t.Errorf("a cell is %q", cell)
			}
		}
	}
	if last := rows[total]; last[6] != "two\nlines, \"quoted\"" || last[5] != "a - b = c" {
		t.Errorf("the last row is %q", last)
	}

	_, body = s.ask(t, "GET", "/v1/events/export?format=csv&kind=Nothing", "s-viewer", "")
	if body != "seq,time,kind,release,who,why,message\n" {
		t.Errorf("of nothing: %q", body)
	}
	resp, _ = s.ask(t, "GET", "/v1/events/export?format=xml", "s-viewer", "")
	if resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("as xml: %s", resp.Status)
	}
}

// breaking is a log that cannot be read after some events.
type breaking struct {
	*world
	reads atomic.Int32
	good  int32
}

func (b *breaking) Events(ctx context.Context, q EventQuery) ([]client.Event, error) {
	if b.reads.Add(1) > b.good {
		return nil, errors.New("the disk is gone")
	}
	return b.world.Events(ctx, q)
}

// TestExportIsWholeOrBroken checks that a part is never taken for the whole.
func TestExportIsWholeOrBroken(t *testing.T) {
	for _, c := range []struct {
		good   int32
		status int
	}{{0, http.StatusInternalServerError}, {1, http.StatusOK}} {
		b := &breaking{good: c.good}
		s := serve(t, func(s *Server) {
			b.world = s.o.Operations.(*world)
			s.o.Operations = b
		})
		s.history(2 * batch)
		req, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/v1/events/export?format=csv", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer s-viewer")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status || (err != nil) != (c.status == http.StatusOK) {
			t.Errorf("after %d reads: %s, %v", c.good, resp.Status, err)
		}
		remote, err := client.Remote(s.url, "s-viewer", nil)
		if err != nil {
			t.Fatal(err)
		}
		b.reads.Store(0)
		if err := remote.ExportEvents(t.Context(), client.EventQuery{}, "csv", io.Discard); err == nil {
			t.Errorf("after %d reads the client is content", c.good)
		}
	}
}
