package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/app"
	"github.com/greenroom-dev/greenroom/internal/config"
	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway/edge"
)

// patience is how long a test waits for what should come at once.
const patience = 2 * time.Minute

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// endpoint is a service that something else runs.
func endpoint(t *testing.T, answer string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// greenroom runs a whole greenroom over one endpoint and returns its state
// folder. change may alter the fleet first.
func greenroom(t *testing.T, change func(*fleet.Fleet)) (state string, g *app.App) {
	t.Helper()
	document := `
apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: small}
spec:
  edge: {listen: "127.0.0.1:8080", routes: [{service: web}]}
  services: [{name: web, version: v1, endpoints: ["` + endpoint(t, "v1") + `"]}]
`
	docs, err := config.Parse("fleet.yaml", []byte(document), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f, err := config.ResolveFleet(*docs.Fleet)
	if err != nil {
		t.Fatal(err)
	}
	change(&f)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	state, err = os.MkdirTemp("", "gr") // sockets bear no long paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(state) })
	g, err = app.New(app.Options{
		State: state, Fleet: &f, Shim: []string{"/no/service/is/started"}, Version: "test", Who: "tester", Log: slog.New(slog.DiscardHandler),
		Listeners: edge.Listeners{Cleartext: l}, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := g.Stop(ctx, false); err != nil {
			t.Error(err)
		}
	})
	if _, err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return state, g
}

func asItIs(*fleet.Fleet) {}

// TestStory calls every operation of a real server.
func TestStory(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	state, _ := greenroom(t, asItIs)
	c := client.Socket(app.SocketPath(state))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	awaitPhase := func(name, phase string) {
		t.Helper()
		enough := errors.New("enough")
		err := c.FollowStatus(ctx, func(s client.Status) error {
			for _, r := range s.Releases {
				if r.Name == name && r.Phase == phase {
					return enough
				}
			}
			return nil
		})
		if !errors.Is(err, enough) {
			t.Fatalf("%s never was %s: %v", name, phase, err)
		}
	}
	open := func(name, answer string) client.Open {
		return client.Open{Document: client.Document{Name: name + ".yaml", Dir: t.TempDir(), Data: `
apiVersion: greenroom.dev/v1alpha1
kind: Release
metadata: {name: ` + name + `}
spec: {services: [{name: web, version: ` + answer + `, endpoints: ["` + endpoint(t, answer) + `"]}]}
`}}
	}

	who, err := c.Whoami(ctx)
	must(err)
	if who.Role != "admin" || who.Via != "socket" {
		t.Errorf("I am %+v", who)
	}
	done, err := c.OpenRelease(ctx, open("r1", "v2"))
	must(err)
	if !done.Changed {
		t.Error("nothing was opened")
	}
	awaitPhase("r1", "Previewing")
	_, err = c.Verify(ctx, "r1", client.Verify{})
	must(err)
	_, err = c.Rebase(ctx, "r1", client.Asked{})
	must(err)
	pass, err := c.MintPass(ctx, client.MintPass{Release: "r1", For: "1h"})
	must(err)
	passes, err := c.Passes(ctx)
	must(err)
	if len(passes) != 1 || passes[0].ID != pass.ID {
		t.Errorf("the passes are %+v", passes)
	}
	revoked, err := c.RevokePass(ctx, pass.ID, client.Asked{Reason: "lost"})
	must(err)
	if revoked.State != "revoked" {
		t.Errorf("the pass is %s", revoked.State)
	}
	done, err = c.Promote(ctx, "r1", client.Promote{})
	must(err)
	if done.Serving.Release != "r1" {
		t.Errorf("%s serves", done.Serving.Release)
	}
	done, err = c.Rollback(ctx, "r1", client.Asked{Reason: "trial"})
	must(err)
	if done.Serving.Release != "baseline" {
		t.Errorf("%s serves after the rollback", done.Serving.Release)
	}
	_, err = c.Promote(ctx, "r1", client.Promote{})
	must(err)
	_, err = c.Settle(ctx, "r1", client.Asked{})
	must(err)
	_, err = c.Revert(ctx, "r1", client.Revert{Name: "back"})
	must(err)
	_, err = c.Abort(ctx, "back", client.Asked{})
	must(err)
	one, err := c.Release(ctx, "back")
	must(err)
	if one.Phase != "Aborted" {
		t.Errorf("back is %s", one.Phase)
	}
	if all, err := c.Releases(ctx); err != nil || len(all) != 2 {
		t.Errorf("%d releases, %v", len(all), err)
	}
	f, err := c.Fleet(ctx)
	must(err)
	change, err := c.ApplyFleet(ctx, client.FleetApply{Document: client.Document{Name: "f", Dir: "/", Data: f.Document}})
	must(err)
	if change.Changed {
		t.Errorf("applying what was exported changed %v", change.Applied)
	}
	_, err = c.Doctor(ctx)
	must(err)
	events, err := c.Events(ctx, client.EventQuery{Last: 3})
	must(err)
	if len(events) != 3 {
		t.Errorf("%d events", len(events))
	}
	err = c.Logs(ctx, client.LogQuery{Service: "web", Tail: 10}, func(client.LogLine) error { return nil })
	must(err)
	token, err := c.MakeToken(ctx, client.MakeToken{Name: "ci", Role: "viewer"})
	must(err)
	if _, err := c.MakeToken(ctx, client.MakeToken{Name: "ci", Role: "viewer"}); code(err) != "refused" {
		t.Errorf("a second token of that name: %v", err)
	}
	if tokens, err := c.Tokens(ctx); err != nil || len(tokens) != 1 || token.Secret == "" {
		t.Errorf("the tokens are %v, %v", tokens, err)
	}
	_, err = c.RevokeToken(ctx, "ci", client.Asked{})
	must(err)
	must(c.Shutdown(ctx, client.Shutdown{Asked: client.Asked{DryRun: true}}))
}

func code(err error) string {
	var p *client.Error
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

func TestFollowEventsFromWhereOneWas(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	state, _ := greenroom(t, asItIs)
	c := client.Socket(app.SocketPath(state))
	enough := errors.New("enough")
	_, err := c.MakeToken(ctx, client.MakeToken{Name: "first", Role: "viewer"})
	if err != nil {
		t.Fatal(err)
	}
	last, err := c.Events(ctx, client.EventQuery{Last: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.MakeToken(ctx, client.MakeToken{Name: "second", Role: "viewer"}); err != nil {
		t.Fatal(err)
	}
	err = c.FollowEvents(ctx, client.EventQuery{After: last[0].Seq}, func(e client.Event) error {
		if e.Seq != last[0].Seq+1 || !strings.Contains(e.Message, "second") {
			t.Errorf("event %d: %s", e.Seq, e.Message)
		}
		return enough
	})
	if !errors.Is(err, enough) {
		t.Error(err)
	}
}

// TestStreamCut ends the server below a stream.
func TestStreamCut(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	state, g := greenroom(t, asItIs)
	c := client.Socket(app.SocketPath(state))
	var stopped error
	err := c.FollowStatus(ctx, func(client.Status) error {
		stopped = g.Stop(ctx, false)
		return nil
	})
	if !errors.Is(err, client.ErrCut) || stopped != nil {
		t.Errorf("the stream ended with %v, the server with %v", err, stopped)
	}
	if _, err := c.Status(ctx); !errors.Is(err, client.ErrUnreachable) || !strings.Contains(err.Error(), state) {
		t.Errorf("afterwards: %v", err)
	}
}

func TestRemoteNeedsGoodURL(t *testing.T) {
	for _, c := range []struct{ server, want string }{
		{"greenroom.example.com:9090", `the server "greenroom.example.com:9090" is no URL such as https://greenroom.example.com:9090`},
		{"unix:///run/greenroom.sock", `the server "unix:///run/greenroom.sock" is no URL such as https://greenroom.example.com:9090`},
		{"https://me:secret@host", `the server "https://me:secret@host" is no URL such as https://greenroom.example.com:9090`},
		{"http://10.0.0.1:9090", "the API token would cross the network readable to all; use https://10.0.0.1:9090, or a tunnel to this machine"},
		{"http://127.0.0.1:9090", ""}, {"http://[::1]:9090", ""}, {"http://localhost:9090/", ""}, {"https://greenroom.example.com/api", ""},
	} {
		_, err := client.Remote(c.server, "t", nil)
		if got := text(err); got != c.want {
			t.Errorf("%s: %s", c.server, got)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestOthersAnswer points the client at servers that are not greenroom.
func TestOthersAnswer(t *testing.T) {
	var elsewhere int
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		elsewhere++
	}))
	defer thief.Close()
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"a page": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
			"this is not greenroom's API: HOST answers 200 OK"},
		"not found": {http.NotFound, "this is not greenroom's API: HOST answers 404 Not Found"},
		"other JSON": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			io.WriteString(w, `{"status":418}`)
		}, "this is not greenroom's API: HOST answers 418 I'm a teapot"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, thief.URL, http.StatusTemporaryRedirect)
		}, "this is not greenroom's API: HOST answers 307 Temporary Redirect"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(c.handler)
			defer s.Close()
			api, err := client.Remote(s.URL, "grt_secret", nil)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.ReplaceAll(c.want, "HOST", s.Listener.Addr().String())
			if _, err := api.Status(t.Context()); text(err) != want || !errors.Is(err, client.ErrNotGreenroom) {
				t.Errorf("got %v, want %s", err, want)
			}
			if err := api.FollowStatus(t.Context(), func(client.Status) error { return nil }); text(err) != want {
				t.Errorf("the stream got %v, want %s", err, want)
			}
		})
	}
	if elsewhere > 0 {
		t.Error("a redirect was followed with the token")
	}
}

