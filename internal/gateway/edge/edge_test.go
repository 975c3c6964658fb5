package edge_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
)

func TestReleaseIsNamedToHoldersAlone(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	forged := "/?answer=X-Greenroom-Release:%20fake&answer=X-Greenroom-Trail:%20fake&answer=X-Greenroom-Error:%20fake&answer=X-Other:%20stays"
	_, resp := seen(t, request(t, "GET", f.URL+forged))
	for name := range resp.Header {
		if strings.HasPrefix(name, "X-Greenroom-") {
			t.Errorf("%s: %s", name, resp.Header.Get(name))
		}
	}
	if resp.Header.Get("X-Other") != "stays" {
		t.Error("another field was taken out")
	}
	s, resp := seen(t, request(t, "GET", f.URL+forged, "Greenroom-Pass: "+f.Pass("r42", "u42")))
	if resp.Header.Get("X-Greenroom-Release") != "r42" || resp.Header.Get("X-Greenroom-Trail") != "web=2" || resp.Header["X-Greenroom-Error"] != nil {
		t.Errorf("a holder got %v", resp.Header)
	}
	if !strings.Contains(s.Header.Get("Baggage"), "greenroom.trail=") || s.Header["Greenroom-Pass"] != nil {
		t.Errorf("the service got %v", s.Header)
	}
	f.Settings.ShowRelease = true
	f.Publish("r41")
	if _, resp := seen(t, request(t, "GET", f.URL)); resp.Header.Get("X-Greenroom-Release") != "r41" || resp.Header.Get("X-Greenroom-Trail") != "web=1" {
		t.Errorf("with showRelease: %v", resp.Header)
	}
}

func TestServicesCannotSetOurCookies(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	_, resp := seen(t, request(t, "GET", f.URL+"/?answer=Set-Cookie:%20a=1&answer=Set-Cookie:%20greenroom_pass=x&answer=Set-Cookie:%20greenroom_session=r42"))
	if got := strings.Join(resp.Header["Set-Cookie"], "|"); got != "a=1" {
		t.Errorf("Set-Cookie: %s", got)
	}
}

// What announces an answer is as little to be believed as the answer.
func TestInformationalAnswersAreOursToo(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	f.Run("web@1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.Header().Set("X-Greenroom-Release", "fake")
		w.Header().Set("Set-Cookie", "greenroom_pass=x")
		w.WriteHeader(http.StatusEarlyHints)
	}))
	hints := raw(t, f, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(hints, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n") {
		t.Errorf("%s", hints)
	}
}

func TestDefaultPage(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	resp, body := do(t, request(t, "GET", f.URL+"/.greenroom/default"))
	if resp.StatusCode != 200 || body != "r41\n" || resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%v %q", resp, body)
	}
	f.Publish("r42")
	if _, body := do(t, request(t, "GET", f.URL+"/.greenroom/default")); body != "r42\n" {
		t.Errorf("after a switch: %q", body)
	}
}

func TestBeforeTheFirstSnapshot(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{})
	resp, _ := problem(t, request(t, "GET", f.URL), 503, gateway.CodeStarting)
	if resp.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

// buffer is a writer that may be read meanwhile.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestAccessLogHoldsNoSecrets(t *testing.T) {
	var log buffer
	f := start(t, gatewaytest.Config{AccessLog: &log, Edge: fleet.Edge{AccessLog: fleet.AccessLog{Format: "json", Errors: "all", Sample: 1}}})
	token := f.Pass("r42", "u42")
	seen(t, request(t, "GET", f.URL+"/page?token=secret", "Greenroom-Pass: "+token, "X-Request-Id: one"))
	seen(t, request(t, "GET", f.URL+"/page?token=secret", "Cookie: greenroom_pass="+token+"; a=secret", "X-Request-Id: two"))
	problem(t, request(t, "GET", f.URL+"/page?token=secret", "Greenroom-Pass: "+token[:len(token)-3]+"xxx", "X-Request-Id: three"), 403, gateway.CodePassForged)
	f.Gateway.Close()
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines:\n%s", len(lines), log.String())
	}
	if strings.Contains(log.String(), "secret") || strings.Contains(log.String(), token[:20]) {
		t.Errorf("a secret was logged:\n%s", log.String())
	}
	var line struct {
		Hop, Path, Version, Release, ID, Client, Error string
		Status                                         int
	}
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil || fmt.Sprint(line) != "{edge /page web@2 r42 one 127.0.0.1  200}" {
		t.Errorf("%+v, %v", line, err)
	}
	if err := json.Unmarshal([]byte(lines[2]), &line); err != nil || line.Status != 403 || line.Error != "pass-forged" || line.ID != "three" {
		t.Errorf("%+v, %v", line, err)
	}
}
