package load

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Percentiles of the histogram are those of the sorted values, at most an eighth
// (and a microsecond) above.
func TestPercentiles(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	begun := time.Unix(0, 0)
	tl := timeline{begun: begun}
	var all []time.Duration
	for range 10_000 {
		d := time.Duration(1+random.IntN(1<<random.IntN(27))) * time.Microsecond
		all = append(all, d)
		tl.record(begun.Add(time.Duration(random.IntN(5000))*time.Millisecond), d)
	}
	slices.Sort(all)
	got := tl.between(0, 50)
	for name, c := range map[string]struct{ got, exact time.Duration }{
		"p50": {got.P50, all[len(all)/2-1]}, "p99": {got.P99, all[len(all)*99/100-1]},
	} {
		if c.got < c.exact || c.got > c.exact+c.exact/8+time.Microsecond {
			t.Errorf("%s is %s, exactly it is %s", name, c.got, c.exact)
		}
	}
	if got.Count != 10_000 || got.Max != all[len(all)-1] {
		t.Errorf("%d values up to %s", got.Count, got.Max)
	}
}

func TestAroundTakesTheSlotsOfItsMoment(t *testing.T) {
	begun := time.Unix(100, 0)
	r := newReport(begun)
	for i := range 100 { // one each 100 ms, the slow ones in the fifth second
		latency := time.Millisecond
		if i >= 45 && i < 55 {
			latency = time.Second
		}
		at := begun.Add(time.Duration(i)*slotWidth + slotWidth/2)
		r.record(Sample{Start: at, End: at.Add(latency)})
	}
	if got := r.Around(begun.Add(5*time.Second), time.Second); got.Count != 10 || got.P50 != time.Second {
		t.Errorf("around the fifth second: %+v", got)
	}
	if got := r.Around(begun.Add(2*time.Second), time.Second); got.Count != 10 || got.Max != time.Millisecond {
		t.Errorf("around the second second: %+v", got)
	}
	if got := r.Around(begun, time.Second); got.Count != 5 {
		t.Errorf("around the beginning: %+v", got)
	}
}
