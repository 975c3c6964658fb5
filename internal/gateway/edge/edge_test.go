package edge_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/edge"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
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

func TestStampIsSetInBothForms(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	s, resp := seen(t, request(t, "GET", f.URL+"/a"))
	if s.Version != "web@1" || strings.Join(s.Header["X-Greenroom-Release"], "|") != "r41" || strings.Join(s.Header["Baggage"], "|") != "greenroom.release=r41" {
		t.Errorf("the service got %+v", s)
	}
	for _, name := range []string{"Traceparent", "Tracestate", "Forwarded"} {
		if s.Header[name] != nil {
			t.Errorf("%s was invented", name)
		}
	}
	for name := range resp.Header {
		if strings.HasPrefix(name, "X-Greenroom-") {
			t.Errorf("the answer names %s to everybody", name)
		}
	}
}

func TestForeignStampsAreNeverBelieved(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	for _, header := range [][]string{
		{"X-Greenroom-Release: r42"},
		{"x-greenroom-release: r42", "X-GREENROOM-RELEASE: r42"},
		{"X_Greenroom_Release: r42"},
		{"Baggage: greenroom.release=r42"},
		{"Baggage: a=1,GREENROOM.release=r42", "Baggage: greenroom.release = r42"},
		{"Connection: X-Greenroom-Release, Baggage, close", "X-Greenroom-Release: r42"},
		{"X-Greenroom-Trail: web=0", "Baggage: greenroom.trail=AAAAAAAAAAAAAAAAAAAAAAAAAA"},
	} {
		t.Run(strings.Join(header, " "), func(t *testing.T) {
			s, resp := seen(t, request(t, "GET", f.URL+"/", header...))
			if s.Version != "web@1" {
				t.Errorf("reached %s", s.Version)
			}
			if got := s.Header["X-Greenroom-Release"]; len(got) != 1 || got[0] != "r41" {
				t.Errorf("stamp %q", got)
			}
			for name, values := range s.Header {
				if line := name + ": " + strings.Join(values, ","); strings.Contains(line, "r42") || strings.Contains(line, "trail") || strings.Contains(line, "Trail") {
					t.Errorf("the service got %s", line)
				}
			}
			if !strings.Contains(s.Header.Get("Baggage"), "greenroom.release=r41") {
				t.Errorf("baggage %q", s.Header["Baggage"])
			}
			if resp.Header.Get("X-Greenroom-Trail") != "" {
				t.Error("a trail for nobody who may see it")
			}
		})
	}
}

