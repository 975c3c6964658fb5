package gift

import (
	"errors"
	"net/http"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/greenroom-dev/greenroom/examples/live/internal/trail"
)

// call is one call of the wallet: it keeps the trail that came back, with an
// error too.
type call struct{ header metadata.MD }

func (c *call) options() []grpc.CallOption { return []grpc.CallOption{grpc.Header(&c.header)} }

func (s *server) trail(c *call) trail.Trail {
	return trail.Parse(strings.Join(c.header.Get(trail.Header), ",")).Behind(s.process.Hop())
}

// refusal is an error that is the client's to mend.
type refusal struct {
	status int
	why    string
}

func (r refusal) Error() string { return r.why }

// fail answers with what the wallet's error, or our own, means in HTTP. A broken
// contract is answered as the mixture of releases that it is.
func (s *server) fail(w http.ResponseWriter, c *call, err error) {
	answer := trail.Answer{Path: s.trail(c), Error: err.Error()}
	var own refusal
	if errors.As(err, &own) {
		answer.Write(w, own.status)
		return
	}
	code := http.StatusInternalServerError
	switch status.Code(err) {
	case codes.FailedPrecondition:
		answer.Mixed = true
	case codes.ResourceExhausted:
		code = http.StatusPaymentRequired
	case codes.InvalidArgument, codes.DataLoss:
		code = http.StatusBadRequest
	case codes.Unavailable:
		code = http.StatusServiceUnavailable
	case codes.DeadlineExceeded, codes.Canceled:
		code = http.StatusGatewayTimeout
	}
	answer.Write(w, code)
}
