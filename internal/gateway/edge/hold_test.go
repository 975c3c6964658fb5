package edge_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
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

func waiting(until time.Time) *gateway.Hold {
	return &gateway.Hold{Mode: gateway.HoldWait, Until: until, Settings: fleet.Hold{
		MaxRequests: 100, MaxBytes: 1 << 20, MaxWait: time.Minute, ResumeRate: 1000, Message: "Back at nine.",
	}}
}

// onHold puts a fleet on hold, or ends it.
func onHold(f *gatewaytest.Fleet, h *gateway.Hold, serving string) {
	f.Hold = h
	f.Publish(serving)
}

func awaitWaiting(t *testing.T, f *gatewaytest.Fleet, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d requests wait", n), func() bool { return f.Gateway.Kept().Waiting == n })
}

// answer is what came of a request that was sent in the background.
type answer struct {
	resp *http.Response
	body string
	err  error
}

func send(c *http.Client, r *http.Request) <-chan answer {
	out := make(chan answer, 1)
	go func() {
		resp, err := c.Do(r)
		if err != nil {
			out <- answer{err: err}
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		out <- answer{resp, string(b), err}
	}()
	return out
}

// h2c speaks HTTP/2 with prior knowledge.
func h2c(t *testing.T) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: protocols}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// What waits gets the view of the moment in which it goes on, body and all.
func TestWaitingRequestsGetTheViewOfThen(t *testing.T) {
	for _, http1 := range []fleet.HTTP1{fleet.HTTP1Std, fleet.HTTP1Fast} {
		t.Run(string(http1), func(t *testing.T) {
			f := start(t, gatewaytest.Config{Edge: fleet.Edge{HTTP1: http1}})
			onHold(f, waiting(time.Time{}), "r41")
			sent := strings.Repeat("a body ", 20000)
			var all []<-chan answer
			for i, c := range []*http.Client{noRedirects, h2c(t)} {
				all = append(all, send(c, request(t, "GET", f.URL+"/a")))
				r := request(t, "POST", f.URL+"/b")
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(sent)), int64(len(sent))
				all = append(all, send(c, r))
				r = request(t, "POST", f.URL+"/c")
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(sent)), -1
				r.Trailer = http.Header{"Checksum": {"right"}}
				all = append(all, send(c, r))
				awaitWaiting(t, f, 3*(i+1))
			}
			onHold(f, f.Hold, "r42") // a promotion meanwhile
			if n := f.Gateway.Kept().Waiting; n != 6 {
				t.Fatalf("the promotion lets %d go on", 6-n)
			}
			onHold(f, nil, "r42")
			for i, one := range all {
				a := <-one
				if a.err != nil || a.resp.StatusCode != 200 || !strings.Contains(a.body, `"web@2"`) || i%3 > 0 && !strings.Contains(a.body, sent) {
					t.Errorf("request %d: %v %v %.200s", i, a.err, a.resp, a.body)
				}
			}
			if k := f.Gateway.Kept(); k != (gateway.Kept{}) {
				t.Errorf("afterwards %+v", k)
			}
		})
	}
}

func TestHoldersGoThroughAHold(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	for _, mode := range []gateway.HoldMode{gateway.HoldWait, gateway.HoldWrites, gateway.HoldPage} {
		h := waiting(time.Time{})
		h.Mode = mode
		onHold(f, h, "r41")
		if s, _ := seen(t, request(t, "POST", f.URL, "Greenroom-Pass: "+f.Pass("r42", "u42"))); s.Version != "web@2" {
			t.Errorf("in mode %d a holder gets %s", mode, s.Version)
		}
	}
}

func TestHoldEndsByItself(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	until := time.Now().Add(300 * time.Millisecond)
	onHold(f, waiting(until), "r41")
	s, _ := seen(t, request(t, "GET", f.URL)) // nobody publishes anything
	if s.Version != "web@1" || time.Now().Before(until) {
		t.Errorf("%s answered %s before the end", s.Version, time.Until(until))
	}
}

func TestHoldIsFull(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	h := waiting(time.Now().Add(time.Hour))
	h.Settings.MaxRequests, h.Settings.MaxBytes = 2, 8<<10
	onHold(f, h, "r41")
	r := request(t, "POST", f.URL)
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", 16<<10))), 16<<10
	resp, body := problem(t, r, 503, gateway.CodeHoldFull)
	if resp.Header.Get("Retry-After") != "3600" || !strings.Contains(body, "as many bytes") {
		t.Errorf("Retry-After %s: %s", resp.Header.Get("Retry-After"), body)
	}
	for range 2 { // of a length that is not known before
		r = request(t, "POST", f.URL)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", 16<<10))), -1
		problem(t, r, 503, gateway.CodeHoldFull)
	}
	c := h2c(t)
	r = request(t, "POST", f.URL)
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", 16<<10))), -1
	if a := <-send(c, r); a.err != nil || a.resp.StatusCode != 503 || a.resp.Header.Get("X-Greenroom-Error") != "hold-full" {
		t.Errorf("over HTTP/2: %+v", a)
	}
	first, second := send(noRedirects, request(t, "GET", f.URL)), send(noRedirects, request(t, "GET", f.URL))
	awaitWaiting(t, f, 2)
	problem(t, request(t, "GET", f.URL), 503, gateway.CodeHoldFull)
	r = request(t, "POST", f.URL, "Content-Type: application/grpc+proto")
	if resp, body := do(t, r); resp.StatusCode != 200 || resp.Header.Get("Grpc-Status") != "14" || resp.Header.Get("Retry-After") == "" || body != "" {
		t.Errorf("gRPC: %v %q", resp, body)
	}
	onHold(f, nil, "r41")
	for _, one := range []<-chan answer{first, second} {
		if a := <-one; a.err != nil || a.resp.StatusCode != 200 {
			t.Errorf("one that waited: %+v", a)
		}
	}
}

