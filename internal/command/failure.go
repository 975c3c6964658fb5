package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

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

// UsageError is bad input on the command line itself.
type UsageError struct{ Err error }

// Error returns what is wrong with it.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the error itself.
func (e *UsageError) Unwrap() error { return e.Err }

// BadInputf returns a UsageError.
func BadInputf(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }

// CodedError is an error with an exit code of its own.
type CodedError struct {
	Err  error
	Code int
}

// Error returns what happened.
func (e *CodedError) Error() string { return e.Err.Error() }

// Unwrap returns the error itself.
func (e *CodedError) Unwrap() error { return e.Err }

// SaidError was told to the person already.
type SaidError struct{ Err error }

// Error returns what was told.
func (e *SaidError) Error() string { return e.Err.Error() }

// Unwrap returns the error itself.
func (e *SaidError) Unwrap() error { return e.Err }

// ExitCode is how a program ends with an error.
func ExitCode(err error) int {
	var coded *CodedError
	var usage *UsageError
	var api *client.Error
	switch {
	case errors.As(err, &coded):
		return coded.Code
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

// Failure is how an error is told to a program: what a problem of the API has,
// and the exit code.
type Failure struct {
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

func (a *App) failureOf(err error) Failure {
	out := Failure{Exit: ExitCode(err)}
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
	out.Code, out.Remedy = codes[out.Exit], a.remedyFor(err)
	return out
}

// remedyFor is what to do about an error that does not say so itself.
func (a *App) remedyFor(err error) string {
	if errors.Is(err, client.ErrCut) || errors.Is(err, context.Canceled) {
		return "what was asked for goes on: greenroom status"
	}
	return a.Connection.Remedy(err)
}

// tell says what went wrong: to a person in a sentence, to a program as one
// line of JSON.
func (a *App) tell(err error) {
	f := a.failureOf(err)
	if a.JSON() {
		e := json.NewEncoder(a.Env.Stderr)
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
	fmt.Fprintf(a.Env.Stderr, "greenroom: %s\n", a.called(text))
}
