package edge

import (
	"crypto/rand"
	_ "embed"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
)

//go:embed pages.html
var pagesHTML string

// pages are the edge's own documents.
type pages struct{ set *template.Template }

func newPages() *pages {
	return &pages{set: template.Must(template.New("pages").Parse(pagesHTML))}
}

// passPage is what the pages say.
type passPage struct {
	Title    string
	Nonce    string
	Release  string
	Stamp    string
	Until    time.Time
	Left     string
	Over     string // release that is what everybody gets now
	Refused  string
	ByHeader bool   // the pass came in a header, which no button removes
	To       string // where leaving leads
}

// write renders a page. Nothing but its own style and script runs on it, it
// loads nothing, and nobody may frame it.
func (p *pages) write(w http.ResponseWriter, name string, status int, referrer string, page *passPage) {
	page.Nonce = rand.Text()
	var b strings.Builder
	if err := p.set.ExecuteTemplate(&b, name, page); err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+page.Nonce+"'; script-src 'nonce-"+page.Nonce+
		"'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", referrer)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	w.WriteHeader(status)
	w.Write([]byte(b.String()))
}
