package config

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// twoServices is a file whose parts the tests replace.
const twoServices = head + `  edge: {routes: [{path: /api, service: api}, {service: web}]}
  services:
  - name: web
    run: {command: [bin/web], env: {TOKEN: hush}, replicas: 2}
  - name: api
    version: "1"
    run: {command: [bin/api]}
`

func serving(versions ...fleet.Version) Serving {
	return func(service string) (fleet.Version, bool) {
		for _, v := range versions {
			if v.Service == service {
				return v, true
			}
		}
		return fleet.Version{}, false
	}
}

func TestTheSameFileChangesNothing(t *testing.T) {
	for _, file := range corpus(t, "good") {
		docs, err := Read(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		f, err := ResolveFleet(*docs.Fleet)
		if err != nil {
			t.Fatal(err)
		}
		if c := Compare(f, f, first(f)); !c.Empty() || len(c.Behind) > 0 {
			t.Errorf("%s: %+v", file, c)
		}
	}
}

func TestAReleaseThatSettledStaysWhenTheFirstFileIsAppliedAgain(t *testing.T) {
	dir := folder(t, "bin/web", "bin/api", "bin/api-v2", "bin/api-v3")
	original := resolve(t, twoServices, dir)
	r42, err := release(t, "  services:\n  - {name: api, run: {command: [bin/api-v2]}}\n", dir, original, first(original))
	if err != nil {
		t.Fatal(err)
	}
	web, _ := original.Service("web")
	state := serving(web.First, r42.Versions[0])

	c := Compare(original, original, state)
	if !c.Empty() || !c.Allowed(false) {
		t.Errorf("the original file would change something: %+v", c)
	}
	want := []Behind{{Service: "api", File: "1", Serving: r42.Versions[0].Name}}
	if diff := cmp.Diff(want, c.Behind); diff != "" {
		t.Error(diff)
	}

	// A file that caught up with the release is not behind any more.
	caughtUp := resolve(t, strings.ReplaceAll(strings.ReplaceAll(twoServices, "bin/api]", "bin/api-v2]"), `    version: "1"`+"\n", ""), dir)
	if c := Compare(caughtUp, original, state); !c.Empty() || len(c.Behind) > 0 {
		t.Errorf("a file that caught up: %+v", c)
	}
	// Once that was applied, the original is no longer what was applied last.
	if c := Compare(original, caughtUp, state); c.Allowed(false) || !c.Allowed(true) || len(c.Behind) > 0 {
		t.Errorf("going back by file: %+v", c)
	}

	// A third version is a change, refused unless it is adopted.
	third := resolve(t, strings.ReplaceAll(strings.ReplaceAll(twoServices, "bin/api]", "bin/api-v3]"), `"1"`, `"3"`), dir)
	c = Compare(third, original, state)
	if c.Allowed(false) || !c.Allowed(true) || len(c.Versions) != 1 || c.Versions[0].Service != "api" {
		t.Fatalf("a changed version: %+v", c)
	}
	api, _ := third.Service("api")
	wantFields := []Difference{
		{"version", r42.Versions[0].Name, "3"},
		{"run.command", `["bin/api-v2"]`, `["bin/api-v3"]`},
		{"run.executable (SHA-256)", r42.Versions[0].Run.SHA256[:12], api.First.Run.SHA256[:12]},
	}
	if diff := cmp.Diff(wantFields, c.Versions[0].Fields); diff != "" {
		t.Error(diff)
	}
}

func TestANewBuildUnderAnOldPathIsAChangedVersion(t *testing.T) {
	dir := folder(t, "bin/web", "bin/api")
	was := resolve(t, twoServices, dir)
	build(t, dir, "bin/api", "built anew")
	is := resolve(t, twoServices, dir)
	c := Compare(is, was, first(was))
	if c.Allowed(false) || len(c.Versions) != 1 || c.Versions[0].Fields[0].Field != "run.executable (SHA-256)" {
		t.Errorf("got %+v", c)
	}
}

func TestLiveChanges(t *testing.T) {
	dir := folder(t, "bin/web", "bin/api", "bin/chat")
	was := resolve(t, twoServices, dir)
	for _, c := range []struct {
		name, from, to string
		want           Change
	}{
		{"route", "path: /api", "path: /v1", Change{Live: []Difference{{Field: "edge.routes"}}}},
		{"drain", `    version: "1"`, "    version: \"1\"\n    drain: 1m", Change{Live: []Difference{{"services[api].drain", "30s", "1m"}}}},
		{"health", `    version: "1"`, "    version: \"1\"\n    health: {tcp: true}", Change{Live: []Difference{{Field: "services[api].health"}}}},
		{"no calls", `    version: "1"`, "    version: \"1\"\n    calls: []", Change{Live: []Difference{{"services[api].calls", "", "[]"}}}},
		{"quiet", "spec:\n", "spec:\n  quiet: 5m\n", Change{Live: []Difference{{"quiet", "1m", "5m"}}}},
		{"replicas", "replicas: 2", "replicas: 3", Change{
			Live: []Difference{{"services[web].run.replicas", "2", "3"}}, Replicas: map[string]int{"web": 3},
		}},
		{"new service", "  services:\n", "  services:\n  - {name: chat, run: {command: [bin/chat]}}\n", Change{Added: []string{"chat"}}},
		{"listener", "edge: {", `edge: {listen: "127.0.0.1:81", publicURL: "http://127.0.0.1:8080", `, Change{
			Restart: []Difference{{"edge.listen", "127.0.0.1:8080", "127.0.0.1:81"}},
		}},
		{"provider", "spec:\n", "spec:\n  api: {listen: \"127.0.0.1:9090\", oidc: {issuer: \"https://login.example.com\", clientId: g, roles: {viewer: [staff]}}}\n", Change{
			Live:    []Difference{{Field: "api.oidc"}},
			Restart: []Difference{{"api.listen", "", "127.0.0.1:9090"}},
		}},
		{"another fleet", "name: live", "name: other", Change{Refused: []Refusal{{
			Difference: Difference{"metadata.name", "live", "other"},
		}}}},
		{"protocol", `    version: "1"`, "    version: \"1\"\n    protocol: grpc\n    health: {tcp: true}", Change{
			Live:    []Difference{{Field: "services[api].health"}},
			Refused: []Refusal{{Difference: Difference{"services[api].protocol", "http", "grpc"}}},
		}},
		{"environment", "TOKEN: hush", "TOKEN: other, MORE: x", Change{Versions: []VersionChange{{
			Service: "web", Fields: []Difference{
				{Field: "version"}, {"run.env.MORE", "", "set anew"}, {"run.env.TOKEN", "set", "set anew"},
			},
		}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := strings.Replace(twoServices, c.from, c.to, 1)
			if changed == twoServices {
				t.Fatalf("%q is not in the file", c.from)
			}
			got := Compare(resolve(t, changed, dir), was, first(was))
			if got.Empty() {
				t.Error("the change is called empty")
			}
			if allowed := len(c.want.Refused)+len(c.want.Versions) == 0; got.Allowed(false) != allowed {
				t.Errorf("allowed: %v", !allowed)
			}
			long := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Before" || p.Last().String() == ".After" },
				cmp.Comparer(func(a, b string) bool { return a == b || len(a) > 8 && b == "" || a == "" && len(b) > 8 }))
			ignored := cmpopts.IgnoreFields(VersionChange{}, "Serving", "File")
			if diff := cmp.Diff(c.want, got, long, ignored, cmpopts.IgnoreFields(Refusal{}, "Problem", "Hint")); diff != "" {
				t.Error(diff)
			}
			if shown := text(got); strings.Contains(shown, "hush") {
				t.Errorf("an environment variable's value is shown: %s", shown)
			}
		})
	}
	one := resolve(t, head+"  services:\n  - {name: web, run: {command: [bin/web], env: {TOKEN: hush}, replicas: 2}}\n", dir)
	if c := Compare(one, was, first(was)); len(c.Removed) != 1 || c.Removed[0] != "api" || !c.Allowed(false) {
		t.Errorf("removing a service: %+v", c)
	}
}

func TestReplicasOfAReleaseStayUnlessTheFileChangesThem(t *testing.T) {
	dir := folder(t, "bin/web", "bin/api")
	f := resolve(t, twoServices, dir)
	r, err := release(t, "  services:\n  - {name: web, run: {replicas: 9}}\n", dir, f, first(f))
	if err != nil {
		t.Fatal(err)
	}
	if c := Compare(f, f, serving(r.Versions[0], f.Services[1].First)); !c.Empty() {
		t.Errorf("the same file resets replicas: %+v", c)
	}
	scaled := resolve(t, strings.Replace(twoServices, "replicas: 2", "replicas: 4", 1), dir)
	c := Compare(scaled, f, serving(r.Versions[0], f.Services[1].First))
	if c.Replicas["web"] != 4 || len(c.Live) != 1 || c.Live[0].Before != "9" {
		t.Errorf("got %+v", c)
	}
}

func TestTheFirstApplicationAddsEverything(t *testing.T) {
	f := resolve(t, twoServices, folder(t, "bin/web", "bin/api"))
	c := Compare(f, fleet.Fleet{}, serving())
	if diff := cmp.Diff(Change{Added: []string{"web", "api"}}, c); diff != "" {
		t.Error(diff)
	}
}

func TestADeclaredNameIsNotTakenForADigest(t *testing.T) {
	v := fleet.Version{Service: "a", Digest: strings.Repeat("1", 64), Name: "1"}
	w := v
	w.Name = "11"
	if same(v, w) {
		t.Error("two names that the digest happens to begin with are one version")
	}
	w.Name = "1111111111"
	if !same(v, w) {
		t.Error("a version that was given no name is another one")
	}
}

func TestExportStartsWhatServes(t *testing.T) {
	for _, file := range corpus(t, "good") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			docs, err := Read(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			f, err := ResolveFleet(*docs.Fleet)
			if err != nil {
				t.Fatal(err)
			}
			// Replace one version as a release does.
			state := map[string]fleet.Version{}
			for _, r := range docs.Releases {
				resolved, err := ResolveRelease(r, f, first(f))
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range resolved.Versions {
					state[v.Service] = v
				}
			}
			text, err := Export(f, func(s string) (fleet.Version, bool) {
				v, ok := state[s]
				return v, ok
			})
			if err != nil {
				t.Fatal(err)
			}
			again := resolve(t, string(text), t.TempDir()) // from another folder
			want := f
			want.Services, want.Dir = nil, again.Dir
			for _, s := range f.Services {
				if v, ok := state[s.Name]; ok {
					s.First = v
				}
				want.Services = append(want.Services, s)
			}
			if diff := cmp.Diff(absolutely(want), absolutely(again), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
				t.Errorf("%s\n%s", diff, text)
			}
			if c := Compare(again, want, first(want)); !c.Empty() {
				t.Errorf("applying the export would change %+v", c)
			}
		})
	}
}

// absolutely names executables as an export does.
func absolutely(f fleet.Fleet) fleet.Fleet {
	for i := range f.Services {
		if r := f.Services[i].First.Run; r != nil && strings.Contains(r.Command[0], "/") {
			run := *r
			run.Command = append([]string{r.Executable}, r.Command[1:]...)
			f.Services[i].First.Run = &run
		}
	}
	return f
}
