package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway/field"
)

const (
	problemType     = "urn:greenroom:error:"
	problemInstance = "urn:greenroom:request:"
	allowedMethods  = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
)

// retryAfter is how many seconds a client should wait: at least one.
func retryAfter(d time.Duration) string {
	return strconv.FormatInt(int64(max(1, (d+time.Second-1)/time.Second)), 10)
}

// Problem is an answer of greenroom's own. Detail says what happened and what
// to do next, in sentences.
type Problem struct {
	Code   Code
	Detail string
	Allow  string        // for a method that is not taken: those that are
	Retry  time.Duration // for 503: when to try again; a second if zero

	Release, Trail string // for ReleaseHeader and TrailHeader; empty: whoever asks is not to know
}

// body is the form of RFC 9457.
type body struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance,omitempty"`
}

// Answer writes p as the answer to r: problem+json for HTTP, an answer of
// trailers only for gRPC. id is the request's, for Instance. It must be called
// before anything was written.
func (g *Gateway) Answer(w http.ResponseWriter, r *Request, p Problem, id string) {
	h := w.Header()
	status, text := g.Compose(field.Map(h), r, p, id)
	if text == nil && r.Major >= 2 {
		h["Content-Length"] = nil // or the server adds one
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(text)
	}
}

// Compose makes h the header of an answer that says p to r, counts it, and
// returns its status and its body, which is nil for one in trailers' form.
func (g *Gateway) Compose(h field.Header, r *Request, p Problem, id string) (status int, text []byte) {
	g.Mark(h, p)
	if r.IsGRPC() {
		k := p.Code.kind()
		h.Set("Content-Type", field.First(r.Header, "Content-Type"))
		h.Set("Grpc-Status", strconv.Itoa(int(k.grpc)))
		h.Set("Grpc-Message", grpcMessage(k.title+". "+p.Detail))
		return http.StatusOK, nil
	}
	status = p.Code.Status()
	b := body{
		Type:   problemType + string(p.Code),
		Title:  p.Code.Title(),
		Status: status,
		Detail: p.Detail,
	}
	if id != "" {
		b.Instance = problemInstance + id
	}
	text, err := json.Marshal(b)
	if err != nil {
		text = fmt.Appendf(nil, `{"status":%d}`, status)
	}
	text = append(text, '\n')
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	return status, text
}

// Mark sets the header fields that every answer of greenroom's own has, and
// counts it. It is for answers in another form than Answer's.
func (g *Gateway) Mark(h field.Header, p Problem) {
	h.Set(ErrorHeader, string(p.Code))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if p.Release != "" {
		h.Set(ReleaseHeader, p.Release)
	}
	if p.Trail != "" {
		h.Set(TrailHeader, p.Trail)
	}
	switch status := p.Code.Status(); {
	case p.Allow != "":
		h.Set("Allow", p.Allow)
	case status == http.StatusMethodNotAllowed:
		h.Set("Allow", allowedMethods)
	case status == http.StatusServiceUnavailable:
		h.Set("Retry-After", retryAfter(p.Retry))
	}
	g.metrics.OwnError(string(p.Code))
}

// grpcMessage encodes a text as gRPC wants its status message: percent escapes
// for all but printable ASCII.
func grpcMessage(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
