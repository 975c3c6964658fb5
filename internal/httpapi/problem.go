package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/config"
	"github.com/greenroom-dev/greenroom/internal/controller"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// problem is an error as the API answers it.
type problem client.Error

// Error returns what happened.
func (p *problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status.
func (p *problem) GetStatus() int { return p.Status }

// ContentType returns the media type of problems.
func (p *problem) ContentType(string) string { return "application/problem+json" }

func (p *problem) json() []byte {
	data, err := json.Marshal((*client.Error)(p))
	if err != nil {
		return []byte(`{"type":"urn:greenroom:api:failed","title":"Internal Server Error","status":500,"code":"failed"}`)
	}
	return data
}

func writeProblem(w http.ResponseWriter, p *problem) {
	w.Header().Set("Content-Type", p.ContentType(""))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(p.json())
}

func newProblem(status int, code, detail, remedy string) *problem {
	return &problem{
		Type: "urn:greenroom:api:" + code, Title: http.StatusText(status), Status: status,
		Code: code, Detail: detail, Remedy: remedy,
	}
}

func notFound(detail, remedy string) *problem {
	return newProblem(http.StatusNotFound, "not-found", detail, remedy)
}

// problem says what an operation's error means to the caller.
func (s *Server) problem(err error) *problem {
	var (
		already   *problem
		denied    *DeniedError
		busy      *BusyError
		refused   *release.Refused
		documents *config.Errors
		input     *InputError
	)
	switch {
	case errors.As(err, &already):
		return already
	case errors.As(err, &denied) && denied.Anonymous:
		return newProblem(http.StatusUnauthorized, "unauthorized", denied.Problem, denied.Remedy)
	case errors.As(err, &denied):
		return newProblem(http.StatusForbidden, "forbidden", denied.Problem, denied.Remedy)
	case errors.As(err, &busy):
		return newProblem(http.StatusTooManyRequests, "busy", busy.Problem, busy.Remedy)
	case errors.As(err, &refused):
		p := newProblem(http.StatusConflict, "refused", refused.Reason, refused.Remedy)
		p.Rule = refused.Rule
		return p
	case errors.As(err, &documents):
		detail := "the document is not right"
		if len(documents.List) > 0 && strings.HasPrefix(documents.List[0].File, "--set ") {
			detail = "what was set is not right"
		}
		p := newProblem(http.StatusUnprocessableEntity, "input", detail, "")
		for _, e := range documents.List {
			p.Errors = append(p.Errors, client.DocumentError{
				File: e.File, Line: e.Line, Column: e.Column, Excerpt: e.Excerpt, Problem: e.Problem, Hint: e.Hint,
			})
		}
		return p
	case errors.As(err, &input):
		return newProblem(http.StatusUnprocessableEntity, "input", input.Problem, input.Remedy)
	case errors.Is(err, release.ErrUnknown):
		return notFound(err.Error(), "greenroom release list shows those there are")
	case errors.Is(err, ErrNotFound):
		return notFound(err.Error(), "")
	case errors.Is(err, ErrExists):
		return newProblem(http.StatusConflict, "refused", err.Error(), "choose another name")
	case errors.Is(err, release.ErrStale):
		return newProblem(http.StatusConflict, "stale", "what you were shown has changed meanwhile", "look again, then repeat it")
	case errors.Is(err, controller.ErrStopped):
		return newProblem(http.StatusServiceUnavailable, "stopping", err.Error(), "start it again with greenroom up")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return newProblem(http.StatusGatewayTimeout, "timeout", "it was not done in time", "greenroom status shows how far it came")
	}
	s.o.Log.Error("an operation failed", "error", err)
	return newProblem(http.StatusInternalServerError, "failed", err.Error(), "greenroom doctor may know more")
}

// asProblem gives the problems that the framework finds in requests the form
// of our own.
func asProblem(_ huma.Context, _ string, v any) (any, error) {
	model, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	code := "input"
	if model.Status >= http.StatusInternalServerError {
		code = "failed"
	}
	p := newProblem(model.Status, code, "the request is not as the API describes it", "GET /openapi.json describes what is expected")
	for _, e := range model.Errors {
		p.Errors = append(p.Errors, client.DocumentError{File: e.Location, Problem: e.Message})
	}
	return p, nil
}
