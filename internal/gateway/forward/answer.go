package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// smallAnswer is the length, in bytes, up to which an answer of known length is
// written without flushing in between. Everything else is flushed as it comes:
// an answer of unknown length may be a stream, and a long one pays for it.
const smallAnswer = 64 << 10

// buffers are what bodies are copied through.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

var errEnded = errors.New("the stream had to end")

// answer writes the final answer to the client.
func (e *exchange) answer(resp *http.Response) error {
	e.res.Status = resp.StatusCode
	announced := e.header(resp)
	e.w.WriteHeader(resp.StatusCode)
	for _, name := range announced {
		delete(e.w.Header(), name) // from here on it is the trailer of that name
	}

	var err error
	switch {
	case resp.ContentLength >= 0 && resp.ContentLength <= smallAnswer || e.r.Method == http.MethodHead:
		err = e.copy(resp.Body, false)
	case resp.ContentLength >= 0:
		err = e.copyLong(resp.Body)
	case isEventStream(resp.Header):
		err = e.copyEvents(resp.Body)
	default:
		err = e.copyStream(resp.Body)
	}
	switch {
	case err == nil:
		e.trailers(resp.Trailer, announced)
		return nil
	case !errors.Is(err, errEnded):
		e.breakOff(resp)
		return e.broken(err)
	}
	e.res.Ended = true
	if e.r.ProtoMajor >= 2 && isGRPC(resp.Header) {
		e.trailers(http.Header{
			"Grpc-Status":  {"14"}, // UNAVAILABLE
			"Grpc-Message": {"the release this stream belongs to has ended"},
		}, announced)
		return nil
	}
	e.breakOff(resp)
	return e.broken(err)
}

// header sets the answer's header and returns the names of the trailers that it
// announces.
func (e *exchange) header(resp *http.Response) (announced []string) {
	h := e.w.Header()
	stripHopByHop(resp.Header)
	if resp.StatusCode == http.StatusNoContent {
		delete(resp.Header, "Content-Length")
	}
	maps.Copy(h, resp.Header)
	if resp.ContentLength < 0 || e.r.ProtoMajor >= 2 {
		announced = slices.DeleteFunc(slices.Sorted(maps.Keys(resp.Trailer)),
			func(name string) bool { return !trailerAllowed(name) })
	}
	if len(announced) > 0 {
		h["Trailer"] = []string{strings.Join(announced, ", ")}
	}
	if e.Answer != nil {
		e.Answer(resp.StatusCode, h)
	}
	// Keys without values keep the server from inventing what the service left
	// out: a guessed type, and a length in gRPC answers of trailers only.
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil
	}
	if _, ok := h["Content-Length"]; !ok && e.r.ProtoMajor >= 2 {
		h["Content-Length"] = nil
	}
	return announced
}

// trailers sets the answer's trailers, which the server sends when the handler
// returns.
func (e *exchange) trailers(t http.Header, announced []string) {
	h := e.w.Header()
	for name, values := range t {
		if !trailerAllowed(name) {
			continue
		}
		if !slices.Contains(announced, name) {
			name = http.TrailerPrefix + name
		}
		h[name] = values
	}
}

// copyStream copies an answer of unknown length until it ends or must end.
func (e *exchange) copyStream(src io.Reader) error {
	stop := e.onEnd(func() { e.cancel(errEnded) })
	defer stop()
	return e.copyLong(src)
}

// copyLong copies src as it comes. The header does not wait for its first byte.
func (e *exchange) copyLong(src io.Reader) error {
	if err := e.control.Flush(); err != nil {
		return clientError{err}
	}
	return e.copy(src, true)
}

// over reports whether the exchange must end, which onEnd may not have told yet.
func (e *exchange) over() bool {
	select {
	case <-e.End: // nil: never
		return true
	default:
		return false
	}
}

// onEnd calls f when the exchange's streams must end, unless stop is called
// before. When stop has returned, f does not run.
func (e *exchange) onEnd(f func()) (stop func()) {
	if e.End == nil {
		return func() {}
	}
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-e.End:
			f()
		case <-done:
		}
	}()
	return func() {
		close(done)
		<-gone
	}
}

// copy copies src to the client.
func (e *exchange) copy(src io.Reader, flush bool) error {
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	for {
		n, err := src.Read(buf[:])
		if n > 0 {
			if err := e.write(buf[:n], flush && err == nil); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return e.readError(err)
		}
	}
}

// write writes p to the client. Its errors are clientErrors.
func (e *exchange) write(p []byte, flush bool) error {
	n, err := e.w.Write(p)
	e.res.Sent += int64(n)
	if err == nil && flush {
		err = e.control.Flush()
	}
	if err != nil {
		return clientError{err}
	}
	return nil
}

// clientError marks a failure to write to the client.
type clientError struct{ error }

func (e clientError) Unwrap() error { return e.error }

// readError says whether reading the answer failed because it had to end.
func (e *exchange) readError(err error) error {
	if cause := context.Cause(e.ctx); cause == errEnded {
		return errEnded
	}
	return err
}

// broken is the error for an answer that failed with err after its header.
func (e *exchange) broken(err error) error {
	if errors.As(err, new(clientError)) || e.r.Context().Err() != nil || e.body.failed() != nil {
		return fmt.Errorf("%s: %w: %w: %w", e.name(), ErrBroken, ErrClientGone, err)
	}
	return fmt.Errorf("%s: %w: %w", e.name(), ErrBroken, err)
}

// breakOff resets the connection of an answer that ends with its connection, the
// way of HTTP/1.0: for the client to see that it is not whole, an orderly close,
// which is what the server does on http.ErrAbortHandler, must not happen.
func (e *exchange) breakOff(resp *http.Response) {
	if e.r.ProtoAtLeast(1, 1) || resp.ContentLength >= 0 {
		return
	}
	conn, _, err := e.control.Hijack()
	if err != nil {
		return
	}
	reset(conn)
}

func isGRPC(h http.Header) bool {
	return strings.HasPrefix(h.Get("Content-Type"), "application/grpc")
}

func isEventStream(h http.Header) bool {
	return IsEventStream(h.Get("Content-Type"), h.Get("Content-Encoding"))
}

// IsEventStream reports whether an answer of such a type and coding can be
// followed from event to event.
func IsEventStream(contentType, contentEncoding string) bool {
	t, _, _ := mime.ParseMediaType(contentType)
	return t == "text/event-stream" && contentEncoding == ""
}
