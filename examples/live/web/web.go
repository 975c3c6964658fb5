// Package web is the demo fleet's front: the page that a person opens.
//
// It owns the page and judges whether the services behind it belong together. A
// page load crosses web, api, gift and wallet; web passes the stamp on with the
// propagate library, in two lines of Run. Everything else the page does, the
// browser asks the edge for: /api and /chat/ws. Start at Run.
package web

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/url"

	"github.com/greenroom-dev/greenroom/examples/live/internal/boot"
	"github.com/greenroom-dev/greenroom/examples/live/internal/trail"
	"github.com/greenroom-dev/greenroom/propagate"
)

// The page is one answer with its style and script inside: a page whose parts
// are fetched one by one could get them from two releases.
//
//go:embed page
var files embed.FS

// Run serves the page until ctx ends.
func Run(ctx context.Context, p boot.Process) error {
	api, err := p.Callee("api")
	if err != nil {
		return err
	}
	page, err := template.ParseFS(files, "page/*")
	if err != nil {
		return fmt.Errorf("reading the page: %w", err)
	}
	carry := propagate.New(propagate.WithEnviron(p.Environ()))
	s := &server{process: p, api: api, page: page, client: p.Client(carry.Transport)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.index)
	mux.HandleFunc("GET /path", s.path)
	mux.HandleFunc("POST /path", s.path)
	return p.ServeHTTP(ctx, carry.Middleware(mux), propagate.Base)
}

type server struct {
	process boot.Process
	api     string
	page    *template.Template
	client  *http.Client
}

// view is what the page is made of.
type view struct {
	Title, Streamer  string
	Viewers          int
	Balance          int64
	Path             trail.Trail
	Mixed            bool
	Error            string
	Version, Release string // of this web; Release is the stamp, "" outside greenroom
	First            bool   // no release was made yet
	Twice            bool   // gifts can be sent twice: what version 2 brings
	Viewer, Nonce    string
}

func (s *server) index(w http.ResponseWriter, r *http.Request) {
	v := view{
		Version: s.process.Version, Twice: s.process.Second(),
		Viewer: viewer(w, r), Nonce: rand.Text(),
		Path: trail.Trail{s.process.Hop()},
	}
	v.Release = propagate.StampFrom(r.Context())
	v.First = v.Release == "baseline"
	status := http.StatusOK
	if err := s.ask(r.Context(), &v); err != nil {
		v.Error, status = err.Error(), http.StatusBadGateway
		s.process.Log.Error("the page is incomplete", "error", err)
	}
	if v.Mixed = v.Mixed || v.Path.Mixed(); v.Mixed {
		status = http.StatusInternalServerError
	}
	h := w.Header()
	trail.Mark(h, v.Path, v.Mixed)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "+
		"style-src 'nonce-"+v.Nonce+"'; script-src 'nonce-"+v.Nonce+"'")
	w.WriteHeader(status)
	if err := s.page.ExecuteTemplate(w, "live.html", v); err != nil {
		s.process.Log.Error("writing the page", "error", err)
	}
}

// ask fills the view with what the api knows.
func (s *server) ask(ctx context.Context, v *view) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.api+"/api/room?viewer="+url.QueryEscape(v.Viewer), nil)
	if err != nil {
		return fmt.Errorf("asking api for the room: %w", err)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("asking api for the room: %w", err)
	}
	defer res.Body.Close()
	v.Path = trail.Of(res.Header).Behind(s.process.Hop())
	v.Mixed = res.Header.Get(trail.MixedHeader) != ""
	body, err := io.ReadAll(io.LimitReader(res.Body, trail.MaxBody))
	if err != nil {
		return fmt.Errorf("reading the room: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("api answered %s: %s", res.Status, body)
	}
	var room struct {
		Title, Streamer string
		Viewers         int
		Balance         int64
	}
	if err := json.Unmarshal(body, &room); err != nil {
		return fmt.Errorf("reading the room: %w", err)
	}
	v.Title, v.Streamer, v.Viewers, v.Balance = room.Title, room.Streamer, room.Viewers, room.Balance
	return nil
}

// path crosses all four services and answers which versions those were. A body
// is passed on as it comes in, and must have arrived at the wallet as it left.
func (s *server) path(w http.ResponseWriter, r *http.Request) {
	hash := sha256.New()
	if r.Method == http.MethodPost {
		r.Body = tee{io.TeeReader(http.MaxBytesReader(w, r.Body, trail.MaxBody), hash), r.Body}
	}
	answer, status := trail.Cross(s.client, r, s.api+"/api/path", s.process.Hop())
	if r.Method == http.MethodPost && status == http.StatusOK {
		if sent := hex.EncodeToString(hash.Sum(nil)); answer.Digest != sent {
			answer.Error, status = fmt.Sprintf("%s left here and %s arrived", sent, answer.Digest), http.StatusBadGateway
		}
	}
	answer.Write(w, status)
}

type tee struct {
	io.Reader
	io.Closer
}

// viewer returns the name that this browser goes by, and gives it one at its
// first visit.
func viewer(w http.ResponseWriter, r *http.Request) string {
	cookie, err := r.Cookie("live_viewer")
	if errors.Is(err, http.ErrNoCookie) || cookie.Value == "" || len(cookie.Value) > 40 {
		cookie = &http.Cookie{
			Name: "live_viewer", Value: "guest-" + rand.Text()[:5], Path: "/",
			MaxAge: 30 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		}
		http.SetCookie(w, cookie)
	}
	return cookie.Value
}