// TestRemote reaches a server over TLS with a certificate of a private
// authority.
func TestRemote(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	certFile, keyFile, roots := certificate(t)
	addr := freeAddr(t)
	state, _ := greenroom(t, func(f *fleet.Fleet) {
		f.API = fleet.API{Listen: addr, TLS: &fleet.TLS{Certificates: []fleet.Certificate{{CertFile: certFile, KeyFile: keyFile}}}}
	})
	local := client.Socket(app.SocketPath(state))
	token, err := local.MakeToken(ctx, client.MakeToken{Name: "ci", Role: "tester"})
	if err != nil {
		t.Fatal(err)
	}
	trusting := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	defer trusting.CloseIdleConnections()
	remote := func(token string, base http.RoundTripper) *client.Client {
		c, err := client.Remote("https://"+addr, token, base)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := remote(token.Secret, trusting)
	if who, err := c.Whoami(ctx); err != nil || who != (client.Whoami{Name: "ci", Role: "tester", Via: "token"}) {
		t.Errorf("I am %+v, %v", who, err)
	}
	if tokens, err := local.Tokens(ctx); err != nil || tokens[0].LastUse.IsZero() {
		t.Errorf("the token was never used: %+v, %v", tokens, err)
	}
	if _, err := c.Promote(ctx, "r1", client.Promote{}); code(err) != "forbidden" {
		t.Errorf("a tester promotes: %v", err)
	}
	if _, err := remote("grt_wrong", trusting).Status(ctx); code(err) != "unauthorized" {
		t.Errorf("a wrong token: %v", err)
	}
	var unknown x509.UnknownAuthorityError
	if _, err := remote(token.Secret, nil).Status(ctx); !errors.Is(err, client.ErrUnreachable) || !errors.As(err, &unknown) {
		t.Errorf("an unknown authority: %v", err)
	}
	if _, err := local.RevokeToken(ctx, "ci", client.Asked{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(ctx); code(err) != "unauthorized" {
		t.Errorf("a revoked token: %v", err)
	}
}

// certificate makes a certificate for this machine that only roots trust.
func certificate(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, data []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certFile, keyFile = write("c.pem", "CERTIFICATE", der), write("k.pem", "PRIVATE KEY", private)
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return certFile, keyFile, roots
}
