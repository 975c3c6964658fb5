package propagate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// ErrOffStage is the cause, by [context.Cause], of the end of a stage's context
// when greenroom said that this version is on stage no longer.
var ErrOffStage = errors.New("propagate: this version is off stage")

// ErrLeft is the cause of the end of a stage's context after [Stage.Leave].
var ErrLeft = errors.New("propagate: the stage has been left")

// Stage is the right of this instance to do background work: to take from
// production's queues and to act on timers. It is had from [OnStage].
type Stage struct {
	ctx      context.Context
	end      context.CancelCauseFunc
	usher    *usher // nil outside greenroom
	patience time.Duration
	epoch    atomic.Uint64
	release  string

	leave    sync.Once
	leaving  chan struct{}
	released chan struct{} // closed when the lease is no longer renewed
	leaveErr error
}

// OnStage waits until this instance may do background work. A candidate's
// workers wait here until their release is promoted, so that a preview does not
// eat production's queue; those of the former version leave then.
//
// It asks greenroom at GREENROOM_STATUS_URL and waits as long as the answer is no
// or there is none. Where that variable is not set the service does not run
// under greenroom and is on stage at once, with epoch 0.
//
// The error says that ctx ended first, with the reason of the last refusal, or
// that the environment is not one that greenroom sets.
//
// Whoever is on stage takes work while [Stage.Context] lasts, finishes the item
// at hand, and calls [Stage.Leave]. [RunOnStage] and [ConsumeOnStage] do that.
func OnStage(ctx context.Context, opts ...Option) (*Stage, error) {
	s := newSettings(opts)
	u, err := newUsher(s)
	if err != nil {
		return nil, err
	}
	if u == nil {
		return newStage(ctx, nil, answer{}, s.deadline), nil
	}
	reason := errors.New("greenroom was not asked yet")
	for {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("waiting for the stage: %w (the last answer: %w)", context.Cause(ctx), reason)
		}
		a, err := u.ask(ctx, 0, false)
		if err == nil && a.OnStage {
			stage := newStage(ctx, u, a, s.deadline)
			u.log.InfoContext(ctx, "on stage", "epoch", a.Epoch, "release", a.Release)
			go stage.hold(a.lease() / 3)
			return stage, nil
		}
		if err == nil {
			err = fmt.Errorf("%w: %s", ErrOffStage, a.Reason)
		}
		if err.Error() != reason.Error() && ctx.Err() == nil {
			reason = err
			u.log.WarnContext(ctx, "waiting for the stage", "reason", reason)
		}
		pause(ctx, a.retryAfter())
	}
}

func newStage(ctx context.Context, u *usher, a answer, patience time.Duration) *Stage {
	s := &Stage{
		usher:    u,
		patience: patience,
		release:  a.Release,
		leaving:  make(chan struct{}),
		released: make(chan struct{}),
	}
	s.epoch.Store(a.Epoch)
	s.ctx, s.end = context.WithCancelCause(ctx)
	return s
}

// Context is what new work is taken under. It ends when greenroom says that this
// version is off stage, with the context given to [OnStage], and by
// [Stage.Leave]. Without an answer from greenroom it goes on.
//
// An item that was taken is to be finished, so it needs another context, such as
// one of [Detach].
func (s *Stage) Context() context.Context { return s.ctx }

// Epoch is the fencing token: it rises with every switch, also while one stays
// on stage, so read it for each item. What the item writes to should keep the
// highest epoch that it has seen and refuse lower ones; they come from a worker
// that was too slow to learn that it is off stage.
func (s *Stage) Epoch() uint64 { return s.epoch.Load() }

// Release names the release that is on stage, or is "" outside greenroom.
func (s *Stage) Release() string { return s.release }

// Leave gives the stage back; call it when the item at hand is finished, and not
// before, since the next version starts at once. It may be called several times
// and concurrently. The error says that greenroom did not hear of it, and then
// the next version waits until the lease has run out.
func (s *Stage) Leave() error {
	s.leave.Do(func() {
		s.end(ErrLeft)
		if s.usher == nil {
			return
		}
		close(s.leaving)
		<-s.released // a renewal still under way must not arrive behind the leave
		s.leaveErr = s.usher.leave(s.Epoch())
	})
	return s.leaveErr
}

// hold renews the lease until Leave. It does so also between the end of the
// context and Leave, while the last item is being finished, but only for as long
// as an item may take: a worker that forgets to leave must not keep the next
// version waiting for ever.
func (s *Stage) hold(every time.Duration) {
	defer close(s.released)
	ended := s.ctx.Done()
	var overdue <-chan time.Time
	renew := time.NewTimer(every)
	defer renew.Stop()
	for {
		select {
		case <-s.leaving:
			return
		case <-overdue:
			return
		case <-ended:
			ended = nil
			timer := time.NewTimer(s.patience)
			defer timer.Stop()
			overdue = timer.C
		case <-renew.C:
			a, err := s.usher.ask(context.WithoutCancel(s.ctx), s.Epoch(), false)
			switch {
			case err != nil: // no answer: a holder stays
			case a.OnStage:
				s.epoch.Store(max(s.Epoch(), a.Epoch))
				every = a.lease() / 3
			case s.ctx.Err() == nil:
				s.usher.log.Info("off stage", "reason", a.Reason)
				s.end(fmt.Errorf("%w: %s", ErrOffStage, a.Reason))
			}
			renew.Reset(every)
		}
	}
}

// pause returns after d or at the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
