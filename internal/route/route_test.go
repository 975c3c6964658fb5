package route

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// three views: baseline, r1 (api v2 over it), r2 (api v3 and web v2 over r1),
// and r2.0, which r2 replaced.
func threeViews(t testing.TB) *Table[string] {
	t.Helper()
	table, err := Build(Config{
		Default: "r1",
		Views: []View{
			{Stamp: "baseline", Versions: map[string]string{"web": "web@1", "api": "api@1", "db": "db@1"}},
			{Stamp: "r1", Versions: map[string]string{"web": "web@1", "api": "api@2", "db": "db@1"}},
			{Stamp: "r2", Versions: map[string]string{"web": "web@2", "api": "api@3", "db": "db@1"}},
			{Stamp: "r2.0", Versions: map[string]string{"web": "web@2", "api": "api@2"}, Ending: true},
		},
	}, strings.ToUpper)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestLookup(t *testing.T) {
	table := threeViews(t)
	for _, c := range []struct {
		name, service, stamp, caller string
		wantStamp, wantVersion       string
		wantReason                   Reason
		wantOK                       bool
	}{
		{"edge, default", "api", "r1", "", "r1", "api@2", Honoured, true},
		{"edge, preview", "api", "r2", "", "r2", "api@3", Honoured, true},
		{"hop keeps the stamp of a view that holds its caller", "db", "baseline", "web@1", "baseline", "db@1", Honoured, true},
		{"hop keeps the stamp of an ending view", "api", "r2.0", "web@2", "r2.0", "api@2", Honoured, true},
		{"stamp of a view without the caller: the caller's only view", "db", "baseline", "api@3", "r2", "db@1", BySource, true},
		{"no stamp: the caller's only view in use, not the ending one", "api", "", "web@2", "r2", "api@3", BySource, true},
		{"no stamp, caller in several views: the default", "api", "", "web@1", "r1", "api@2", Unstamped, true},
		{"unknown stamp, caller in several views: the default", "api", "r0", "db@1", "r1", "api@2", Unknown, true},
		{"unknown stamp, caller in one view", "api", "r0", "web@2", "r2", "api@3", BySource, true},
		{"unknown caller with a known stamp is not believed", "api", "r2", "gone@1", "r1", "api@2", Unknown, true},
		{"service the view does not have", "db", "r2.0", "web@2", "r2.0", "", Honoured, false},
		{"service nobody has", "mail", "r1", "", "r1", "", Honoured, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := table.Lookup(c.service, c.stamp, c.caller)
			if ok != c.wantOK || got.Stamp != c.wantStamp || got.Version != c.wantVersion || got.Reason != c.wantReason {
				t.Errorf("Lookup(%q, %q, %q) = %+v, %v", c.service, c.stamp, c.caller, got, ok)
			}
			if ok && got.Target != strings.ToUpper(c.wantVersion) {
				t.Errorf("target %q of version %q", got.Target, got.Version)
			}
		})
	}
}

func TestWithDefaultLeavesTheOldTable(t *testing.T) {
	table := threeViews(t)
	next, err := table.WithDefault("r2")
	if err != nil {
		t.Fatal(err)
	}
	if table.Default() != "r1" || next.Default() != "r2" {
		t.Errorf("defaults %s, %s; want r1, r2", table.Default(), next.Default())
	}
	if !next.OnStage("web@2") || next.OnStage("web@1") || !table.OnStage("web@1") || table.OnStage("nobody@1") {
		t.Error("the stage does not follow the default's view")
	}
	if _, err := table.WithDefault("r9"); err == nil {
		t.Error("an unknown stamp became the default")
	}
}

