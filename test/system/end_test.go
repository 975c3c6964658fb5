package system

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
)

// gate is a request that is under way for as long as the test wants: its
// service asks here, and waits.
type gate struct {
	url     string
	arrived chan struct{}
	open    chan struct{}
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{arrived: make(chan struct{}, 100), open: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		g.arrived <- struct{}{}
		<-g.open
	}))
	t.Cleanup(func() {
		select {
		case <-g.open:
		default:
			close(g.open)
		}
		server.Close()
	})
	g.url = server.URL
	return g
}

// hold sends a request that is answered when the gate opens, and returns when
// its service works on it.
func (g *gate) hold(s *system) <-chan answer {
	s.t.Helper()
	done := make(chan answer, 1)
	go func() {
		got, err := s.try("POST", "/hold?until="+g.url)
		if err != nil {
			got = answer{body: err.Error()}
		}
		done <- got
	}()
	<-g.arrived
	return done
}

// TestEndBySignal ends greenroom as Ctrl-C and as a service manager do: what
// has begun is answered, and then nothing is left.
func TestEndBySignal(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			s := newSystem(t, path4).start()
			s.open("r1", three("v2"))
			l := startLoad(s, 2, anyWhole)
			l.more(20)
			g := newGate(t)
			held := g.hold(s)
			l.lenient.Store(true) // a connection may be refused from now on, and only that
			if err := s.up.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			s.eventually("the edge takes no more connections", func() error {
				c, err := http.Get("http://" + s.edge + "/")
				if err == nil {
					_ = c.Body.Close()
					return fmt.Errorf("it does")
				}
				return nil
			})
			close(g.open)
			if got := <-held; got.body != "web=v1" {
				t.Errorf("the request under way was answered %d %q", got.status, got.body)
			}
			if code := s.awaitEnd(); code != 0 {
				t.Errorf("exit code %d\n%s", code, s.out.tail(20))
			}
			s.gone()
			l.end()
		})
	}
}

func TestDown(t *testing.T) {
	t.Parallel()
	s := newSystem(t, path4).start()
	s.open("r1", three("v2"))
	s.must("promote", "--yes")
	before := s.services()

	s.refused(3, "--yes", "down")
	s.must("down", "--leave-services", "--yes")
	if code := s.awaitEnd(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, s.out.tail(20))
	}
	if left := s.services(); len(left) != 7 || !maps.Equal(left, before) {
		t.Fatalf("the services were %v, and after down --leave-services they are %v", before, left)
	}
	s.must("down", "--leave-services", "--yes") // it is so already
	s.must("down", "--yes")
	s.refused(4, "greenroom up", "status")

	s.start()
	s.answers(whole("v2"))
	if now := s.services(); !maps.Equal(now, before) {
		t.Fatalf("the services were %v, and after up they are %v", before, now)
	}
	for pid, name := range s.instances() {
		if before[pid] == "" {
			t.Errorf("%s runs as %d, which was not left to it", name, pid)
		}
	}
	s.must("rollback", "--yes")
	s.answers(whole("v1"))
	s.must("down", "--yes")
	s.must("down", "--yes")
	s.gone()
}

// TestStubbornServiceIsKilled ends a service that does not listen to SIGTERM
// when its drain time is over.
func TestStubbornServiceIsKilled(t *testing.T) {
	t.Parallel()
	s := newSystem(t, strings.ReplaceAll(one, "drain: 3s", "drain: 500ms")).start()
	s.open("r1", "  services: [{name: web, run: {env: {VERSION: v2, STUBBORN: '1'}}}]\n")
	s.answers("web=v1")
	s.must("release", "abort", "r1", "--yes")
	s.eventually("the candidate is gone", func() error {
		if left := s.services(); len(left) > 1 {
			return fmt.Errorf("%v", left)
		}
		return nil
	})
	s.answers("web=v1")
}

// one is a fleet of one service.
const one = `apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: live}
spec:
  quiet: 1s
  edge: {listen: "EDGE"}
  services:
  - {name: web, version: v1, drain: 3s, run: {command: [SERVICE], env: {NAME: web, VERSION: v1}}}
`
