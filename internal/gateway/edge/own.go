package edge

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/field"
	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/passpage"
)

// serveOwn answers what lies below passpage.Own.
func (h *Handler) serveOwn(w http.ResponseWriter, q *request, path string) {
	if token, rest, ok := callbackOf(path); ok {
		h.serveCallback(w, q, token, rest)
		return
	}
	if path == passpage.Own+"/default" {
		h.showDefault(w, q)
		return
	}
	found, allow := h.desk(q).Serve(w, q.raw, path)
	switch {
	case !found:
		h.refuse(w, q, gateway.Problem{Code: gateway.CodeNoPage, Detail: fmt.Sprintf("Paths below %s are greenroom's own: %s/, %s/default, %s, %s, and callback addresses below %s.", passpage.Own, passpage.Own, passpage.Own, pass.LinkPath, passpage.LeavePath, pass.CallbackPath)})
	case allow != "":
		h.refuse(w, q, gateway.Problem{Code: gateway.CodePageMethod, Detail: "It takes " + allow + ".", Allow: allow})
	case !q.logged:
		q.written(http.StatusOK, "")
	}
}

// desk answers a visit to the pages that both engines have.
func (h *Handler) desk(q *request) passpage.Desk {
	serving := q.snapshot.Serving
	if serving == "" {
		serving, _, _ = strings.Cut(q.snapshot.Default(), ".")
	}
	return passpage.Desk{
		Set: h.pages, Now: h.gateway.Now(), HTTPS: q.from.https, PublicURL: q.snapshot.Edge.PublicURL, Serving: serving, Badge: q.snapshot.Edge.Badge,
		Judge: func(token string) passpage.Opened {
			v, problem := h.judge(q.snapshot, token)
			o := passpage.Opened{Release: v.claims.Release, Live: v.claims.Live, Subject: v.claims.Subject, Until: v.claims.ExpiresAt, Paths: v.claims.Paths}
			switch {
			case problem != nil:
				o.Refused = refusal(*problem, v.claims.Release)
			case v.rule.Access == gateway.Preview:
				o.Stamp = v.rule.Stamp
			}
			return o
		},
		Refuse: func(w http.ResponseWriter, _ *http.Request, why passpage.Refusal) {
			forbidCaching(field.Map(w.Header()))
			h.refuse(w, q, gateway.Problem{Code: gateway.Code(why.Code), Detail: why.Detail})
		},
		Mark: func(header http.Header, why passpage.Refusal) {
			p := gateway.Problem{Code: gateway.Code(why.Code), Detail: why.Detail}
			h.gateway.Mark(field.Map(header), p)
			forbidCaching(field.Map(header))
			h.gateway.Log().Debug("a pass was refused", "code", p.Code, "request", q.id)
			q.written(p.Code.Status(), p.Code)
		},
	}
}

func refusal(p gateway.Problem, release string) *passpage.Refusal {
	return &passpage.Refusal{Code: string(p.Code), Release: release, Title: p.Code.Title(), Detail: p.Detail}
}

// showDefault answers which view ordinary requests get.
func (h *Handler) showDefault(w http.ResponseWriter, q *request) {
	if q.Method != http.MethodGet && q.Method != http.MethodHead {
		h.refuse(w, q, gateway.Problem{Code: gateway.CodePageMethod, Detail: "It takes GET, HEAD.", Allow: "GET, HEAD"})
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Robots-Tag", "noindex")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, q.snapshot.Default()+"\n")
	q.written(http.StatusOK, "")
}

// deny answers a pass that opens nothing: a page for people, with a way out,
// and a problem for programs.
func (h *Handler) deny(w http.ResponseWriter, q *request, who audience, p gateway.Problem) {
	if !q.wantsHTML() || q.IsGRPC() {
		forbidCaching(field.Map(w.Header()))
		h.refuse(w, q, p)
		return
	}
	to := "/"
	if q.Method == http.MethodGet && !strings.HasPrefix(q.URL.Path, passpage.Own) {
		to = q.URL.RequestURI()
	}
	h.desk(q).Deny(w, q.raw, *refusal(p, who.release), to, who.byHeader)
}
