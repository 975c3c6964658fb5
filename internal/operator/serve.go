package operator

import (
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/greenroom-dev/greenroom/internal/operator/pages"
	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// API answers for every fleet below /fleets/NAMESPACE/NAME/ as the embedded
// engine does at its root, with its dashboard there, and at /fleets/ to browsers
// with the list of the dashboards.
func (f *Fleets) API() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(fleetsPath+"/", http.StripPrefix(fleetsPath, f.list()))
	mux.Handle("/{$}", http.RedirectHandler(fleetsPath+"/", http.StatusSeeOther))
	mux.HandleFunc("/fleets/{namespace}/{fleet}/", func(w http.ResponseWriter, r *http.Request) {
		key := types.NamespacedName{Namespace: r.PathValue("namespace"), Name: r.PathValue("fleet")}
		e, ok := f.Engine(key)
		if !ok {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintf(w, `{"title":"Not kept","status":503,"code":"stopping","detail":%q,"remedy":%q}`+"\n",
				fmt.Sprintf("the operator does not keep a fleet %s", key), "kubectl get fleets -A shows them, and their conditions say why one is not kept")
			return
		}
		http.StripPrefix(pathOf(key), e.api).ServeHTTP(w, r)
	})
	return mux
}

// Pages answers what gateways send on below /.greenroom/, and pods that ask
// whether they are on stage.
func (f *Fleets) Pages() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/stage/", f.door)
	own := pages.New(pageFleets{f}, f.d.Now)
	mux.Handle("/.greenroom/", own)
	mux.Handle("/.greenroom", own)
	return mux
}

// pageFleets are the fleets whose pages are served.
type pageFleets struct{ *Fleets }

func (f pageFleets) Fleet(name types.NamespacedName) (pages.Fleet, bool) {
	e, ok := f.Engine(name)
	return paged{e}, ok
}

// paged is a fleet as its pages see it.
type paged struct{ e *Engine }

func (p paged) Verify(token string, now time.Time) (pass.Claims, error) {
	return p.e.book.Verify(token, now)
}

func (p paged) PassOpens(release, uid string) (stamp string, ok bool) {
	return kubernetes.PassOpens(p.e.controller.Record().State, release, uid)
}

func (p paged) Serving() string {
	s := p.e.controller.Record().State
	return s.Named(s.Default)
}

func (p paged) PublicURL() string { return p.e.edgeURL() }
