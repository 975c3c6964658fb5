package local

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLogsTailAndFollow(t *testing.T) {
	b := newBench(t)
	b.ensure(b.spec("1"))
	i := b.awaitReady("api@1", 1).Instances[0]
	for n := range 5 {
		get(t, i.Addr, fmt.Sprintf("/log?n=%d", n))
	}
	eventually(t, "all lines", func() bool { return len(b.lines("api@1")) == 11 })

	var got []string
	enough := errors.New("enough")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := b.Logs(ctx, []string{"api@1"}, true, 2, func(l LogLine) error {
		if l.Version != "api@1" || l.Instance != i.ID || time.Since(l.At) > time.Minute {
			t.Errorf("line of %s at %v, want one of %s just now", l.Instance, l.At, i.ID)
		}
		switch got = append(got, l.Stream+" "+l.Text); len(got) {
		case 2:
			go func() { _, _ = http.Get("http://" + i.Addr + "/log?n=5") }()
		case 4:
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Errorf("got error %v, want the receiver's", err)
	}
	if want := b.lines("api@1")[9:]; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := b.Logs(t.Context(), []string{"api@2"}, false, -1, nil); err == nil || !strings.Contains(err.Error(), "no version api@2") {
		t.Errorf("logs of an unknown version: %v", err)
	}
}

// Versions that print by turns are told by turns, and none crowds out another.
func TestLogsOfSeveralVersionsAreMergedByTime(t *testing.T) {
	b := newBench(t)
	var addrs []string
	versions := []string{"api@1", "api@2"}
	for _, name := range []string{"1", "2"} {
		b.ensure(b.spec(name))
		addrs = append(addrs, b.awaitReady("api@"+name, 1).Instances[0].Addr)
	}
	const turns = 6
	for n := range turns { // an answer comes after its lines are written
		get(t, addrs[n%2], fmt.Sprintf("/log?n=%d", n))
		eventually(t, "the line", func() bool { return len(b.lines(versions[n%2])) >= 1+2*(n/2+1) })
	}
	for range 10 {
		get(t, addrs[0], "/log?n=9")
	}
	eventually(t, "all lines", func() bool { return len(b.lines(versions[0])) == 1+turns+20 })
	for _, c := range []struct {
		tail int
		want int // of the second version
	}{{-1, 1 + turns}, {4, 4}, {0, 0}} {
		var last time.Time
		of := map[string]int{}
		var order []string
		err := b.Logs(t.Context(), append(versions, "api@3"), false, c.tail, func(l LogLine) error {
			if l.At.Before(last) {
				t.Errorf("with a tail of %d, %q of %v follows a line of %v", c.tail, l.Text, l.At, last)
			}
			last = l.At
			of[l.Version]++
			order = append(order, l.Version)
			return nil
		})
		if err != nil || of["api@2"] != c.want {
			t.Errorf("with a tail of %d there are %v lines, %v", c.tail, of, err)
		}
		if turned := len(slices.Compact(order)); c.tail < 0 && turned < turns {
			t.Errorf("the versions take turns %d times, want at least %d", turned, turns)
		}
	}
}

func TestLastWordsAreKept(t *testing.T) {
	const burst = 20000
	b := newBench(t)
	s := b.spec("1", "-exit", "1", "-burst", fmt.Sprint(burst))
	s.Service.Health.MaxRestarts = 0
	b.ensure(s)
	b.await("api@1", "failed", func(st Status) bool { return st.Failed != "" })
	got := b.lines("api@1")
	if len(got) != 1+burst || got[burst] != fmt.Sprintf("stdout last words %d", burst-1) {
		t.Errorf("%d lines, the last %q; want %d", len(got), got[len(got)-1], 1+burst)
	}
}

func TestFollowingEndsWithTheVersion(t *testing.T) {
	b := newBench(t)
	b.ensure(b.spec("1"))
	b.awaitReady("api@1", 1)
	b.Stop("api@1", time.Minute)
	var last string
	if err := b.Logs(t.Context(), []string{"api@1"}, true, -1, func(l LogLine) error { last = l.Text; return nil }); err != nil {
		t.Error(err)
	}
	if last != "terminated" {
		t.Errorf("the last line is %q, want the service's last", last)
	}
}

func newLog(t *testing.T, max int64, keep int) *rotatingLog {
	l := &rotatingLog{path: filepath.Join(t.TempDir(), "log"), max: max, keep: keep}
	t.Cleanup(l.close)
	return l
}

func readAll(l *rotatingLog) []string {
	r := &logReader{path: l.path}
	defer r.close()
	var got []string
	for line, ok := r.next(); ok; line, ok = r.next() {
		got = append(got, line.stream+" "+line.text)
	}
	return got
}

func TestLogStaysWithinItsBounds(t *testing.T) {
	const max, keep = 1000, 3
	l := newLog(t, max, keep)
	for n := range 500 {
		l.write("stdout", time.Now(), fmt.Appendf(nil, "line %d", n), true)
	}
	entries, err := os.ReadDir(filepath.Dir(l.path))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != keep {
		t.Errorf("%d files, want %d", len(entries), keep)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Size() > max || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %d bytes, mode %v, error %v", e.Name(), info.Size(), info.Mode(), err)
		}
	}
	got := readAll(l)
	if len(got) < 40 || got[len(got)-1] != "stdout line 499" {
		t.Fatalf("%d lines, the last %q", len(got), got[len(got)-1])
	}
	for k, line := range got {
		if want := fmt.Sprintf("stdout line %d", 500-len(got)+k); line != want {
			t.Fatalf("line %d is %q, want %q", k, line, want)
		}
	}
}

func TestReaderFollowsThroughRotation(t *testing.T) {
	l := newLog(t, 400, 4)
	r := &logReader{path: l.path}
	defer r.close()
	n := 0
	for m := range 300 {
		l.write("stdout", time.Now(), fmt.Appendf(nil, "%d", m), true)
		if m%7 != 0 {
			continue
		}
		for line, ok := r.next(); ok; line, ok = r.next() {
			if line.text != fmt.Sprint(n) {
				t.Fatalf("got line %s, want %d", line.text, n)
			}
			n++
		}
	}
	if n < 290 {
		t.Errorf("read only %d lines", n)
	}
}

func TestFullDiskIsSurvivedAndReported(t *testing.T) {
	l := newLog(t, 1<<20, 3)
	l.write("stdout", time.Now(), []byte("before"), true)
	l.close()
	if err := os.Rename(l.path, l.path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", l.path); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		l.write("stdout", time.Now(), []byte("lost"), true)
	}
	if err := os.Remove(l.path); err != nil {
		t.Fatal(err)
	}
	l.write("stdout", time.Now(), []byte("after"), true)
	l.write("stdout", time.Now(), []byte("last"), true)
	want := []string{"stdout before", "greenroom 3 lines were dropped: write " + l.path + ": no space left on device", "stdout after", "stdout last"}
	if got := readAll(l); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLongAndUnendedLines(t *testing.T) {
	s := shim{log: rotatingLog{path: filepath.Join(t.TempDir(), "log"), max: 1 << 20, keep: 2}}
	text := strings.Repeat("x", maxLine) + "y\n\nend"
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = w.WriteString(text); _ = w.Close() }()
	s.copy("stdout", r)
	want := []string{"stdout " + strings.Repeat("x", maxLine), "stdout y", "stdout ", "stdout end"}
	if got := readAll(&s.log); !slices.Equal(got, want) {
		t.Errorf("got %d lines: %.200q", len(got), got)
	}
	raw, err := os.ReadFile(s.log.path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(raw), " stdout P "); n != 1 {
		t.Errorf("%d lines are marked as parts, want 1", n)
	}
}
