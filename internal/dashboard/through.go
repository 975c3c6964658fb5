package dashboard

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// inProcess asks a handler of this program as if it were a server.
type inProcess struct{ handler http.Handler }

// RoundTrip has the handler answer, and returns the answer as a whole.
func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	if r.Body == nil {
		r.Body = http.NoBody
	}
	a := &answer{header: http.Header{}, status: http.StatusOK}
	p.handler.ServeHTTP(a, r)
	if a.tooLarge {
		return nil, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)), StatusCode: a.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: a.header,
		Body: io.NopCloser(&a.body), ContentLength: int64(a.body.Len()), Request: r,
	}, nil
}

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 64 << 20

// answer is a ResponseWriter that keeps what is written.
type answer struct {
	header   http.Header
	status   int
	body     bytes.Buffer
	tooLarge bool
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(p []byte) (int, error) {
	if a.body.Len()+len(p) > maxAnswer {
		a.tooLarge = true
		return 0, io.ErrShortBuffer
	}
	return a.body.Write(p)
}

// Flush does nothing: everything is returned at once.
func (a *answer) Flush() {}
