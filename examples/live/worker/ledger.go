package worker

import (
	"errors"
	"fmt"
	"time"

	"github.com/greenroom-dev/greenroom/examples/live/internal/journal"
)

// Entry is a line of the ledger, payouts.jsonl in LIVE_DATA: one payout.
type Entry struct {
	Gift    string    `json:"gift"`
	To      string    `json:"to"`
	Coins   int64     `json:"coins"`
	Version string    `json:"version"` // of the worker that paid
	Epoch   uint64    `json:"epoch"`   // of the stage it was on
	At      time.Time `json:"at"`
}

var (
	// errPaid is returned when the gift was paid out before.
	errPaid = errors.New("paid before")
	// errFenced is returned when somebody has paid in a later epoch than ours: we
	// are off stage and were too slow to hear of it.
	errFenced = errors.New("the stage has moved on")
)

// ledger refuses what would pay twice, and who is of yesterday. Its fields are
// touched under the journal's lock only.
type ledger struct {
	journal *journal.Journal[Entry]
	paid    map[string]bool // by gift
	epoch   uint64          // the highest that paid
}

func openLedger(path string) (*ledger, error) {
	l := &ledger{paid: map[string]bool{}}
	j, err := journal.Open(path, func(e Entry) {
		l.paid[e.Gift] = true
		l.epoch = max(l.epoch, e.Epoch)
	})
	l.journal = j
	return l, err
}

func (l *ledger) close() { _ = l.journal.Close() }

func (l *ledger) pay(e Entry) error {
	return l.journal.Append(func() (Entry, error) {
		switch {
		case e.Epoch < l.epoch:
			return e, fmt.Errorf("%w: epoch %d paid already, this is %d", errFenced, l.epoch, e.Epoch)
		case l.paid[e.Gift]:
			return e, errPaid
		}
		return e, nil
	})
}

func (l *ledger) tally() (count int, epoch uint64, err error) {
	err = l.journal.Sync(func() { count, epoch = len(l.paid), l.epoch })
	return count, epoch, err
}
