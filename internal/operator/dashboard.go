package operator

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/dashboard"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/login"
	"github.com/greenroom-dev/greenroom/internal/operator/journal"
)

// fleetsPath is where the fleets are at the operator's API, and below it their
// dashboards. A login holds for all of them.
const fleetsPath = "/fleets"

func pathOf(key types.NamespacedName) string {
	return fleetsPath + "/" + key.Namespace + "/" + key.Name
}

// logins are what the dashboards of all fleets share.
type logins struct {
	sessions *login.Sessions
	links    *login.Links
	limit    *login.Limit
}

func newLogins(d Deps) *logins {
	return &logins{login.NewSessions(login.NewMemory(d.Now), d.Access(""), nil, d.Now), login.NewLinks(d.Now), login.NewLimit(d.Now)}
}

// options are what the dashboards of all fleets have alike.
func (d Deps) options() dashboard.Options {
	return dashboard.Options{
		Sessions: d.logins.sessions, Links: d.logins.links, Limit: d.logins.limit,
		Scope: fleetsPath, Hint: "hint.kubernetes", Cluster: true, Version: d.Version, Log: d.Log, Now: d.Now,
	}
}

// browse answers with the fleet's dashboard, made for whoever opens it first: most of
// many fleets' are never asked for.
func (e *Engine) browse(w http.ResponseWriter, r *http.Request) { show(w, r, e.log, e.dashboard) }

// show answers with a dashboard that is made when somebody asks for it: one takes
// about 2 MiB of memory.
func show(w http.ResponseWriter, r *http.Request, log *slog.Logger, made func() (*dashboard.Dashboard, error)) {
	d, err := made()
	if err != nil {
		log.Error("there is no dashboard", "error", err)
		http.Error(w, "the dashboard cannot be shown; the operator's log has the details", http.StatusInternalServerError)
		return
	}
	d.ServeHTTP(w, r)
}

func (e *Engine) newDashboard() (*dashboard.Dashboard, error) {
	o := e.d.options()
	o.API, o.Access, o.Look, o.Note = e.api.As, e.d.Grants(e.key.Namespace), e, e.noteLogin
	o.Base, o.Log = pathOf(e.key), e.log
	d, err := dashboard.New(o)
	if err == nil {
		context.AfterFunc(e.run, d.Close)
	}
	return d, err
}

// noteLogin keeps what happened at the dashboard's door.
func (e *Engine) noteLogin(ctx context.Context, event api.Event) error {
	event.Time = e.d.Now()
	return e.journal.Note(ctx, journal.Event{Event: event})
}

// MakeLogin makes a link that logs the caller in to the dashboard, once, by the
// token that they showed. The link is a path at the address by which the
// operator is reached, which it does not know.
func (e *Engine) MakeLogin(ctx context.Context, who string, in api.MakeLogin) (api.MadeLogin, error) {
	token, ok := httpapi.Bearer(ctx)
	if !ok || in.Name != "" || in.Role != "" {
		return api.MadeLogin{}, &httpapi.InputError{Problem: "on Kubernetes a link logs in whoever makes it, with the token they show, as what the cluster knows them",
			Remedy: "leave name and role out; others make links of their own: kubectl greenroom dashboard"}
	}
	out := api.MadeLogin{Name: who}
	if in.DryRun {
		return out, nil
	}
	code, ends, err := e.d.logins.links.MakeFor(who, token)
	if err != nil {
		return api.MadeLogin{}, err
	}
	out.Link, out.Expires = pathOf(e.key)+"/login#"+code, ends
	e.note(ctx, api.Event{Type: "LoginLinkMade", Who: who, Why: in.Reason, Message: "for " + who})
	return out, nil
}

// list is the page from which dashboards are reached.
func (f *Fleets) list() http.Handler {
	made := sync.OnceValues(func() (*dashboard.Dashboard, error) {
		o := f.d.options()
		o.Base = fleetsPath
		return dashboard.NewList(o, f.seen)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { show(w, r, f.d.Log, made) })
}

// seen are the fleets that somebody may look at.
func (f *Fleets) seen(ctx context.Context, who httpapi.Identity) []dashboard.FleetLink {
	f.mu.Lock()
	engines := make([]*Engine, 0, len(f.engines))
	for _, e := range f.engines {
		engines = append(engines, e)
	}
	f.mu.Unlock()
	var out []dashboard.FleetLink
	for _, e := range engines {
		if f.d.Grants(e.key.Namespace).Allowed(ctx, who, httpapi.Request{Action: httpapi.Look}) != nil {
			continue
		}
		out = append(out, dashboard.FleetLink{
			Name: e.key.String(), Path: pathOf(e.key) + "/", Serving: e.controller.Record().State.Serving().Release,
		})
	}
	slices.SortFunc(out, func(a, b dashboard.FleetLink) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
