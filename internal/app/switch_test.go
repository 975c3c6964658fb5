package app

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// figures are the times of many switches.
type figures []time.Duration

func (f figures) at(q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(f))
	return sorted[int(q*float64(len(sorted)-1))]
}

func (f figures) String() string {
	return fmt.Sprintf("p10 %v, p50 %v, p99 %v", f.at(0.1).Round(time.Microsecond), f.at(0.5).Round(time.Microsecond), f.at(0.99).Round(time.Microsecond))
}

// watched is a fleet that another process serves and switches, and a client
// here that asks it without pause: client and services must not take their
// share of greenroom's own processor time and memory.
type watched struct {
	t      *testing.T
	url    string
	tell   io.Writer     // a version: switch to it; event: write to the store and switch nothing
	hear   *json.Decoder // a switched for each
	client *http.Client

	mu      sync.Mutex
	answers []answered // since the last question
}

// answered is one request: when it was sent and answered, in Unix nanoseconds,
// and by which version.
type answered struct {
	sent, done int64
	version    string
}

// watch starts a process that serves that many services by two versions.
func watch(t *testing.T, services int) *watched {
	t.Helper()
	w := &watched{t: t, client: &http.Client{Transport: &http.Transport{}}}
	cmd := exec.Command(os.Args[0], "-test.run=^TestServeSwitches$", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s %s", switchesEnv, services, versioned(t, "v1"), versioned(t, "v2")))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.client.CloseIdleConnections()
		_ = in.Close() // its end
		if err := cmd.Wait(); err != nil {
			t.Errorf("the switched process: %v", err)
		}
	})
	w.tell = in
	lines := bufio.NewReader(out)
	w.url = w.line(lines)
	w.hear = json.NewDecoder(lines)
	return w
}

func (w *watched) line(r *bufio.Reader) string {
	w.t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		w.t.Fatalf("the switched process does not serve: %v", err)
	}
	return strings.TrimSpace(line)
}

// versioned is the address of a service that answers with its version.
func versioned(t *testing.T, version string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, version) }))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// ask sends one request after the other until ctx is done.
func (w *watched) ask(ctx context.Context) error {
	for ctx.Err() == nil {
		sent := time.Now().UnixNano()
		resp, err := w.client.Get(w.url)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d %s: %w", resp.StatusCode, body, err)
		}
		w.mu.Lock()
		w.answers = append(w.answers, answered{sent, time.Now().UnixNano(), string(body)})
		w.mu.Unlock()
	}
	return nil
}

// first waits for an answer that is wanted, and says when the first one was
// there.
func (w *watched) first(wanted func(answered) bool) int64 {
	w.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for over := time.After(time.Minute); ; {
		w.mu.Lock()
		at := slices.IndexFunc(w.answers, wanted)
		var done int64
		if at >= 0 {
			done = w.answers[at].done
		}
		w.mu.Unlock()
		if at >= 0 {
			return done
		}
		select {
		case <-tick.C:
		case <-over:
			w.t.Fatal("there was never an answer to wait for")
		}
	}
}

// question has the switched process do one thing, and returns when it was
// called and durable.
func (w *watched) question(what string) switched {
	w.t.Helper()
	w.mu.Lock()
	w.answers = w.answers[:0]
	w.mu.Unlock()
	_, _ = fmt.Fprintln(w.tell, what)
	var s switched
	if err := w.hear.Decode(&s); err != nil {
		w.t.Fatalf("the switched process says nothing: %v", err)
	}
	return s
}

// measured is what many switches took.
type measured struct {
	durable figures // from the call until the change was durable
	answer  figures // from then until the first request met it
	floor   figures // where nothing was switched: from a durable write until the first answer to a request sent after it
}

// measure switches to and fro, with a write that switches nothing before each.
func (w *watched) measure(switches int) (m measured) {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	failed := make(chan error, 1)
	go func() { failed <- w.ask(ctx) }()
	for n := range switches {
		s := w.question("event")
		m.floor = append(m.floor, time.Duration(w.first(func(a answered) bool { return a.sent >= s.Durable })-s.Durable))

		version := []string{"v2", "v1"}[n%2]
		s = w.question(version)
		m.durable = append(m.durable, time.Duration(s.Durable-s.Called))
		m.answer = append(m.answer, time.Duration(w.first(func(a answered) bool { return a.version == version })-s.Durable))
	}
	stop()
	if err := <-failed; err != nil {
		w.t.Fatal(err)
	}
	return m
}

// TestSwitchCostsTheSameForThousandServices measures promotions and rollbacks.
// How long the disk takes is the machine's affair; what comes after it must not
// depend on how many services there are.
func TestSwitchCostsTheSameForThousandServices(t *testing.T) {
	const switches = 300
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // of the instrument, not of what it measures
	all := map[int]measured{}
	for _, services := range []int{10, 1000} {
		m := watch(t, services).measure(switches)
		t.Logf("%4d services, %d switches: from call to durable %v; from durable to the first new answer %v; to the first answer of all where nothing is switched %v",
			services, switches, m.durable, m.answer, m.floor)
		if m.answer.at(0) < 0 {
			t.Errorf("%d services: a request met the change %v before it was durable", services, -m.answer.at(0))
		}
		if answer, floor := m.answer.at(0.5), m.floor.at(0.5); answer > 3*floor {
			t.Errorf("%d services: the first new answer takes %v, and the first of all where nothing is switched %v", services, answer, floor)
		}
		all[services] = m
	}
	// The quickest tenth: slower ones tell of the machine's other work.
	if small, large := all[10].answer.at(0.1), all[1000].answer.at(0.1); large > 4*small {
		t.Errorf("after it is durable, a switch of 1,000 services takes %v, and one of 10 takes %v", large, small)
	}
}

// What a switch leaves behind is collected on the processor that the next
// requests need.
func TestSwitchAllocatesAboutTheSameForThousandServices(t *testing.T) {
	const switches = 20
	left := map[int]uint64{}
	for _, services := range []int{10, 1000} {
		f := newSwitchedFleet(t, services, answering(t, "v1"))
		f.open(fleetOfEndpoints(services, "v2", answering(t, "v2")))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for n := range switches {
			f.move(f.to([]string{"v2", "v1"}[n%2]))
		}
		runtime.ReadMemStats(&after)
		left[services] = (after.TotalAlloc - before.TotalAlloc) / switches
	}
	t.Logf("a switch allocates %d bytes with 10 services, %d with 1,000", left[10], left[1000])
	if left[1000] > 8*left[10] {
		t.Errorf("a switch allocates %d bytes with 10 services, %d with 1,000", left[10], left[1000])
	}
}
