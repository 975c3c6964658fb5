package dashboard

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
)

// eventsShown is how many events a page holds at most.
const eventsShown = 200

// eventsPage is the log, the last event first.
type eventsPage struct {
	Events             []client.Event
	After              uint64
	Release, Who, Kind string // the filter
	Kinds              []string
	Live               bool // nothing is filtered, so that new ones are added
	Query              string
}

func (d *Dashboard) showEvents(v *visit) {
	q := v.r.URL.Query()
	out := eventsPage{Release: q.Get("release"), Who: q.Get("who"), Kind: q.Get("kind")}
	ask := client.EventQuery{Last: eventsShown, Release: out.Release, Who: out.Who}
	if out.Kind != "" {
		ask.Kinds = []string{out.Kind}
	}
	events, err := v.api.Events(v.r.Context(), ask)
	if err != nil {
		v.failed(err)
		return
	}
	for _, e := range events {
		out.After = max(out.After, e.Seq)
		if !slices.Contains(out.Kinds, e.Type) {
			out.Kinds = append(out.Kinds, e.Type)
		}
	}
	slices.Sort(out.Kinds)
	slices.Reverse(events)
	out.Events = events
	out.Live = out.Release == "" && out.Who == "" && out.Kind == ""
	out.Query = url.Values{"release": {out.Release}, "who": {out.Who}, "kind": {out.Kind}}.Encode()
	about := subject{kind: "settings"}
	if out.Live {
		about = subject{kind: "events", name: strconv.FormatUint(out.After, 10)}
	}
	v.show("events", v.t("nav.events"), "events", about, out)
}

// tellEvents sends events that a page does not show yet, the older ones left
// out where they would be taken away again.
func (v *visit) tellEvents(ctx context.Context, s *stream, after *uint64) error {
	events, err := v.d.o.Look.Events(ctx, httpapi.EventQuery{Tail: true, Limit: eventsShown})
	if err != nil {
		return fmt.Errorf("look at what happened: %w", err)
	}
	for _, e := range events {
		if e.Seq <= *after {
			continue
		}
		var b bytes.Buffer
		if err := v.d.templates[v.lang].ExecuteTemplate(&b, "event", e); err != nil {
			return fmt.Errorf("write an event: %w", err)
		}
		if err := s.numbered("event", e.Seq, b.String()); err != nil {
			return err
		}
		*after = e.Seq
	}
	return nil
}

// exportEvents lets people take the log with them.
func (d *Dashboard) exportEvents(v *visit) {
	q := v.r.URL.Query()
	ask := url.Values{}
	for _, key := range []string{"release", "who", "kind", "format"} {
		if q.Get(key) != "" {
			ask.Set(key, q.Get(key))
		}
	}
	r, err := http.NewRequestWithContext(v.r.Context(), http.MethodGet, "/v1/events/export?"+ask.Encode(), http.NoBody)
	if err != nil {
		v.failed(err)
		return
	}
	name := "events-" + d.o.Now().UTC().Format("20060102-150405") + ".jsonl"
	if q.Get("format") == "csv" {
		name = "events-" + d.o.Now().UTC().Format("20060102-150405") + ".csv"
	}
	v.w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	d.o.API(v.who).ServeHTTP(v.w, r)
}

// sendFlow is the history of a release's services, for charts.
func (d *Dashboard) sendFlow(v *visit) {
	r, err := http.NewRequestWithContext(v.r.Context(), http.MethodGet, "/v1/flow?points=150", http.NoBody)
	if err != nil {
		v.failed(err)
		return
	}
	d.o.API(v.who).ServeHTTP(v.w, r)
}

func itoa(n int) string { return strconv.Itoa(n) }

func seconds(d time.Duration) string { return strconv.Itoa(int((d + time.Second - 1) / time.Second)) }
