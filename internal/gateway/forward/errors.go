package forward

import "errors"

// The errors of [Forwarder.Forward], to be told apart with errors.Is. All but
// ErrBroken mean that nothing was written to the client, informational answers
// aside, so that the caller can still answer.
var (
	// ErrNoInstance is returned when the pool holds no ready instance.
	ErrNoInstance = errors.New("no instance is ready")

	// ErrRefused is returned when no instance that was tried took a connection.
	// The request was not sent.
	ErrRefused = errors.New("no instance accepts connections")

	// ErrTimeout is returned when Exchange.Timeout was over before the answer's
	// header came. The request may have been processed.
	ErrTimeout = errors.New("the service did not answer in time")

	// ErrClientGone is returned when the client went away, or when its request's
	// body could not be read to the end: the error then wraps what reading it
	// returned, such as *http.MaxBytesError or os.ErrDeadlineExceeded. It also
	// accompanies ErrBroken when it was the client who broke off.
	ErrClientGone = errors.New("the client went away")

	// ErrMalformed is returned when the request's body was framed in a way that
	// is not HTTP's.
	ErrMalformed = errors.New("the request's body is malformed")

	// ErrBadAnswer is returned when the instance broke off before the header of
	// its answer was complete, or spoke something that is no HTTP. The request
	// may have been processed.
	ErrBadAnswer = errors.New("the service gave no valid answer")

	// ErrBroken is returned when an exchange failed after the answer's header was
	// written. The caller must end its handler with
	// panic(http.ErrAbortHandler), so that the client sees a broken-off answer
	// and never takes what it got for the whole.
	ErrBroken = errors.New("the answer was broken off")
)
