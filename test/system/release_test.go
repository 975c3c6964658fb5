package system

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// web is the body of a release that brings version v of web alone, with more
// of the spec behind it.
func web(v string, more ...string) string {
	return "  services: [{name: web, version: " + v + ", run: {env: {VERSION: " + v + "}}}]\n" + strings.Join(more, "")
}

// pass makes a pass for a release.
func (s *system) pass(name string) string {
	s.t.Helper()
	p := decode[struct{ Token, Link, ID string }](s.t, s.must("pass", "create", name, "--for", "2h", "-o", "json").out)
	if p.Token == "" || p.Link == "" {
		s.t.Fatalf("the pass has no token or no link: %+v", p)
	}
	return p.Token
}

// TestReleasesOverEachOther lets two releases preview at once, promotes one over
// the other, and takes both ways back.
func TestReleasesOverEachOther(t *testing.T) {
	t.Parallel()
	s := newSystem(t, path4).start()
	s.open("a", "  services: [{name: api, version: v2, run: {env: {VERSION: v2}}}]\n")
	s.open("b", "  services: [{name: gift, version: v2, run: {env: {VERSION: v2}}}]\n")
	base, onlyA, onlyB, both := whole("v1"), "web=v1 api=v2 gift=v1 wallet=v1", "web=v1 api=v1 gift=v2 wallet=v1", "web=v1 api=v2 gift=v2 wallet=v1"
	passA, passB := s.pass("a"), s.pass("b")
	s.answers(base)
	s.answers(onlyA, "Greenroom-Pass", passA)
	s.answers(onlyB, "Greenroom-Pass", passB)

	s.must("promote", "a", "--yes")
	s.answers(onlyA)
	s.eventually("the preview of b stands on a", func() error {
		if got := s.get("/", "Greenroom-Pass", passB); got.body != both {
			return fmt.Errorf("%q", got.body)
		}
		return nil
	})
	s.must("promote", "b", "--yes")
	s.answers(both)
	s.refused(3, "revert", "rollback", "a", "--yes") // a is past the point of no return
	s.must("rollback", "--yes")
	s.answers(onlyA)
	s.answers(both, "Greenroom-Pass", passB)
	s.must("release", "abort", "b", "--yes")
	s.must("release", "abort", "b", "--yes") // it is so already
	s.awaitPhase("a", "Settled")
	s.answers(onlyA)

	s.must("release", "revert", "a")
	s.answers(base, "Greenroom-Pass", s.pass("revert-a"))
	s.must("promote", "revert-a", "--yes")
	s.answers(base)
	s.refused(3, "a", "release", "open", "-f", "a.yaml") // the name was live
	s.refused(2, "c", "promote", "c", "--yes")
}

// TestRebase opens two releases of one service: what the second replaces is no
// longer what serves when the first is live.
func TestRebase(t *testing.T) {
	t.Parallel()
	s := newSystem(t, one).start()
	s.open("a", web("v2"))
	s.open("b", web("v3"))
	s.must("promote", "a", "--yes")
	s.refused(3, "rebase", "promote", "b", "--yes")
	s.answers("web=v2")
	s.must("release", "rebase", "b")
	s.must("promote", "b", "--yes")
	s.answers("web=v3")
	s.must("rollback", "--yes")
	s.answers("web=v2")
}

// TestAbortInEveryPhase ends releases in each phase in which that is possible.
func TestAbortInEveryPhase(t *testing.T) {
	t.Parallel()
	s := newSystem(t, one).start()
	begun := filepath.Join(s.dir, "begun")
	s.must("release", "open", "--no-wait", "-f", s.write("preparing.yaml", releaseText("preparing", web("v2", hook("prepare", "wait", "touch "+begun+"; exec sleep 1000")))))
	s.eventually("the prepare hook runs", func() error { _, err := os.Stat(begun); return err })
	s.must("release", "abort", "preparing", "--yes")
	s.open("previewing", web("v3"))
	s.must("release", "abort", "previewing", "--yes")
	s.open("live", web("v4"))
	s.must("promote", "--yes")
	s.answers("web=v4")
	s.must("release", "abort", "live", "--yes")
	s.answers("web=v1")
	s.refused(1, "exit", "release", "open", "-f", s.write("failed.yaml", releaseText("failed", web("v5", hook("prepare", "fail", "exit 7")))))
	s.awaitPhase("failed", "Failed")
	s.must("release", "abort", "failed", "--yes")
	for _, name := range []string{"preparing", "previewing", "live", "failed"} {
		s.awaitPhase(name, "Aborted")
	}
	s.eventually("only the fleet's own service runs", func() error {
		if n := len(s.services()); n != 1 {
			return fmt.Errorf("%d run", n)
		}
		return nil
	})
	s.answers("web=v1")
	s.open("previewing", web("v6")) // a name that was never live is free again
	s.refused(3, "live", "release", "open", "-f", s.write("live.yaml", releaseText("live", web("v7"))))
}

// hook is one hook of a release, run by a shell.
func hook(moment, name, script string) string {
	return fmt.Sprintf("  hooks: {%s: [{name: %s, timeout: 30s, run: [/bin/sh, -c, %q]}]}\n", moment, name, script)
}

