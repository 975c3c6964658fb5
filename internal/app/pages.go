package app

import (
	"cmp"
	"context"
	"net/http"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/dashboard"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/login"
	"github.com/greenroom-dev/greenroom/internal/release"
	"github.com/greenroom-dev/greenroom/internal/signon"
)

// openPages makes the API, and the dashboard that is its client.
func (a *App) openPages(meters http.Handler) error {
	access := httpapi.ByRole(a)
	a.sessions = newSessions(a.store, a.o.Log, a.o.Now)
	a.api = httpapi.New(httpapi.Options{
		Operations: a, Access: access, Metrics: meters, Version: a.o.Version, Log: a.o.Log, Now: a.o.Now,
		Pages: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.dashboard.ServeHTTP(w, r) }),
	})
	a.logins = login.NewLinks(a.o.Now)
	var err error
	if a.signOn, err = signon.New(a.o.Now); err != nil {
		return err
	}
	a.dashboard, err = dashboard.New(dashboard.Options{
		API: a.api.As, Access: access, Look: a,
		Sessions: login.NewSessions(a.sessions, access, a.signOn, a.o.Now), Links: a.logins, SignOn: a.signOn,
		Note: a.noteLogin, Hint: "hint.token", Version: a.o.Version, Log: a.o.Log, Now: a.o.Now,
	})
	return err
}

// noteLogin keeps what happened at the dashboard's door.
func (a *App) noteLogin(_ context.Context, e client.Event) error {
	return a.store.Append(a.event(e.Type, "", e.Who, "", e.Message))
}

// MakeLogin makes a link that logs somebody in to the dashboard, once. Its code
// stands in the fragment, which browsers send to nobody.
func (a *App) MakeLogin(_ context.Context, who string, in client.MakeLogin) (client.MadeLogin, error) {
	at := a.DashboardURL()
	if at == "" {
		return client.MadeLogin{}, &release.Refused{Rule: "fleet", Reason: "the API listens at its socket alone, where no browser gets",
			Remedy: "give the Fleet spec.api.listen: 127.0.0.1:9090 and start greenroom again"}
	}
	role, ok := httpapi.ParseRole(cmp.Or(in.Role, "admin"))
	if !ok {
		return client.MadeLogin{}, &httpapi.InputError{Problem: in.Role + " is no role", Remedy: "viewer, tester, operator or admin"}
	}
	out := client.MadeLogin{Name: cmp.Or(in.Name, who), Role: role.String()}
	if in.DryRun {
		return out, nil
	}
	code, ends, err := a.logins.Make(out.Name, role)
	if err != nil {
		return client.MadeLogin{}, err
	}
	out.Link, out.Expires = at+"/login#"+code, ends
	if err := a.store.Append(a.event("LoginLinkMade", "", who, in.Reason, "for "+out.Name+", "+out.Role)); err != nil {
		a.o.Log.Warn("a login link is not in the event log", "by", who, "for", out.Name, "role", out.Role, "error", err) // who looks for what is wrong has to get in
	}
	return out, nil
}
