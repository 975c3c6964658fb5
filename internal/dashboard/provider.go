package dashboard

import (
	"errors"
	"net/http"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/login"
	"github.com/greenroom-dev/greenroom/internal/passpage"
	"github.com/greenroom-dev/greenroom/internal/signon"
)

// callbackPath is where the provider sends browsers back to.
const callbackPath = "/login/callback"

// maxTo bounds, in bytes, what a login remembers of where somebody wants to go:
// it travels in a cookie.
const maxTo = 1000

// provider is what the login's button calls the provider; "" for none.
func (d *Dashboard) provider() string {
	if d.o.SignOn == nil {
		return ""
	}
	return d.o.SignOn.Name()
}

// heldBack answers somebody who has failed too often.
func (v *visit) heldBack() bool {
	wait := v.d.limit.Wait(address(v.r))
	if wait > 0 {
		v.w.Header().Set("Retry-After", seconds(wait))
		v.loginForm(http.StatusTooManyRequests, v.t("login.toomany", seconds(wait)))
	}
	return wait > 0
}

// atProvider is somebody who logs in by the provider; false where they are
// answered already, since there is none or they have failed too often.
func (d *Dashboard) atProvider(w http.ResponseWriter, r *http.Request) (*visit, bool) {
	v := d.stranger(w, r)
	if d.o.SignOn == nil {
		v.fail(http.StatusNotFound, v.t("error.nopage"), "")
		return v, false
	}
	return v, !v.heldBack()
}

// toProvider begins a login at the provider.
func (d *Dashboard) toProvider(w http.ResponseWriter, r *http.Request) {
	v, ok := d.atProvider(w, r)
	if !ok {
		return
	}
	to := r.FormValue("to") // where it leads is looked at in the end
	if len(to) > maxTo {
		to = "/"
	}
	start, err := d.o.SignOn.Begin(r.Context(), signon.Wish{
		Site: siteOf(r), Path: d.o.Base + callbackPath, To: to, Other: r.FormValue("other") != "",
	})
	if err != nil {
		d.notLoggedIn(v, to, err)
		return
	}
	d.setLoggingIn(w, r, start.Cookie, signon.PendingLife)
	http.Redirect(w, r, start.URL, http.StatusSeeOther)
}

// siteOf is where a browser asks for the dashboard.
func siteOf(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// setLoggingIn has the browser keep a login under way, or forget it.
func (d *Dashboard) setLoggingIn(w http.ResponseWriter, r *http.Request, value string, life time.Duration) {
	c := &http.Cookie{
		Name: passpage.LoggingInCookie, Value: value, Path: d.o.Base + callbackPath, HttpOnly: true, Secure: r.TLS != nil,
		SameSite: http.SameSiteLaxMode, MaxAge: int(life / time.Second),
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// fromProvider ends a login: the provider has sent the browser back.
func (d *Dashboard) fromProvider(w http.ResponseWriter, r *http.Request) {
	v, ok := d.atProvider(w, r)
	if !ok {
		return
	}
	cookie := ""
	if c, err := r.Cookie(passpage.LoggingInCookie); err == nil {
		cookie = c.Value
		d.setLoggingIn(w, r, "", 0)
	}
	who, to, err := d.o.SignOn.Finish(r.Context(), cookie, r.URL.Query())
	if err != nil {
		d.notLoggedIn(v, to, err)
		return
	}
	value, session, err := d.o.Sessions.Begin(login.Session{Name: who.Name, Via: login.ByOIDC, From: login.Provider{
		Issuer: who.Issuer, Client: who.ClientID, Groups: who.Groups, Life: who.Session,
	}})
	if err != nil {
		d.notLoggedIn(v, to, err)
		return
	}
	d.note(r, client.Event{Type: "LoggedIn", Who: who.Name, Message: "to the dashboard, by " + login.ByOIDC + " as " + who.Role.String()})
	d.setCookie(w, r, value, session.Ends)
	http.Redirect(w, r, d.o.Base+local(to), http.StatusSeeOther)
}

// notLoggedIn says why a login at the provider did not come about.
func (d *Dashboard) notLoggedIn(v *visit, to string, err error) {
	var e *signon.Error
	if !errors.As(err, &e) {
		d.o.Log.Error("a login failed", "error", err)
		v.loginTo(http.StatusInternalServerError, to, v.t("error.failed"))
		return
	}
	from, name := address(v.r), d.provider()
	switch e.Kind {
	case signon.Off:
		v.fail(http.StatusNotFound, v.t("error.nopage"), "")
	case signon.Stale: // nobody tried anything: any page can send a browser here
		v.loginTo(http.StatusBadRequest, to, v.t("login.stale"))
	case signon.Down:
		d.o.Log.Error("nobody can log in by the provider", "provider", name, "error", e)
		v.loginTo(http.StatusBadGateway, to, v.t("login.providerdown", name))
	case signon.Turned:
		d.failed(v.r, from, "unknown", ", by oidc: "+e.Error())
		v.loginTo(http.StatusForbidden, to, v.t("login.turned", name))
	case signon.NoRole:
		d.failed(v.r, from, e.Person.Name, ", by oidc: "+e.Error())
		v.noRole(e.Person, name)
	default:
		d.failed(v.r, from, "unknown", ", by oidc: "+e.Error())
		v.loginTo(http.StatusUnauthorized, to, v.t("login.refused"))
	}
}

// maxShown bounds how many groups a page names.
const maxShown = 30

// noRolePage is for somebody who is known and may do nothing.
type noRolePage struct {
	page
	Name, Provider string
	Groups         []string
}

func (v *visit) noRole(who signon.Person, provider string) {
	groups := who.Groups
	if len(groups) > maxShown {
		groups = append(groups[:maxShown:maxShown], "…")
	}
	v.write(http.StatusForbidden, "norole", noRolePage{
		page: page{Lang: v.lang, Title: v.t("norole.title"), Base: v.d.o.Base, Path: "/login", Version: v.d.o.Version},
		Name: who.Name, Provider: provider, Groups: groups,
	})
}
