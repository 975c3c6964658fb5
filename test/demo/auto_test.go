package demo_test

import (
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"
)

// figures are what demo --auto -o json answers.
type figures struct {
	Machine  struct{ Cores int }
	Preview  struct{ Sent, Failed, Mixed, WrongRelease int64 }
	Load     counts
	Switches struct {
		Promotions, Rollbacks             int
		CallP50ms, CallP99ms, AroundP99ms float64
	}
	Former     struct{ Asserted, AnsweredByFormer int64 }
	LostStamps uint64
	Control    *struct {
		Preview, Switching, Steady counts
		PromotionRefused, Doctor   string
	}
	Passed bool
	Wrong  []string
}

type counts struct {
	Sent, Failed, Mixed int64
	Kinds               []struct {
		Kind string
		Sent int64
	}
}

func TestAutoPlaysTheStory(t *testing.T) {
	d := start(t, nil, "--auto", "--requests", "5000", "--switches", "6", "-o", "json")
	code := d.end()
	var f figures
	if err := json.Unmarshal([]byte(d.stdout.String()), &f); err != nil {
		t.Fatalf("exit %d, %v:\n%s\n%s", code, err, d.stdout, d.stderr)
	}
	t.Logf("%s", d.stdout)
	if f.Preview.Sent < 100 || f.Preview.Failed+f.Preview.Mixed+f.Preview.WrongRelease != 0 {
		t.Errorf("preview: %+v", f.Preview)
	}
	if f.Load.Sent != 5000 || f.Load.Failed != 0 || f.Load.Mixed != 0 {
		t.Errorf("sent %d, failed %d, mixed %d; want 5000, 0, 0", f.Load.Sent, f.Load.Failed, f.Load.Mixed)
	}
	for _, k := range f.Load.Kinds {
		if k.Sent == 0 {
			t.Errorf("%s was never sent", k.Kind)
		}
	}
	if f.Switches.Promotions != 3 || f.Switches.Rollbacks != 3 || f.Switches.CallP50ms <= 0 || f.Switches.CallP99ms < f.Switches.CallP50ms || f.Switches.AroundP99ms <= 0 {
		t.Errorf("switches: %+v", f.Switches)
	}
	if f.Former.Asserted < 1000 || f.Former.AnsweredByFormer != 0 {
		t.Errorf("after a switch: %+v", f.Former)
	}
	if f.LostStamps != 0 {
		t.Errorf("%d calls lost their stamp", f.LostStamps)
	}
	c := f.Control
	switch {
	case c == nil:
		t.Fatal("there was no control")
	case c.Preview.Mixed == 0 || c.Switching.Mixed == 0:
		t.Errorf("the control saw no mixture: %+v", c)
	case c.Steady.Sent == 0 || c.Steady.Failed != 0 || c.Steady.Mixed != 0:
		t.Errorf("in the steady state: %+v", c.Steady)
	case !strings.Contains(c.PromotionRefused, "api → gift") || !strings.HasPrefix(c.Doctor, "api@v1 calls gift"):
		t.Errorf("refused since %q, doctor says %q", c.PromotionRefused, c.Doctor)
	}
	// So few requests say nothing about the slowest hundredth of a second of
	// them on a machine that has other things to do; of the verdict the rest
	// must hold.
	for _, wrong := range f.Wrong {
		if !strings.HasPrefix(wrong, "around a switch p99") {
			t.Error(wrong)
		}
	}
	if (code == 0) != f.Passed || f.Passed != (len(f.Wrong) == 0) {
		t.Errorf("exit %d, passed %v, wrong %q", code, f.Passed, f.Wrong)
	}
}

// Whoever ends it in the middle gets no figures, and no leftovers either.
func TestAutoIsInterrupted(t *testing.T) {
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		d := start(t, nil, "--auto", "--requests", "1000000")
		d.await(d.stderr, "0 of 1,000,000 requests sent")
		d.signal(s)
		if code := d.end(); code != 1 || !strings.Contains(d.stderr.String(), "interrupted") {
			t.Errorf("after %s: exit %d, %s", s, code, d.stderr)
		}
	}
}

func TestFlagsThatDoNotFit(t *testing.T) {
	for args, want := range map[string]string{
		"-o json":                       "-o json is for the figures of demo --auto",
		"--requests 5":                  "--requests, --switches and --controls go with --auto",
		"--auto --switches 0":           "--switches 0: it takes at least one",
		"--auto --requests 10":          "--requests 10: it takes at least 100 for each of 50 switches",
		"--listen 8080":                 "--listen 8080: write host:port, such as 0.0.0.0:8080",
		"--listen 192.0.2.1:0":          "--listen 192.0.2.1:0: listen tcp 192.0.2.1:0: bind: cannot assign requested address; choose another port",
		"--state /proc":                 "--state /proc: the folder is not empty, and the demo begins anew each time; name another, or none",
		"--listen 127.0.0.1:0 somebody": `greenroom demo takes no arguments, and got "somebody"`,
	} {
		d := start(t, nil, strings.Fields(args)...)
		if code := d.end(); code != 2 || !strings.Contains(d.stderr.String(), want) {
			t.Errorf("demo %s: exit %d, %s", args, code, d.stderr)
		}
	}
}