func TestWhatClientsSendPassesUntouched(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	s, _ := seen(t, request(t, "GET", f.URL+"/a%2Fb/./c//d;e?q=%41&&x;y",
		"Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Tracestate: a=1,b=2",
		"Cookie: a=1;  b=\"2; greenroom_x=3", "X-Request-Id: mine-1", "Baggage: k=v;p"))
	if s.URI != "/a%2Fb/./c//d;e?q=%41&&x;y" {
		t.Errorf("URI %s", s.URI)
	}
	for name, want := range map[string]string{
		"Traceparent":  "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"Tracestate":   "a=1,b=2",
		"Cookie":       "a=1;  b=\"2; greenroom_x=3",
		"X-Request-Id": "mine-1",
		"Baggage":      "greenroom.release=r41,k=v;p",
	} {
		if got := strings.Join(s.Header[name], "|"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestRequestID(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	for _, c := range []struct {
		header []string
		kept   string
	}{
		{nil, ""},
		{[]string{"X-Request-Id: a/b=c"}, "a/b=c"},
		{[]string{"X-Request-Id: a b"}, ""},
		{[]string{"X-Request-Id: " + strings.Repeat("x", 129)}, ""},
		{[]string{"X-Request-Id: a", "X-Request-Id: b"}, ""},
	} {
		s, _ := seen(t, request(t, "GET", f.URL, c.header...))
		got := s.Header["X-Request-Id"]
		if len(got) != 1 || !gateway.ValidID(got[0]) || c.kept != "" && got[0] != c.kept || c.kept == "" && len(got[0]) != 26 {
			t.Errorf("%v became %v", c.header, got)
		}
	}
}

func TestCookiesOfOursAreTakenOut(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	token := f.Pass("r42", "u42")
	for _, c := range []struct{ sent, want string }{
		{"greenroom_pass=" + token, ""},
		{"a=1; greenroom_pass=" + token + "; b=2", "a=1; b=2"},
		{"greenroom_pass=" + token + ";b=2;  c", "b=2;  c"},
		{"a=1; greenroom_session=r41;b=2; greenroom_pass = " + token, "a=1;b=2"},
		{"greenroom_pass=" + token + "; xgreenroom_pass=1; greenroom_passx=2", "xgreenroom_pass=1; greenroom_passx=2"},
	} {
		s, _ := seen(t, request(t, "GET", f.URL, "Cookie: "+c.sent))
		if got := strings.Join(s.Header["Cookie"], "|"); got != c.want {
			t.Errorf("%q became %q, want %q", strings.ReplaceAll(c.sent, token, "TOKEN"), got, c.want)
		}
		if s.Version != "web@2" {
			t.Errorf("%q reached %s", strings.ReplaceAll(c.sent, token, "TOKEN"), s.Version)
		}
	}
}

func TestForwardedIsBelievedFromTrustedProxiesAlone(t *testing.T) {
	claims := []string{
		"X-Forwarded-For: 203.0.113.9, 10.0.0.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: shop.example",
		"X-Forwarded-Port: 443", "X-Real-Ip: 203.0.113.9", "Forwarded: for=203.0.113.9", "X_Forwarded_For: 1.2.3.4",
	}
	for _, c := range []struct {
		name    string
		trusted []netip.Prefix
		claims  []string
		want    map[string]string
	}{
		{"nobody claims", nil, nil, map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "live.test"}},
		{"a stranger claims", nil, claims, map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "live.test"}},
		{"another proxy is trusted", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, claims, map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "live.test"}},
		{"a trusted proxy claims", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, claims, map[string]string{
			"X-Forwarded-For": "203.0.113.9, 10.0.0.1, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example",
			"X-Forwarded-Port": "443", "X-Real-Ip": "203.0.113.9"}},
		{"a trusted proxy says nothing", []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, nil, map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "live.test"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := start(t, gatewaytest.Config{Edge: fleet.Edge{TrustedProxies: c.trusted}})
			s, _ := seen(t, request(t, "GET", f.URL, append([]string{"Host: live.test"}, c.claims...)...))
			if s.Host != "live.test" {
				t.Errorf("host %s", s.Host)
			}
			for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Real-Ip", "Forwarded", "X_forwarded_for"} {
				if got := strings.Join(s.Header[name], "|"); got != c.want[name] {
					t.Errorf("%s: %q, want %q", name, got, c.want[name])
				}
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	f := start(t, gatewaytest.Config{Edge: fleet.Edge{Routes: []fleet.Route{
		{Path: "/web", Service: "web"}, {Path: "/gone", Service: "gone"}, {Path: "/idle", Service: "idle"},
	}}})
	f.View("r41", "web@1", "idle@1")
	f.Publish("r41")
	many := make([]string, gateway.MaxHeaderFields+1)
	for i := range many {
		many[i] = "X-Same: v"
	}
	for _, c := range []struct {
		name, method, path string
		header             []string
		status             int
		code               gateway.Code
	}{
		{"no route", "GET", "/other", nil, 404, gateway.CodeNoRoute},
		{"prefix by whole segments", "GET", "/webx", nil, 404, gateway.CodeNoRoute},
		{"encoded slash ends no segment", "GET", "/web%2Fx", nil, 404, gateway.CodeNoRoute},
		{"service outside the view", "GET", "/gone", nil, 404, gateway.CodeNoService},
		{"no instance", "GET", "/idle", nil, 503, gateway.CodeNoInstance},
		{"dots above the root", "GET", "/../web", nil, 400, gateway.CodePathRefused},
		{"dots into another route", "GET", "/gone/../web", nil, 400, gateway.CodePathRefused},
		{"dots out of no route", "GET", "/admin/../web/x", nil, 400, gateway.CodePathRefused},
		{"a first segment that could be a host", "GET", "//web/admin", nil, 400, gateway.CodePathRefused},
		{"a fragment", "GET", "/admin#/../web", nil, 400, gateway.CodePathRefused},
		{"dots within a route", "GET", "/idle/a/../b", nil, 503, gateway.CodeNoInstance},
		{"encoded dots and slash", "GET", "/web/%2e%2e%2fidle", nil, 400, gateway.CodePathRefused},
		{"trace", "TRACE", "/web", nil, 405, gateway.CodeMethodRefused},
		{"h2c upgrade", "GET", "/web", []string{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"}, 400, gateway.CodeUpgradeRefused},
		{"h2c among upgrades", "GET", "/web", []string{"Connection: Upgrade", "Upgrade: websocket, H2C"}, 400, gateway.CodeUpgradeRefused},
		{"too many fields", "GET", "/web", many, 431, gateway.CodeTooManyFields},
		{"a host with a bracketed list", "GET", "/web", []string{"Host: (a)"}, 400, gateway.CodeHostRefused},
		{"a host with comma", "GET", "/web", []string{"Host: a,b"}, 400, gateway.CodeHostRefused},
		{"own folder", "GET", "/.greenroom/x", nil, 404, gateway.CodeNoPage},
		{"own folder, disguised", "GET", "/web/../%2egreenroom/x", nil, 404, gateway.CodeNoPage},
		{"own page, wrong method", "PUT", "/.greenroom/default", nil, 405, gateway.CodePageMethod},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines := []string{c.method + " " + c.path + " HTTP/1.1", "Host: x"}
			if len(c.header) == 1 && strings.HasPrefix(c.header[0], "Host: ") {
				lines = lines[:1]
			}
			answer := raw(t, f, strings.Join(append(lines, c.header...), "\r\n")+"\r\nConnection: close\r\n\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
			if err != nil {
				t.Fatalf("%v in %q", err, answer)
			}
			if resp.StatusCode != c.status || resp.Header.Get("X-Greenroom-Error") != string(c.code) || resp.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s", answer)
			}
			if c.status == 503 && resp.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			if c.status == 405 && resp.Header.Get("Allow") == "" {
				t.Error("no Allow")
			}
		})
	}
	resp, body := do(t, request(t, "HEAD", f.URL+"/other"))
	if resp.StatusCode != 404 || body != "" || resp.Header.Get("X-Greenroom-Error") != "no-route" || resp.ContentLength <= 0 {
		t.Errorf("HEAD: %v %q", resp, body)
	}
}

// raw sends bytes to the edge and returns what comes until it closes.
func raw(t *testing.T, f *gatewaytest.Fleet, bytes string) string {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, bytes); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(c) // a reset after the answer is as good as an end
	return string(answer)
}

// What HTTP/2 lets through and HTTP/1 cannot say is the client's mistake, and
// none of a service's.
func TestOddRequestsOverHTTP2AreRefused(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	for name, c := range map[string]struct {
		method, authority, path string
		code                    gateway.Code
	}{
		"method":    {"GET /a", "x", "/", gateway.CodeMethodRefused},
		"authority": {"GET", "a\tb", "/", gateway.CodeHostRefused},
		"path":      {"GET", "x", "/a HTTP/1.0", gateway.CodePathRefused},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(conn, http2.ClientPreface)
		var block bytes.Buffer
		encoder := hpack.NewEncoder(&block)
		for _, field := range [][2]string{{":method", c.method}, {":scheme", "http"}, {":authority", c.authority}, {":path", c.path}} {
			encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
		}
		framer := http2.NewFramer(conn, conn)
		framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		framer.WriteSettings()
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if answer, ok := frame.(*http2.MetaHeadersFrame); ok {
				if code := field(answer.Fields, "x-greenroom-error"); code != string(c.code) {
					t.Errorf("%s: %v", name, answer.Fields)
				}
				break
			}
		}
	}
}

