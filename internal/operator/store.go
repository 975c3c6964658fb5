package operator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// ErrOvertaken is returned when the state in the cluster is another than the
// one that this operator wrote: it has to be read anew.
var ErrOvertaken = errors.New("somebody else changed the fleet's state")

// writeTimeout bounds an attempt to write the state, and a look at it.
const writeTimeout = 10 * time.Second

// status is the controller's Store: the Fleet object's status, written with
// its resourceVersion, so that of two operators one is refused.
type status struct {
	put  putStatus
	live client.Reader // of the API server itself
	key  types.NamespacedName
	now  func() time.Time
	lost func() // called with ErrOvertaken

	mu         sync.Mutex
	fleet      *crd.Fleet // as it was read or written last
	revision   uint64     // of the state in it
	conditions []kubernetes.Condition
	generation int64         // of the Fleet that conditions speak of
	spoken     bool          // there was a Tell
	first      chan struct{} // closed by the first Tell; nil: nobody waits for it yet
	saved      saving        // the last Save
}

// saving is how long the parts of a Save took, one after the other.
type saving struct {
	encoded time.Duration
	written time.Duration // with all that had to be tried again
}

// Load returns the state; false where the Fleet has none.
func (s *status) Load() (kubernetes.Value, bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	fleet := &crd.Fleet{}
	if err := s.live.Get(ctx, s.key, fleet); err != nil {
		return kubernetes.Value{}, false, fmt.Errorf("read Fleet %s: %w", s.key, err)
	}
	s.fleet, s.revision = fleet, 0
	if fleet.Status.State == nil {
		return kubernetes.Value{}, false, nil
	}
	v, err := kubernetes.DecodeValue(fleet.Status.State)
	if err != nil {
		return v, false, err
	}
	s.revision = v.State.Revision
	return v, true, nil
}

// Save writes a state, with the conditions that are there and the events.
// Conditions of a former operator stay until something else is told.
func (s *status) Save(v kubernetes.Value, events []release.Event) error {
	v.State.Pending = events
	s.mu.Lock()
	defer s.mu.Unlock()
	began := s.now()
	s.saved = saving{}
	defer func() { s.saved.written = s.now().Sub(began) - s.saved.encoded }()
	return s.write(v.State.Revision, func(old crd.FleetStatus) (crd.FleetStatus, error) {
		from := s.now()
		defer func() { s.saved.encoded += s.now().Sub(from) }()
		next, err := kubernetes.ProjectFleet(old, v, s.conditions, s.generation, s.now())
		if !s.spoken {
			next.ObservedGeneration, next.Conditions = old.ObservedGeneration, old.Conditions
		}
		return next, err
	})
}

// lastSave is how long the last Save took.
func (s *status) lastSave() saving {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saved
}

// Tell writes the conditions, if they are others than before.
func (s *status) Tell(conditions []kubernetes.Condition, generation int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conditions, s.generation = conditions, generation
	if s.first != nil && !s.spoken {
		close(s.first)
	}
	s.spoken = true
	next := kubernetes.ProjectConditions(s.fleet.Status.Conditions, conditions, generation, s.now())
	if s.fleet.Status.ObservedGeneration == generation && equality.Semantic.DeepEqual(next, s.fleet.Status.Conditions) {
		return nil
	}
	return s.write(s.revision, func(old crd.FleetStatus) (crd.FleetStatus, error) {
		old.ObservedGeneration = generation
		old.Conditions = kubernetes.ProjectConditions(old.Conditions, conditions, generation, s.now())
		return old, nil
	})
}

