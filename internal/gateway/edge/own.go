package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/pass"
)

// own is the folder of the edge's own pages. Routes never see it.
const own = "/.greenroom"

// maxForm bounds what is read of a form: a pass and some.
const maxForm = pass.MaxToken + 4<<10

// serveOwn answers what lies below own.
func (h *Handler) serveOwn(w http.ResponseWriter, q *request, path string) {
	var page func(http.ResponseWriter, *request)
	allow := "GET, HEAD"
	read := q.Method == http.MethodGet || q.Method == http.MethodHead
	switch path {
	case own + "/default":
		if read {
			page = h.showDefault
		}
	case pass.LinkPath:
		allow = "GET, HEAD, POST"
		if read {
			page = h.showPass
		} else if q.Method == http.MethodPost {
			page = h.takePass
		}
	case own + "/leave":
		allow = "GET, HEAD, POST"
		if read {
			page = h.showLeave
		} else if q.Method == http.MethodPost {
			page = h.leave
		}
	default:
		h.refuse(w, q, gateway.CodeNoPage, fmt.Sprintf("Paths below %s are greenroom's own: %s/default, %s and %s/leave.", own, own, pass.LinkPath, own))
		return
	}
	if page == nil {
		h.gateway.Refuse(w, q.Request, q.line, gateway.Problem{Code: gateway.CodePageMethod, Detail: "It takes " + allow + ".", Allow: allow})
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Robots-Tag", "noindex")
	page(w, q)
	if q.line.Error == "" {
		q.line.Status = http.StatusOK
		h.gateway.Written(q.line)
	}
}

// showDefault answers which view ordinary requests get.
func (h *Handler) showDefault(w http.ResponseWriter, q *request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, q.snapshot.Default()+"\n")
}

// showPass is the page that a pass's link leads to. The token stands in the
// fragment, which stays in the browser; the page's script sends it in a body.
func (h *Handler) showPass(w http.ResponseWriter, q *request) {
	page := passPage{Title: "Preview pass"}
	if token := cookieOf(q.Header, passCookie); token != "" {
		page.describe(h, q, token)
	}
	h.pages.write(w, "pass", http.StatusOK, "no-referrer", &page)
}

// describe fills in what the pass in the cookie opens.
func (p *passPage) describe(h *Handler, q *request, token string) {
	v, problem := h.judge(q.snapshot, token)
	switch {
	case problem != nil:
		p.Refused = problem.Code.Title() + ". " + problem.Detail
	case v.rule.Access == gateway.Ordinary:
		p.Over = v.claims.Release
	default:
		p.Release, p.Stamp = v.claims.Release, v.rule.Stamp
		p.Until, p.Left = v.claims.ExpiresAt, until(v.claims.ExpiresAt, h.gateway.Now())
	}
}

// taken is what taking a pass answers to a script.
type taken struct {
	Release string    `json:"release"`
	Stamp   string    `json:"stamp,omitempty"` // none: ordinary traffic
	Until   time.Time `json:"until"`
}

// takePass turns a token into a cookie.
func (h *Handler) takePass(w http.ResponseWriter, q *request) {
	if !h.sameSite(w, q) {
		return
	}
	token, err := formValue(w, q.Request, "token")
	if err != nil || token == "" {
		h.refuse(w, q, gateway.CodePassMissing, fmt.Sprintf("Send the pass as `token` of a form (application/x-www-form-urlencoded) of at most %d bytes.", maxForm))
		return
	}
	v, problem := h.judge(q.snapshot, token)
	if problem != nil {
		h.deny(w, q, audience{}, *problem)
		return
	}
	answer := taken{Release: v.claims.Release, Until: v.claims.ExpiresAt}
	if v.rule.Access == gateway.Preview {
		answer.Stamp = v.rule.Stamp
		http.SetCookie(w, newPassCookie(token, v.claims.ExpiresAt, h.gateway.Now(), q.from.https))
	} else {
		http.SetCookie(w, clearedCookie(passCookie, q.from.https))
	}
	if wantsHTML(q.Request) {
		http.Redirect(w, q.Request, pass.LinkPath, http.StatusSeeOther)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer)
}

// showLeave is the page with the button alone, for where the pass's page has
// no script.
func (h *Handler) showLeave(w http.ResponseWriter, q *request) {
	h.pages.write(w, "leave", http.StatusOK, "same-origin", &passPage{Title: "Leave the preview", To: "/"})
}

// leave clears the cookie and leads back to where the browser was.
func (h *Handler) leave(w http.ResponseWriter, q *request) {
	if !h.sameSite(w, q) {
		return
	}
	to, err := formValue(w, q.Request, "to")
	if err != nil || !localPath(to) {
		to = "/"
	}
	http.SetCookie(w, clearedCookie(passCookie, q.from.https))
	if !wantsHTML(q.Request) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// sameSite refuses forms that another site's page sent, so that nobody is put
// into a preview or taken out of one unasked.
func (h *Handler) sameSite(w http.ResponseWriter, q *request) bool {
	protection := http.NewCrossOriginProtection()
	if public := q.snapshot.Edge.PublicURL; public != "" {
		// A malformed one trusts nobody, which is what it should do.
		_ = protection.AddTrustedOrigin(strings.TrimRight(public, "/"))
	}
	if err := protection.Check(q.Request); err != nil {
		h.refuse(w, q, gateway.CodeCrossSite, "A pass is taken and left only on the fleet's own pages. Open the link yourself.")
		return false
	}
	return true
}

// deny answers a pass that opens nothing: a page for people, with a way out,
// and a problem for programs.
func (h *Handler) deny(w http.ResponseWriter, q *request, who audience, p gateway.Problem) {
	if !wantsHTML(q.Request) || gateway.IsGRPC(q.Request) {
		forbidCaching(w.Header())
		h.gateway.Refuse(w, q.Request, q.line, p)
		return
	}
	page := passPage{Title: p.Code.Title(), Refused: p.Detail, To: "/", ByHeader: who.byHeader}
	if q.Method == http.MethodGet && localPath(q.URL.RequestURI()) && !strings.HasPrefix(q.URL.Path, own) {
		page.To = q.URL.RequestURI()
	}
	h.gateway.Mark(w.Header(), p)
	forbidCaching(w.Header())
	h.pages.write(w, "denied", p.Code.Status(), "same-origin", &page)
	q.line.Status, q.line.Error = p.Code.Status(), p.Code
	h.gateway.Log().Debug("a pass was refused", "code", p.Code, "request", q.id)
	h.gateway.Written(q.line)
}

// localPath reports whether a browser that is sent there stays on this site.
func localPath(to string) bool {
	return strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//") && !strings.ContainsAny(to, "\\\r\n\t")
}

// formValue reads one field of a form in the body. A query never counts: it
// would be in logs.
func formValue(w http.ResponseWriter, r *http.Request, name string) (string, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return "", fmt.Errorf("reading the form: %w", err)
	}
	if len(r.PostForm[name]) > 1 {
		return "", errors.New("the field stands there twice")
	}
	return r.PostForm.Get(name), nil
}