func field(fields []hpack.HeaderField, name string) string {
	for _, f := range fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func TestConnectIsRefused(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	answer := raw(t, f, "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 405 ") || !strings.Contains(answer, "X-Greenroom-Error: method-refused") {
		t.Errorf("%s", answer)
	}
}

var statusLine = regexp.MustCompile(`(?m)^HTTP/1\.\d \d`)

// What two servers may read differently is refused, and is the last on its
// connection, so that nothing after it is taken for a request. Sections are
// those of RFC 9112.
func TestNothingIsSmuggled(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	const second = "GET /second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	for _, c := range []struct{ section, name, first string }{
		{"6.1", "both lengths", "POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"6.1", "chunked in HTTP/1.0", "POST /first HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{"6.3", "two lengths", "POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd"},
		{"6.3", "a length twice", "POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd"},
		{"6.3", "a list of lengths", "POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: 4, 5\r\n\r\nabcd"},
		{"6.3", "a list of one length", "POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: 4, 4\r\n\r\nabcd"},
		{"6.3", "a signed length", "POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: +4\r\n\r\nabcd"},
		{"6.3", "a hexadecimal length", "POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: 0x4\r\n\r\nabcd"},
		{"6.3", "no length", "POST /first HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\nabcd"},
		{"6.3", "a length beyond all numbers", "POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551620\r\n\r\nabcd"},
		{"6.1", "unknown coding", "POST /first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
		{"6.1", "coding twice", "POST /first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"},
		{"6.1", "codings in a row", "POST /first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
		{"6.1", "a coding behind a vertical tab", "POST /first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n"},
		{"5.1", "space before the colon", "POST /first HTTP/1.1\r\nHost: x\r\nContent-Length : 4\r\n\r\nabcd"},
		{"5.1", "no name", "GET /first HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n"},
		{"5.1", "no colon", "GET /first HTTP/1.1\r\nHost: x\r\nA\r\n\r\n"},
		{"5.2", "a folded field", "GET /first HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"},
		{"2.2", "space before the first field", "GET /first HTTP/1.1\r\n A: b\r\nHost: x\r\n\r\n"},
		{"2.2", "lines that end with LF", "GET /first HTTP/1.1\nHost: x\n\n"},
		{"2.2", "one line that ends with LF", "GET /first HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"},
		{"2.2", "an empty line that ends with LF", "GET /first HTTP/1.1\r\nHost: x\r\n\n"},
		{"2.2", "two empty lines before", "\r\n\r\nGET /first HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"3.2", "two hosts", "GET /first HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"},
		{"3.2", "no host", "GET /first HTTP/1.1\r\n\r\n"},
		{"3", "two spaces in the request line", "GET  /first HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"3", "a tab in the request line", "GET\t/first HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"3", "a space behind the version", "GET /first HTTP/1.1 \r\nHost: x\r\n\r\n"},
		{"3.2", "a NUL in the target", "GET /fi\x00rst HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"2.2", "a bare CR in a value", "GET /first HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n"},
		{"2.2", "a bare CR before the line's end", "GET /first HTTP/1.1\r\nHost: x\r\nA: b\r\r\n\r\n"},
		{"5.5", "a NUL in a value", "GET /first HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n"},
		{"7.1", "a chunk without a size", "POST /first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\r\nab\r\n0\r\n\r\n"},
		{"7.1", "a signed chunk size", "POST /first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\nab\r\n0\r\n\r\n"},
		{"7.1", "a chunk size with 0x", "POST /first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n"},
		{"7.1", "a chunk size beyond all numbers", "POST /first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000002\r\nab\r\n0\r\n\r\n"},
		{"7.1", "space behind a chunk size", "POST /first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nab\r\n0\r\n\r\n"},
		{"7.1", "a chunk size that ends with LF", "POST /first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n"},
		{"7.1", "a chunk that ends with LF", "POST /first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\n0\r\n\r\n"},
		{"7.1", "a chunk longer than its size", "POST /first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n"},
		{"7.1.1", "a bare CR in an extension", "POST /first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;a\rb\r\nab\r\n0\r\n\r\n"},
		{"7.1.1", "an LF in an extension", "POST /first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;a\nab\r\n0\r\n\r\n"},
		{"7.1.2", "a trailer that ends with LF", "POST /first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nA: b\n\r\n"},
		{"7.8", "an upgrade to h2c", "GET /first HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"},
	} {
		t.Run(c.section+" "+c.name, func(t *testing.T) {
			answer := raw(t, f, c.first+second)
			if n := len(statusLine.FindAllString(answer, -1)); n != 1 {
				t.Errorf("%d answers:\n%s", n, answer)
			}
			if _, rest, _ := strings.Cut(answer, " "); !strings.HasPrefix(rest, "400") || !strings.Contains(answer, "Connection: close") {
				t.Errorf("want 400, and the end of the connection:\n%s", answer)
			}
		})
	}
	for name, first := range map[string]string{
		"plain":                "GET /first HTTP/1.1\r\nHost: x\r\n\r\n",
		"an empty line before": "\r\nGET /first HTTP/1.1\r\nHost: x\r\n\r\n",
		"chunked":              "POST /first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nab\r\n0\r\nA: b\r\n\r\n",
	} {
		if n := strings.Count(raw(t, f, first+second), "HTTP/1.1 200"); n != 2 {
			t.Errorf("%s: two requests on a connection got %d answers", name, n)
		}
	}
}

func TestOversizedHeaderIsRefused(t *testing.T) {
	f := start(t, gatewaytest.Config{Options: edge.Options{MaxHeader: 4 << 10}})
	answer := raw(t, f, "GET / HTTP/1.1\r\nHost: x\r\nA: "+strings.Repeat("x", 32<<10)+"\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 431 ") {
		t.Errorf("%.100s", answer)
	}
}

func TestAnswersBesideTheDefaultAreKeptByNobody(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	const answer = "/?answer=Cache-Control:%20public,max-age=600&answer=CDN-Cache-Control:%20max-age=60&answer=Surrogate-Control:%20max-age=60&answer=Cloudflare-CDN-Cache-Control:%20max-age=6&answer=X-Accel-Expires:%2060&answer=Expires:%20never"
	_, resp := seen(t, request(t, "GET", f.URL+answer))
	if resp.Header.Get("Cache-Control") != "public,max-age=600" || resp.Header.Get("CDN-Cache-Control") != "max-age=60" {
		t.Errorf("the default's answer was changed: %v", resp.Header)
	}
	held := func() *http.Response {
		_, resp := seen(t, request(t, "GET", f.URL+answer, "Greenroom-Pass: "+f.Pass("r42", "u42")))
		return resp
	}
	h := held().Header
	for name, want := range map[string]string{
		"Cache-Control": "private, no-store", "Cdn-Cache-Control": "no-store", "Surrogate-Control": "no-store",
		"Cloudflare-Cdn-Cache-Control": "", "X-Accel-Expires": "", "Expires": "",
	} {
		if got := strings.Join(h[name], "|"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	f.Publish("r42")
	if h := held().Header; h.Get("Cache-Control") != "private, no-store" || h.Get("X-Greenroom-Release") != "r42" {
		t.Errorf("what names the release as default: %v", h)
	}
}

// A promotion between a request and its answer makes the answer one beside the
// default.
func TestCachingIsJudgedWhenTheAnswerComes(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	arrived, answer := make(chan struct{}), make(chan struct{})
	f.Run("web@1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-answer
		w.Header().Set("Cache-Control", "max-age=60")
	}))
	got := make(chan string)
	go func() {
		resp, err := http.Get(f.URL)
		if err != nil {
			got <- err.Error()
			return
		}
		resp.Body.Close()
		got <- resp.Header.Get("Cache-Control")
	}()
	<-arrived
	f.Publish("r42")
	close(answer)
	if cc := <-got; cc != "private, no-store" {
		t.Errorf("Cache-Control: %s", cc)
	}
}

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
