package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/greenroom-dev/greenroom/internal/fleet"
)

const head = "apiVersion: greenroom.dev/v1alpha1\nkind: Fleet\nmetadata: {name: live}\nspec:\n"

// folder makes a folder of executables, each with content of its own.
func folder(t testing.TB, programs ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range programs {
		build(t, dir, name, name)
	}
	return dir
}

// build writes an executable.
func build(t testing.TB, dir, name, content string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("#!/bin/sh\n# "+content+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func parse(t testing.TB, text, dir string) Documents {
	t.Helper()
	docs, err := Parse("test.yaml", []byte(text), dir)
	if err != nil {
		t.Fatal(err)
	}
	return docs
}

func resolve(t testing.TB, text, dir string) fleet.Fleet {
	t.Helper()
	f, err := ResolveFleet(*parse(t, text, dir).Fleet)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// release resolves a Release named r with the given spec.
func release(t testing.TB, spec, dir string, f fleet.Fleet, serving Serving) (fleet.Release, error) {
	t.Helper()
	docs := parse(t, "apiVersion: greenroom.dev/v1alpha1\nkind: Release\nmetadata: {name: r}\nspec:\n"+spec, dir)
	return ResolveRelease(docs.Releases[0], f, serving)
}

// first serves what the fleet's document says.
func first(f fleet.Fleet) Serving {
	return func(service string) (fleet.Version, bool) {
		s, ok := f.Service(service)
		return s.First, ok
	}
}

func TestDefaults(t *testing.T) {
	dir := folder(t, "bin/web")
	f := resolve(t, head+"  services:\n  - {name: web, run: {command: [bin/web]}}\n", dir)
	v := f.Services[0].First
	want := fleet.Fleet{
		Name: "live",
		Dir:  dir,
		Edge: fleet.Edge{
			Listen:    "127.0.0.1:8080",
			PublicURL: "http://127.0.0.1:8080",
			AccessLog: fleet.AccessLog{Format: "json", Errors: "all", Sample: 0.01},
			HTTP1:     fleet.HTTP1Std,
			Routes:    []fleet.Route{{Service: "web"}},
			Hold:      DefaultHold(),
		},
		StampHeader: "X-Greenroom-Release",
		Quiet:       time.Minute,
		History:     10,
		Services: []fleet.Service{{
			Name:     "web",
			Protocol: fleet.HTTP,
			Drain:    30 * time.Second,
			Health: fleet.Health{
				Kind: fleet.HealthHTTP, Path: "/healthz", Interval: 2 * time.Second, Timeout: time.Second,
				Failures: 3, StartWithin: time.Minute, MaxRestarts: 5,
			},
			First: fleet.Version{
				Service: "web", Name: v.Digest[:10], Digest: v.Digest,
				Run: &fleet.Run{
					Command: []string{"bin/web"}, Executable: filepath.Join(dir, "bin/web"),
					SHA256: v.Run.SHA256, Dir: dir, Replicas: 1,
				},
			},
		}},
	}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Error(diff)
	}
	sum := sha256.Sum256([]byte("#!/bin/sh\n# bin/web\n"))
	if got := hex.EncodeToString(sum[:]); v.Run.SHA256 != got || len(v.Digest) != 64 {
		t.Errorf("executable %s, want %s; digest %q", v.Run.SHA256, got, v.Digest)
	}
}

func TestHealthFollowsTheKindOfService(t *testing.T) {
	f := resolve(t, head+`  edge: {routes: [{service: a}]}
  services:
  - {name: a, protocol: grpc, run: {command: [bin/web]}}
  - {name: b, endpoints: ["127.0.0.1:1"]}
  - {name: c, protocol: grpc, endpoints: ["127.0.0.1:2"]}
  - {name: d, endpoints: ["127.0.0.1:3"], health: {path: /up}}
`, folder(t, "bin/web"))
	var got []fleet.HealthKind
	for _, s := range f.Services {
		got = append(got, s.Health.Kind)
	}
	want := []fleet.HealthKind{fleet.HealthGRPC, fleet.HealthTCP, fleet.HealthTCP, fleet.HealthHTTP}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPublicURLFollowsTheListeners(t *testing.T) {
	dir := folder(t, "bin/web")
	certificate(t, dir)
	const service = "  services:\n  - {name: web, run: {command: [bin/web]}}\n"
	const tls = `tls: {listen: %, certificates: [{certFile: edge.crt, keyFile: edge.key}]}`
	for edge, want := range map[string]string{
		`{listen: "0.0.0.0:80"}`:                               "http://localhost",
		`{listen: ":8081"}`:                                    "http://localhost:8081",
		`{listen: "[::1]:8081"}`:                               "http://[::1]:8081",
		`{listen: "[fd00::1]:80"}`:                             "http://[fd00::1]",
		`{` + strings.Replace(tls, "%", `":443"`, 1) + `}`:     "https://localhost",
		`{` + strings.Replace(tls, "%", `"a.b:8443"`, 1) + `}`: "https://a.b:8443",
		`{publicURL: "https://live.example.com/"}`:             "https://live.example.com",
	} {
		if got := resolve(t, head+"  edge: "+edge+"\n"+service, dir).Edge.PublicURL; got != want {
			t.Errorf("%s: %s, want %s", edge, got, want)
		}
	}
}

// certificate writes edge.crt and edge.key.
func certificate(t testing.TB, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "edge"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"edge.crt": {Type: "CERTIFICATE", Bytes: cert},
		"edge.key": {Type: "EC PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAPIWithTLSMayListenAnywhere(t *testing.T) {
	dir := folder(t, "bin/web")
	certificate(t, dir)
	f := resolve(t, head+`  api: {listen: "0.0.0.0:9090", tls: {certificates: [{certFile: edge.crt, keyFile: edge.key}]}}
  services:
  - {name: web, run: {command: [bin/web]}}
`, dir)
	want := fleet.API{Listen: "0.0.0.0:9090", TLS: &fleet.TLS{Listen: "0.0.0.0:9090", Certificates: []fleet.Certificate{
		{CertFile: filepath.Join(dir, "edge.crt"), KeyFile: filepath.Join(dir, "edge.key")},
	}}}
	if diff := cmp.Diff(want, f.API); diff != "" {
		t.Error(diff)
	}
}

func TestDigestIsAboutTheVersionAlone(t *testing.T) {
	dir := folder(t, "bin/web", "bin/api", "env/x")
	of := func(service string) string {
		return resolve(t, head+"  services:\n  - "+service+"\n", dir).Services[0].First.Digest
	}
	const plain = `{name: web, run: {command: [bin/web, a], env: {A: "1", B: "2"}}}`
	base := of(plain)
	for name, service := range map[string]string{
		"replicas": `{name: web, run: {command: [bin/web, a], env: {B: "2", A: "1"}, replicas: 7}}`,
		"health":   `{name: web, run: {command: [bin/web, a], env: {A: "1", B: "2"}}, health: {tcp: true}}`,
		"drain":    `{name: web, run: {command: [bin/web, a], env: {A: "1", B: "2"}}, drain: 1m}`,
		"path":     `{name: web, run: {command: [./bin/../bin/web, a], env: {A: "1", B: "2"}}}`,
		"version":  `{name: web, version: "3", run: {command: [bin/web, a], env: {A: "1", B: "2"}}}`,
	} {
		if of(service) != base {
			t.Errorf("%s changes the digest", name)
		}
	}
	for name, service := range map[string]string{
		"name":       `{name: api, run: {command: [bin/web, a], env: {A: "1", B: "2"}}}`,
		"executable": `{name: web, run: {command: [bin/api, a], env: {A: "1", B: "2"}}}`,
		"argument":   `{name: web, run: {command: [bin/web, b], env: {A: "1", B: "2"}}}`,
		"env":        `{name: web, run: {command: [bin/web, a], env: {A: "1", B: "3"}}}`,
		"dir":        `{name: web, run: {command: [bin/web, a], env: {A: "1", B: "2"}, dir: bin}}`,
		"env file":   `{name: web, run: {command: [bin/web, a], env: {A: "1", B: "2"}, envFile: env/x}}`,
		"in place":   `{name: web, run: {command: [bin/web, a], env: {A: "1", B: "2"}, inPlace: true}}`,
		"endpoints":  `{name: web, endpoints: ["127.0.0.1:1"]}`,
	} {
		if of(service) == base {
			t.Errorf("%s does not change the digest", name)
		}
	}
	build(t, dir, "bin/web", "built anew")
	if of(plain) == base {
		t.Error("a new build does not change the digest")
	}
}

func TestABareNameRunsInPlace(t *testing.T) {
	dir := folder(t, "bin/web")
	f := resolve(t, head+"  services:\n  - {name: web, run: {command: [sh, -c, exit]}}\n", dir)
	r := f.Services[0].First.Run
	if !r.InPlace || !filepath.IsAbs(r.Executable) || r.Command[0] != "sh" {
		t.Errorf("got %+v", r)
	}
	got, err := release(t, "  services:\n  - {name: web, run: {command: [bin/web]}}\n", dir, f, first(f))
	if err != nil || got.Versions[0].Run.InPlace {
		t.Errorf("a path after a bare name: %+v, %v", got.Versions, err)
	}
}

func TestAReleaseTakesWhatItLeavesOutFromWhatServes(t *testing.T) {
	dir := folder(t, "bin/api", "bin/api-v2", "secrets.env", "other.env")
	f := resolve(t, head+`  services:
  - name: api
    version: "1"
    source: {commit: abc}
    run: {command: [bin/api, --fast], env: {A: "1", B: "2"}, envFile: secrets.env, dir: bin, replicas: 3}
`, dir)
	was := *f.Services[0].First.Run
	for _, c := range []struct {
		name, service string
		want          func(*fleet.Run)
	}{
		{"command is taken whole", `run: {command: [bin/api-v2]}`, func(r *fleet.Run) {
			r.Command, r.Executable = []string{"bin/api-v2"}, filepath.Join(dir, "bin/api-v2")
		}},
		{"env key by key", `run: {env: {B: null, C: "3"}}`, func(r *fleet.Run) { r.Env = map[string]string{"A": "1", "C": "3"} }},
		{"last key removed", `run: {env: {A: null, B: null}}`, func(r *fleet.Run) { r.Env = nil }},
		{"envFile", `run: {envFile: other.env}`, func(r *fleet.Run) { r.EnvFile = filepath.Join(dir, "other.env") }},
		{"dir", `run: {dir: .}`, func(r *fleet.Run) { r.Dir = dir }},
		{"inPlace", `run: {inPlace: true}`, func(r *fleet.Run) { r.InPlace = true }},
		{"replicas", `run: {replicas: 5}`, func(r *fleet.Run) { r.Replicas = 5 }},
		{"nothing", `run: {}`, func(*fleet.Run) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := release(t, "  services:\n  - {name: api, "+c.service+"}\n", dir, f, first(f))
			if err != nil {
				t.Fatal(err)
			}
			want := was
			c.want(&want)
			if diff := cmp.Diff(&want, got.Versions[0].Run, cmpopts.IgnoreFields(fleet.Run{}, "SHA256")); diff != "" {
				t.Error(diff)
			}
		})
	}
	if diff := cmp.Diff(was, *f.Services[0].First.Run); diff != "" {
		t.Errorf("completing a release changed the fleet: %s", diff)
	}
}

func TestAReleaseBuildsOnWhatServesNotOnTheFile(t *testing.T) {
	dir := folder(t, "bin/api")
	f := resolve(t, head+"  services:\n  - {name: api, run: {command: [bin/api], env: {A: file}}}\n", dir)
	v := f.Services[0].First
	run := *v.Run
	run.Env = map[string]string{"A": "state"}
	v.Run, v.Name, v.Digest = &run, "state", "x"
	build(t, dir, "bin/api", "built anew")
	got, err := release(t, "  services:\n  - {name: api, run: {env: {B: \"1\"}}}\n", dir, f,
		func(string) (fleet.Version, bool) { return v, true })
	if err != nil {
		t.Fatal(err)
	}
	r := got.Versions[0].Run
	if diff := cmp.Diff(map[string]string{"A": "state", "B": "1"}, r.Env); diff != "" {
		t.Error(diff)
	}
	if r.SHA256 != run.SHA256 {
		t.Error("a command that was left out was read from disk again")
	}
	// Where nothing serves, the file's first version is what is replaced.
	got, err = release(t, "  services:\n  - {name: api, run: {env: {B: \"1\"}}}\n", dir, f,
		func(string) (fleet.Version, bool) { return fleet.Version{}, false })
	if err != nil || got.Versions[0].Run.Env["A"] != "file" {
		t.Errorf("got %+v, %v", got.Versions, err)
	}
}

func TestAReleaseNamesItsVersions(t *testing.T) {
	dir := folder(t, "bin/api", "bin/api-v2")
	f := resolve(t, head+`  services:
  - {name: api, version: "1", source: {commit: abc}, run: {command: [bin/api]}}
`, dir)
	of := func(service string) fleet.Version {
		t.Helper()
		got, err := release(t, "  services:\n  - {name: api, "+service+"}\n", dir, f, first(f))
		if err != nil {
			t.Fatal(err)
		}
		return got.Versions[0]
	}
	if v := of(`run: {command: [bin/api-v2]}`); v.Name != v.Digest[:10] || v.Source.Commit != "" {
		t.Errorf("a new version took over the name or the source: %+v", v)
	}
	if v := of(`run: {command: [bin/api], replicas: 2}`); v.Name != "1" || v.Source.Commit != "abc" || v.Replicas() != 2 {
		t.Errorf("the same version is not recognized: %+v", v)
	}
	if v := of(`version: "2", run: {command: [bin/api-v2]}, source: {commit: def}`); v.Name != "2" || v.Source.Commit != "def" {
		t.Errorf("got %+v", v)
	}
	if v := of(`endpoints: ["127.0.0.1:1"]`); v.Run != nil || len(v.Endpoints) != 1 || v.Replicas() != 0 {
		t.Errorf("run became endpoints: %+v", v)
	}
}

func TestReleaseDurations(t *testing.T) {
	dir := folder(t, "bin/web")
	f := resolve(t, head+"  services:\n  - {name: web, run: {command: [bin/web]}}\n", dir)
	for spec, want := range map[string][2]time.Duration{
		"":                                    {time.Hour, time.Hour},
		"  rollbackWindow: 0s\n":              {0, time.Minute},
		"  rollbackWindow: 2d\n":              {48 * time.Hour, 48 * time.Hour},
		"  rollbackWindow: 0s\n  keep: 30d\n": {0, 30 * 24 * time.Hour},
	} {
		r, err := release(t, spec+"  services:\n  - {name: web, run: {replicas: 2}}\n", dir, f, first(f))
		if got := [2]time.Duration{r.RollbackWindow, r.Keep}; err != nil || got != want {
			t.Errorf("%q: %v, %v", spec, got, err)
		}
	}
}

func TestHooks(t *testing.T) {
	dir := folder(t, "bin/web", "bin/migrate")
	f := resolve(t, head+"  services:\n  - {name: web, run: {command: [bin/web]}}\n", dir)
	r, err := release(t, `  services: [{name: web}]
  hooks:
    prepare: [{name: expand, run: [bin/migrate, bin/expand], timeout: 5m, dir: bin, env: {A: b}}]
    verify: [{name: smoke, http: {path: "/x?y", method: HEAD, status: 204}}, {name: shell, run: [sh, -c, exit]}]
`, dir, f, first(f))
	if err != nil {
		t.Fatal(err)
	}
	want := fleet.Hooks{
		Prepare: []fleet.Hook{{
			Name: "expand", Run: []string{filepath.Join(dir, "bin/migrate"), "bin/expand"},
			Dir: filepath.Join(dir, "bin"), Env: map[string]string{"A": "b"}, Timeout: 5 * time.Minute,
		}},
		Verify: []fleet.Hook{
			{Name: "smoke", HTTP: &fleet.HTTPCheck{Path: "/x?y", Method: "HEAD", Status: 204}, Timeout: time.Minute},
			{Name: "shell", Run: []string{"sh", "-c", "exit"}, Dir: dir, Timeout: time.Minute},
		},
	}
	if diff := cmp.Diff(want, r.Hooks); diff != "" {
		t.Error(diff)
	}
}

func TestAnExportedReleaseIsTheSameRelease(t *testing.T) {
	dir := folder(t, "bin/web", "bin/migrate")
	f := resolve(t, head+"  services:\n  - {name: web, run: {command: [bin/web]}}\n", dir)
	r, err := release(t, `  description: "a: b"
  rollbackWindow: 0s
  services: [{name: web, version: "7", source: {commit: "12"}, run: {env: {A: "1"}, replicas: 2}}]
  hooks:
    prepare: [{name: expand, run: [bin/migrate, expand], env: {A: b}}]
    verify: [{name: smoke, http: {path: "/x?y", status: 204}}]
    settle: [{name: shell, run: [sh, -c, exit]}]
    rollback: [{name: smoke, http: {path: /}}]
    abort: [{name: smoke, http: {path: /}, timeout: 5s}]
`, dir, f, first(f))
	if err != nil {
		t.Fatal(err)
	}
	text, err := ExportRelease(r)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ResolveRelease(parse(t, string(text), t.TempDir()).Releases[0], f, first(f))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	again.Versions[0].Run.Command[0] = "bin/web" // an export names it by its whole path
	if diff := cmp.Diff(r, again); diff != "" {
		t.Errorf("%s\n%s", diff, text)
	}
}

func TestSecretOfProviderIsForItsOwner(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "oidc.secret")
	if err := os.WriteFile(file, []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	const text = `apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: live}
spec:
  api: {listen: 127.0.0.1:9090, oidc: {issuer: https://login.example.com, clientId: g, clientSecretFrom: {file: oidc.secret}, roles: {viewer: [staff]}}}
  services: [{name: web, endpoints: [127.0.0.1:9001]}]
`
	for _, c := range []struct {
		mode  os.FileMode
		taken bool
	}{{0o600, true}, {0o400, true}, {0o640, false}, {0o644, false}} {
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		docs, err := Parse("fleet.yaml", []byte(text), dir)
		if err != nil {
			t.Fatal(err)
		}
		f, err := ResolveFleet(*docs.Fleet)
		if (err == nil) != c.taken || err != nil && !strings.Contains(err.Error(), "chmod 600 "+file) {
			t.Errorf("mode %o: %v", c.mode, err)
		}
		if c.taken && (f.API.OIDC.Secret.File != file || f.API.OIDC.Name != "login.example.com" || f.API.OIDC.Session != 12*time.Hour) {
			t.Errorf("%+v", f.API.OIDC)
		}
	}
}
