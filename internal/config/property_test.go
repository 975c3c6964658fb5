package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// TestAnyTextSurvivesAnExport draws arguments and environment variables as
// awkward as they come: what is exported must be read back as it was, and
// applying it must change nothing.
func TestAnyTextSurvivesAnExport(t *testing.T) {
	dir := folder(t, "bin/web")
	base := resolve(t, head+oneService, dir)
	awkward := rapid.OneOf(
		rapid.StringN(0, 12, -1),
		rapid.StringOf(rapid.RuneFrom([]rune(" :#-?[]{},&*!|>'\"%@`~\n\t\\=<$01eé.\r\u2028\u0085\ufeff\x01\x7f"))),
		rapid.SampledFrom([]string{"", "null", "~", "true", "1", "0x1f", "1e3", ".inf", "<<", "---", "2026-01-02", "a: b", "- a", " a", "a ", "\n", "a\n\nb\n", "%d", "yes"}),
	).Filter(func(s string) bool {
		for _, r := range s {
			if r == 0 {
				return false
			}
		}
		return true
	})
	rapid.Check(t, func(t *rapid.T) {
		f := base
		run := *base.Services[0].First.Run
		run.Command = append([]string{run.Executable}, rapid.SliceOfN(awkward, 0, 4).Draw(t, "arguments")...)
		run.Env = rapid.MapOfN(rapid.StringMatching(`[A-Z_a-z][A-Z_a-z0-9.~-]{0,8}`).Filter(func(s string) bool {
			return s != "PORT" && s != "WEB_SERVICE_HOST" && s != "WEB_SERVICE_PORT"
		}), awkward, 0, 4).Draw(t, "env")
		if len(run.Env) == 0 {
			run.Env = nil
		}
		v := fleet.Version{Service: "web", Run: &run, Source: fleet.Source{Commit: awkward.Draw(t, "commit")}}
		v.Digest = digest(v)
		v.Name = shortDigest(v.Digest)
		f.Services = []fleet.Service{base.Services[0]}
		f.Services[0].First = v

		text, err := Export(f, first(f))
		if err != nil {
			t.Fatal(err)
		}
		docs, err := Parse("export.yaml", text, t.Name())
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		again, err := ResolveFleet(*docs.Fleet)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		again.Dir = f.Dir // of another document
		if diff := cmp.Diff(f, again); diff != "" {
			t.Fatalf("%s\n%s", diff, text)
		}
		if c := Compare(again, f, first(f)); !c.Empty() {
			t.Fatalf("applying the export would change %+v", c)
		}
	})
}
