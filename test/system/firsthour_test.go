package system

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fails starts greenroom, which has to end with a code and to say something.
func (s *system) fails(code int, says ...string) {
	s.t.Helper()
	s.launch()
	if got := s.awaitEnd(); got != code {
		s.t.Errorf("exit code %d, want %d\n%s", got, code, s.out.tail(20))
	}
	for _, what := range says {
		if !strings.Contains(s.out.String(), what) {
			s.t.Errorf("it does not say %q:\n%s", what, s.out.tail(20))
		}
	}
}

func TestEdgePortTaken(t *testing.T) {
	t.Parallel()
	s := newSystem(t, one)
	l, err := net.Listen("tcp", s.edge)
	if err != nil {
		t.Fatal(err)
	}
	s.fails(1, s.edge, "address already in use", "free the port")
	s.gone()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.answers("web=v1")
}

func TestSecondGreenroomIsRefused(t *testing.T) {
	t.Parallel()
	s := newSystem(t, one).start()
	first := s.up
	s.fails(3, s.state, "another greenroom")
	s.answers("web=v1")
	select {
	case <-first.ended:
		t.Error("the first one has ended")
	default:
	}
	s.must("down", "--yes")
	s.gone()
}

func TestDamagedStateIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	s := newSystem(t, one).start()
	s.must("down", "--yes")
	db := filepath.Join(s.state, "greenroom.db")
	damaged, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8192 { // both of the file's headers
		damaged[i] ^= 0x5a
	}
	if err := os.WriteFile(db, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	s.fails(1, "greenroom.db")
	if now, err := os.ReadFile(db); err != nil || !bytes.Equal(now, damaged) {
		t.Errorf("the damaged file was changed: %v", err)
	}
	s.gone()
}

func TestStateFolderNotWritable(t *testing.T) {
	t.Parallel()
	s := newSystem(t, one)
	if err := os.WriteFile(s.state, []byte("a file where the folder should be"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.fails(1, s.state, "state folder")
}

// TestFullDisk lets no file of greenroom grow: what can not be persisted is
// refused, and the fleet serves on as before.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := newSystem(t, one).start()
	s.open("r1", web("v2"))
	s.must("down", "--leave-services", "--yes")
	// A shell limits the size of files, in blocks of 512 or 1024 bytes, to fewer
	// than the state has already, and becomes greenroom.
	s.serve(exec.Command("/bin/sh", "-c", "ulimit -f 8; exec "+greenroom+" up --state "+s.state))
	s.eventually("it serves", s.serves)
	s.answers("web=v1")
	r := s.cli("promote", "r1", "--yes")
	if r.code != 1 || !strings.Contains(r.err, "persist") {
		t.Errorf("promote: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	for range 20 {
		s.answers("web=v1")
	}
	if now := s.status().Serving.Release; now != "baseline" {
		t.Errorf("the status says that %s serves", now)
	}
	s.kill()
	s.start()
	s.answers("web=v1")
	s.must("promote", "r1", "--yes")
	s.answers("web=v2")
}

// TestServicesThatNeverComeUp opens releases of versions that have each of the
// usual faults: it is named, and nothing else suffers.
func TestServicesThatNeverComeUp(t *testing.T) {
	t.Parallel()
	quick := strings.Replace(one, "drain: 3s", "drain: 3s, health: {startWithin: 15s, interval: 200ms}", 1)
	for name, fault := range map[string]struct{ env, says string }{
		"elsewhere": {"LISTEN: '127.0.0.1:0'", "not on PORT"},
		"broken":    {"BROKEN: '1'", "500"},
		"dies":      {"NEXT: nobody", "GREENROOM_URL_NOBODY is not set"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t, quick).start()
			release := s.write("r1.yaml", releaseText("r1", "  services: [{name: web, version: v2, run: {env: {VERSION: v2, "+fault.env+"}}}]\n"))
			s.refused(1, fault.says, "release", "open", "-f", release)
			if r := s.release("r1"); r.Phase != "Failed" || !strings.Contains(r.Reason, fault.says) {
				t.Errorf("it is %s: %s", r.Phase, r.Reason)
			}
			s.refused(3, "r1", "promote", "r1", "--yes")
			s.answers("web=v1")
			s.open("r1", web("v3")) // mended
			s.must("promote", "r1", "--yes")
			s.answers("web=v3")
		})
	}
}

// TestFirstFleetWithFaults starts a fleet whose only service has a fault: doctor
// says which.
func TestFirstFleetWithFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct{ from, to, says, remedy string }{
		"health path": {"drain: 3s", "drain: 3s, health: {path: /ws, interval: 200ms}", "426", "health.path"},
		"port":        {"VERSION: v1", "VERSION: v1, LISTEN: '127.0.0.1:0'", "not on PORT", "PORT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t, strings.Replace(one, fault.from, fault.to, 1))
			s.launch()
			s.eventually("doctor names the fault", func() error {
				r := s.cli("doctor")
				if r.code != 1 || !strings.Contains(r.out, fault.says) || !strings.Contains(r.out, fault.remedy) {
					return fmt.Errorf("exit code %d: %s%s", r.code, r.out, r.err)
				}
				return nil
			})
			if got := s.get("/"); got.status != 503 || got.header.Get("X-Greenroom-Error") != "no-instance" {
				t.Errorf("the edge answers %d %s", got.status, got.body)
			}
			s.must("down", "--yes")
			s.gone()
		})
	}
}

// TestStampDropper has a service on the path that does not pass the stamp on. It
// is named, and the release is refused until somebody says that it may be.
func TestStampDropper(t *testing.T) {
	t.Parallel()
	dropping := strings.Replace(path4, "VERSION: v1, NEXT: gift", "VERSION: v1, NEXT: gift, DROP: '1'", 1)
	s := newSystem(t, dropping).start()
	s.open("r1", three("v2"))
	pass := s.pass("r1")
	for range 5 {
		s.get("/", "Greenroom-Pass", pass)
	}
	s.eventually("the check of stamps fails", func() error {
		for _, c := range s.release("r1").Checks {
			if c.Rule == "stamps" && !c.OK {
				return nil
			}
		}
		return fmt.Errorf("it does not")
	})
	s.refused(3, "api → gift", "promote", "r1", "--yes")
	doctor := s.cli("doctor")
	if !strings.Contains(doctor.out, "api@v1") || !strings.Contains(doctor.out, "calls gift without the stamp") {
		t.Errorf("doctor says:\n%s", doctor.out)
	}
	s.answers(whole("v1"))
	s.must("promote", "r1", "--yes", "--allow-unstamped")
	// api belongs to the former view as well as to the new one, so it can not be
	// told whose call this is; unstamped calls get what serves.
	for range 20 {
		s.answers(whole("v2"))
	}
}
