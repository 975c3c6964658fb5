package passpage

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/internal/pass"
)

// Opened is what a pass opens at present.
type Opened struct {
	Release string
	Live    bool   // it opens whatever serves, which Release names at present
	Subject string // whom it was made for
	Stamp   string // of the view that it opens; "": what everybody gets
	Until   time.Time
	Paths   []string // that it is limited to; nil: none
	Refused *Refusal // nil: it opens Stamp
}

// Refusal is why something is not done. Code names it for programs.
type Refusal struct {
	Code    string
	Release string // the pass's, where it is known
	Title   string
	Detail  string
}

// Desk answers one visit to the pages.
type Desk struct {
	Set       *Set
	Now       time.Time
	HTTPS     bool   // the browser came by it
	PublicURL string // "" where it is not known
	Serving   string // the release that everybody gets, as people are told it
	Badge     bool   // the fleet allows it

	// Judge says what a token opens.
	Judge func(token string) Opened
	// Refuse answers a program, by the code of a Refusal.
	Refuse func(w http.ResponseWriter, r *http.Request, why Refusal)
	// Mark sets the header of a page that refuses, and notes it.
	Mark func(h http.Header, why Refusal)
}

// page is one of the pages.
type page struct {
	get, post func(Desk, http.ResponseWriter, *http.Request)
}

// pages are all of them by their paths.
func pages() map[string]page {
	return map[string]page{
		Own:           {get: Desk.home},
		pass.LinkPath: {get: Desk.home, post: Desk.take},
		LeavePath:     {get: Desk.showLeave, post: Desk.leave},
		SwitchPath:    {post: Desk.change},
		ForgetPath:    {post: Desk.forget},
		BadgePath:     {post: Desk.setBadge},
		ScriptPath:    {get: Desk.script},
	}
}

// Paths are where the pages lie.
const (
	SwitchPath = Own + "/switch" // to another release, or on
	ForgetPath = Own + "/forget" // a pass
	BadgePath  = Own + "/badge"  // on or off
	ScriptPath = Own + "/badge.js"
)