func TestHooks(t *testing.T) {
	t.Parallel()
	s := newSystem(t, one).start()
	s.refused(1, "expand", "release", "open", "-f", s.write("prepare.yaml", releaseText("prepare", web("v2", hook("prepare", "expand", "echo no such column; exit 3")))))
	if r := s.release("prepare"); r.Phase != "Failed" || !strings.Contains(r.Hooks[0].Output, "no such column") {
		t.Errorf("after a failed prepare hook: %s, %+v", r.Phase, r.Hooks)
	}
	s.answers("web=v1")
	if shown := s.must("release", "show", "prepare"); !strings.Contains(shown.out, "no such column") {
		t.Errorf("release show does not tell the hook's output:\n%s", shown.out)
	}

	passed := filepath.Join(s.dir, "passed")
	s.open("verify", web("v3", hook("verify", "smoke", "echo looking at $GREENROOM_RELEASE by $GREENROOM_EDGE_URL; test -e "+passed)))
	s.eventually("verify has failed", func() error {
		if r := s.release("verify"); r.Hooks[0].State != "failed" {
			return fmt.Errorf("it is %s", r.Hooks[0].State)
		}
		return nil
	})
	s.refused(3, "greenroom release verify verify", "promote", "verify", "--yes")
	s.refused(1, "smoke", "release", "verify", "verify")
	if err := os.WriteFile(passed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.must("release", "verify", "verify")
	if r := s.release("verify"); !strings.Contains(r.Hooks[0].Output, "looking at verify by http://"+s.edge) {
		t.Errorf("the hook printed %q", r.Hooks[0].Output)
	}
	s.must("promote", "verify", "--yes")
	s.answers("web=v3")
	s.must("release", "settle", "verify", "--yes")

	mended := filepath.Join(s.dir, "mended")
	s.open("settle", web("v4", hook("settle", "contract", "test -e "+mended)))
	s.must("promote", "settle", "--yes")
	s.must("release", "settle", "settle", "--yes", "--no-wait")
	s.eventually("the settle hook has failed", func() error {
		if r := s.release("settle"); !strings.Contains(r.Reason, "contract") || r.Phase != "Settled" {
			return fmt.Errorf("%s: %s", r.Phase, r.Reason)
		}
		return nil
	})
	if shown := s.must("status"); !strings.Contains(shown.out, "contract") {
		t.Errorf("the status does not tell of the failed hook:\n%s", shown.out)
	}
	if err := os.WriteFile(mended, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.must("release", "settle", "settle", "--yes")
	s.eventually("the settle hook has passed", func() error {
		if r := s.release("settle"); r.Phase != "Settled" || r.Reason != "" || r.Hooks[0].State != "passed" {
			return fmt.Errorf("%s: %s, %+v", r.Phase, r.Reason, r.Hooks)
		}
		return nil
	})
	s.answers("web=v4")
}

// TestInterruptedHookRunsAgain kills greenroom in the middle of a hook. The hook
// runs again with the next start, and the first run is gone by then.
func TestInterruptedHookRunsAgain(t *testing.T) {
	t.Parallel()
	s := newSystem(t, one).start()
	journal := filepath.Join(s.dir, "journal")
	script := fmt.Sprintf("echo $$ >>%s; if [ $(wc -l <%s) -gt 1 ]; then exit 0; fi; exec sleep 1000", journal, journal)
	s.must("release", "open", "--no-wait", "-f", s.write("r1.yaml", releaseText("r1", web("v2", hook("prepare", "migrate", script)))))
	runs := func() []string {
		data, _ := os.ReadFile(journal)
		return strings.Fields(string(data))
	}
	s.eventually("the hook runs", func() error {
		if len(runs()) != 1 {
			return fmt.Errorf("it ran %d times", len(runs()))
		}
		return nil
	})
	s.kill()
	s.start()
	s.awaitPhase("r1", "Previewing")
	if got := runs(); len(got) != 2 {
		t.Errorf("the hook ran %d times, want 2", len(got))
	}
	if alive(runs()[0]) {
		t.Errorf("the first run, %s, still lives", runs()[0])
	}
	s.must("promote", "--yes")
	s.answers("web=v2")
}

// TestRollbackWindowEndsByItself lets the time run out.
func TestRollbackWindowEndsByItself(t *testing.T) {
	t.Parallel()
	s := newSystem(t, one).start()
	s.open("r1", web("v2", "  rollbackWindow: 1s\n"))
	s.must("promote", "--yes")
	began := time.Now()
	s.awaitPhase("r1", "Settled")
	s.refused(3, "revert", "rollback", "r1", "--yes")
	s.answers("web=v2")
	if time.Since(began) < time.Second {
		t.Error("it settled before its rollback window was over")
	}
	s.eventually("the former version is gone", func() error {
		if n := len(s.services()); n != 1 {
			return fmt.Errorf("%d run", n)
		}
		return nil
	})
	if got := s.get("/", "X-Greenroom-Release", "baseline"); got.status != http.StatusOK || got.body != "web=v2" {
		t.Errorf("a stamp from outside is answered %d %q", got.status, got.body)
	}
}
