package edge_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
	"github.com/greenroom-dev/greenroom/internal/pass"
)

const plainPage = "<!doctype html><html><head><title>a page</title></head><body>a page</body></html>"

// pages serves a page with the header fields that the query names.
func pages(version string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Length", fmt.Sprint(len(plainPage)))
		h.Set("Etag", `"1"`)
		h.Set("X-Version", version)
		h.Set("X-Encodings", r.Header.Get("Accept-Encoding"))
		q := r.URL.Query()
		for _, one := range q["h"] {
			name, value, _ := strings.Cut(one, ": ")
			h.Set(name, value)
		}
		if q.Get("status") != "" {
			var status int
			_, _ = fmt.Sscan(q.Get("status"), &status)
			w.WriteHeader(status)
		}
		if q.Get("stream") != "" { // the first piece has no head yet
			h.Del("Content-Length")
			_, _ = io.WriteString(w, "  ")
			_ = http.NewResponseController(w).Flush()
		}
		if q.Get("empty") == "" && r.Method != "HEAD" {
			_, _ = io.WriteString(w, plainPage)
		}
	})
}

func startPages(t *testing.T, badge bool) *gatewaytest.Fleet {
	t.Helper()
	f := gatewaytest.New(t, gatewaytest.Config{Edge: fleet.Edge{Badge: badge}})
	f.Run("web@1", pages("1"))
	f.Run("web@2", pages("2"))
	f.View("r41", "web@1")
	f.View("r42", "web@2")
	f.Passes["r42"] = gateway.PassRule{UID: "u42", Access: gateway.Preview, Stamp: "r42"}
	f.Publish("r41")
	return f
}

