package dashboard

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/login"
	"github.com/greenroom-dev/greenroom/internal/passpage"
)

// loginPage is what the login says.
type loginPage struct {
	page
	To      string
	Problem string
	Hint    string
	Links   bool
	// Provider is what the button calls the OpenID Connect provider; "" for none.
	Provider string
}

func (d *Dashboard) showLogin(w http.ResponseWriter, r *http.Request) {
	d.stranger(w, r).loginForm(http.StatusOK, "")
}

func (v *visit) loginForm(status int, problem string) {
	v.loginTo(status, v.r.FormValue("to"), problem)
}

// loginTo asks for a login that leads to a page of the dashboard.
func (v *visit) loginTo(status int, to, problem string) {
	to = local(to)
	v.write(status, "login", loginPage{
		page: page{Lang: v.lang, Title: v.t("login.title"), Base: v.d.o.Base, Path: "/login", Version: v.d.o.Version},
		To:   to, Problem: problem, Hint: v.d.o.Hint, Links: v.d.o.Links != nil, Provider: v.d.provider(),
	})
}

// local is where a browser may be sent: to, if it stays here.
func local(to string) string {
	if localPath(to) {
		return to
	}
	return "/"
}

// localPath reports whether a browser that is sent there stays here.
func localPath(to string) bool {
	return strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//") && !strings.ContainsAny(to, "\\\r\n\t")
}

// logIn begins a session with a token, or with the code of a one-time link.
func (d *Dashboard) logIn(w http.ResponseWriter, r *http.Request) {
	v := d.stranger(w, r)
	if !v.readForm() {
		return
	}
	from := address(r)
	if wait := d.limit.Wait(from); wait > 0 {
		w.Header().Set("Retry-After", seconds(wait))
		v.loginForm(http.StatusTooManyRequests, v.t("login.toomany", seconds(wait)))
		return
	}
	cookie, session, err := d.begin(v)
	var denied *httpapi.DeniedError
	var busy *httpapi.BusyError
	switch {
	case errors.As(err, &denied), errors.Is(err, login.ErrNone):
		d.failed(r, from, "unknown", "")
		why := "login.badtoken"
		if v.form("code") != "" {
			why = "login.badlink"
		}
		v.loginForm(http.StatusUnauthorized, v.t(why))
		return
	case errors.As(err, &busy):
		w.Header().Set("Retry-After", "1")
		v.loginForm(http.StatusTooManyRequests, v.t("login.toomany", "1"))
		return
	case err != nil:
		d.o.Log.Error("a login failed", "error", err)
		v.loginForm(http.StatusInternalServerError, v.t("error.failed"))
		return
	}
	d.note(r, client.Event{Type: "LoggedIn", Who: session.Name, Message: "to the dashboard, by " + session.Via})
	d.setCookie(w, r, cookie, session.Ends)
	http.Redirect(w, r, d.o.Base+local(v.form("to")), http.StatusSeeOther)
}

func (d *Dashboard) begin(v *visit) (cookie string, session login.Session, err error) {
	if code := v.form("code"); code != "" {
		if d.o.Links == nil {
			return "", session, login.ErrNone
		}
		session, ok := d.o.Links.Take(code)
		if !ok {
			return "", session, login.ErrNone
		}
		return d.o.Sessions.Begin(session)
	}
	return d.o.Sessions.ByToken(v.r.Context(), v.form("token"))
}

// failed counts a login that failed. What is noted is bounded by the limit.
func (d *Dashboard) failed(r *http.Request, from netip.Addr, who, why string) {
	last := d.limit.Failed(from)
	d.o.Log.Warn("a login to the dashboard failed", "from", from, "who", who, "why", why)
	message := "to the dashboard, from " + from.String() + why
	if last {
		message += "; more attempts from there are turned away for now"
	}
	d.note(r, client.Event{Type: "LoginFailed", Who: who, Message: message})
}

func (d *Dashboard) note(r *http.Request, e client.Event) {
	if d.o.Note == nil {
		return
	}
	if err := d.o.Note(r.Context(), e); err != nil {
		d.o.Log.Warn("a login is not in the event log", "error", err)
	}
}

func (d *Dashboard) logOut(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(passpage.LoginCookie); err == nil {
		if err := d.o.Sessions.End(c.Value); err != nil {
			d.o.Log.Error("a session could not be ended", "error", err)
		}
	}
	d.setCookie(w, r, "", time.Time{})
	http.Redirect(w, r, d.o.Base+"/login", http.StatusSeeOther)
}

// setCookie gives the browser a session's cookie, or takes it away.
func (d *Dashboard) setCookie(w http.ResponseWriter, r *http.Request, value string, ends time.Time) {
	c := &http.Cookie{
		Name: passpage.LoginCookie, Value: value, Path: d.o.Scope + "/", HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
		MaxAge: max(1, int(ends.Sub(d.o.Now())/time.Second)),
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

func (d *Dashboard) chooseLanguage(w http.ResponseWriter, r *http.Request) {
	v := d.stranger(w, r)
	if !v.readForm() {
		return
	}
	if lang := v.form("language"); lang == english || lang == japanese {
		http.SetCookie(w, &http.Cookie{
			Name: languageCookie, Value: lang, Path: d.o.Scope + "/", HttpOnly: true, Secure: r.TLS != nil,
			SameSite: http.SameSiteLaxMode, MaxAge: 365 * 24 * 3600,
		})
	}
	http.Redirect(w, r, d.o.Base+local(v.form("to")), http.StatusSeeOther)
}

// address is where a request comes from.
func address(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}
