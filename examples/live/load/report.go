package load

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxSamples is how many failed or mixed requests a report keeps in full.
const maxSamples = 20

// Report is what a run came to. Requests are counted by when they were sent.
type Report struct {
	Counts                 // of all kinds
	Kinds    [kinds]Counts // by kind
	Samples  []Sample      // failed or mixed ones, the first of each worker
	Begun    time.Time
	Duration time.Duration

	timeline timeline
}

// Counts are of requests. A mixed request that failed for it is in both Failed
// and Mixed.
type Counts struct {
	Sent, Failed, Mixed int64
}

func newReport(begun time.Time) *Report {
	return &Report{Begun: begun, timeline: timeline{begun: begun}}
}

func (r *Report) record(s Sample) {
	for _, c := range []*Counts{&r.Counts, &r.Kinds[s.Kind]} {
		c.Sent++
		if s.Err != nil {
			c.Failed++
		}
		if s.Mixed {
			c.Mixed++
		}
	}
	if (s.Err != nil || s.Mixed) && len(r.Samples) < maxSamples {
		r.Samples = append(r.Samples, s)
	}
	r.timeline.record(s.Start, s.End.Sub(s.Start))
}

func (r *Report) add(o *Report) {
	r.Counts.add(o.Counts)
	for k := range r.Kinds {
		r.Kinds[k].add(o.Kinds[k])
	}
	r.Samples = append(r.Samples, o.Samples...)
	slices.SortFunc(r.Samples, func(a, b Sample) int { return a.Start.Compare(b.Start) })
	r.Samples = r.Samples[:min(len(r.Samples), maxSamples)]
	r.timeline.add(&o.timeline)
}

func (c *Counts) add(o Counts) {
	c.Sent += o.Sent
	c.Failed += o.Failed
	c.Mixed += o.Mixed
}

// Latency is the time from before a request was sent to the end of its answer.
// Percentiles are upper bounds, at most an eighth above the true value.
type Latency struct {
	Count         int64
	P50, P99, Max time.Duration
}

// All returns the latency of the whole run.
func (r *Report) All() Latency { return r.timeline.between(0, len(r.timeline.slots)) }

// Around returns the latency of the requests sent within width around t, half of
// it before and half behind, in steps of 100 ms.
func (r *Report) Around(t time.Time, width time.Duration) Latency {
	from := t.Add(-width / 2).Sub(r.Begun)
	return r.timeline.between(slot(from), slot(from+width))
}

// Err returns an error that names what failed and what was mixed, or nil when
// nothing did and was.
func (r *Report) Err() error {
	if r.Failed == 0 && r.Mixed == 0 {
		return nil
	}
	lines := []string{fmt.Sprintf("of %d requests %d failed and %d were mixed:", r.Sent, r.Failed, r.Mixed)}
	for _, s := range r.Samples {
		lines = append(lines, fmt.Sprintf("%s after %s: %s [%s]: %v",
			s.Start.Format("15:04:05.000"), s.End.Sub(s.Start).Round(time.Microsecond), s.Kind, s.Path, s.Err))
	}
	return errors.New(strings.Join(lines, "\n  "))
}
