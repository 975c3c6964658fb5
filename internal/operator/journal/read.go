package journal

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Filter says which events are wanted, and how many.
type Filter struct {
	Release string // empty: of all
	Limit   int    // at most so many, from 1
}

// After returns the first events with a Seq above after, ascending. What
// somebody removed is left out.
func (j *Journal) After(ctx context.Context, after uint64, f Filter) ([]Event, error) {
	var found []Event
	for _, s := range j.about(f.Release) {
		if s.Last <= after {
			continue
		}
		events, err := j.read(ctx, s)
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			if len(found) == f.Limit {
				return found, nil
			}
			if e.Seq > after && (f.Release == "" || e.Release == f.Release) {
				found = append(found, e)
			}
		}
	}
	return found, nil
}

// Before returns the last events with a Seq below before, ascending; 0 stands
// for the log's end, which makes it the tail.
func (j *Journal) Before(ctx context.Context, before uint64, f Filter) ([]Event, error) {
	if before == 0 {
		before = ^uint64(0)
	}
	var found []Event // descending
	for _, s := range slices.Backward(j.about(f.Release)) {
		if len(found) == f.Limit {
			break
		}
		if s.First >= before {
			continue
		}
		events, err := j.read(ctx, s)
		if err != nil {
			return nil, err
		}
		for _, e := range slices.Backward(events) {
			if e.Seq < before && (f.Release == "" || e.Release == f.Release) && len(found) < f.Limit {
				found = append(found, e)
			}
		}
	}
	slices.Reverse(found)
	return found, nil
}

// about returns the segments that speak of a release, or all for "".
func (j *Journal) about(release string) []segment {
	j.mu.RLock()
	defer j.mu.RUnlock()
	var out []segment
	for _, s := range j.segments {
		if _, there := slices.BinarySearch(s.Releases, release); there || release == "" {
			out = append(out, s)
		}
	}
	return out
}

// read returns the events of a segment, none if somebody removed it.
func (j *Journal) read(ctx context.Context, s segment) ([]Event, error) {
	object := s.object
	if object == nil {
		var err error
		object, err = j.fetch(ctx, s.Number)
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return decode(object)
}

func decode(object *corev1.ConfigMap) ([]Event, error) {
	var events []Event
	lines := bufio.NewScanner(strings.NewReader(object.Data[linesField]))
	lines.Buffer(nil, sealAt+1)
	for lines.Scan() {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("the event log in ConfigMap %s/%s is damaged (%w): put back a copy, or delete it", object.Namespace, object.Name, err)
		}
		events = append(events, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the event log in ConfigMap %s/%s: %w", object.Namespace, object.Name, err)
	}
	return events, nil
}
