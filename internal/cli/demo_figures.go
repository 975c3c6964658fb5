package cli

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/examples/live/load"
)

// allowedRatio is how much longer the slowest hundredth of the requests around
// a switch may take than that of the whole run.
const allowedRatio = 3

// figures are what demo --auto came to.
type figures struct {
	Machine  machineFigures  `json:"machine"`
	Preview  previewFigures  `json:"preview"`
	Load     loadFigures     `json:"load"`
	Switches switchFigures   `json:"switches"`
	Former   formerFigures   `json:"former"`
	Lost     uint64          `json:"lostStamps"` // calls whose stamp was lost
	Control  *controlFigures `json:"control,omitempty"`
	Passed   bool            `json:"passed"`
	Wrong    []string        `json:"wrong"` // why it did not pass

	trouble string // failed requests in full
}

type machineFigures struct {
	Cores int    `json:"cores"`
	Go    string `json:"go"`
	OS    string `json:"os"`
	Arch  string `json:"arch"`
}

type countFigures struct {
	Sent   int64 `json:"sent"`
	Failed int64 `json:"failed"`
	Mixed  int64 `json:"mixed"`
}

type kindFigures struct {
	Kind string `json:"kind"`
	countFigures
}

// previewFigures are of requests with a pass and as many without one.
type previewFigures struct {
	countFigures
	Wrong int64 `json:"wrongRelease"` // answered by the release that was not theirs
}

func (p *previewFigures) add(r *load.Report, wrong int64) {
	p.Sent += r.Sent
	p.Failed += r.Failed
	p.Mixed += r.Mixed
	p.Wrong += wrong
}

type loadFigures struct {
	countFigures
	Kinds   []kindFigures `json:"kinds"`
	Seconds float64       `json:"seconds"`
	Rate    float64       `json:"requestsPerSecond"`
	P50     float64       `json:"p50ms"`
	P99     float64       `json:"p99ms"`
}

type switchFigures struct {
	Promotions int     `json:"promotions"`
	Rollbacks  int     `json:"rollbacks"`
	CallP50    float64 `json:"callP50ms"` // of the promote and rollback calls
	CallP99    float64 `json:"callP99ms"`
	Around     float64 `json:"aroundP99ms"`    // the worst p99 in the second around a switch
	Elsewhere  float64 `json:"elsewhereP99ms"` // the worst p99 in a second without a switch; 0 if there was none
	Ratio      float64 `json:"ratio"`          // of that around a switch to the run's
	Allowed    float64 `json:"allowedRatio"`
}

// formerFigures are of requests sent after a switch had returned.
type formerFigures struct {
	Asserted int64  `json:"asserted"`
	Answered int64  `json:"answeredByFormer"`
	First    string `json:"first,omitempty"`
}

// controlFigures are of the fleet whose api passes no stamp on.
type controlFigures struct {
	Preview       countFigures `json:"preview"`
	Refused       string       `json:"promotionRefused"` // why; "" if it was not
	Doctor        string       `json:"doctor"`           // what it says of the api; "" if nothing
	Switching     countFigures `json:"switching"`
	Switches      int          `json:"switches"`
	Steady        countFigures `json:"steady"`
	SteadyTrouble string       `json:"steadyTrouble,omitempty"`
}

func newFigures() *figures {
	return &figures{Machine: machineFigures{runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH}}
}

