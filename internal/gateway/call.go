package gateway

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway/field"
	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
)

// StatusClientGone is what logs and metrics say of a client that did not wait.
const StatusClientGone = 499

// Call is one request as the edge or the mesh understood it.
type Call struct {
	Snapshot *Snapshot
	Service  string        // where it goes
	Stamp    string        // what it carries; at the edge what the edge decided
	Caller   string        // version ID of who makes it; "" at the edge
	ID       string        // of the request, for logs and problems; may be empty
	Client   string        // address, for the access log
	Timeout  time.Duration // to the answer's header; 0: none
	Began    time.Time     // by the gateway's clock
	Trail    bool          // collect and answer which versions it went through (edge)
	Side     Side          // nil: none

	// UnreadBody is how long the rest of a body gets to come that nobody reads,
	// before the call is refused. The fast path has it of fast.Options.
	UnreadBody time.Duration
}

// Side is what the side that a call came in at has to say about its headers.
type Side interface {
	// Rewrite has a look at the header to send before the stamp is set in it.
	Rewrite(h field.Header)
	// Inform has a look at the header of each informational answer, possibly in
	// a goroutine of its own.
	Inform(h field.Header)
	// Answer has the last word on the header of the service's answer, from which
	// greenroom's own fields are gone by then.
	Answer(h field.Header)
	// Stalled reports that the request's body was given up on since nothing more
	// of it came.
	Stalled() bool
}

func (c *Call) hop() Hop {
	if c.Caller == "" {
		return Edge
	}
	return Mesh
}

// Forward has a call answered by the version that the call's view says, or
// answers with a Problem. It panics with http.ErrAbortHandler when an answer
// broke off half-way, since HTTP/2 knows no other way to say so.
func (g *Gateway) Forward(w http.ResponseWriter, r *http.Request, c Call) {
	var f Flight
	q := RequestOf(r)
	g.Find(&f, c)
	if p := f.Begin(&q); p != nil {
		BoundBody(w, r, c.UnreadBody)
		g.Answer(w, &q, *p, f.ID)
		f.Refused()
		return
	}
	defer f.End()
	res, err := g.exchange(w, r, &f)
	if err == nil && res.Status == http.StatusOK && q.IsGRPC() {
		f.grpc = grpcStatus(w.Header())
	}
	p, broken := f.Settle(res, err)
	switch {
	case broken:
		panic(http.ErrAbortHandler)
	case p != nil:
		if p.Code == CodeBodyStalled || p.Code == CodeMalformed {
			w.Header().Set("Connection", "close")
		}
		g.Answer(w, &q, *p, f.ID)
	}
}

// exchange forwards a call whose way is known.
func (g *Gateway) exchange(w http.ResponseWriter, r *http.Request, f *Flight) (forward.Result, error) {
	res, err := g.forwarder.Forward(w, r, forward.Exchange{
		Pool:    f.Pool(),
		Timeout: f.Timeout,
		End:     f.Over(),
		Rewrite: func(h http.Header) { f.Rewrite(field.Map(h)) },
		Inform:  func(h http.Header) { f.Inform(field.Map(h)) },
		Answer: func(status int, h http.Header) {
			if status == http.StatusSwitchingProtocols {
				f.Stream()
			}
			f.Answered(field.Map(h))
		},
	})
	if err == nil {
		f.Snapshot.stripTrailers(w.Header())
	}
	return res, err
}

// statusOf is what metrics and logs say of an exchange; 0 for one that broke
// off.
func statusOf(res forward.Result, err error) int {
	switch {
	case err == nil:
		return res.Status
	case errors.Is(err, forward.ErrClientGone) && errors.Is(err, os.ErrDeadlineExceeded):
		return CodeBodyStalled.Status()
	case errors.Is(err, forward.ErrMalformed):
		return CodeMalformed.Status()
	case errors.Is(err, forward.ErrClientGone):
		return StatusClientGone
	case errors.Is(err, forward.ErrBroken):
		return 0
	case errors.Is(err, forward.ErrNoInstance):
		return CodeNoInstance.Status()
	case errors.Is(err, forward.ErrTimeout):
		return CodeTimeout.Status()
	case errors.Is(err, forward.ErrRefused), errors.Is(err, forward.ErrBadAnswer):
		return http.StatusBadGateway
	}
	return http.StatusInternalServerError
}

// duration is what metrics take for a latency.
func duration(res forward.Result, took time.Duration) time.Duration {
	if res.Upgraded {
		return -1
	}
	return took
}

// NewID returns a random request id, of 128 bits: 26 letters and digits, as
// RFC 4648 has base32. It is no secret, and comes of the runtime's own ChaCha8,
// which costs no system call now and then.
func NewID() string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var id [26]byte
	high, low := rand.Uint64(), rand.Uint64()
	for i := range id {
		id[i] = digits[low&31]
		low, high = low>>5|high<<59, high>>5
	}
	return string(id[:])
}

// ValidID reports whether s can be a request's id: 1 to 128 bytes of letters,
// digits and what UUIDs, trace ids and Base64 need besides.
func ValidID(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '_', c == '.', c == ':', c == '/', c == '+', c == '=', c == '@', c == '~':
		default:
			return false
		}
	}
	return true
}
