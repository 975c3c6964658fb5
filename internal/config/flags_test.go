package config

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/greenroom-dev/greenroom/internal/fleet"
)

const threeServices = head + `  edge: {routes: [{service: web}]}
  services:
  - {name: web, run: {command: [bin/web], env: {A: "1"}, replicas: 3}}
  - {name: api, run: {command: [bin/web]}}
  - {name: legacy, endpoints: ["127.0.0.1:1"]}
`

func TestReleaseFromFlags(t *testing.T) {
	dir := folder(t, "bin/web", "bin/api v2", "other/web")
	f := resolve(t, threeServices, dir)
	doc, err := ReleaseFromFlags("r42", []string{
		"web=../other/web", `api=../bin/api\ v2`, "legacy=127.0.0.1:9101,[::1]:9102",
	}, filepath.Join(dir, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ResolveRelease(doc, f, first(f)); err == nil {
		t.Error("a backslash is special")
	}
	doc, err = ReleaseFromFlags("r42", []string{
		"web=../other/web", `api=  "../bin/api v2" --name='x "y"' '' z`, "legacy=127.0.0.1:9101,[::1]:9102",
	}, filepath.Join(dir, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := ResolveRelease(doc, f, first(f))
	if err != nil {
		t.Fatal(err)
	}
	web, api, legacy := r.Versions[0], r.Versions[1], r.Versions[2]
	if web.Run.Executable != filepath.Join(dir, "other/web") || web.Run.Env["A"] != "1" || web.Replicas() != 3 || web.Run.Dir != dir {
		t.Errorf("web: %+v", web.Run)
	}
	if diff := cmp.Diff([]string{"../bin/api v2", `--name=x "y"`, "", "z"}, api.Run.Command); diff != "" {
		t.Error(diff)
	}
	want := fleet.Version{
		Service: "legacy", Name: legacy.Digest[:10], Digest: legacy.Digest,
		Endpoints: []string{"127.0.0.1:9101", "[::1]:9102"},
	}
	if diff := cmp.Diff(want, legacy); diff != "" {
		t.Error(diff)
	}
}

// TestSetIsRead has what a version is written as bring the same version again,
// from any folder.
func TestSetIsRead(t *testing.T) {
	dir := folder(t, "bin/web", "bin/api v2")
	f := resolve(t, threeServices, dir)
	doc, err := ReleaseFromFlags("r42", []string{`api="bin/api v2" --name='x "y"' "it's" '' z`, "legacy=127.0.0.1:9101,[::1]:9102", "web=sh -c true"}, dir)
	if err != nil {
		t.Fatal(err)
	}
	want, err := ResolveRelease(doc, f, first(f))
	if err != nil {
		t.Fatal(err)
	}
	var sets []string
	for _, v := range want.Versions {
		sets = append(sets, v.Service+"="+Set(v))
	}
	if doc, err = ReleaseFromFlags("r42", sets, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	got, err := ResolveRelease(doc, f, first(f))
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range got.Versions {
		if w := want.Versions[i]; w.Run != nil && (v.Run.Executable != w.Run.Executable || !slices.Equal(v.Run.Command[1:], w.Run.Command[1:])) || !slices.Equal(v.Endpoints, w.Endpoints) {
			t.Errorf("%s is %+v %v, not %+v %v", sets[i], v.Run, v.Endpoints, w.Run, w.Endpoints)
		}
	}
	if sets[2] != "web=sh -c true" {
		t.Errorf("what lies in PATH is %s", sets[2])
	}
}

func TestBadFlags(t *testing.T) {
	dir := folder(t, "bin/web")
	f := resolve(t, threeServices, dir)
	for _, c := range []struct {
		name string
		sets []string
		want string
	}{
		{"r42", []string{"web"}, "--set web: this does not say which service gets what\n  write --set api=./bin/api-v2 or --set api=127.0.0.1:9101"},
		{"r42", []string{"web= "}, "--set web= : this does not say which service gets what\n  write --set api=./bin/api-v2 or --set api=127.0.0.1:9101"},
		{"r42", []string{`web=bin/web "x`}, "--set web=bin/web \"x: a quote is left open\n  close it"},
		{"r42", []string{"wbe=bin/web"}, "--set wbe=bin/web: no service is called `wbe`\n  did you mean `web`?"},
		{"r42", []string{"web=bin/wbe"}, "--set web=bin/wbe: there is no executable `bin/wbe`\n  did you mean `bin/web`?"},
		{"r42", []string{"web=a:99999"}, "--set web=a:99999: there is no `a:99999` in PATH\n  install it, or write a path"},
		{"r42", []string{"api=bin/web", "api=bin/web -v"}, "--set api=bin/web -v: the service `api` is given twice\n  remove one of the two"},
		{"R42", []string{"web=bin/web"}, "release R42: `R42` is not a name\n  use lower-case letters, digits and dashes, at most 40"},
		{"r42", nil, "release r42: a release has at least one service\n  write services: [{name: web, run: {command: [bin/web-v2]}}]"},
	} {
		doc, err := ReleaseFromFlags(c.name, c.sets, dir)
		if err == nil {
			_, err = ResolveRelease(doc, f, first(f))
		}
		if err == nil || err.Error() != c.want {
			t.Errorf("%s %q: got\n%v\nwant\n%s", c.name, c.sets, err, c.want)
		}
	}
}
