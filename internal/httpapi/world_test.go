package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/client"
)

// world answers operations for tests in which only HTTP matters.
type world struct {
	mu      sync.Mutex
	done    []string // operations that changed something: who did what
	events  []client.Event
	changed chan struct{}
	tokens  map[string]string // role by secret; the name is the role's
	fail    error             // what every operation but the streams fails with
	hang    chan struct{}     // Promote waits for it
	lines   func(ctx context.Context, each func(client.LogLine) error) error
}

func newWorld() *world {
	return &world{
		changed: make(chan struct{}),
		tokens:  map[string]string{"s-viewer": "viewer", "s-tester": "tester", "s-operator": "operator", "s-admin": "admin", "s-odd": "owner"},
	}
}

func (w *world) did(who, what string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail == nil {
		w.done = append(w.done, who+" "+what)
	}
	return w.fail
}

func (w *world) changes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.done)
}

// happens adds an event and tells those who follow.
func (w *world) happens(e client.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.Seq = uint64(len(w.events) + 1)
	w.events = append(w.events, e)
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *world) Token(_ context.Context, secret string) (string, string, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if secret == "s-broken" {
		return "", "", false, errors.New("the disk is gone")
	}
	role, ok := w.tokens[secret]
	return role, role, ok, nil
}

func (w *world) revoke(secret string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.tokens, secret)
}

func (w *world) Status(context.Context) (client.Status, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return client.Status{Fleet: "live", Revision: uint64(len(w.events)), Now: time.Now()}, w.fail
}

func (w *world) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

func (w *world) Events(_ context.Context, q EventQuery) ([]client.Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []client.Event
	for _, e := range w.events {
		if (q.Tail && (q.Before == 0 || e.Seq < q.Before) || !q.Tail && e.Seq > q.After) && (q.Release == "" || q.Release == e.Release) {
			out = append(out, e)
		}
	}
	if q.Tail {
		return out[max(0, len(out)-q.Limit):], nil
	}
	return out[:min(len(out), q.Limit)], nil
}

func (w *world) Logs(ctx context.Context, _ LogQuery, each func(client.LogLine) error) error {
	if w.lines == nil {
		return w.fail
	}
	return w.lines(ctx, each)
}

func (w *world) Promote(ctx context.Context, who, name string, _ client.Promote) (client.Changed, error) {
	if w.hang != nil {
		select {
		case <-w.hang:
		case <-ctx.Done():
			return client.Changed{}, ctx.Err()
		}
	}
	if name == "panics" {
		panic("a fault, with s-admin in it")
	}
	return client.Changed{}, w.did(who, "promote "+name)
}