// Serve answers a visit to a path, as the engine compares paths. It returns false
// for one where no page lies, and the methods that are taken where the one that
// was sent is not: nothing is answered then.
func (d Desk) Serve(w http.ResponseWriter, r *http.Request, path string) (found bool, allow string) {
	p, ok := pages()[path]
	if !ok {
		return false, ""
	}
	serve := p.get
	if r.Method == http.MethodPost {
		serve = p.post
	} else if r.Method != http.MethodGet && r.Method != http.MethodHead {
		serve = nil
	}
	if serve == nil {
		switch {
		case p.post == nil:
			return true, "GET, HEAD"
		case p.get == nil:
			return true, "POST"
		}
		return true, "GET, HEAD, POST"
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Robots-Tag", "noindex")
	if r.Method == http.MethodPost && !SameSite(r, d.PublicURL) {
		d.Refuse(w, r, Refusal{Code: "cross-site", Detail: "A pass is taken and left only on the fleet's own pages. Open the link yourself."})
		return true, ""
	}
	serve(d, w, r)
	return true, ""
}

// liveKey stands among the names of releases, which have no dot, for whatever
// serves.
const liveKey = ".live"

// key is what a browser keeps a pass by: a release's name, or liveKey.
func (o Opened) key() string {
	if o.Live {
		return liveKey
	}
	return o.Release
}

// home shows what the browser gets, and the passes that it holds. It is where a
// pass's link leads, too: the token stands in the fragment, which stays in the
// browser, and the page's script sends it in a body.
func (d Desk) home(w http.ResponseWriter, r *http.Request) {
	p := Page{Serving: d.Serving, Lang: Language(r), To: localOr(r.URL.Query().Get("to"), "/")}
	p.Badge, p.BadgeOff = d.Badge, CookieOf(r.Header, BadgeCookie) == "off"
	using := CookieOf(r.Header, CookieName)
	if using != "" {
		o := d.Judge(using)
		switch {
		case o.Refused != nil:
			p.Refusal = p.Lang.refusal(*o.Refused)
		case o.Stamp == "":
			p.Over = o.Release
		default:
			p.Release, p.Stamp, p.Subject, p.Paths = d.called(o), o.Stamp, o.Subject, o.Paths
			p.Rebuilt = !o.Live && o.Stamp != o.Release
			p.Until, p.Left = o.Until, p.Lang.Left(o.Until, d.Now)
		}
	}
	for _, token := range heldBy(r.Header) {
		o := d.Judge(token)
		held := HeldPass{Opened: o, Key: o.key(), Name: d.called(o), Left: p.Lang.Left(o.Until, d.Now), InUse: token == using}
		if o.Live {
			held.Name = p.Lang.words().With(p.Lang.words().LivePass, held.Name)
		}
		if o.key() == "" || o.Refused == nil && o.Stamp == "" {
			continue // nothing that anybody could do something about
		}
		if o.Refused != nil {
			held.Why = p.Lang.refusal(*o.Refused).Title
		}
		p.Held = append(p.Held, held)
	}
	slices.SortFunc(p.Held, func(a, b HeldPass) int { return strings.Compare(a.Release, b.Release) })
	d.Set.Write(w, Pass, http.StatusOK, "no-referrer", p)
}

// called is what a pass opens as people are told it.
func (d Desk) called(o Opened) string {
	if o.Live && d.Serving != "" {
		return d.Serving
	}
	return o.Release
}

// take turns a token into a cookie.
func (d Desk) take(w http.ResponseWriter, r *http.Request) {
	token, err := FormValue(w, r, "token")
	if err != nil || token == "" {
		d.Refuse(w, r, Refusal{Code: "pass-missing", Detail: fmt.Sprintf("Send the pass as `token` of a form (application/x-www-form-urlencoded) of at most %d bytes.", MaxForm)})
		return
	}
	o := d.Judge(token)
	if o.Refused != nil {
		d.Deny(w, r, *o.Refused, "/", false)
		return
	}
	d.use(w, r, token, o)
	if WantsHTML(r) {
		http.Redirect(w, r, pass.LinkPath, http.StatusSeeOther)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(Taken{Release: o.Release, Stamp: o.Stamp, Until: o.Until})
}

// use makes a pass the one that the browser sends, and keeps it among those
// that it holds.
func (d Desk) use(w http.ResponseWriter, r *http.Request, token string, o Opened) {
	if o.Stamp == "" {
		http.SetCookie(w, ClearedCookie(d.HTTPS))
		return
	}
	http.SetCookie(w, NewCookie(token, o.Until, d.Now, d.HTTPS))
	d.hold(w, r, token, o)
	if CookieOf(r.Header, OffCookie) != "" {
		http.SetCookie(w, cleared(OffCookie, d.HTTPS))
	}
}

// showLeave is the page with the button alone, for where the pass's page has no
// script.
func (d Desk) showLeave(w http.ResponseWriter, r *http.Request) {
	d.Set.Write(w, Leave, http.StatusOK, "same-origin", Page{Lang: Language(r), To: localOr(r.URL.Query().Get("to"), "/")})
}

// leave lets the browser get what everybody gets, and leads back to where it
// was. The passes that it holds stay.
func (d Desk) leave(w http.ResponseWriter, r *http.Request) {
	to, err := FormValue(w, r, "to")
	if err != nil {
		to = "/"
	}
	http.SetCookie(w, ClearedCookie(d.HTTPS))
	if token := CookieOf(r.Header, CookieName); token != "" && d.Badge {
		if o := d.Judge(token); o.Refused == nil && o.Stamp != "" {
			http.SetCookie(w, named(OffCookie, token, o.Until, d.Now, d.HTTPS))
		}
	}
	d.back(w, r, to)
}

// change turns the browser to a release that it holds a pass for.
func (d Desk) change(w http.ResponseWriter, r *http.Request) {
	release, err := FormValue(w, r, "release")
	token := ""
	for _, one := range heldBy(r.Header) {
		if o := d.Judge(one); o.key() == release {
			token = one
		}
	}
	if err != nil || token == "" {
		d.Deny(w, r, Refusal{Code: "pass-missing", Detail: "This browser holds no pass for that release. Open its link again."}, "/", false)
		return
	}
	o := d.Judge(token)
	if o.Refused != nil {
		d.Deny(w, r, *o.Refused, "/", false)
		return
	}
	d.use(w, r, token, o)
	d.back(w, r, r.PostForm.Get("to"))
}

// forget takes a pass away from the browser.
func (d Desk) forget(w http.ResponseWriter, r *http.Request) {
	release, err := FormValue(w, r, "release")
	if err == nil && heldName(release) != "" {
		http.SetCookie(w, clearedHeld(release, d.HTTPS))
		for _, name := range []string{CookieName, OffCookie} {
			if token := CookieOf(r.Header, name); token != "" && d.Judge(token).key() == release {
				http.SetCookie(w, cleared(name, d.HTTPS))
			}
		}
	}
	d.back(w, r, Own+"/")
}

// setBadge shows the badge in this browser, or does not.
func (d Desk) setBadge(w http.ResponseWriter, r *http.Request) {
	show, err := FormValue(w, r, "show")
	c := cookie(BadgeCookie, d.HTTPS)
	c.Value, c.MaxAge = "off", int(pass.Longest/time.Second)
	if err != nil || show != "off" {
		c = cleared(BadgeCookie, d.HTTPS)
	}
	http.SetCookie(w, c)
	d.back(w, r, r.PostForm.Get("to"))
}

// back leads to where the browser was, on this site.
func (d Desk) back(w http.ResponseWriter, r *http.Request, to string) {
	if !WantsHTML(r) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Location", localOr(to, "/"))
	w.WriteHeader(http.StatusSeeOther)
}

// Deny answers a pass that opens nothing: a page for people, with a way out that
// leads to a path, and a problem for programs.
func (d Desk) Deny(w http.ResponseWriter, r *http.Request, why Refusal, to string, byHeader bool) {
	lang := Language(r)
	if !WantsHTML(r) {
		why.Detail = lang.refusal(why).Detail
		d.Refuse(w, r, why)
		return
	}
	d.Mark(w.Header(), why)
	d.Set.Write(w, Denied, http.StatusForbidden, "same-origin", Page{Lang: lang, Refusal: lang.refusal(why), To: localOr(to, "/"), ByHeader: byHeader})
}

func localOr(to, otherwise string) string {
	if LocalPath(to) {
		return to
	}
	return otherwise
}
