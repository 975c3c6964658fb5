// Package passpage is what a browser meets below /.greenroom/: the pages on
// which people take a pass, see what it opens, and leave the preview, and the
// cookie that carries the pass.
//
// It owns the pages' content and the cookie, the same for both engines. What a
// pass opens, and where the pages are served, is theirs to say; of greenroom it
// imports package pass alone.
//
// Start at Desk.Serve; held.go says which cookies there are, badge.go how the
// badge comes into other pages.
package passpage

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

// Own is the folder of greenroom's own pages. No service ever sees it.
const Own = "/.greenroom"

// LeavePath is where people leave a preview. A pass is taken at pass.LinkPath.
const LeavePath = Own + "/leave"

// Name names a page.
type Name string

// The pages.
const (
	Pass   Name = "pass"   // what the pass opens; its script takes the one in the address's fragment
	Leave  Name = "leave"  // the button alone, for where the pass's page has no script
	Denied Name = "denied" // a pass that opens nothing
)

// Page is what the pages say.
type Page struct {
	Lang     Lang
	Serving  string // the release that everybody gets
	Release  string // that the pass in use opens
	Stamp    string // of its view
	Rebuilt  bool   // which has another name than the release
	Subject  string // whom the pass was made for
	Paths    []string
	Until    time.Time
	Left     string   // until then, in words
	Over     string   // release that is what everybody gets now
	Refusal  *Refusal // why the pass in use opens nothing
	Held     []HeldPass
	ByHeader bool   // the pass came in a header, which no button removes
	To       string // where buttons lead
	Badge    bool   // the fleet allows it
	BadgeOff bool   // this browser does not show it
}

// HeldPass is one of the passes that a browser holds.
type HeldPass struct {
	Opened
	Key   string // that buttons name it by
	Name  string // as people are told it
	Left  string
	InUse bool
	Why   string // it opens nothing
}

// Set is the pages, ready to be written. It is safe for concurrent use.
type Set struct{ set *template.Template }

// NewSet reads the pages.
func NewSet() *Set { return &Set{set: template.Must(template.New("pages").Parse(pagesHTML))} }

// Write answers with a page. Nothing but its own style and script runs on it, it
// loads nothing, and nobody may frame it. referrer is a Referrer-Policy.
func (s *Set) Write(w http.ResponseWriter, name Name, status int, referrer string, page Page) {
	nonce := rand.Text()
	var b strings.Builder
	if err := s.set.ExecuteTemplate(&b, string(name), struct {
		Page
		Nonce string
		W     words
	}{page, nonce, page.Lang.words()}); err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+nonce+"'; script-src 'nonce-"+nonce+
		"'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", referrer)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	w.WriteHeader(status)
	w.Write([]byte(b.String()))
}

// Taken is what taking a pass answers to a script.
type Taken struct {
	Release string    `json:"release"`
	Stamp   string    `json:"stamp,omitempty"` // none: ordinary traffic
	Until   time.Time `json:"until"`
}
