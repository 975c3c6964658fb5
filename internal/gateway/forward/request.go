package forward

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// outgoing makes the request to an instance out of the client's, but for the
// address. The body is nil when the request has none.
func outgoing(ctx context.Context, r *http.Request, x Exchange) (*http.Request, *body) {
	h := r.Header.Clone()
	if h == nil {
		h = make(http.Header)
	}
	upgrade := ""
	if x.Pool.protocol == HTTP && r.ProtoMajor == 1 && r.ProtoAtLeast(1, 1) {
		upgrade = upgradeOf(h)
	}
	trailers := httpguts.HeaderValuesContainsToken(h["Te"], "trailers")
	stripHopByHop(h)
	if trailers {
		h["Te"] = []string{"trailers"}
	}
	if upgrade != "" {
		h["Connection"] = []string{"Upgrade"}
		h["Upgrade"] = []string{upgrade}
	}
	if x.Rewrite != nil {
		x.Rewrite(h)
	}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = []string{""} // keeps the transport from sending its own
	}
	out := &http.Request{
		Method:        r.Method,
		URL:           target(r),
		Header:        h,
		Host:          r.Host,
		ContentLength: r.ContentLength,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
	}
	out = out.WithContext(ctx)
	return out, attachBody(out, r, x.Pool.protocol)
}

// attachBody gives out the body of r, its trailers included.
func attachBody(out, r *http.Request, p Protocol) *body {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	b := newBody(r)
	if mayHaveTrailers(r) {
		b.trailer = make(http.Header)
		for name := range r.Trailer {
			if trailerAllowed(name) {
				b.trailer[name] = nil
			}
		}
		out.Trailer = b.trailer
	}
	if p == GRPC && b.trailer == nil {
		b.keep.Store(true)
		out.GetBody = func() (io.ReadCloser, error) { return b.again() }
	}
	out.Body = b.reader()
	return b
}

// mayHaveTrailers reports whether trailers may follow the body. HTTP/1 clients may
// send some that they did not announce, but only behind a chunked body. With
// methods that have no body as a rule, the transport reads ahead while it writes
// the header, when the map of trailers must not change; such bodies have none.
func mayHaveTrailers(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions, "PROPFIND", "SEARCH":
		return false
	}
	return len(r.Trailer) > 0 || (r.ContentLength < 0 && r.ProtoMajor == 1)
}

// target returns what the request line shall say, byte by byte what the client
// said where net/url can express it: u.Opaque is sent as it is, unless it begins
// with two slashes. A space, which HTTP/2 lets through, would end the target of
// an HTTP/1 request line, and let the client write the rest of that line.
func target(r *http.Request) *url.URL {
	u := &url.URL{
		Scheme:     "http",
		Path:       r.URL.Path,
		RawPath:    r.URL.RawPath,
		ForceQuery: r.URL.ForceQuery,
		RawQuery:   strings.ReplaceAll(r.URL.RawQuery, " ", "%20"),
	}
	raw, _, _ := strings.Cut(r.RequestURI, "?")
	raw = strings.ReplaceAll(raw, " ", "%20")
	if u.EscapedPath() == raw || !strings.HasPrefix(raw, "/") || strings.HasPrefix(raw, "//") {
		return u
	}
	// The caller may have changed the path; then its word counts.
	if path, err := url.PathUnescape(raw); err == nil && path == u.Path {
		u.Opaque = raw
	}
	return u
}
