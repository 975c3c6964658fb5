package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/login"
	"github.com/greenroom-dev/greenroom/internal/signon"
)

// Look is what all open pages show alike, looked at once for all of them. Who
// may see it is asked of the API.
type Look interface {
	Status(ctx context.Context) (client.Status, error)
	Changed() <-chan struct{}
	Flow(ctx context.Context, points int) (client.Flow, error)
	Fleet(ctx context.Context) (client.Fleet, error)
	Events(ctx context.Context, q httpapi.EventQuery) ([]client.Event, error)
}

// Note keeps an event of a login in the fleet's log.
type Note func(ctx context.Context, e client.Event) error

// Options are what a Dashboard shows, and to whom.
type Options struct {
	API      func(httpapi.Identity) http.Handler // the API, as somebody
	Access   httpapi.Access                      // for what buttons are shown; the API decides
	Look     Look
	Sessions *login.Sessions
	Links    *login.Links // one-time login links; nil for none
	SignOn   *signon.Provider
	Note     Note
	Limit    *login.Limit // of failed logins, where dashboards share one; nil for its own
	Base     string       // path that was stripped from requests, such as /fleets/shop/live; "" at the root
	Scope    string       // path that a login holds for, such as /fleets; Base if empty
	Hint     string       // where somebody gets a token, as a key of the words
	// Cluster says that people are the cluster's own, and the mesh carries the
	// traffic: there are no API tokens, requests cannot wait, passes are for all
	// paths, and calls of an address are not counted.
	Cluster bool
	Version string // of greenroom
	Log     *slog.Logger
	Now     func() time.Time
}

// Dashboard serves the pages. It is safe for concurrent use.
type Dashboard struct {
	o         Options
	words     words
	assets    *assets
	templates map[string]*template.Template // by language
	hub       *hub
	limit     *login.Limit
	handler   http.Handler
	streams   context.Context // ends the pages' streams with the server
	end       context.CancelFunc
	pace      pace
}

// New returns a Dashboard. Close ends its streams.
func New(o Options) (*Dashboard, error) {
	d, err := prepare(o)
	if err != nil {
		return nil, err
	}
	d.hub = newHub(d.streams, o.Look, o.Log, d.pace.tick)
	d.handler = d.routes()
	return d, nil
}

// prepare makes what every Dashboard has.
func prepare(o Options) (*Dashboard, error) {
	o.Scope = cmp.Or(o.Scope, o.Base)
	d := &Dashboard{o: o, limit: o.Limit, pace: usualPace}
	if d.limit == nil {
		d.limit = login.NewLimit(o.Now)
	}
	d.streams, d.end = context.WithCancel(context.Background())
	var err error
	if d.words, err = readWords(); err != nil {
		return nil, err
	}
	if d.assets, err = readAssets(); err != nil {
		return nil, err
	}
	if d.templates, err = d.readTemplates(); err != nil {
		return nil, fmt.Errorf("read the pages: %w", err)
	}
	return d, nil
}

// Close ends the streams of open pages.
func (d *Dashboard) Close() { d.end() }

// ServeHTTP answers browsers.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.handler.ServeHTTP(w, r) }

// policy lets nothing run, and nothing be loaded, that is not greenroom's own
// file.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func (d *Dashboard) routes() http.Handler {
	mux := d.doors()
	page := func(pattern string, show func(*visit)) { mux.HandleFunc(pattern, d.known(show)) }
	page("GET /{$}", d.showFleet)
	page("GET /releases", d.showReleases)
	page("GET /releases/{name}", d.showRelease)
	page("GET /releases/{name}/{act}", d.askAct)
	page("POST /releases/{name}/{act}", d.doAct)
	page("GET /open", d.askOpen)
	page("POST /open", d.doOpen)
	page("GET /hold", d.askHold)
	page("POST /hold", d.doHold)
	page("GET /passes", d.showPasses)
	page("GET /passes/{act}", d.askPass)
	page("POST /passes/{act}", d.makePass)
	page("GET /passes/{id}/revoke", d.askRevoke)
	page("POST /passes/{id}/revoke", d.revokePass)
	page("GET /events", d.showEvents)
	page("GET /events/export", d.exportEvents)
	page("GET /settings", d.showSettings)
	if !d.o.Cluster {
		page("GET /settings/tokens/new", d.askToken)
		page("POST /settings/tokens/new", d.makeToken)
		page("GET /settings/tokens/{id}/revoke", d.askRevokeToken)
		page("POST /settings/tokens/{id}/revoke", d.revokeToken)
	}
	page("GET /logs/{service}", d.showLogs)
	page("GET /flow", d.sendFlow)
	mux.HandleFunc("GET /live", d.serveLive)
	mux.HandleFunc("/", d.known(func(v *visit) { v.fail(http.StatusNotFound, v.t("error.nopage"), "") }))
	return d.guarded(mux)
}

// doors are what strangers meet.
func (d *Dashboard) doors() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /assets/", d.assets)
	mux.HandleFunc("GET /login", d.showLogin)
	mux.HandleFunc("POST /login", d.logIn)
	mux.HandleFunc("GET /login/provider", d.toProvider)
	mux.HandleFunc("GET /login/callback", d.fromProvider)
	mux.HandleFunc("POST /logout", d.logOut)
	mux.HandleFunc("POST /language", d.chooseLanguage)
	return mux
}

// guarded refuses what other sites send, and says what browsers may do with
// what they get.
func (d *Dashboard) guarded(mux http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.stranger(w, r).fail(http.StatusForbidden, d.words.say(language(r), "error.crossorigin"), "")
	}))
	inner := protection.Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		inner.ServeHTTP(w, r)
	})
}
