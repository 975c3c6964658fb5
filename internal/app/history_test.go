package app

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/greenroom-dev/greenroom/internal/release"
	"github.com/greenroom-dev/greenroom/internal/store"
)

// Every change is read as it was saved, whichever parts of the state it leaves
// alone.
func TestRecordsAreReadAsTheyWereSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "greenroom.db")
	file, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	now, by := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), release.Actor{Who: "test"}
	seen := release.Observation{Versions: map[string]release.VersionStatus{}}
	opening := func(name string, services ...string) release.Opening {
		o := release.Opening{Name: name, UID: "uid-" + name, RollbackWindow: time.Hour, Keep: time.Hour}
		for _, s := range services {
			id := s + "@" + name
			o.Versions = append(o.Versions, release.Version{ID: id, Service: s, Name: name, Digest: name})
			seen.Versions[id] = release.VersionStatus{Ready: 1}
		}
		return o
	}
	rec := first(fleetOfEndpoints(4, "v1", "127.0.0.1:1"), by, now)
	for id := range rec.State.Versions {
		seen.Versions[id] = release.VersionStatus{Ready: 1}
	}
	saves := &records{store: file}
	for n, change := range []func(release.State) (release.State, error){
		func(s release.State) (release.State, error) { return s, nil },
		func(s release.State) (release.State, error) { return s.Open(opening("r1", "s0", "s2"), by, now) },
		func(s release.State) (release.State, error) { return s.Open(opening("r2", "s0"), by, now) },
		func(s release.State) (release.State, error) { next, _ := release.Step(s, seen, now); return next, nil },
		func(s release.State) (release.State, error) {
			return s.Promote(release.Promotion{Name: "r1"}, seen, by, now)
		},
		func(s release.State) (release.State, error) { next, _ := release.Step(s, seen, now); return next, nil },
		func(s release.State) (release.State, error) { return s.Rollback("r1", by, now) },
		func(s release.State) (release.State, error) { return s.Abort("r2", by, now) },
		func(s release.State) (release.State, error) {
			next, _ := release.Step(s, seen, now.Add(time.Hour))
			return next, nil
		},
		func(s release.State) (release.State, error) {
			return s.Apply(release.Change{Services: map[string]release.Service{"s1": {Drain: time.Second}}, Settings: s.Settings}, by, now)
		},
	} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			next, err := change(rec.State)
			if err != nil {
				t.Fatal(err)
			}
			next.Revision, next.Pending = uint64(n)+1, nil
			rec = rec.With(next)
			if err := saves.Save(rec, nil); err != nil {
				t.Fatal(err)
			}
			again, ok, err := (&records{store: file}).Load()
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			if diff := cmp.Diff(rec, again, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("it is read otherwise than it was saved (- saved, + read):\n%s", diff)
			}
			if n%3 == 0 { // as after a restart
				saves = &records{store: file}
				if rec, _, err = saves.Load(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	if len(rec.State.Views) < 2 || len(rec.State.Versions) < 4 {
		t.Errorf("the changes led to %+v, which tells of little", rec.State)
	}
}
