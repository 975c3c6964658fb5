package dashboard

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/login"
	"github.com/greenroom-dev/greenroom/internal/passpage"
)

// visit is one request of a browser.
type visit struct {
	d    *Dashboard
	w    http.ResponseWriter
	r    *http.Request
	lang string
	who  httpapi.Identity // zero for strangers
	api  *client.Client
}

func (d *Dashboard) stranger(w http.ResponseWriter, r *http.Request) *visit {
	return &visit{d: d, w: w, r: r, lang: language(r)}
}

// visitor finds out whose session a request is of; nil for nobody's, after it
// was answered.
func (d *Dashboard) visitor(w http.ResponseWriter, r *http.Request) *visit {
	v := d.stranger(w, r)
	c, err := r.Cookie(passpage.LoginCookie)
	if err != nil {
		return nil
	}
	who, _, err := d.o.Sessions.Find(r.Context(), c.Value)
	if err != nil {
		if !errors.Is(err, login.ErrNone) {
			d.o.Log.Error("a session could not be looked up", "error", err)
		}
		return nil
	}
	v.who = who
	if d.o.API != nil {
		v.api = d.as(who)
	}
	return v
}

// as is a client of the API, as somebody.
func (d *Dashboard) as(who httpapi.Identity) *client.Client {
	return client.Through(inProcess{d.o.API(who)}, "http://api", "the API")
}

// known lets those in who are logged in and may look, and leads strangers to
// the login.
func (d *Dashboard) known(show func(*visit)) http.HandlerFunc {
	return d.loggedIn(func(v *visit) {
		if v.admitted(httpapi.Look) {
			show(v)
		}
	})
}

// admitted reports whether a page is for whoever asks for it: one by which they
// do what they may. False after it was answered.
func (v *visit) admitted(a httpapi.Action) bool {
	err := v.d.o.Access.Allowed(v.r.Context(), v.who, httpapi.Request{Action: a})
	var denied *httpapi.DeniedError
	switch {
	case err == nil:
		return true
	case errors.As(err, &denied):
		v.refuse(http.StatusForbidden, problem{Title: v.t("error.forbidden"), Detail: denied.Problem, Remedy: denied.Remedy})
	default:
		v.d.o.Log.Error("it could not be found out who may", "action", a, "error", err)
		v.fail(http.StatusServiceUnavailable, v.t("error.failed"), err.Error())
	}
	return false
}

