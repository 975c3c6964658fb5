package edge_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
)

// start runs a fleet of one service whose r41 is the default and whose r42 is
// in preview.
func start(t *testing.T, c gatewaytest.Config) *gatewaytest.Fleet {
	t.Helper()
	f := gatewaytest.New(t, c)
	f.Run("web@1", gatewaytest.Echo("web@1"))
	f.Run("web@2", gatewaytest.Echo("web@2"))
	f.View("r41", "web@1")
	f.View("r42", "web@2")
	f.Passes["r42"] = gateway.PassRule{UID: "u42", Access: gateway.Preview, Stamp: "r42"}
	f.Publish("r41")
	return f
}

// request is one to the edge; header lines are "Name: value".
func request(t *testing.T, method, url string, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header[name] = append(r.Header[name], value)
		if name == "Host" {
			r.Host = value
		}
	}
	return r
}

var noRedirects = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func do(t *testing.T, r *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := noRedirects.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// seen does a request and returns what the service got.
func seen(t *testing.T, r *http.Request) (gatewaytest.Seen, *http.Response) {
	t.Helper()
	resp, body := do(t, r)
	var s gatewaytest.Seen
	if err := json.Unmarshal([]byte(body), &s); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s %s: %d %s", r.Method, r.URL, resp.StatusCode, body)
	}
	return s, resp
}

// problem does a request and expects an error of greenroom's own.
func problem(t *testing.T, r *http.Request, status int, code gateway.Code) (*http.Response, string) {
	t.Helper()
	resp, body := do(t, r)
	if resp.StatusCode != status || resp.Header.Get("X-Greenroom-Error") != string(code) {
		t.Fatalf("%s %s: %d %s, want %d %s\n%s", r.Method, r.URL, resp.StatusCode, resp.Header.Get("X-Greenroom-Error"), status, code, body)
	}
	if resp.Header.Get("Content-Type") == "application/problem+json" && r.Method != "HEAD" {
		var p struct {
			Type, Title, Detail, Instance string
			Status                        int
		}
		if err := json.Unmarshal([]byte(body), &p); err != nil || p.Status != status || p.Type != "urn:greenroom:error:"+string(code) || p.Title == "" || p.Detail == "" || p.Instance == "" {
			t.Errorf("problem: %s (%v)", body, err)
		}
	}
	return resp, body
}

// raw sends bytes to the edge and returns what comes until it closes.
func raw(t *testing.T, f *gatewaytest.Fleet, bytes string) string {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	if _, err := io.WriteString(c, bytes); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(c) // a reset after the answer is as good as an end
	return string(answer)
}