func counted(r *load.Report) countFigures { return countFigures{r.Sent, r.Failed, r.Mixed} }

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// take reads the story's figures.
func (f *figures) take(s *demoStory, r *load.Report, now client.Status) {
	all := r.All()
	f.Load = loadFigures{
		countFigures: counted(r), Seconds: r.Duration.Seconds(), Rate: float64(r.Sent) / r.Duration.Seconds(),
		P50: millis(all.P50), P99: millis(all.P99),
	}
	for _, k := range load.Kinds() {
		c := r.Kinds[k]
		f.Load.Kinds = append(f.Load.Kinds, kindFigures{k.String(), countFigures{c.Sent, c.Failed, c.Mixed}})
	}
	calls := slices.Sorted(slices.Values(s.took))
	f.Switches = switchFigures{
		Promotions: (len(s.at) + 1) / 2, Rollbacks: len(s.at) / 2,
		CallP50: millis(percentile(calls, 50)), CallP99: millis(percentile(calls, 99)), Allowed: allowedRatio,
	}
	for _, at := range s.at {
		f.Switches.Around = max(f.Switches.Around, millis(r.Around(at, time.Second).P99))
	}
	f.Switches.Elsewhere = millis(elsewhere(r, s.at))
	f.Switches.Ratio = f.Switches.Around / max(f.Load.P99, 0.001)
	f.Former = formerFigures{s.judge.asserted.Load(), s.judge.former.Load(), s.judge.first}
	for _, d := range now.Dropped {
		f.Lost += d.Count
	}
	if err := r.Err(); err != nil {
		f.trouble = err.Error()
	}
}

// elsewhere returns the worst p99 in a second that none around a switch
// overlaps: what the machine does to the run when greenroom does nothing.
func elsewhere(r *load.Report, switches []time.Time) time.Duration {
	var worst time.Duration
	for at := time.Second / 2; at+time.Second/2 <= r.Duration; at += 100 * time.Millisecond {
		second := r.Begun.Add(at)
		near := func(t time.Time) bool { return second.Sub(t).Abs() < time.Second }
		if !slices.ContainsFunc(switches, near) {
			worst = max(worst, r.Around(second, time.Second).P99)
		}
	}
	return worst
}

// percentile returns the smallest of sorted that p of a hundred do not exceed.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*p+99)/100-1]
}

// judge compares the figures with what they must be, for so many requests.
func (f *figures) judge(requests int64) {
	f.Wrong = []string{}
	must := func(ok bool, format string, args ...any) {
		if !ok {
			f.Wrong = append(f.Wrong, fmt.Sprintf(format, args...))
		}
	}
	must(f.Preview.Failed+f.Preview.Mixed+f.Preview.Wrong == 0, "in preview %d requests failed, %d were mixed, and %d were answered by the other release",
		f.Preview.Failed, f.Preview.Mixed, f.Preview.Wrong)
	must(f.Load.Sent == requests, "%d requests were sent, not %d", f.Load.Sent, requests)
	must(f.Load.Failed == 0, "%d requests failed", f.Load.Failed)
	must(f.Load.Mixed == 0, "%d requests met two releases", f.Load.Mixed)
	must(f.Former.Asserted > 0, "no request was there to assert who answers after a switch")
	must(f.Former.Answered == 0, "%d requests sent after a switch were answered by the former release", f.Former.Answered)
	must(f.Lost == 0, "%d calls lost their stamp: greenroom doctor", f.Lost)
	must(f.Switches.Ratio <= allowedRatio, "around a switch p99 was %.1f × the run's, %d × is allowed%s", f.Switches.Ratio, allowedRatio, f.noise())
	if c := f.Control; c != nil {
		must(c.Preview.Mixed > 0 && c.Switching.Mixed > 0, "the check is blind: it saw no mixture where a service passes no stamp on")
		must(c.Refused != "", "the release was promoted although a service passes no stamp on")
		must(c.Doctor != "", "the doctor does not name the service that passes no stamp on")
		must(c.Steady.Sent > 0 && c.Steady.Failed == 0 && c.Steady.Mixed == 0, "in the steady state of the control %d of %d requests failed and %d were mixed", c.Steady.Failed, c.Steady.Sent, c.Steady.Mixed)
	}
	f.Passed = len(f.Wrong) == 0
}

// noise says so when the machine was as slow without a switch.
func (f *figures) noise() string {
	if f.Switches.Elsewhere <= allowedRatio*f.Load.P99 {
		return ""
	}
	return "; it was so without one too: the machine does something else, try again when it is idle"
}

func (f *figures) printMachine(w io.Writer) {
	m := f.Machine
	fmt.Fprintf(w, "On %d cores, %s %s/%s, shared by the fleet, greenroom and the load.\n\n", m.Cores, m.Go, m.OS, m.Arch)
}

