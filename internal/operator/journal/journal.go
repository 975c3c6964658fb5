// Package journal keeps a fleet's whole event log in its cluster: numbered
// ConfigMaps greenroom.FLEET.events.000001, 000002 and so on in the fleet's
// namespace.
//
// It owns these objects, which are only ever added to, and the numbers of the
// events. What happened, and what is worth an event, is its user's. A ConfigMap
// holds events as lines of JSON; when it is full it is made immutable and the
// next one is begun. Annotations say which events and releases it speaks of, so
// that only what is asked for is read: in memory there are the annotations of
// all and the content of the last.
//
// The log belongs to nobody: it outlives the Fleet. Whoever wants to be rid of
// it, or of its older part, deletes ConfigMaps, the lowest numbers first:
//
//	kubectl -n NAMESPACE delete configmap -l greenroom.dev/fleet=FLEET,greenroom.dev/part=events
//
// The client must read ConfigMaps from the API server itself, not from a cache.
//
// Start at Open. segment.go is one ConfigMap, read.go finds events again.
package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/greenroom-dev/greenroom/client"
)

// Event is a line of the log.
type Event struct {
	api.Event
	Data json.RawMessage `json:"data,omitempty"` // for programs, such as a hook's output
}

// sealAt is how full a ConfigMap gets, in bytes, before the next is begun, and
// how much can be added at once: what is added together is never divided.
const sealAt = 512 << 10

// attempts is how often a write is tried that somebody else was faster with.
const attempts = 5

// Journal is the event log of one fleet. It is safe for concurrent use. One
// operator writes at a time; should there be two, neither overwrites what the
// other wrote.
type Journal struct {
	client client.Client
	fleet  types.NamespacedName

	edit sync.Mutex // held by who writes

	mu       sync.RWMutex
	segments []segment // by number; only the last may have its content
	last     span      // that was ever seen here, should somebody remove it
}

// Open finds a fleet's log, or begins an empty one.
func Open(ctx context.Context, c client.Client, fleet types.NamespacedName) (*Journal, error) {
	j := &Journal{client: c, fleet: fleet}
	if err := j.load(ctx); err != nil {
		return nil, err
	}
	return j, nil
}

// Last is the number of the last event, 0 for none.
func (j *Journal) Last() uint64 { return j.end().Last }

// Revision is that of the last state whose events were appended, 0 for none.
func (j *Journal) Revision() uint64 { return j.end().Revision }

// end is where the log ends.
func (j *Journal) end() span {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.last
}

// open returns the segment that the log ends with, false where that is sealed
// or removed.
func (j *Journal) open() (segment, bool) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	n := len(j.segments)
	if n == 0 || j.segments[n-1].Number != j.last.Number || j.segments[n-1].sealed() {
		return segment{}, false
	}
	return j.segments[n-1], true
}

// put makes s the segment that the log ends with.
func (j *Journal) put(s segment) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if n := len(j.segments); n > 0 && j.segments[n-1].Number == s.Number {
		j.segments[n-1] = s
	} else {
		j.segments = append(j.segments, s)
	}
	j.last = s.span
}

// Append adds the events of a change of the state, and sets their Seq to the
// next numbers. revision is that of the state they came with: of one that is in
// the log already, or was overtaken, nothing is added, so after a crash between
// writing the state and Append the same call may be made again. It is durable
// when it returns, whole or not at all.
func (j *Journal) Append(ctx context.Context, revision uint64, events ...Event) error {
	if revision == 0 {
		return errors.New("the events of a state have its revision, from 1; Note is for others")
	}
	return j.add(ctx, revision, events)
}

// Note adds events that came with no change of the state, and sets their Seq.
// Done twice, they are in the log twice.
func (j *Journal) Note(ctx context.Context, events ...Event) error { return j.add(ctx, 0, events) }

func (j *Journal) add(ctx context.Context, revision uint64, events []Event) error {
	if len(events) == 0 {
		return nil
	}
	j.edit.Lock()
	defer j.edit.Unlock()
	var err error
	for range attempts {
		end := j.end()
		if revision > 0 && revision <= end.Revision {
			return nil
		}
		numbered := slices.Clone(events)
		for i := range numbered {
			numbered[i].Seq = end.Last + 1 + uint64(i)
		}
		if err = j.write(ctx, revision, numbered); err == nil {
			copy(events, numbered)
			return nil
		}
		if !overtaken(err) {
			break
		}
		if err := j.load(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("writing to the event log: %w", err)
}

// overtaken reports whether a write failed since somebody else wrote, sealed or
// removed the ConfigMap.
func overtaken(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) || apierrors.IsInvalid(err)
}

// write adds numbered events to the last segment, or begins another.
func (j *Journal) write(ctx context.Context, revision uint64, events []Event) error {
	lines, err := encode(events)
	if err != nil {
		return err
	}
	last, open := j.open()
	if open && last.size()+len(lines) > sealAt {
		if err := j.seal(ctx, last); err != nil {
			return err
		}
		open = false
	}
	if !open {
		next := newSegment(j.fleet, j.end())
		next.add(revision, events, lines)
		if err := j.client.Create(ctx, next.object); err != nil {
			return err
		}
		j.put(next)
		return nil
	}
	next := last.clone()
	next.add(revision, events, lines)
	if err := j.client.Update(ctx, next.object); err != nil {
		return err
	}
	j.put(next)
	return nil
}

// seal makes a segment immutable. Its content is read when it is asked for.
func (j *Journal) seal(ctx context.Context, s segment) error {
	s = s.clone()
	immutable := true
	s.object.Immutable = &immutable
	if err := j.client.Update(ctx, s.object); err != nil {
		return err
	}
	s.object = nil
	j.put(s)
	return nil
}

// encode writes events as lines.
func encode(events []Event) (string, error) {
	var lines []byte
	for _, e := range events {
		line, err := json.Marshal(e)
		if err != nil {
			return "", fmt.Errorf("event %s: %w", e.Type, err)
		}
		lines = append(append(lines, line...), '\n')
	}
	if len(lines) > sealAt {
		return "", fmt.Errorf("%d events take %d bytes, more than the %d that can be added at once", len(events), len(lines), sealAt)
	}
	return string(lines), nil
}
