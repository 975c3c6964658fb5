package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/greenroom-dev/greenroom/internal/gateway/field"
)

// Request is what the gateway's decisions know of a request, whichever path it
// came by.
type Request struct {
	Method  string
	Host    string
	URL     url.URL // of the request's target, as net/http reads it
	Header  field.Header
	Fields  int // how many header fields there are, each value counted
	Major   int // of HTTP's version
	HasBody bool
}

// RequestOf returns what is known of a request that net/http read.
func RequestOf(r *http.Request) Request {
	fields := 0
	for _, values := range r.Header {
		fields += len(values)
	}
	return Request{
		Method: r.Method, Host: r.Host, URL: *r.URL, Header: field.Map(r.Header), Fields: fields, Major: r.ProtoMajor,
		HasBody: r.Body != nil && r.Body != http.NoBody,
	}
}

// IsGRPC reports whether the caller of a request expects gRPC's way of
// answering.
func (r *Request) IsGRPC() bool {
	return strings.HasPrefix(field.First(r.Header, "Content-Type"), "application/grpc")
}
