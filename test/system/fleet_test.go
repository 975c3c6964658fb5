package system

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestStateDecides settles a release and starts again with the document from
// before it: what was released serves.
func TestStateDecides(t *testing.T) {
	t.Parallel()
	s := newSystem(t, path4).start()
	s.open("r42", three("v2"))
	s.must("promote", "--yes")
	s.must("release", "settle", "--yes")
	s.must("down", "--yes")
	s.gone()

	s.start()
	s.answers(whole("v2"))
	if !strings.Contains(s.out.String(), "the file still has v1, and v2 serves since a release brought it") {
		t.Errorf("up does not say that the file is behind:\n%s", s.out.tail(20))
	}
	if got := s.must("fleet", "apply", "--yes", "-f", "greenroom.yaml"); !strings.Contains(got.out+got.err, "behind") {
		t.Errorf("fleet apply of a file that is behind: %s%s", got.out, got.err)
	}
	s.answers(whole("v2"))

	changed := strings.ReplaceAll(path4, "v1, NEXT: gift", "v3, NEXT: gift")
	s.write("changed.yaml", strings.Replace(changed, "name: api, version: v1", "name: api, version: v3", 1))
	r := s.cli("fleet", "apply", "--yes", "-f", "changed.yaml")
	if r.code != 3 || !strings.Contains(r.out+r.err, "VERSION") || !strings.Contains(r.out+r.err, "--adopt") || !strings.Contains(r.out+r.err, "release open") {
		t.Errorf("a changed version: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	s.answers(whole("v2"))
	s.must("fleet", "apply", "--yes", "-f", "changed.yaml", "--adopt")
	adopted := strings.Replace(whole("v2"), "api=v1", "api=v3", 1)
	s.eventually("the adopted version serves", func() error {
		if got := s.get("/"); got.body != adopted {
			return fmt.Errorf("%q", got.body)
		}
		return nil
	})
	s.must("fleet", "apply", "--yes", "-f", "changed.yaml", "--adopt")
	s.must("rollback", "--yes")
	s.answers(whole("v2"))
}

// TestExportStartsWhatServes writes the fleet out and starts another greenroom
// from that.
func TestExportStartsWhatServes(t *testing.T) {
	t.Parallel()
	s := newSystem(t, path4).start()
	s.open("r1", three("v2"))
	s.must("promote", "--yes")
	document := s.must("fleet", "export").out
	s.must("fleet", "diff", "-f", s.write("export.yaml", document))
	s.must("down", "--yes")

	again := newSystem(t, path4)
	exported := strings.ReplaceAll(document, s.edge, again.edge)
	again.must("check", "-f", again.write("greenroom.yaml", exported))
	again.start()
	again.answers(whole("v2"))
	again.must("down", "--yes")
}

// TestFleetAppliedUnderLoad changes everything of a fleet that may be changed
// while it runs. No request fails.
func TestFleetAppliedUnderLoad(t *testing.T) {
	t.Parallel()
	s := newSystem(t, path4).start()
	pids := s.instances()
	l := startLoad(s, 3, anyWhole)
	apply := func(document string) {
		t.Helper()
		l.more(20)
		s.must("fleet", "apply", "--yes", "-f", s.write("next.yaml", document))
		l.more(20)
	}
	ready := func(service string, n int) {
		t.Helper()
		s.eventually(fmt.Sprintf("%s has %d instances", service, n), func() error {
			for _, one := range s.status().Services {
				if v := one.Versions[0]; one.Name == service && (v.Ready != n || v.Wanted != n) {
					return fmt.Errorf("%d of %d", v.Ready, v.Wanted)
				}
			}
			return nil
		})
	}
	gift := func(document, with string) string {
		return strings.Replace(document, "{name: gift, version: v1, drain: 3s, run: {", "{name: gift, version: v1, "+with, 1)
	}

	more := gift(path4, "drain: 10s, run: {replicas: 4, ")
	apply(more)
	ready("gift", 4)
	g := newGate(t)
	l.more(200)
	for range 4 { // down and up again, with the load on each of them
		apply(gift(path4, "drain: 10s, run: {replicas: 1, "))
		ready("gift", 1)
		s.eventually("three have ended", func() error {
			if n := len(s.services()); n != 4 {
				return fmt.Errorf("%d services run", n)
			}
			return nil
		})
		apply(more)
		ready("gift", 4)
	}
	apply(path4)

	routed := strings.Replace(path4, "routes: [{service: web}]", "routes: [{path: /gift, service: gift}, {service: web}]", 1)
	apply(routed)
	if got := s.get("/gift"); got.body != "gift=v1 wallet=v1" {
		t.Errorf("the new route answers %q", got.body)
	}
	unhealthy := strings.Replace(routed, "{name: wallet, version: v1,", "{name: wallet, version: v1, health: {path: /headers, interval: 100ms},", 1)
	apply(unhealthy)
	ready("wallet", 1)

	joined := unhealthy + "  - {name: news, version: v1, run: {command: [SERVICE], env: {NAME: news, VERSION: v1}}}\n"
	apply(strings.Replace(joined, "routes: [", "routes: [{path: /news, service: news}, ", 1))
	s.eventually("the new service answers", func() error {
		if got := s.get("/news"); got.body != "news=v1" {
			return fmt.Errorf("%q", got.body)
		}
		return nil
	})
	apply(unhealthy)
	s.eventually("the removed service is gone", func() error {
		if n := len(s.services()); n != 4 {
			return fmt.Errorf("%d services run", n)
		}
		return nil
	})
	if got := s.get("/news"); got.status != http.StatusOK || got.body != whole("v1") {
		t.Errorf("without its route, /news answers %d %q", got.status, got.body)
	}
	_ = g
	l.end()
	for pid, name := range s.instances() {
		delete(pids, pid)
		_ = name
	}
	maps.DeleteFunc(pids, func(_ int, name string) bool { return strings.HasPrefix(name, "gift@") })
	if len(pids) > 0 {
		t.Errorf("these were restarted: %v", pids)
	}
}

// TestAppliedHealthIsUsed changes a health check to one that fails: that has to
// be seen, or it was not applied.
func TestAppliedHealthIsUsed(t *testing.T) {
	t.Parallel()
	s := newSystem(t, one).start()
	state := func(want string) {
		t.Helper()
		s.eventually("web is "+want, func() error {
			if v := s.status().Services[0].Versions[0]; v.State != want {
				return fmt.Errorf("it is %s %s", v.State, v.Message)
			}
			return nil
		})
	}
	wrong := strings.Replace(one, "drain: 3s", "drain: 3s, health: {path: '/ws', interval: 100ms}", 1)
	s.must("fleet", "apply", "--yes", "-f", s.write("wrong.yaml", wrong))
	state("unready")
	s.must("fleet", "apply", "--yes", "-f", "greenroom.yaml")
	state("ready")
	s.answers("web=v1")
}

// TestScaledDownInstanceEndsItsRequests takes instances away that work on
// requests, and that a SIGTERM would end in the middle of them.
func TestScaledDownInstanceEndsItsRequests(t *testing.T) {
	t.Parallel()
	abrupt := strings.Replace(strings.Replace(one, "3s", "60s", 1), "VERSION: v1", "VERSION: v1, ABRUPT: '1'", 1)
	s := newSystem(t, strings.Replace(abrupt, "run: {", "run: {replicas: 3, ", 1)).start()
	g := newGate(t)
	var held []<-chan answer
	for range 9 { // least-loaded of two: each of the three has some
		held = append(held, g.hold(s))
	}
	s.must("fleet", "apply", "--yes", "-f", s.write("less.yaml", abrupt))
	s.eventually("one takes requests", func() error {
		if v := s.status().Services[0].Versions[0]; v.Ready != 1 {
			return fmt.Errorf("%d do", v.Ready)
		}
		return nil
	})
	for range 20 {
		s.answers("web=v1")
	}
	if n := len(s.services()); n != 3 {
		t.Errorf("%d services run, and each of 3 works on a request", n)
	}
	close(g.open)
	for _, one := range held {
		if got := <-one; got.status != http.StatusOK {
			t.Errorf("a request under way was answered %d %q", got.status, got.body)
		}
	}
	s.eventually("two have ended", func() error {
		if n := len(s.services()); n != 1 {
			return fmt.Errorf("%d services run", n)
		}
		return nil
	})
}

// TestChangedExecutableChangesNothing overwrites the file that a version was
// started from. The copy serves on, also after a restart, and doctor tells.
func TestChangedExecutableChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSystem(t, strings.Replace(one, "SERVICE", "DIR/bin/web, DIR", 1))
	program := filepath.Join(s.dir, "bin", "web")
	original, err := os.ReadFile(service)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(data []byte) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(program), 0o700); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(program)
		if err := os.WriteFile(program, data, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	replace(original)
	s.start()
	replace([]byte("#!/bin/sh\nexit 1\n"))
	s.answers("web=v1")
	if got := s.must("doctor"); !strings.Contains(got.out, "has changed on disk") {
		t.Errorf("doctor says:\n%s", got.out)
	}
	s.must("down", "--yes")
	s.start()
	s.answers("web=v1")
	for _, one := range s.status().Services {
		if one.Versions[0].State != "ready" {
			t.Errorf("%+v", one)
		}
	}
}