// loggedIn lets those in who are logged in, and leads others to the login.
func (d *Dashboard) loggedIn(show func(*visit)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := d.visitor(w, r)
		if v != nil {
			show(v)
			return
		}
		to := d.o.Base + "/login"
		if r.Method == http.MethodGet && r.URL.Path != "/" {
			to += "?to=" + url.QueryEscape(r.URL.RequestURI())
		}
		if r.Header.Get("HX-Request") != "" {
			w.Header().Set("HX-Redirect", to)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
}

func (v *visit) t(key string, args ...any) string { return v.d.words.say(v.lang, key, args...) }

// may reports whether a button is worth showing.
func (v *visit) may(a httpapi.Action, release string) bool {
	return v.d.o.Access.Allowed(v.r.Context(), v.who, httpapi.Request{Action: a, Release: release}) == nil
}

// partial reports whether a script wants a part of a page.
func (v *visit) partial() bool { return v.r.Header.Get("HX-Request") != "" }

// page is what every page has.
type page struct {
	Lang, Title, Nav string
	Base, Path       string // Path with its query, for coming back to it
	Kind             string // of the stream: "" for none
	Name             string // of the release that the page is about
	Who              httpapi.Identity
	Alone            bool // it is no fleet's
	Version          string
	Serving          any // the fragment that every page begins with
	Body             any
}

// show answers with a whole page.
func (v *visit) show(name, title, nav string, live subject, body any) {
	v.answer(http.StatusOK, name, title, nav, live, body)
}

// answer is show with a status: that of what went wrong, where the page says so.
func (v *visit) answer(status int, name, title, nav string, live subject, body any) {
	m, err := v.d.hub.look(v.r.Context())
	if err != nil {
		v.d.o.Log.Error("the status could not be had", "error", err)
		http.Error(v.w, v.t("error.nostatus"), http.StatusInternalServerError)
		return
	}
	v.write(status, name, page{
		Lang: v.lang, Title: title, Nav: nav, Base: v.d.o.Base, Path: v.r.URL.RequestURI(),
		Kind: live.kind, Name: live.name, Who: v.who, Version: v.d.o.Version,
		Serving: v.d.serving(m, v.grants("")), Body: body,
	})
}

// write answers with a template.
func (v *visit) write(status int, name string, data any) {
	var b bytes.Buffer
	if err := v.d.templates[v.lang].ExecuteTemplate(&b, name, data); err != nil {
		v.d.o.Log.Error("a page could not be written", "page", name, "error", err)
		http.Error(v.w, v.t("error.nopage"), http.StatusInternalServerError)
		return
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.lang)
	h.Set("Vary", "Accept-Language, Accept-Encoding, Cookie, HX-Request")
	// What answers a form may hold a secret beside what somebody typed:
	// compressed, its length would tell of both.
	if v.r.Method != http.MethodGet || !takesGzip(v.r) {
		v.w.WriteHeader(status)
		_, _ = v.w.Write(b.Bytes())
		return
	}
	h.Set("Content-Encoding", "gzip")
	v.w.WriteHeader(status)
	z := gzip.NewWriter(v.w)
	_, _ = z.Write(b.Bytes())
	_ = z.Close()
}

// problem is what went wrong, for a page.
type problem struct {
	Title, Detail, Remedy string
	More                  []string
}

// problemOf says what the API's error means to a person.
func (v *visit) problemOf(err error) (status int, p problem) {
	var e *client.Error
	if !errors.As(err, &e) {
		v.d.o.Log.Error("the dashboard asked in vain", "path", v.r.URL.Path, "error", err)
		return http.StatusInternalServerError, problem{Title: v.t("error.failed"), Detail: err.Error()}
	}
	p = problem{Title: v.t("error.failed"), Detail: e.Detail, Remedy: e.Remedy}
	switch e.Code {
	case "refused":
		p.Title = v.t("error.refused")
	case "forbidden", "unauthorized":
		p.Title = v.t("error.forbidden")
	case "not-found":
		p.Title = v.t("error.notfound")
	case "stale":
		p.Title = v.t("error.stale")
	case "input":
		p.Title = v.t("error.input")
	}
	for _, one := range e.Errors {
		p.More = append(p.More, one.String())
	}
	return e.Status, p
}

// failed answers with what the API said.
func (v *visit) failed(err error) {
	status, p := v.problemOf(err)
	v.refuse(status, p)
}

func (v *visit) fail(status int, title, detail string) {
	v.refuse(status, problem{Title: title, Detail: detail})
}

func (v *visit) refuse(status int, p problem) {
	if v.partial() {
		v.write(status, "problem", p)
		return
	}
	data := page{Lang: v.lang, Title: p.Title, Base: v.d.o.Base, Path: "/", Who: v.who, Alone: v.d.hub == nil, Version: v.d.o.Version, Body: p}
	if v.d.hub != nil && v.who.Name != "" && v.may(httpapi.Look, "") {
		if m, err := v.d.hub.look(v.r.Context()); err == nil {
			data.Serving = v.d.serving(m, v.grants(""))
		}
	}
	v.write(status, "error", data)
}

// see sends the browser to another page.
func (v *visit) see(path string) {
	to := v.d.o.Base + path
	if v.partial() {
		v.w.Header().Set("HX-Redirect", to)
		v.w.WriteHeader(http.StatusNoContent)
		return
	}
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
}

// form reads one field of a form.
func (v *visit) form(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }

// maxForm bounds what is read of a form, in bytes.
const maxForm = 64 << 10

// readForm reads the form that was posted; false after it was answered.
func (v *visit) readForm() bool { return v.readUpTo(maxForm) }

// readUpTo is readForm for a form of so many bytes.
func (v *visit) readUpTo(most int64) bool {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, most)
	if err := v.r.ParseForm(); err != nil {
		v.fail(http.StatusBadRequest, v.t("error.input"), err.Error())
		return false
	}
	// What is done now may take longer than its request had to come.
	_ = http.NewResponseController(v.w).SetReadDeadline(time.Time{})
	return true
}
