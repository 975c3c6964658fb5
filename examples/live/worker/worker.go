// Package worker is the demo fleet's background worker: it pays the streamers
// what viewers gave them, one queued payout after the other.
//
// It owns the ledger of what was paid. No request comes in that could be
// stamped, so it asks greenroom for the stage instead: a version works while it
// is on stage, which exactly the version that ordinary users get is, and its
// epoch is written with every payout and fences off a worker that was too slow
// to notice that it had left. Start at Run.
package worker

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/greenroom-dev/greenroom/examples/live/internal/boot"
	"github.com/greenroom-dev/greenroom/examples/live/internal/queue"
	"github.com/greenroom-dev/greenroom/examples/live/internal/trail"
	"github.com/greenroom-dev/greenroom/propagate"
)

// poll is how often an empty queue is looked at.
const poll = 100 * time.Millisecond

// Run pays out until ctx ends, and finishes the payout at hand.
func Run(ctx context.Context, p boot.Process) error {
	dir, err := p.DataFile("queue")
	if err != nil {
		return err
	}
	due, err := queue.Open(dir)
	if err != nil {
		return err
	}
	path, err := p.DataFile("payouts.jsonl")
	if err != nil {
		return err
	}
	paid, err := openLedger(path)
	if err != nil {
		return err
	}
	defer paid.close()

	w := &worker{process: p, due: due, paid: paid}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	worked := make(chan error, 1)
	go func() {
		defer cancel()
		worked <- w.work(ctx)
	}()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /payouts", w.payouts)
	served := p.ServeHTTP(ctx, mux, nil)
	cancel()
	return errors.Join(served, <-worked)
}

type worker struct {
	process boot.Process
	due     *queue.Queue
	paid    *ledger
	listed  []string // read from the queue and not yet taken
}

// work pays whenever this version is on stage. When the ledger fenced it off it
// starts over, and waits for the stage like anybody who never was on it.
func (w *worker) work(ctx context.Context) error {
	for {
		err := propagate.ConsumeOnStage(ctx, w.take, w.pay,
			propagate.WithEnviron(w.process.Environ()), propagate.WithLogger(w.process.Log))
		switch {
		case ctx.Err() != nil:
			return nil
		case !errors.Is(err, errFenced):
			return err
		}
		w.process.Log.Warn("fenced off", "service", w.process.Service, "version", w.process.Version, "error", err)
		pause(ctx, poll)
	}
}

// take waits for the next payout that is due.
func (w *worker) take(ctx context.Context) (queue.Payout, error) {
	for {
		for len(w.listed) > 0 {
			id := w.listed[0]
			w.listed = w.listed[1:]
			if payout, ok, err := w.due.Get(id); ok || err != nil {
				return payout, err
			}
		}
		ids, err := w.due.List()
		if err != nil {
			return queue.Payout{}, err
		}
		if w.listed = ids; len(ids) == 0 {
			pause(ctx, poll)
		}
		if ctx.Err() != nil {
			return queue.Payout{}, context.Cause(ctx)
		}
	}
}

// pay writes a payout to the ledger and then takes it out of the queue. A worker
// that dies in between leaves a payout that is due and paid; the ledger knows
// it, so nobody is paid twice.
func (w *worker) pay(_ context.Context, due queue.Payout, epoch uint64) error {
	err := w.paid.pay(Entry{
		Gift: due.Gift, To: due.To, Coins: due.Coins,
		Version: w.process.Version, Epoch: epoch, At: time.Now().UTC(),
	})
	if err != nil && !errors.Is(err, errPaid) {
		return err
	}
	return w.due.Remove(due.Gift)
}

// payouts answers how many payouts were made, and in which epoch the last.
func (w *worker) payouts(rw http.ResponseWriter, _ *http.Request) {
	count, epoch, err := w.paid.tally()
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	trail.Mark(rw.Header(), trail.Trail{w.process.Hop()}, false)
	trail.WriteJSON(rw, http.StatusOK, map[string]uint64{"payouts": uint64(count), "epoch": epoch})
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