func (w *world) Flow(_ context.Context, points int) (client.Flow, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return client.Flow{At: time.Unix(int64(len(w.events)), 0), Every: float64(points)}, w.fail
}
func (w *world) Fleet(context.Context) (client.Fleet, error) { return client.Fleet{}, w.fail }
func (w *world) ApplyFleet(_ context.Context, who string, _ client.FleetApply) (client.FleetChange, error) {
	return client.FleetChange{}, w.did(who, "apply")
}
func (w *world) Releases(context.Context) ([]client.Release, error) { return nil, w.fail }
func (w *world) Release(context.Context, string) (client.Release, error) {
	return client.Release{}, w.fail
}
func (w *world) OpenRelease(_ context.Context, who string, _ client.Open) (client.Changed, error) {
	return client.Changed{}, w.did(who, "open")
}
func (w *world) Rebase(_ context.Context, who, name string, _ client.Asked) (client.Changed, error) {
	return client.Changed{}, w.did(who, "rebase "+name)
}
func (w *world) Verify(_ context.Context, who, name string, _ client.Verify) (client.Changed, error) {
	return client.Changed{}, w.did(who, "verify "+name)
}
func (w *world) Rollback(_ context.Context, who, name string, _ client.Asked) (client.Changed, error) {
	return client.Changed{}, w.did(who, "rollback "+name)
}
func (w *world) Revert(_ context.Context, who, name string, _ client.Revert) (client.Changed, error) {
	return client.Changed{}, w.did(who, "revert "+name)
}
func (w *world) Settle(_ context.Context, who, name string, _ client.Asked) (client.Changed, error) {
	return client.Changed{}, w.did(who, "settle "+name)
}
func (w *world) Abort(_ context.Context, who, name string, _ client.Asked) (client.Changed, error) {
	return client.Changed{}, w.did(who, "abort "+name)
}
func (w *world) Hold(context.Context) (client.Hold, error) { return client.Hold{}, w.fail }
func (w *world) HoldOn(_ context.Context, who string, _ client.HoldOn) (client.HoldChanged, error) {
	return client.HoldChanged{}, w.did(who, "hold on")
}
func (w *world) HoldOff(_ context.Context, who string, _ client.Asked) (client.HoldChanged, error) {
	return client.HoldChanged{}, w.did(who, "hold off")
}
func (w *world) SignOff(_ context.Context, who, name string, in client.Say) (client.Changed, error) {
	return client.Changed{}, w.did(who, "sign off "+name+" "+in.Item)
}
func (w *world) Approve(_ context.Context, who, name string, _ client.Approve) (client.Changed, error) {
	return client.Changed{}, w.did(who, "approve "+name)
}
func (w *world) CancelPromotion(_ context.Context, who, name string, _ client.Asked) (client.Changed, error) {
	return client.Changed{}, w.did(who, "cancel "+name)
}
func (w *world) LockFleet(_ context.Context, who string, _ client.LockFleet) (client.Changed, error) {
	return client.Changed{}, w.did(who, "lock")
}
func (w *world) UnlockFleet(_ context.Context, who string, _ client.UnlockFleet) (client.Changed, error) {
	return client.Changed{}, w.did(who, "unlock")
}
func (w *world) Notifications(context.Context) ([]client.Notification, error) { return nil, w.fail }
func (w *world) TestNotification(_ context.Context, who, name string, _ client.Asked) (client.Told, error) {
	return client.Told{}, w.did(who, "test "+name)
}
func (w *world) MintPass(_ context.Context, who string, _ client.MintPass) (client.MintedPass, error) {
	return client.MintedPass{}, w.did(who, "mint")
}
func (w *world) MintCallback(_ context.Context, who string, _ client.MintCallback) (client.MintedCallback, error) {
	return client.MintedCallback{}, w.did(who, "callback")
}
func (w *world) Passes(context.Context) ([]client.Pass, error) { return nil, w.fail }
func (w *world) RevokePass(_ context.Context, who, id string, _ client.Asked) (client.Pass, error) {
	return client.Pass{}, w.did(who, "revoke pass "+id)
}
func (w *world) MakeToken(_ context.Context, who string, _ client.MakeToken) (client.MadeToken, error) {
	return client.MadeToken{}, w.did(who, "make token")
}
func (w *world) MakeLogin(_ context.Context, who string, _ client.MakeLogin) (client.MadeLogin, error) {
	return client.MadeLogin{}, w.did(who, "make login")
}
func (w *world) Tokens(context.Context) ([]client.Token, error) { return nil, w.fail }
func (w *world) RevokeToken(_ context.Context, who, id string, _ client.Asked) (client.Token, error) {
	return client.Token{}, w.did(who, "revoke token "+id)
}
func (w *world) Doctor(context.Context) ([]client.Finding, error) { return nil, w.fail }
func (w *world) Shutdown(_ context.Context, who string, _ client.Shutdown) error {
	return w.did(who, "shutdown")
}

// trial is a server over a world, at a socket and at a port.
type trial struct {
	*world
	server *Server
	url    string // of the port
	socket string
	log    *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newServer(w *world, log io.Writer) *Server {
	return New(Options{
		Operations: w, Access: ByRole(w), Version: "test", Now: time.Now,
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "up 1") }),
		Log:     slog.New(slog.NewTextHandler(log, nil)),
	})
}

// serve runs a server, adjusted before it listens.
func serve(t *testing.T, adjust ...func(*Server)) *trial {
	t.Helper()
	out := &trial{world: newWorld(), log: &lockedBuffer{}, socket: filepath.Join(t.TempDir(), "s")}
	out.server = newServer(out.world, out.log)
	for _, f := range adjust {
		f(out.server)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unix, err := net.Listen("unix", out.socket)
	if err != nil {
		t.Fatal(err)
	}
	out.url = "http://" + tcp.Addr().String()
	var work sync.WaitGroup
	work.Go(func() { _ = out.server.ServeTCP(tcp) })
	work.Go(func() { _ = out.server.ServeSocket(unix) })
	t.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		_ = out.server.Shutdown(now)
		work.Wait()
	})
	return out
}

// ask sends a request to the port and returns the answer with its body.
func (s *trial) ask(t *testing.T, method, path, secret, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(data)
}

// problemOf reads an answer that must be a problem.
func problemOf(t *testing.T, resp *http.Response, body string) client.Error {
	t.Helper()
	var p client.Error
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		t.Fatalf("%s is no problem: %v", body, err)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type is %s", got)
	}
	if p.Status != resp.StatusCode || p.Title != http.StatusText(resp.StatusCode) {
		t.Errorf("the problem says %d %s, the answer %s", p.Status, p.Title, resp.Status)
	}
	if p.Type != "urn:greenroom:api:"+p.Code {
		t.Errorf("type is %s with code %s", p.Type, p.Code)
	}
	return p
}
