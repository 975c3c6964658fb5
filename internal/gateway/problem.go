package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

const (
	problemType     = "urn:greenroom:error:"
	problemInstance = "urn:greenroom:request:"
	allowedMethods  = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
)

// retryAfter is how many seconds a client should wait for an instance.
const retryAfter = "1"

// Problem is an answer of greenroom's own. Detail says what happened and what
// to do next, in sentences.
type Problem struct {
	Code   Code
	Detail string
	Allow  string // for a method that is not taken: those that are
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
func (g *Gateway) Answer(w http.ResponseWriter, r *http.Request, p Problem, id string) {
	h := w.Header()
	g.Mark(h, p)
	if IsGRPC(r) {
		k := p.Code.kind()
		h.Set("Content-Type", r.Header.Get("Content-Type"))
		h.Set("Grpc-Status", strconv.Itoa(int(k.grpc)))
		h.Set("Grpc-Message", grpcMessage(k.title+". "+p.Detail))
		if r.ProtoMajor >= 2 {
			h["Content-Length"] = nil // or the server adds one
		}
		w.WriteHeader(http.StatusOK)
		return
	}
	status := p.Code.Status()
	text := body{
		Type:   problemType + string(p.Code),
		Title:  p.Code.Title(),
		Status: status,
		Detail: p.Detail,
	}
	if id != "" {
		text.Instance = problemInstance + id
	}
	b, err := json.Marshal(text)
	if err != nil {
		b = fmt.Appendf(nil, `{"status":%d}`, status)
	}
	b = append(b, '\n')
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(b)
	}
}

// Mark sets the header fields that every answer of greenroom's own has, and
// counts it. It is for answers in another form than Answer's.
func (g *Gateway) Mark(h http.Header, p Problem) {
	h.Set(ErrorHeader, string(p.Code))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	switch status := p.Code.Status(); {
	case p.Allow != "":
		h.Set("Allow", p.Allow)
	case status == http.StatusMethodNotAllowed:
		h.Set("Allow", allowedMethods)
	case status == http.StatusServiceUnavailable:
		h.Set("Retry-After", retryAfter)
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
