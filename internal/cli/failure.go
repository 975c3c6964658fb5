package cli

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/config"
)

// The exit codes.
const (
	Done        = 0
	Failed      = 1 // it was tried and did not work out
	BadInput    = 2 // flags, documents, names
	Refused     = 3 // by a rule, or by a person who was asked
	Unreachable = 4 // no server answers
	TimedOut    = 5
)

// usageError is bad input on the command line itself.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func badInput(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// codedError is an error with an exit code of its own.
type codedError struct {
	err  error
	code int
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// saidError was told to the person already.
type saidError struct{ error }

func (e *saidError) Unwrap() error { return e.error }

func exitCode(err error) int {
	var coded *codedError
	var usage *usageError
	var api *client.Error
	switch {
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &usage):
		return BadInput
	case errors.As(err, &api):
		return exitCodeOf(api)
	case errors.Is(err, client.ErrUnreachable), errors.Is(err, client.ErrCut), errors.Is(err, client.ErrNotGreenroom):
		return Unreachable
	case errors.Is(err, context.DeadlineExceeded):
		return TimedOut
	}
	return Failed
}

func exitCodeOf(e *client.Error) int {
	switch e.Code {
	case "input", "not-found":
		return BadInput
	case "refused", "stale", "forbidden", "unauthorized":
		return Refused
	case "stopping":
		return Unreachable
	case "timeout":
		return TimedOut
	}
	return Failed
}

// failure is how an error is told to a program: what a problem of the API has,
// and the exit code.
type failure struct {
	Exit   int                    `json:"exit"`
	Code   string                 `json:"code"`
	Rule   string                 `json:"rule,omitempty"`
	Detail string                 `json:"detail"`
	Remedy string                 `json:"remedy,omitempty"`
	Errors []client.DocumentError `json:"errors,omitempty"`
}

// codes are the words for exit codes where no problem brings its own.
var codes = map[int]string{
	Failed: "failed", BadInput: "input", Refused: "refused", Unreachable: "unreachable", TimedOut: "timeout",
}

func failureOf(err error) failure {
	out := failure{Exit: exitCode(err)}
	var api *client.Error
	var documents *config.Errors
	switch {
	case errors.As(err, &api):
		out.Code, out.Rule, out.Detail, out.Remedy, out.Errors = api.Code, api.Rule, api.Detail, api.Remedy, api.Errors
		return out
	case errors.As(err, &documents):
		out.Detail = "the document is not right"
		for _, e := range documents.List {
			out.Errors = append(out.Errors, client.DocumentError{
				File: e.File, Line: e.Line, Column: e.Column, Excerpt: e.Excerpt, Problem: e.Problem, Hint: e.Hint,
			})
		}
	default:
		out.Detail = err.Error()
	}
	out.Code, out.Remedy = codes[out.Exit], remedyFor(err)
	return out
}

// remedyFor is what to do about an error that does not say so itself.
func remedyFor(err error) string {
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &authority):
		return "name the authority that signed its certificate with --ca-file"
	case errors.Is(err, client.ErrNotGreenroom):
		return "name the address of the API (spec.api.listen), not of the edge"
	case errors.Is(err, client.ErrCut):
		return "what was asked for goes on: greenroom status"
	case errors.Is(err, client.ErrUnreachable):
		return "start it with greenroom up, or name its --state or --server"
	case errors.Is(err, context.Canceled):
		return "what was asked for goes on: greenroom status"
	}
	return ""
}

// tell says what went wrong: to a person in a sentence, to a program as one
// line of JSON.
func tell(w io.Writer, err error, asJSON bool) {
	f := failureOf(err)
	if asJSON {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		_ = e.Encode(f) // there is nobody left to tell
		return
	}
	text := err.Error()
	if errors.Is(err, context.Canceled) {
		text = "interrupted"
	}
	var api *client.Error
	if f.Remedy != "" && !errors.As(err, &api) {
		text += "; " + f.Remedy
	}
	fmt.Fprintf(w, "greenroom: %s\n", text)
}
