package edge_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/edge"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

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
		conn.SetDeadline(time.Now().Add(2 * time.Minute))
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