// Whoever leaves gives their place up, and no service hears of them: with and
// without a body, over both versions of HTTP.
func TestWhoLeftIsDropped(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	var served sync.Map
	f.Run("web@1", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { served.Store(r.URL.Path, true) }))
	onHold(f, waiting(time.Time{}), "r41")
	for i, c := range []*http.Client{noRedirects, h2c(t)} {
		ctx, leave := context.WithCancel(t.Context())
		for _, body := range []string{"", "whole", "endless"} {
			r := request(t, "POST", fmt.Sprintf("%s/%d/%s", f.URL, i, body)).WithContext(ctx)
			switch body {
			case "whole":
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader("whole")), 5
			case "endless":
				from, to := io.Pipe()
				r.Body, r.ContentLength = from, -1
				go io.WriteString(to, "a beginning")
			}
			send(c, r)
		}
		awaitWaiting(t, f, 3)
		leave()
		awaitWaiting(t, f, 0)
	}
	onHold(f, nil, "r41")
	do(t, request(t, "GET", f.URL+"/last"))
	served.Range(func(path, _ any) bool {
		if path != "/last" {
			t.Errorf("the service got %s", path)
		}
		return true
	})
}

func TestNobodyWaitsLongerThanMay(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	h := waiting(time.Time{})
	h.Settings.MaxWait, h.Settings.RetryAfter = 50*time.Millisecond, 7*time.Second
	onHold(f, h, "r41")
	from, to := io.Pipe()
	defer to.Close()
	r := request(t, "POST", f.URL)
	r.Body, r.ContentLength = from, -1
	go io.WriteString(to, "and no more")
	resp, body := problem(t, r, 503, gateway.CodeOnHold)
	if resp.Header.Get("Retry-After") != "7" || !strings.Contains(body, "as long as one may") {
		t.Errorf("Retry-After %s: %s", resp.Header.Get("Retry-After"), body)
	}
}

func TestWritesAreTurnedAway(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	h := waiting(time.Now().Add(90 * time.Second))
	h.Mode, h.Settings.Reads = gateway.HoldWrites, []string{"/search", "/shop.Cart/Get"}
	onHold(f, h, "r41")
	for _, line := range []string{"GET /", "HEAD /", "OPTIONS /", "POST /search", "POST /search/all", "POST /shop.Cart/Get"} {
		method, path, _ := strings.Cut(line, " ")
		if resp, _ := do(t, request(t, method, f.URL+path)); resp.StatusCode != 200 {
			t.Errorf("%s: %s", line, resp.Status)
		}
	}
	for _, line := range []string{"POST /", "PUT /", "PATCH /", "DELETE /", "ODD /", "POST /searching", "POST /shop.Cart/Put"} {
		method, path, _ := strings.Cut(line, " ")
		resp, body := problem(t, request(t, method, f.URL+path), 503, gateway.CodeOnHold)
		if !strings.Contains(body, "Back at nine.") || resp.Header.Get("Retry-After") != "90" {
			t.Errorf("%s: Retry-After %s: %s", line, resp.Header.Get("Retry-After"), body)
		}
	}
	if resp, body := problem(t, request(t, "POST", f.URL, html), 503, gateway.CodeOnHold); !strings.Contains(body, ">Back at nine.</h1>") ||
		!strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		t.Errorf("a browser gets %s", body)
	}
	r := request(t, "POST", f.URL, "Content-Type: application/grpc")
	if resp, _ := do(t, r); resp.Header.Get("Grpc-Status") != "14" || !strings.Contains(resp.Header.Get("Grpc-Message"), "Back at nine.") {
		t.Errorf("gRPC: %v", resp.Header)
	}
}