// write changes the status. A change of anything else in the Fleet meanwhile,
// by whomever, is no obstacle; one of the state is. A write of which nobody
// knows what became of it is looked for, and if it is not there made again:
// either it succeeds now, or the former one came through after all. So it does
// not come later, when nobody expects it any more.
func (s *status) write(revision uint64, change func(crd.FleetStatus) (crd.FleetStatus, error)) error {
	ctx, cancel := context.WithTimeout(context.Background(), attempts*writeTimeout)
	defer cancel()
	for tries := 0; ; {
		next := s.fleet.DeepCopy()
		var err error
		if next.Status, err = change(next.Status); err != nil {
			return err
		}
		next.ManagedFields = nil // who owns which field is the API server's to know; it leaves that as it is
		err = s.update(ctx, next)
		switch {
		case err == nil:
			s.fleet, s.revision = next, revision
			return nil
		case apierrors.IsConflict(err):
		case refusedByServer(err) || revision == s.revision: // of conditions another write will do
			return fmt.Errorf("write the status of Fleet %s: %w", s.key, err)
		default:
			tries++
		}
		landed, unknown := s.refresh(next, revision)
		switch {
		case unknown != nil && tries > 0 && !errors.Is(unknown, ErrOvertaken):
			s.lost()
			return fmt.Errorf("%w, or this operator did: %w; %w", ErrOvertaken, err, unknown)
		case unknown != nil:
			return unknown
		case landed:
			return nil
		case tries == attempts:
			return fmt.Errorf("write the status of Fleet %s, %d times: %w", s.key, attempts, err)
		}
	}
}

// attempts is how often a state is written of which it is not known whether it
// was.
const attempts = 2

func (s *status) update(ctx context.Context, next *crd.Fleet) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return s.put(ctx, next)
}

// refusedByServer reports whether a write was answered with a refusal, so that
// nothing was written.
func refusedByServer(err error) bool {
	var answered apierrors.APIStatus
	if !errors.As(err, &answered) {
		return false
	}
	code := answered.Status().Code
	return code >= http.StatusBadRequest && code < http.StatusInternalServerError
}

// refresh reads the Fleet again. Its state must be the one that is known, or
// the one of revision in wrote, which has landed then. Anything else is
// ErrOvertaken.
func (s *status) refresh(wrote *crd.Fleet, revision uint64) (landed bool, _ error) {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	fresh := &crd.Fleet{}
	if err := s.live.Get(ctx, s.key, fresh); err != nil {
		return false, fmt.Errorf("read Fleet %s: %w", s.key, err)
	}
	found := uint64(0)
	if fresh.Status.State != nil {
		v, err := kubernetes.DecodeValue(fresh.Status.State)
		if err != nil {
			s.lost()
			return false, fmt.Errorf("%w: %w", ErrOvertaken, err)
		}
		found = v.State.Revision
	}
	switch {
	case fresh.UID != s.fleet.UID:
	case found == s.revision:
		s.fleet = fresh
		return false, nil
	case found == revision && sameState(fresh, wrote):
		s.fleet, s.revision = fresh, revision
		return true, nil
	}
	s.lost()
	return false, fmt.Errorf("%w: it has revision %d, and %d was expected", ErrOvertaken, found, s.revision)
}

// holds is ErrOvertaken where the state in the cluster is not the one that was
// written last.
func (s *status) holds(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.refresh(s.fleet, s.revision)
	return err
}

// sameState compares the states of two Fleets, whatever the API server made of
// their text.
func sameState(a, b *crd.Fleet) bool {
	var texts [2][]byte
	for i, f := range []*crd.Fleet{a, b} {
		v, err := kubernetes.DecodeValue(f.Status.State)
		if err != nil {
			return false
		}
		raw, err := kubernetes.EncodeValue(v)
		if err != nil {
			return false
		}
		texts[i] = raw.Raw
	}
	return bytes.Equal(texts[0], texts[1])
}

// object is the Fleet as it was read or written last.
func (s *status) object() *crd.Fleet {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fleet
}

// told are the conditions of the last Tell.
func (s *status) told() []kubernetes.Condition {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conditions
}

// blocking are those of the last Tell with which no release is promoted.
func (s *status) blocking() []kubernetes.Condition {
	return slices.DeleteFunc(slices.Clone(s.told()), func(c kubernetes.Condition) bool { return !c.Blocks })
}

// hasTold reports whether there was a Tell.
func (s *status) hasTold() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spoken
}

// awaitTold returns when there was a Tell: until then it is not known what
// speaks against anything.
func (s *status) awaitTold(ctx context.Context) error {
	s.mu.Lock()
	if s.spoken {
		s.mu.Unlock()
		return nil
	}
	if s.first == nil {
		s.first = make(chan struct{})
	}
	first := s.first
	s.mu.Unlock()
	select {
	case <-first:
		return nil
	case <-ctx.Done():
		return &release.Refused{Rule: "condition", Reason: "the operator has not looked at all of the fleet yet", Remedy: "try again in a moment; the operator's log says what keeps it"}
	}
}