func TestBadge(t *testing.T) {
	f := startPages(t, true)
	holder := []string{html, "Cookie: greenroom_pass=" + f.Pass("r42", "u42"), "Accept-Encoding: gzip, br", "Sec-Fetch-Dest: document", "Accept-Language: ja"}
	ask := func(method, query string, header ...string) (*http.Response, string) {
		t.Helper()
		return do(t, request(t, method, f.URL+"/?"+query, header...))
	}
	resp, body := ask("GET", "", holder...)
	tag := `<script src="/.greenroom/badge.js" async data-release="r42" data-state="on" data-until="`
	if !strings.HasPrefix(body, "<!doctype html><html><head>"+tag) || !strings.HasSuffix(body, "<title>a page</title></head><body>a page</body></html>") || !strings.Contains(body, `data-lang="ja"`) {
		t.Fatalf("%s", body)
	}
	if resp.Header.Get("Etag") != "" || resp.ContentLength >= 0 && resp.ContentLength != int64(len(body)) || resp.Header.Get("X-Encodings") != "identity" || resp.Header.Get("X-Greenroom-Release") != "r42" {
		t.Errorf("%v", resp.Header)
	}
	q := func(fields ...string) string { return url.Values{"h": fields}.Encode() }
	for name, query := range map[string]string{
		"not found": "status=404", "failed": "status=500", "a policy that allows it": q("Content-Security-Policy: default-src 'self'"),
	} {
		if resp, body := ask("GET", query, holder...); !strings.Contains(body, tag) || !strings.Contains(body, "a page</body>") {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
	}
	for name, query := range map[string]string{
		"compressed": q("Content-Encoding: br"), "other type": q("Content-Type: application/xhtml+xml; charset=utf-8"),
		"no charset": q("Content-Type: text/html"), "other charset": q("Content-Type: text/html; charset=utf-16"),
		"policy": q("Content-Security-Policy: default-src 'none'"), "reported policy": q("Content-Security-Policy-Report-Only: script-src 'none'"),
		"no-transform": q("Cache-Control: no-transform"), "digest": q("Repr-Digest: sha-256=:x:"), "attachment": q("Content-Disposition: attachment"),
		"range": q("Content-Range: bytes 0-1/2"), "redirect": "status=302", "created": "status=201", "empty": "empty=1&" + q("Content-Length: 0"),
	} {
		resp, body := ask("GET", query, holder...)
		if strings.Contains(body, "greenroom") || query != "" && !strings.Contains(query, "empty") && !strings.HasSuffix(body, plainPage) {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
		if name == "compressed" && (resp.Header.Get("Etag") != `"1"` || resp.ContentLength != int64(len(plainPage))) {
			t.Errorf("%s is changed: %v", name, resp.Header)
		}
	}
	// A stream is passed on as it comes: with the badge where its first piece has
	// the place for it, and as it is otherwise.
	_, body = ask("GET", "stream=1", holder...)
	if i, j := strings.Index(body, "<script"), strings.Index(body, "</script>"); i >= 0 {
		body = body[:i] + body[j+len("</script>"):]
	}
	if body != "  "+plainPage {
		t.Errorf("a stream: %q", body)
	}
	for name, header := range map[string][]string{
		"everybody":      {html, "Sec-Fetch-Dest: document"},
		"a script":       append([]string{"Sec-Fetch-Dest: empty"}, holder[:2]...),
		"a frame":        append([]string{"Sec-Fetch-Dest: iframe"}, holder[:2]...),
		"htmx":           append([]string{"X-Requested-With: XMLHttpRequest"}, holder[:2]...),
		"a range":        append([]string{"Range: bytes=0-1"}, holder...),
		"hidden":         append([]string{"Cookie: greenroom_badge=off"}, holder...),
		"a forged off":   {html, "Cookie: greenroom_off=garbage", "Sec-Fetch-Dest: document"},
		"a program":      {holder[1]},
		"a refused pass": {"Greenroom-Pass: garbage"},
	} {
		if resp, body := ask("GET", "", header...); strings.Contains(body, "badge.js") || resp.StatusCode == 200 && body != plainPage {
			t.Errorf("%s: %s", name, body)
		}
	}
	if _, body := ask("HEAD", "", holder...); body != "" {
		t.Errorf("HEAD: %q", body)
	}
	if resp, body := ask("POST", "", holder...); body != plainPage || resp.Header.Get("X-Encodings") == "identity" {
		t.Errorf("POST: %q", body)
	}
	off := startPages(t, false)
	if _, body := do(t, request(t, "GET", off.URL, html, "Cookie: greenroom_pass="+off.Pass("r42", "u42"), "Sec-Fetch-Dest: document")); body != plainPage {
		t.Errorf("the fleet does not allow it: %s", body)
	}
}

// Switching off and on again, and what the page says of other paths.
func TestBadgeStates(t *testing.T) {
	f := startPages(t, true)
	b := browser(t)
	take := func(c pass.Claims) {
		t.Helper()
		c.UID, c.Subject, c.IssuedAt, c.ExpiresAt = "u42", "s", time.Now(), time.Now().Add(time.Hour)
		if resp, body := visit(t, b, post(t, f.URL+pass.LinkPath, url.Values{"token": {f.PassOf(c)}})); resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
	}
	shows := func(path, version, state string) {
		t.Helper()
		resp, body := visit(t, b, request(t, "GET", f.URL+path, html))
		if resp.Header.Get("X-Version") != version || !strings.Contains(body, `data-state="`+state+`"`) || resp.Header.Get("Cache-Control") != "private, no-store" {
			t.Errorf("%s: version %s, %v\n%s", path, resp.Header.Get("X-Version"), resp.Header, body)
		}
	}
	take(pass.Claims{ID: "p1", Release: "r42"})
	shows("/", "2", "on")
	resp, _ := visit(t, b, post(t, f.URL+"/.greenroom/leave", url.Values{"to": {"/x"}}, html))
	if resp.Request.URL.Path != "/x" || resp.Header.Get("X-Version") != "1" {
		t.Errorf("switched off: %s %v", resp.Request.URL, resp.Header)
	}
	shows("/", "1", "off")
	if _, page := visit(t, b, request(t, "GET", f.URL+"/.greenroom/", html)); !strings.Contains(page, "The preview is off") || !strings.Contains(page, "Show r42") || !strings.Contains(page, "Everybody gets r41") {
		t.Errorf("%s", page)
	}
	visit(t, b, post(t, f.URL+"/.greenroom/switch", url.Values{"release": {"r42"}, "to": {"/"}}, html))
	shows("/", "2", "on")
	take(pass.Claims{ID: "p2", Release: "r42", Paths: []string{"/shop"}})
	shows("/", "1", "elsewhere")
	shows("/shop", "2", "on")
	visit(t, b, post(t, f.URL+"/.greenroom/badge", url.Values{"show": {"off"}}, html))
	if _, body := visit(t, b, request(t, "GET", f.URL+"/shop", html)); body != plainPage {
		t.Errorf("hidden: %s", body)
	}
	visit(t, b, post(t, f.URL+"/.greenroom/badge", url.Values{"show": {"on"}}, html))
	shows("/shop", "2", "on")
	visit(t, b, post(t, f.URL+"/.greenroom/forget", url.Values{"release": {"r42"}}, html))
	if resp, body := visit(t, b, request(t, "GET", f.URL+"/shop", html)); body != plainPage || resp.Header.Get("X-Version") != "1" {
		t.Errorf("forgotten: %s", body)
	}
	for _, path := range []string{"/.greenroom/switch", "/.greenroom/forget", "/.greenroom/badge"} {
		problem(t, post(t, f.URL+path, url.Values{"release": {"r42"}}, "Sec-Fetch-Site: cross-site"), 403, gateway.CodeCrossSite)
		problem(t, request(t, "GET", f.URL+path), 405, gateway.CodePageMethod)
	}
	problem(t, post(t, f.URL+"/.greenroom/switch", url.Values{"release": {"r42"}}), 400, gateway.CodePassMissing)
}

// A browser holds a few passes, and turns from one release to another.
func TestHeldPasses(t *testing.T) {
	f := startPages(t, false)
	for i := range 8 {
		f.Passes[fmt.Sprintf("r%d", 60+i)] = gateway.PassRule{UID: "u", Access: gateway.Preview, Stamp: "r42"}
	}
	f.Publish("r41")
	b := browser(t)
	for i := range 8 {
		token := f.PassOf(pass.Claims{ID: fmt.Sprint(i), Release: fmt.Sprintf("r%d", 60+i), UID: "u", Subject: `<script>alert("x")</script>`, IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Duration(i+1) * time.Hour)})
		visit(t, b, post(t, f.URL+pass.LinkPath, url.Values{"token": {token}}))
	}
	_, page := visit(t, b, request(t, "GET", f.URL+"/.greenroom/", html))
	for i := range 8 {
		name := fmt.Sprintf("Forget r%d", 60+i)
		if strings.Contains(page, name) != (i >= 3) {
			t.Errorf("of %s the page says otherwise:\n%s", name, page)
		}
	}
	if strings.Contains(page, "<script>alert") || !strings.Contains(page, "&lt;script&gt;alert") || !strings.Contains(page, "You are looking at r67") {
		t.Errorf("%s", page)
	}
	visit(t, b, post(t, f.URL+"/.greenroom/switch", url.Values{"release": {"r64"}}, html))
	f.Revoked = map[string]struct{}{"5": {}}
	f.Publish("r41")
	_, page = visit(t, b, request(t, "GET", f.URL+"/.greenroom/", html, "Accept-Language: ja"))
	if !strings.Contains(page, "r64 を表示しています") || !strings.Contains(page, "パスは取り消されました") || strings.Contains(page, "r65 を表示") {
		t.Errorf("%s", page)
	}
	// Cookies of the pages come with no other request.
	u, _ := url.Parse(f.URL)
	if c := b.Jar.Cookies(u); len(c) != 1 || c[0].Name != "greenroom_pass" {
		t.Errorf("%v", c)
	}
}