func TestPageOfTheFleet(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	h := waiting(time.Time{})
	h.Mode, h.Settings.RetryAfter = gateway.HoldPage, 2*time.Minute
	h.Settings.HTML, h.Settings.JSON = "<h1>Ours</h1>", `{"ours":true}`
	h.Routes = []fleet.Route{{Path: "/shop"}, {Host: "*.example.com"}}
	onHold(f, h, "r41")
	resp, body := problem(t, request(t, "GET", f.URL+"/shop/cart", html), 503, gateway.CodeOnHold)
	if body != "<h1>Ours</h1>" || resp.Header.Get("Retry-After") != "120" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v %s", resp.Header, body)
	}
	if resp, body := problem(t, request(t, "GET", f.URL+"/shop"), 503, gateway.CodeOnHold); body != `{"ours":true}` || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v %s", resp.Header, body)
	}
	if _, body := problem(t, request(t, "HEAD", f.URL+"/shop", html), 503, gateway.CodeOnHold); body != "" {
		t.Errorf("HEAD: %s", body)
	}
	problem(t, request(t, "GET", f.URL+"/", "Host: shop.example.com"), 503, gateway.CodeOnHold)
	for _, path := range []string{"/shopping", "/"} {
		seen(t, request(t, "GET", f.URL+path))
	}
	resp, _ = do(t, request(t, "GET", f.URL+"/.greenroom/default", "Host: shop.example.com"))
	if resp.StatusCode != 200 {
		t.Errorf("greenroom's own page: %s", resp.Status)
	}
	h = waiting(time.Time{})
	h.Mode, h.Settings.Message = gateway.HoldPage, "<script>"
	onHold(f, h, "r41")
	if _, body := problem(t, request(t, "GET", f.URL, html), 503, gateway.CodeOnHold); !strings.Contains(body, ">&lt;script&gt;</h1>") {
		t.Errorf("without a page of its own: %s", body)
	}
}

// A hold that turns into another, or is for less, lets go of what it is not for.
func TestHoldChangesWhileRequestsWait(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	onHold(f, waiting(time.Time{}), "r41")
	a, b := send(noRedirects, request(t, "GET", f.URL+"/a")), send(noRedirects, request(t, "GET", f.URL+"/b"))
	awaitWaiting(t, f, 2)
	h := waiting(time.Time{})
	h.Routes = []fleet.Route{{Path: "/a"}}
	onHold(f, h, "r41")
	if got := <-b; got.err != nil || got.resp.StatusCode != 200 {
		t.Errorf("/b: %+v", got)
	}
	awaitWaiting(t, f, 1)
	h = waiting(time.Time{})
	h.Mode = gateway.HoldPage
	onHold(f, h, "r41")
	if got := <-a; got.err != nil || got.resp.StatusCode != 503 || !strings.Contains(got.body, "Back at nine.") {
		t.Errorf("/a: %+v", got)
	}
}

func TestEndTurnsAwayWhatWaits(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	onHold(f, waiting(time.Time{}), "r41")
	one := send(noRedirects, request(t, "GET", f.URL))
	awaitWaiting(t, f, 1)
	f.Gateway.EndStreams()
	if a := <-one; a.err != nil || a.resp.StatusCode != 503 || a.resp.Header.Get("X-Greenroom-Error") != "on-hold" || a.resp.Header.Get("Retry-After") == "" {
		t.Errorf("%+v", a)
	}
}

// An upgrade waits as any request does; a connection that is open stays.
func TestUpgradesAndAHold(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	f.Run("web@1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		for {
			line, err := rw.ReadString('\n')
			if err != nil {
				return
			}
			fmt.Fprint(c, "echo ", line)
		}
	}))
	dial := func() (net.Conn, *bufio.Reader) {
		c, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		return c, bufio.NewReader(c)
	}
	opened := func(r *bufio.Reader) {
		t.Helper()
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != 101 {
			t.Fatalf("%v %v", resp, err)
		}
	}
	says := func(c net.Conn, r *bufio.Reader) {
		t.Helper()
		fmt.Fprint(c, "hello\n")
		if line, err := r.ReadString('\n'); err != nil || line != "echo hello\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
	open, from := dial()
	opened(from)
	onHold(f, waiting(time.Time{}), "r41")
	says(open, from)
	if k := f.Gateway.Kept(); k.UnderWay != 0 {
		t.Errorf("%d under way, for a stream", k.UnderWay)
	}
	late, later := dial()
	awaitWaiting(t, f, 1)
	onHold(f, nil, "r41")
	opened(later)
	says(late, later)
}

// A pass for what serves follows promotions, is told apart, and can be revoked.
func TestPassForWhatServes(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	token := f.PassOf(pass.Claims{ID: "staff", Live: true, Subject: "ann", IssuedAt: f.Now(), ExpiresAt: f.Now().Add(time.Hour)})
	onHold(f, waiting(time.Time{}), "r41")
	for serving, version := range map[string]string{"r41": "web@1", "r42": "web@2"} {
		onHold(f, f.Hold, serving)
		s, resp := seen(t, request(t, "GET", f.URL, "Greenroom-Pass: "+token))
		if s.Version != version || resp.Header.Get("X-Greenroom-Release") != serving || s.Header.Get("X-Greenroom-Release") != serving ||
			resp.Header.Get("Cache-Control") != "private, no-store" {
			t.Errorf("while %s serves: %s, %v", serving, s.Version, resp.Header)
		}
	}
	f.Revoked = map[string]struct{}{"staff": {}}
	f.Publish("r42")
	problem(t, request(t, "GET", f.URL, "Greenroom-Pass: "+token), 403, gateway.CodePassRevoked)
}
