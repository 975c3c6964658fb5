package journal_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/greenroom-dev/greenroom/examples/live/internal/journal"
)

func open(t *testing.T, path string) (*journal.Journal[int], *[]int) {
	t.Helper()
	var all []int
	j, err := journal.Open(path, func(n int) { all = append(all, n) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, &all
}

// Several writers, each of which writes the number after the last: only a
// journal that lets nobody in between has no number twice.
func TestWritersSeeEachOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	var writers sync.WaitGroup
	for range 4 {
		j, all := open(t, path)
		writers.Go(func() {
			for range 200 {
				err := j.Append(func() (int, error) {
					runtime.Gosched() // here others would write in between
					return len(*all), nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	j, all := open(t, path)
	if err := j.Sync(nil); err != nil {
		t.Fatal(err)
	}
	if len(*all) != 800 || !slices.IsSorted(*all) || (*all)[799] != 799 {
		t.Errorf("%d entries, sorted %v", len(*all), slices.IsSorted(*all))
	}
}

func TestRefusedEntryIsNotWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, all := open(t, path)
	no := errors.New("no")
	if err := j.Append(func() (int, error) { return 1, no }); !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
	if raw, err := os.ReadFile(path); err != nil || len(raw) != 0 || len(*all) != 0 {
		t.Errorf("wrote %q, applied %v, %v", raw, *all, err)
	}
}

func TestTornLineIsRepaired(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	if err := os.WriteFile(path, []byte("1\n2\n33333"), 0o600); err != nil {
		t.Fatal(err)
	}
	j, all := open(t, path)
	if err := j.Sync(nil); err != nil || !slices.Equal(*all, []int{1, 2}) {
		t.Errorf("read %v, %v", *all, err)
	}
	if err := j.Append(func() (int, error) { return 4, nil }); err != nil {
		t.Fatal(err)
	}
	if raw, _ := os.ReadFile(path); string(raw) != "1\n2\n4\n" {
		t.Errorf("file is %q", raw)
	}
}

func TestLongLinesAndDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	long := strings.Repeat(" ", 10_000) + "7\n"
	if err := os.WriteFile(path, []byte("1\n"+long+"nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	j, all := open(t, path)
	err := j.Sync(nil)
	if err == nil || !strings.Contains(err.Error(), path+", at byte 10004") {
		t.Errorf("got %v, want the file and the place", err)
	}
	if !slices.Equal(*all, []int{1, 7}) {
		t.Errorf("read %v", *all)
	}
}
