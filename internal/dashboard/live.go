package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/internal/httpapi"
)

// subject is what a page's stream is about.
type subject struct {
	kind string // fleet, releases, release, passes, events, settings; "" for a page without a stream
	name string // of the release
}

// part is a piece of a page that the stream replaces when it is another one.
type part struct {
	name string // of the template and of the event
	data func(m *moment) (any, error)
}

// parts are the pieces of a page, besides the one that every page begins with.
func (v *visit) parts(about subject) []part {
	switch about.kind {
	case "fleet":
		return []part{
			{"candidates", func(m *moment) (any, error) { return v.d.candidates(m), nil }},
			{"picture", func(m *moment) (any, error) { return v.d.picture(m), nil }},
			{"services", func(m *moment) (any, error) { return v.d.services(m), nil }},
		}
	case "releases":
		return []part{{"releases", func(m *moment) (any, error) { return m.status.Releases, nil }}}
	case "release":
		return v.releaseParts(about.name)
	case "passes":
		return []part{{"passes", func(*moment) (any, error) { return v.passList() }}}
	}
	return nil
}

// serveLive is the one stream of a page.
func (d *Dashboard) serveLive(w http.ResponseWriter, r *http.Request) {
	s := &stream{w: w, control: http.NewResponseController(w), stall: d.pace.stall, sent: map[string]uint32{}}
	v := d.visitor(w, r)
	if v == nil || !v.may(httpapi.Look, "") {
		_ = s.event("over", "") // a status would have the browser ask again and again
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(d.streams, cancel)()
	m, leave, err := d.hub.join()
	if err != nil {
		http.Error(w, v.t("error.nostatus"), http.StatusInternalServerError)
		return
	}
	defer leave()
	about := subject{r.URL.Query().Get("kind"), r.URL.Query().Get("name")}
	after := m.last
	if about.kind == "events" {
		after = number(r.URL.Query().Get("after"))
	}
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		after = number(id)
	}
	alive := time.NewTicker(d.pace.alive)
	defer alive.Stop()
	if s.event("alive", "") != nil {
		return
	}
	for {
		if err := v.tell(ctx, s, about, m, &after); err != nil {
			return // the browser went away, or will ask again
		}
	wait:
		for {
			select {
			case <-ctx.Done():
				return
			case <-m.next:
				if !v.may(httpapi.Look, "") {
					_ = s.event("over", "")
					return
				}
				m = d.hub.after(m)
				break wait
			case <-alive.C:
				if v = d.visitor(w, r); v == nil || !v.may(httpapi.Look, "") {
					_ = s.event("over", "")
					return
				}
				if s.event("alive", "") != nil {
					return
				}
			}
		}
	}
}

// tell sends what a page does not show yet.
func (v *visit) tell(ctx context.Context, s *stream, about subject, m *moment, after *uint64) error {
	if err := v.tellPart(s, about, m, part{"serving", func(m *moment) (any, error) { return v.d.serving(m, v.grants("")), nil }}); err != nil {
		return err
	}
	for _, p := range v.parts(about) {
		if err := v.tellPart(s, about, m, p); err != nil {
			return err
		}
	}
	if about.kind == "events" && m.last > *after {
		if err := v.tellEvents(ctx, s, after); err != nil {
			return err
		}
	}
	if about.kind != "fleet" && about.kind != "release" {
		return nil
	}
	if m.flow.Note != "" {
		return nil // nothing is measured here
	}
	data, err := json.Marshal(shownFlow(m))
	if err != nil {
		return fmt.Errorf("encode the flow: %w", err)
	}
	return s.changed("flow", string(data))
}

// tellPart sends a part of the page when it is another one than before.
func (v *visit) tellPart(s *stream, about subject, m *moment, p part) error {
	text, err := v.render(about, m, p)
	if err != nil {
		return err
	}
	return s.changed(p.name, text)
}

// render writes a part of a page, once for all who see the same.
func (v *visit) render(about subject, m *moment, p part) (string, error) {
	shown := about // what a part depends on, and not all that a browser may name
	if p.name == "serving" {
		shown = subject{}
	} else if about.kind != "release" {
		shown.name = ""
	}
	key := fmt.Sprint(v.lang, shown, p.name, v.grants(about.name))
	if known, ok := m.parts.Load(key); ok {
		return known.(string), nil
	}
	data, err := p.data(m)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := v.d.templates[v.lang].ExecuteTemplate(&b, p.name, data); err != nil {
		v.d.o.Log.Error("a part of a page could not be written", "part", p.name, "error", err)
		return "", fmt.Errorf("write %s: %w", p.name, err)
	}
	m.parts.Store(key, b.String())
	return b.String(), nil
}

// stream writes server-sent events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
	began   bool
	sent    map[string]uint32 // hash of what was sent last, by event
}

// changed sends data unless it is what was sent before. It begins with a
// comment that names it, so that a page which shows it already leaves it be.
func (s *stream) changed(event, data string) error {
	h := digest(data)
	if s.sent[event] == h {
		return nil
	}
	s.sent[event] = h
	if event != "flow" {
		data = fmt.Sprintf("<!--%08x-->%s", h, data)
	}
	return s.event(event, data)
}

func digest(text string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(text)) // never fails
	return h.Sum32()
}

func (s *stream) event(name, data string) error { return s.numbered(name, 0, data) }

func (s *stream) numbered(name string, id uint64, data string) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(s.stall)) // a connection without deadlines waits
	if !s.began {
		s.began = true
		_ = s.control.SetReadDeadline(time.Time{}) // the one of the request would end the stream
		h := s.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("X-Accel-Buffering", "no")
		s.w.WriteHeader(http.StatusOK)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "event: %s\n", name)
	if id > 0 {
		fmt.Fprintf(&b, "id: %d\n", id)
	}
	for line := range strings.SplitSeq(data, "\n") {
		b.WriteString("data: " + strings.TrimSuffix(line, "\r") + "\n")
	}
	b.WriteByte('\n')
	if _, err := s.w.Write([]byte(b.String())); err != nil {
		return err
	}
	return s.control.Flush()
}