func TestBuildRefuses(t *testing.T) {
	for _, c := range []struct {
		name, want string
		config     Config
	}{
		{"no default", `the default "x" is not among the views`, Config{Default: "x", Views: []View{{Stamp: "y"}}}},
		{"empty stamp", "a view has no stamp", Config{Views: []View{{}}}},
		{"stamp twice", "stamp x stands for two views", Config{Default: "x", Views: []View{{Stamp: "x"}, {Stamp: "x"}}}},
		{"version of two services", "version v stands under two services", Config{Default: "x", Views: []View{{Stamp: "x", Versions: map[string]string{"a": "v", "b": "v"}}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Build(c.config, func(string) int { return 0 }); err == nil || err.Error() != c.want {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

// A request, followed through any number of hops that pass its stamp on, only
// ever meets versions of the view it was stamped with at the edge, whatever
// the default becomes on the way.
func TestStampedRequestStaysInItsView(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		services := []string{"a", "b", "c", "d"}
		var views []View
		for i := range rapid.IntRange(1, 5).Draw(t, "views") {
			v := View{Stamp: fmt.Sprintf("r%d", i), Versions: map[string]string{}, Ending: i > 0 && rapid.Bool().Draw(t, "ending")}
			for _, s := range services {
				v.Versions[s] = fmt.Sprintf("%s@%d", s, rapid.IntRange(0, 2).Draw(t, "version"))
			}
			views = append(views, v)
		}
		table, err := Build(Config{Default: "r0", Views: views}, func(v string) string { return v })
		if err != nil {
			t.Fatal(err)
		}
		view := rapid.SampledFrom(views).Draw(t, "view")
		caller := ""
		for range rapid.IntRange(1, 6).Draw(t, "hops") {
			if table, err = table.WithDefault(rapid.SampledFrom(views).Draw(t, "default").Stamp); err != nil {
				t.Fatal(err)
			}
			service := rapid.SampledFrom(services).Draw(t, "service")
			got, ok := table.Lookup(service, view.Stamp, caller)
			if !ok || got.Reason != Honoured || got.Stamp != view.Stamp || got.Version != view.Versions[service] {
				t.Fatalf("hop from %q to %s stamped %s: %+v, %v", caller, service, view.Stamp, got, ok)
			}
			caller = got.Version
		}
	})
}

func largeConfig(services, releases int) Config {
	base := make(map[string]string, services)
	for i := range services {
		base[fmt.Sprintf("service-%d", i)] = fmt.Sprintf("service-%d@1", i)
	}
	c := Config{Default: "baseline", Views: []View{{Stamp: "baseline", Versions: base}}}
	for r := range releases {
		v := View{Stamp: fmt.Sprintf("r%d", r), Versions: make(map[string]string, services)}
		for s, version := range base {
			v.Versions[s] = version
		}
		for i := range 3 {
			s := fmt.Sprintf("service-%d", r*3+i)
			v.Versions[s] = fmt.Sprintf("%s@r%d", s, r)
		}
		c.Views = append(c.Views, v)
	}
	return c
}

func TestLookupDoesNotAllocate(t *testing.T) {
	table, err := Build(largeConfig(1000, 20), func(v string) string { return v })
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		table.Lookup("service-500", "r7", "service-21@r7")
		table.Lookup("service-500", "", "service-21@r7")
		table.Lookup("service-500", "nonsense", "service-900@1")
	}); n != 0 {
		t.Errorf("Lookup allocates %v times", n)
	}
}

func BenchmarkLookup(b *testing.B) {
	for _, size := range []struct{ services, releases int }{{10, 1}, {1000, 20}} {
		table, err := Build(largeConfig(size.services, size.releases), func(v string) string { return v })
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("services=%d/releases=%d", size.services, size.releases), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table.Lookup("service-5", "r0", "service-1@r0")
			}
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	c := largeConfig(1000, 20)
	for b.Loop() {
		if _, err := Build(c, func(v string) string { return v }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWithDefault(b *testing.B) {
	for _, services := range []int{10, 1000} {
		table, err := Build(largeConfig(services, 3), func(v string) string { return v })
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("services=%d", services), func(b *testing.B) {
			for b.Loop() {
				if _, err := table.WithDefault("r1"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
