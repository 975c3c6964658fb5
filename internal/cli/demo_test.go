package cli

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/examples/live"
	"github.com/greenroom-dev/greenroom/examples/live/load"
	"github.com/greenroom-dev/greenroom/internal/config"

	"github.com/greenroom-dev/greenroom/internal/command"
)

func TestJudge(t *testing.T) {
	const first, second = "web=v1,api=v1,gift=v1,wallet=v1", "web=v2,api=v1,gift=v2,wallet=v2"
	var j demoJudge
	sample := func(start time.Time, path string, err error) load.Sample {
		return load.Sample{Start: start, End: start.Add(time.Millisecond), Path: path, Err: err}
	}
	j.see(sample(time.Now(), first, nil)) // before any switch
	before := time.Now()
	at, took, err := j.switchTo("v2", func() error {
		j.see(sample(before, second, nil)) // while one is under way
		return nil
	})
	if err != nil || took < 0 || at.Before(before) {
		t.Fatalf("switched at %s in %s, %v", at, took, err)
	}
	j.see(sample(before, first, nil))                   // sent before it returned
	j.see(sample(at, first, errors.New("nobody home"))) // failed, which is counted elsewhere
	j.see(sample(at, "api=v1", nil))                    // met none of the released
	j.see(sample(at, second, nil))                      // right
	j.see(sample(at.Add(time.Second), "chat=v2", nil))  // right
	if a, f := j.asserted.Load(), j.former.Load(); a != 2 || f != 0 {
		t.Errorf("asserted %d, former %d; want 2 and 0", a, f)
	}
	j.see(sample(at.Add(time.Second), first, nil))
	if a, f := j.asserted.Load(), j.former.Load(); a != 3 || f != 1 || !strings.Contains(j.first, "sent 1s after the switch to v2, was answered by "+first) {
		t.Errorf("asserted %d, former %d, %q; want 3 and 1", a, f, j.first)
	}
	if _, _, err := j.switchTo("v1", func() error { return errEnough }); !errors.Is(err, errEnough) {
		t.Errorf("a switch that failed: %v", err)
	}
	j.see(sample(time.Now(), first, nil))
	if a := j.asserted.Load(); a != 3 {
		t.Errorf("after a switch that failed %d are asserted, want 3", a)
	}
}

// passing are figures that are what they must be.
func passing() *figures {
	f := newFigures()
	f.Preview.Sent = 400
	f.Load = loadFigures{countFigures: countFigures{Sent: 1000}, P50: 5, P99: 10}
	f.Switches = switchFigures{Promotions: 1, Rollbacks: 1, Around: 30, Ratio: 3}
	f.Former.Asserted = 900
	f.Control = &controlFigures{
		Preview: countFigures{20, 20, 20}, Switching: countFigures{100, 1, 1}, Steady: countFigures{Sent: 100},
		Refused: "it drops the stamp", Doctor: "api drops the stamp",
	}
	return f
}

func TestVerdict(t *testing.T) {
	f := passing()
	if f.judge(1000); !f.Passed || len(f.Wrong) != 0 {
		t.Errorf("good figures are wrong: %q", f.Wrong)
	}
	for want, spoil := range map[string]func(*figures){
		"in preview 1 requests failed":                      func(f *figures) { f.Preview.Failed = 1 },
		"and 2 were answered by the other release":          func(f *figures) { f.Preview.Wrong = 2 },
		"999 requests were sent, not 1000":                  func(f *figures) { f.Load.Sent = 999 },
		"1 requests failed":                                 func(f *figures) { f.Load.Failed = 1 },
		"1 requests met two releases":                       func(f *figures) { f.Load.Mixed = 1 },
		"no request was there to assert":                    func(f *figures) { f.Former.Asserted = 0 },
		"answered by the former release":                    func(f *figures) { f.Former.Answered = 1 },
		"1 calls lost their stamp":                          func(f *figures) { f.Lost = 1 },
		"p99 was 3.1 × the run's, 3 × is allowed":           func(f *figures) { f.Switches.Ratio = 3.1 },
		"the machine does something else":                   func(f *figures) { f.Switches.Ratio, f.Switches.Elsewhere = 3.1, 31 },
		"the check is blind":                                func(f *figures) { f.Control.Switching.Mixed = 0 },
		"it saw no mixture where":                           func(f *figures) { f.Control.Preview.Mixed = 0 },
		"was promoted although":                             func(f *figures) { f.Control.Refused = "" },
		"the doctor does not name":                          func(f *figures) { f.Control.Doctor = "" },
		"control 0 of 100 requests failed and 1 were mixed": func(f *figures) { f.Control.Steady.Mixed = 1 },
		"of the control 0 of 0 requests failed":             func(f *figures) { f.Control.Steady.Sent = 0 },
	} {
		f := passing()
		spoil(f)
		var said strings.Builder
		f.judge(1000)
		f.print(&said)
		if f.Passed || len(f.Wrong) != 1 || !strings.Contains(f.Wrong[0], want) || !strings.Contains(said.String(), "WRONG: "+f.Wrong[0]) {
			t.Errorf("passed %v, wrong %q, want %q; said\n%s", f.Passed, f.Wrong, want, said.String())
		}
		for line := range strings.Lines(strings.Split(said.String(), "WRONG")[0]) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 {
				t.Errorf("%d columns: %s", n, line)
			}
		}
	}
}

// The documents are read as those of any fleet.
func TestDemoDocuments(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := demoFleet{
		state: dir, at: demoAt{listen: "127.0.0.1:8080", public: "http://192.0.2.7:8080"},
		extras: map[string]map[string]string{"api": {"OTEL_PROPAGATORS": "none"}},
	}
	docs, err := f.write(self)
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := resolveFleet(docs.fleet, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resolved.Edge.PublicURL != "http://192.0.2.7:8080" || len(resolved.Services) != len(live.Services()) {
		t.Errorf("the fleet is %+v", resolved)
	}
	for _, s := range resolved.Services {
		want := ""
		if s.Name == "api" {
			want = "none"
		}
		if got := s.First.Run.Env["OTEL_PROPAGATORS"]; got != want || s.First.Run.Env["LIVE_DATA"] != filepath.Join(dir, "data") {
			t.Errorf("%s has the environment %v", s.Name, s.First.Run.Env)
		}
	}
	read, err := config.Read(docs.release, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := read.Releases[0]; r.Metadata.Name != demoRelease || len(r.Spec.Services) != len(live.Changed()) {
		t.Errorf("the release is %+v", r)
	}
}

func TestDemoAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if at, err := demoAddress(l.Addr().String()); err == nil || command.ExitCode(err) != command.BadInput || !strings.Contains(err.Error(), "choose another port") {
		t.Errorf("a port that is taken: %+v, %v", at, err)
	}
	if at, err := demoAddress("127.0.0.1:0"); err != nil || at.network || at.public != "http://"+at.listen || strings.HasSuffix(at.listen, ":0") {
		t.Errorf("any port: %+v, %v", at, err)
	}
	at, err := demoAddress("0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if ours, ok := networkAddress(); ok != at.network || ok && !strings.HasPrefix(at.public, "http://"+ours+":") || strings.Contains(at.public, "0.0.0.0") {
		t.Errorf("all addresses: %+v, on the network as %s", at, ours)
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 200000: "200,000", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is written %s, want %s", n, got, want)
		}
	}
}
