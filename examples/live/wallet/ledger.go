package wallet

import (
	"errors"
	"fmt"

	"github.com/greenroom-dev/greenroom/examples/live/internal/journal"
)

// start is what every viewer begins with, in coins, and the most that one gift
// may be.
const start = 1000

// errTooPoor is returned when a viewer has fewer coins than the gift takes.
var errTooPoor = errors.New("not enough coins")

// transfer is an entry of the wallet's journal. Both versions write the same
// form: what is stored outlives a release, what is said on the wire need not.
type transfer struct {
	ID    string `json:"id"`
	From  string `json:"from"`
	To    string `json:"to"`
	Coins int64  `json:"coins"`
}

// ledger knows who has how many coins. Its maps are touched under the journal's
// lock only.
type ledger struct {
	journal *journal.Journal[transfer]
	gained  map[string]int64
	done    map[string]bool // by transfer.ID
}

func openLedger(path string) (*ledger, error) {
	l := &ledger{gained: map[string]int64{}, done: map[string]bool{}}
	j, err := journal.Open(path, func(t transfer) {
		l.gained[t.From] -= t.Coins
		l.gained[t.To] += t.Coins
		l.done[t.ID] = true
	})
	l.journal = j
	return l, err
}

func (l *ledger) close() { _ = l.journal.Close() }

func (l *ledger) balance(viewer string) (coins int64, err error) {
	err = l.journal.Sync(func() { coins = start + l.gained[viewer] })
	return coins, err
}

// transfer moves coins, once per id, and returns what the sender then has.
// Without an id nothing moves.
func (l *ledger) transfer(t transfer) (balance int64, err error) {
	if t.ID == "" {
		return l.balance(t.From)
	}
	errDone := errors.New("done before")
	err = l.journal.Append(func() (transfer, error) {
		switch balance = start + l.gained[t.From]; {
		case l.done[t.ID]:
			return t, errDone
		case balance < t.Coins:
			return t, fmt.Errorf("%w: %s has %d and gives %d", errTooPoor, t.From, balance, t.Coins)
		}
		balance -= t.Coins
		return t, nil
	})
	if errors.Is(err, errDone) {
		err = nil
	}
	return balance, err
}
