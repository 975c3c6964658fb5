package dashboard

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/client"
)

// TestFirstLoad adds up what a browser that knows nothing yet is sent.
func TestFirstLoad(t *testing.T) {
	const most = 150_000 // bytes, by the promise of the docs
	s := open(t, "")
	c := s.loggedIn("s-admin")
	c.Transport = &http.Transport{DisableCompression: true}
	for _, page := range []string{"/", "/releases/r42"} {
		resp, body := s.get(c, page, "Accept-Encoding", "gzip")
		total := len(body)
		if resp.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s is not compressed", page)
		}
		z, err := gzip.NewReader(strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		html, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?:href|src)="(/assets/[^"]*\.(?:js|css|svg))"`).FindAllStringSubmatch(string(html), -1) {
			resp, body := s.get(c, m[1], "Accept-Encoding", "gzip")
			if !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") || resp.Header.Get("Content-Encoding") != "gzip" {
				t.Errorf("%s: %v", m[1], resp.Header)
			}
			total += len(body)
		}
		t.Logf("the first load of %s is %d bytes", page, total)
		if total > most {
			t.Errorf("the first load of %s is %d bytes, more than %d", page, total, most)
		}
	}
}

// feed is what a page's stream has told and tells.
type feed struct {
	seen     [][2]string // events and data, in order
	messages <-chan [2]string
}

// follow opens a page's stream.
func (s *site) follow(c *http.Client, query string) *feed {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), "GET", s.url+"/live?"+query, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	out := make(chan [2]string, 1000)
	go func() {
		defer resp.Body.Close()
		defer close(out)
		var event, data string
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			switch line := lines.Text(); {
			case strings.HasPrefix(line, "event: "):
				event, data = line[7:], ""
			case strings.HasPrefix(line, "data: "):
				data += line[6:] + "\n"
			case line == "":
				out <- [2]string{event, data}
			}
		}
	}()
	return &feed{messages: out}
}

// await waits until a message was told, be it before another that was waited
// for: a page may hear of an event before it hears of what came of it.
func (s *site) await(f *feed, event, text string) {
	s.t.Helper()
	over := time.After(2 * time.Minute)
	for next := 0; ; {
		for ; next < len(f.seen); next++ {
			if m := f.seen[next]; m[0] == event && strings.Contains(m[1], text) {
				return
			}
		}
		select {
		case m, more := <-f.messages:
			if !more {
				s.t.Fatalf("the stream ended before %s with %s", event, text)
			}
			f.seen = append(f.seen, m)
		case <-over:
			s.t.Fatalf("there is no %s with %s", event, text)
		}
	}
}

func TestPagesAreTold(t *testing.T) {
	s := open(t, "")
	c := s.loggedIn("s-operator")
	fleet, one := s.follow(c, "kind=fleet"), s.follow(c, "kind=release&name=r42")
	log := s.follow(c, "kind=events&after=1")
	s.await(fleet, "serving", "r41")
	s.await(fleet, "picture", "wallet")
	s.await(fleet, "flow", `"web|r41":[12,`)
	s.await(one, "train", "act-promote")
	s.change(func() {
		s.status.Serving = client.Serving{Release: "r42", Before: "r41"}
		s.status.Releases[0].Phase = "Live"
		s.events = append(s.events, client.Event{Seq: 2, Type: "ReleasePromoted", Who: "ann", Release: "r42"})
	})
	s.await(fleet, "serving", "<b>r42</b>")
	s.await(one, "train", "act-rollback")
	s.await(one, "history", "ReleasePromoted")
	s.await(log, "event", `id="ev-2"`)
}

func TestStreamsEnd(t *testing.T) {
	s := open(t, "")
	s.d.pace.alive = 20 * time.Millisecond
	c := s.loggedIn("s-viewer")
	messages := s.follow(c, "kind=fleet")
	s.await(messages, "serving", "r41")
	s.mu.Lock()
	delete(s.tokens, "s-viewer")
	s.mu.Unlock()
	s.await(messages, "over", "")
	for range messages.messages {
	}
	deadline := time.Now().Add(2 * time.Minute)
	for {
		s.d.hub.mu.Lock()
		pages, now := s.d.hub.pages, s.d.hub.now
		s.d.hub.mu.Unlock()
		if pages == 0 && now == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d pages are still looked for", pages)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestManyEventsAreCutOff lets a page that comes back after many events have
// the last ones only.
func TestManyEventsAreCutOff(t *testing.T) {
	s := open(t, "")
	c := s.loggedIn("s-viewer")
	s.change(func() {
		for i := range 5000 {
			s.events = append(s.events, client.Event{Seq: uint64(i + 2), Type: "T", Message: fmt.Sprint(i)})
		}
	})
	messages := s.follow(c, "kind=events&after=1")
	n := 0
	for m := range messages.messages {
		if m[0] == "event" {
			n++
			if strings.Contains(m[1], `id="ev-5001"`) {
				break
			}
		}
	}
	if n != eventsShown {
		t.Errorf("%d events were sent", n)
	}
}
