package edge_test

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
	"github.com/greenroom-dev/greenroom/internal/pass"
)

// counter counts calls in memory.
type counter struct {
	mu   sync.Mutex
	used map[string]int
	fail error
}

func (c *counter) UseCallback(id string, count int, _ time.Time) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil || count > 0 && c.used[id] >= count {
		return false, c.fail
	}
	if c.used == nil {
		c.used = map[string]int{}
	}
	c.used[id]++
	return true, nil
}

func callback(id, token string, count int, paths ...string) gateway.Callback {
	return gateway.Callback{
		Callback: pass.Callback{Token: token, Paths: paths, Methods: []string{"GET", "POST"}, Count: count},
		ID:       id, Release: "r42", UID: "u42", Issued: time.Now(), Expires: time.Now().Add(time.Hour),
	}
}

func TestCallback(t *testing.T) {
	var log bytes.Buffer
	f := start(t, gatewaytest.Config{
		Edge:      fleet.Edge{PublicURL: "https://live.example.com", AccessLog: fleet.AccessLog{Errors: "all", Sample: 1}, Routes: []fleet.Route{{Path: "/oauth", Service: "web"}}},
		Callbacks: &counter{}, AccessLog: &log,
	})
	f.Callbacks = []gateway.Callback{callback("c1", "TOKEN", 0, "/oauth/callback", "/elsewhere")}
	f.Publish("r41")
	base := f.URL + "/.greenroom/cb/TOKEN"
	for sent, want := range map[string]string{
		"/oauth/callback":              "/oauth/callback",
		"/oauth/callback?code=a&x=%2F": "/oauth/callback?code=a&x=%2F",
		"/oauth/callback/":             "/oauth/callback/",
		"/oauth/callback/deep":         "/oauth/callback/deep",
		"/oauth//callback":             "/oauth/callback",
		"/oauth/./callback":            "/oauth/callback",
		"/oauth/x/../callback":         "/oauth/callback",
		"/oauth/callback/caf%C3%A9":    "/oauth/callback/caf%C3%A9",
	} {
		s, resp := seen(t, request(t, "POST", base+sent, "X-Greenroom-Callback-Base: evil", "Cookie: a=1; greenroom_pass=x", "Greenroom-Pass: nonsense"))
		if s.Version != "web@2" || s.URI != want || s.Method != "POST" || strings.Join(s.Header["X-Greenroom-Release"], "|") != "r42" {
			t.Errorf("%s reached %s %s with %v", sent, s.Version, s.URI, s.Header)
		}
		if got := s.Header["X-Greenroom-Callback-Base"]; len(got) != 1 || got[0] != "https://live.example.com/.greenroom/cb/TOKEN" {
			t.Errorf("the service is told %q", got)
		}
		if s.Header.Get("Cookie") != "a=1" || s.Header["Greenroom-Pass"] != nil {
			t.Errorf("it got %v", s.Header)
		}
		for name, want := range map[string]string{"Cache-Control": "private, no-store", "Referrer-Policy": "strict-origin", "X-Robots-Tag": "noindex", "X-Greenroom-Trail": ""} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %q", name, got)
			}
		}
	}
	for name, r := range map[string]*http.Request{
		"another token":        request(t, "GET", f.URL+"/.greenroom/cb/OTHER/oauth/callback"),
		"dots that lead back":  request(t, "GET", base+"/oauth/callback/%2e%2e/callback"),
		"the token alone":      request(t, "GET", base),
		"another path":         request(t, "GET", base+"/oauth"),
		"a longer segment":     request(t, "GET", base+"/oauth/callbacks"),
		"out by dots":          request(t, "GET", base+"/oauth/callback/../admin"),
		"another method":       request(t, "PUT", base+"/oauth/callback"),
		"HEAD":                 request(t, "HEAD", base+"/oauth/callback"),
		"no route":             request(t, "GET", base+"/elsewhere"),
		"an encoded slash":     request(t, "GET", base+"/oauth%2fcallback"),
		"an encoded dot":       request(t, "GET", base+"/oauth/callback/%2E"),
		"an encoded dot in it": request(t, "GET", base+"/oauth/callback/a%2ehtml"),
		"a backslash":          request(t, "GET", base+"/oauth/callback/%5c"),
		"encoded twice":        request(t, "GET", base+"/oauth/callback/%252e"),
		"parameters":           request(t, "GET", base+"/oauth/callback;x"),
		"an upgrade":           request(t, "GET", base+"/oauth/callback", "Connection: Upgrade", "Upgrade: websocket"),
	} {
		resp, body := do(t, r)
		if resp.StatusCode != 404 || resp.Header.Get("X-Greenroom-Error") != "no-callback" || strings.Contains(body, "TOKEN") || strings.Contains(body, "r42") {
			t.Errorf("%s: %d %s %s", name, resp.StatusCode, resp.Header.Get("X-Greenroom-Error"), body)
		}
	}
	problem(t, request(t, "GET", base+"/oauth/..%2f..%2fx"), 400, gateway.CodePathRefused)
	f.Gateway.Close()
	if strings.Contains(log.String(), "TOKEN") || !strings.Contains(log.String(), `"path":"/oauth/callback"`) {
		t.Errorf("the access log: %s", log.String())
	}
}

