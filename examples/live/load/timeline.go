package load

import (
	"math/bits"
	"time"
)

const (
	slotWidth = 100 * time.Millisecond
	perOctave = 8  // buckets between one power of two and the next
	octaves   = 27 // from 1 µs to 134 s
)

// timeline counts latencies in a histogram per tenth of a second: small enough
// to keep for a run of any length, and exact enough for percentiles at a moment.
type timeline struct {
	begun time.Time
	slots []histogram
}

type histogram struct {
	count   int64
	longest time.Duration
	buckets [octaves * perOctave]uint32
}

// slot returns the index of the slot that begins at or before d; it is negative
// before the run.
func slot(d time.Duration) int {
	if d < 0 {
		return -1
	}
	return int(d / slotWidth)
}

func (t *timeline) record(start time.Time, latency time.Duration) {
	i := max(0, slot(start.Sub(t.begun)))
	t.grow(i + 1)
	h := &t.slots[i]
	h.count++
	h.longest = max(h.longest, latency)
	h.buckets[bucket(latency)]++
}

func (t *timeline) grow(n int) {
	if missing := n - len(t.slots); missing > 0 {
		t.slots = append(t.slots, make([]histogram, missing)...)
	}
}

func (t *timeline) add(o *timeline) {
	t.grow(len(o.slots))
	for i := range o.slots {
		t.slots[i].add(&o.slots[i])
	}
}

func (h *histogram) add(o *histogram) {
	h.count += o.count
	h.longest = max(h.longest, o.longest)
	for i, n := range o.buckets {
		h.buckets[i] += n
	}
}

// between sums up the slots [from, to).
func (t *timeline) between(from, to int) Latency {
	var sum histogram
	for i := max(0, from); i < min(to, len(t.slots)); i++ {
		sum.add(&t.slots[i])
	}
	return Latency{Count: sum.count, P50: sum.percentile(50), P99: sum.percentile(99), Max: sum.longest}
}

func (h *histogram) percentile(p int64) time.Duration {
	rank := (h.count*p + 99) / 100
	for i, n := range h.buckets {
		if rank -= int64(n); rank <= 0 && n > 0 {
			return min(limit(i), h.longest)
		}
	}
	return h.longest
}

// bucket counts whole microseconds: the octave is the position of the highest
// bit, and the three bits below it choose among eight.
func bucket(d time.Duration) int {
	us := uint64(max(1, d.Microseconds()))
	octave := bits.Len64(us) - 1
	step := us << 3 >> octave & (perOctave - 1)
	return min(octave*perOctave+int(step), octaves*perOctave-1)
}

// limit returns the upper end of a bucket.
func limit(i int) time.Duration {
	octave, step := i/perOctave, i%perOctave
	return time.Duration((uint64(perOctave+step+1)<<octave+perOctave-1)/perOctave) * time.Microsecond
}
