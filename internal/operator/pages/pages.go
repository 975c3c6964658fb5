// Package pages serves what a browser meets below /.greenroom/ of a fleet in a
// cluster: the gateways send these requests to the operator.
//
// It owns the answers; the pages, their forms and the cookie are package
// passpage's, and what a pass opens is said by Fleet. The gateways' routes name
// the fleet in a header (FleetHeader), which they set over whatever a client
// sent. Nothing is decided here for any other request: at the gateways the
// cookie is checked anew each time.
//
// Start at New.
package pages

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/greenroom-dev/greenroom/internal/operator/passbook"
	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/passpage"
)

// FleetHeader names the fleet that a request came for: NAMESPACE/NAME.
const FleetHeader = "X-Greenroom-Fleet"

// Fleet is what the pages need of a fleet.
type Fleet interface {
	// Verify returns what a token says, with the errors of passbook.Book.
	Verify(token string, now time.Time) (pass.Claims, error)
	// PassOpens says what a pass for a release, by name and UID, opens: the
	// view of a stamp, or with "" what everybody gets; false for nothing.
	PassOpens(release, uid string) (stamp string, ok bool)
	// PublicURL is where people find the fleet, "" where it is not known.
	PublicURL() string
	// Serving is the release that everybody gets, as people are told it.
	Serving() string
}

// Fleets finds the fleets whose engines run here.
type Fleets interface {
	Fleet(name types.NamespacedName) (Fleet, bool)
}

// handler answers below /.greenroom/.
type handler struct {
	fleets Fleets
	now    func() time.Time
	set    *passpage.Set
}

// New returns the handler of everything below /.greenroom/ but default, which
// the gateways answer themselves. now is the clock.
func New(fleets Fleets, now func() time.Time) http.Handler {
	h := &handler{fleets: fleets, now: now, set: passpage.NewSet()}
	return h
}

// ServeHTTP finds the fleet of a request and answers for it.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Robots-Tag", "noindex")
	namespace, name, _ := strings.Cut(r.Header.Get(FleetHeader), "/")
	fleet, ok := h.fleets.Fleet(types.NamespacedName{Namespace: namespace, Name: name})
	if !ok {
		answer(w, passpage.Refusal{Code: "starting", Title: "The fleet is not looked after here, or not yet",
			Detail: "Try again in some seconds; else the fleet's status says what is the matter."})
		return
	}
	if strings.HasPrefix(r.URL.Path, pass.CallbackPath) { // no route of the gateways takes it
		answer(w, passpage.Refusal{Code: "no-callback",
			Detail: "The callback address is not known, is over, or is called otherwise than it was made for. Ask whoever gave it to you."})
		return
	}
	found, allow := h.desk(r, fleet).Serve(w, r, strings.TrimSuffix(r.URL.Path, "/"))
	switch {
	case !found:
		answer(w, passpage.Refusal{Code: "no-page",
			Detail: fmt.Sprintf("Paths below %s are greenroom's own: %s/, %s/default, %s, %s, and callback addresses below %s.", passpage.Own, passpage.Own, passpage.Own, pass.LinkPath, passpage.LeavePath, pass.CallbackPath)})
	case allow != "":
		w.Header().Set("Allow", allow)
		answer(w, passpage.Refusal{Code: "page-method", Detail: "It takes " + allow + "."})
	}
}

// desk answers a visit to the pages that both engines have. There is no badge:
// the gateways put nothing into pages.
func (h *handler) desk(r *http.Request, f Fleet) passpage.Desk {
	return passpage.Desk{
		Set: h.set, Now: h.now(), HTTPS: https(r), PublicURL: f.PublicURL(), Serving: f.Serving(),
		Judge:  func(token string) passpage.Opened { return h.judge(f, token) },
		Refuse: func(w http.ResponseWriter, _ *http.Request, why passpage.Refusal) { answer(w, why) },
		Mark:   func(header http.Header, why passpage.Refusal) { header.Set("X-Greenroom-Error", why.Code) },
	}
}

// https reports whether the browser came by it. The gateways say so.
func https(r *http.Request) bool { return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" }

// judge says what a token opens.
func (h *handler) judge(f Fleet, token string) passpage.Opened {
	const ask = "Ask for a new one, or leave the preview."
	claims, err := f.Verify(token, h.now())
	o := passpage.Opened{Release: claims.Release, Live: claims.Live, Subject: claims.Subject, Until: claims.ExpiresAt}
	refused := func(code, detail string) passpage.Opened {
		o.Refused = &passpage.Refusal{Code: code, Release: claims.Release, Title: kindOf(code).title, Detail: detail}
		return o
	}
	switch {
	case errors.Is(err, pass.ErrExpired):
		return refused("pass-expired", ask)
	case errors.Is(err, passbook.ErrRevoked):
		return refused("pass-revoked", fmt.Sprintf("Somebody took the pass for %s back. ", claims.Release)+ask)
	case err != nil:
		return refused("pass-forged", "The pass was not made for this fleet, or was changed on its way. "+ask)
	}
	stamp, ok := f.PassOpens(claims.Release, claims.UID)
	if !ok {
		return refused("pass-denied", fmt.Sprintf("%s has no preview (any more). Leave the preview, or ask whoever gave you the pass.", claims.Release))
	}
	if o.Stamp = stamp; claims.Live { // whatever serves; the pages name it
		o.Release, _, _ = strings.Cut(stamp, ".")
	}
	return o
}

// kind is what refusals of one code have in common, in the words of the embedded
// engine.
type kind struct {
	status int
	title  string
}

func kindOf(code string) kind {
	switch code {
	case "starting":
		return kind{http.StatusServiceUnavailable, "The fleet is starting"}
	case "no-page":
		return kind{http.StatusNotFound, "Greenroom has no such page"}
	case "no-callback":
		return kind{http.StatusNotFound, "Nothing is called at this address"}
	case "page-method":
		return kind{http.StatusMethodNotAllowed, "The page does not take this method"}
	case "pass-missing":
		return kind{http.StatusBadRequest, "No pass was sent"}
	case "cross-site":
		return kind{http.StatusForbidden, "The request came from another site"}
	case "pass-expired":
		return kind{http.StatusForbidden, "The pass has expired"}
	case "pass-revoked":
		return kind{http.StatusForbidden, "The pass was revoked"}
	case "pass-denied":
		return kind{http.StatusForbidden, "The pass's release cannot be looked at"}
	}
	return kind{http.StatusForbidden, "The pass is not one of this greenroom"}
}

// answer writes a refusal by RFC 9457.
func answer(w http.ResponseWriter, why passpage.Refusal) {
	k := kindOf(why.Code)
	if why.Title == "" {
		why.Title = k.title
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Greenroom-Error", why.Code)
	w.WriteHeader(k.status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": why.Title, "status": k.status, "detail": why.Detail})
}
