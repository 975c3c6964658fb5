package dashboard

import (
	"context"
	"net/http"

	"github.com/greenroom-dev/greenroom/internal/httpapi"
)

// FleetLink leads to the dashboard of a fleet.
type FleetLink struct {
	Name    string // as people are told it
	Path    string // of its dashboard, from the root
	Serving string // the release that ordinary requests get
}

// NewList returns the page from which several fleets' dashboards are reached.
// fleets are those that somebody may look at; of o neither API nor Look is used.
func NewList(o Options, fleets func(ctx context.Context, who httpapi.Identity) []FleetLink) (*Dashboard, error) {
	d, err := prepare(o)
	if err != nil {
		return nil, err
	}
	mux := d.doors()
	mux.HandleFunc("GET /{$}", d.loggedIn(func(v *visit) {
		v.write(http.StatusOK, "fleets", page{
			Lang: v.lang, Title: v.t("fleets.title"), Base: d.o.Base, Path: "/", Who: v.who, Version: d.o.Version, Alone: true,
			Body: fleets(v.r.Context(), v.who),
		})
	}))
	mux.HandleFunc("/", d.loggedIn(func(v *visit) { v.fail(http.StatusNotFound, v.t("error.nopage"), "") }))
	d.handler = d.guarded(mux)
	return d, nil
}