func TestCallbackThatIsOver(t *testing.T) {
	count := &counter{}
	f := start(t, gatewaytest.Config{Callbacks: count})
	one := callback("c1", "TOKEN", 2, "/")
	f.Callbacks = []gateway.Callback{one}
	f.Publish("r41")
	call := func() *http.Request { return request(t, "GET", f.URL+"/.greenroom/cb/TOKEN/x") }
	seen(t, call())
	seen(t, call())
	problem(t, call(), 404, gateway.CodeNoCallback)
	count.used = nil
	f.SetNow(one.Expires)
	problem(t, call(), 404, gateway.CodeNoCallback)
	f.SetNow(time.Now())
	for name, rule := range map[string]gateway.PassRule{
		"of another release of the name": {UID: "u1", Access: gateway.Preview, Stamp: "r42"},
		"of an aborted release":          {UID: "u42"},
		"of a view that is gone":         {UID: "u42", Access: gateway.Preview, Stamp: "r42.9"},
	} {
		f.Passes["r42"] = rule
		f.Publish("r41")
		if resp, _ := do(t, call()); resp.StatusCode != 404 {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
	f.Passes["r42"] = gateway.PassRule{UID: "u42", Access: gateway.Ordinary}
	f.Publish("r41")
	if s, _ := seen(t, call()); s.Version != "web@1" || s.Header["X-Greenroom-Callback-Base"] != nil {
		t.Errorf("of a settled release: %s, %v", s.Version, s.Header)
	}
	count.fail = errors.New("the disk is full")
	problem(t, call(), 500, gateway.CodeInternal)
	f.Callbacks = nil
	f.Publish("r41")
	problem(t, call(), 404, gateway.CodeNoCallback)
}

// A service learns the base in previews alone, and from the edge alone.
func TestCallbackBase(t *testing.T) {
	f := start(t, gatewaytest.Config{Edge: fleet.Edge{PublicURL: "https://live.example.com"}})
	token := f.Pass("r42", "u42")
	base := func(header ...string) string {
		t.Helper()
		s, _ := seen(t, request(t, "GET", f.URL, append(header, "X-Greenroom-Callback-Base: evil", "X_greenroom_callback_base: evil")...))
		return strings.Join(s.Header["X-Greenroom-Callback-Base"], "|") + strings.Join(s.Header["X_greenroom_callback_base"], "|")
	}
	if got := base("Greenroom-Pass: " + token); got != "" {
		t.Errorf("without a callback: %q", got)
	}
	older := callback("c1", "OLDER", 0, "/a")
	older.Issued = older.Issued.Add(-time.Minute)
	foreign := callback("c3", "FOREIGN", 0, "/a")
	foreign.UID = "u1"
	foreign.Issued = foreign.Issued.Add(time.Minute)
	f.Callbacks = []gateway.Callback{older, callback("c2", "NEWER", 0, "/a"), foreign}
	f.Publish("r41")
	if got := base("Greenroom-Pass: " + token); got != "https://live.example.com/.greenroom/cb/NEWER" {
		t.Errorf("a preview: %q", got)
	}
	if got := base(); got != "" {
		t.Errorf("what everybody gets: %q", got)
	}
	f.Publish("r42")
	if got := base("Greenroom-Pass: " + token); got != "" {
		t.Errorf("live: %q", got)
	}
}

func TestPassForPaths(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	token := f.PassOf(pass.Claims{ID: "p", Release: "r42", UID: "u42", Subject: "s", IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour), Paths: []string{"/api", "/shop"}})
	for path, want := range map[string]string{
		"/shop": "web@2", "/shop/cart?x=1": "web@2", "/api/v1": "web@2", "/": "web@1", "/shopping": "web@1", "/other": "web@1",
		"/shop/../other": "web@1", "/x/../shop": "web@1", "/shop%2f..": "",
	} {
		for _, carried := range []string{"Greenroom-Pass: ", "Cookie: greenroom_pass="} {
			resp, body := do(t, request(t, "GET", f.URL+path, carried+token))
			if want == "" {
				if resp.StatusCode != 400 {
					t.Errorf("%s: %d", path, resp.StatusCode)
				}
				continue
			}
			stamp := map[string]string{"web@1": "r41", "web@2": "r42"}[want]
			if !strings.Contains(body, want) || resp.Header.Get("X-Greenroom-Release") != stamp || resp.Header.Get("Cache-Control") != "private, no-store" {
				t.Errorf("%s: %s %v", path, body, resp.Header)
			}
		}
	}
}

// Raw bytes, as clients that resolve nothing send them.
func TestCallbackRawPaths(t *testing.T) {
	f := start(t, gatewaytest.Config{Callbacks: &counter{}})
	f.Callbacks = []gateway.Callback{callback("c1", "TOKEN", 0, "/oauth/callback")}
	f.Publish("r41")
	for _, target := range []string{"/.greenroom/cb/TOKEN/oauth/callback/../../../../admin", "/.greenroom/cb/TOKEN/../TOKEN/oauth/admin", `/.greenroom/cb/TOKEN/oauth/callback\..\admin`, "/.greenroom/cb/TOKEN/oauth/callback/..;/admin"} {
		c, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
		var answer bytes.Buffer
		_, _ = answer.ReadFrom(c)
		_ = c.Close()
		if strings.Contains(answer.String(), "web@2") || !strings.HasPrefix(answer.String(), "HTTP/1.1 4") && !strings.Contains(answer.String(), "web@1") {
			t.Errorf("%s: %s", target, answer.String())
		}
	}
}