func (f *figures) print(w io.Writer) {
	fmt.Fprintf(w, "Preview: %d requests, half of them with a pass; %d failed, %d mixed, %d got the\nother release.\n\n",
		f.Preview.Sent, f.Preview.Failed, f.Preview.Mixed, f.Preview.Wrong)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "SENT\tFAILED\tMIXED\t  REQUEST")
	for _, k := range f.Load.Kinds {
		fmt.Fprintf(t, "%s\t%d\t%d\t  %s\n", grouped(k.Sent), k.Failed, k.Mixed, k.Kind)
	}
	l := f.Load
	fmt.Fprintf(t, "%s\t%d\t%d\t  all, none sent twice: %.0f s, %s a second\n", grouped(l.Sent), l.Failed, l.Mixed, l.Seconds, grouped(int64(l.Rate)))
	_ = t.Flush() // w's errors show where it is closed

	s := f.Switches
	fmt.Fprintf(w, "\n%d promotions and %d rollbacks of five services at once\n", s.Promotions, s.Rollbacks)
	fmt.Fprintf(w, "  a call took              p50 %s, p99 %s\n", ms(s.CallP50), ms(s.CallP99))
	fmt.Fprintf(w, "  a request took           p50 %s, p99 %s\n", ms(l.P50), ms(l.P99))
	fmt.Fprintf(w, "  in the second around one p99 %s at most: %.1f × the run's (%d × is allowed)\n", ms(s.Around), s.Ratio, allowedRatio)
	if s.Elsewhere > 0 {
		fmt.Fprintf(w, "  in a second without one  p99 %s at most\n", ms(s.Elsewhere))
	}
	fmt.Fprintf(w, "  sent after one returned  %s requests, %d answered by the former release\n", grouped(f.Former.Asserted), f.Former.Answered)
	fmt.Fprintf(w, "  calls without the stamp  %d\n", f.Lost)
	f.printControl(w)
	if f.Passed {
		if f.Control != nil {
			fmt.Fprintln(w, "\nNothing failed, and nothing was mixed but where a service dropped the stamp.")
		} else {
			fmt.Fprintln(w, "\nNothing failed, and nothing was mixed.")
		}
		return
	}
	fmt.Fprintln(w)
	for _, wrong := range f.Wrong {
		fmt.Fprintln(w, "WRONG: "+wrong)
	}
	for _, more := range []string{f.trouble, f.Former.First} {
		if more != "" {
			fmt.Fprintln(w, more)
		}
	}
}

func (f *figures) printControl(w io.Writer) {
	c := f.Control
	if c == nil {
		return
	}
	fmt.Fprint(w, "\nControl: the same fleet, and its api passes no stamp on\n")
	fmt.Fprintf(w, "  in preview               %d of %d requests mixed\n", c.Preview.Mixed, c.Preview.Sent)
	fmt.Fprintf(w, "  promotion refused        %s\n", cmp.Or(c.Refused, "no"))
	fmt.Fprintf(w, "  doctor                   %s\n", cmp.Or(wrap(c.Doctor, 27, 80), "names nobody"))
	fmt.Fprintf(w, "  %d switches under load    %d of %s requests mixed\n", c.Switches, c.Switching.Mixed, grouped(c.Switching.Sent))
	fmt.Fprintf(w, "  steady, after a switch   %d of %s requests mixed, %d failed\n", c.Steady.Mixed, grouped(c.Steady.Sent), c.Steady.Failed)
	if c.SteadyTrouble != "" {
		fmt.Fprintln(w, c.SteadyTrouble)
	}
}

func ms(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) + " ms" }

// grouped writes a number with a comma between groups of three digits.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// wrap breaks a text between words so that it fits into columns, when its first
// line begins and all others are indented at indent.
func wrap(s string, indent, columns int) string {
	var b strings.Builder
	at := indent
	for i, word := range strings.Fields(s) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case at+1+n >= columns:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}
