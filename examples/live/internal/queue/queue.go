// Package queue is the demo fleet's message queue: a folder with one file per
// payout that is due. Gift puts them there, the worker takes them out.
//
// It owns the files' form, which both versions of both services read and write:
// what lies in a queue outlives a release, so a release may add fields but not
// change the sense of one. It does not decide who may take; that is the worker's
// stage. Start at Queue.
package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Payout is what the worker owes a streamer for one gift.
type Payout struct {
	Gift  string `json:"gift"` // the gift's id; a gift is due once
	To    string `json:"to"`
	Coins int64  `json:"coins"`
}

// Queue is the folder. Files appear in it whole or not at all.
type Queue struct{ dir string }

// ValidID reports whether a gift may have this id, which names a file: 1 to 64
// letters, digits, dots, dashes and underscores, the first no dot.
func ValidID(id string) bool {
	if id == "" || len(id) > 64 || id[0] == '.' {
		return false
	}
	for _, r := range id {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("._-", r):
		default:
			return false
		}
	}
	return true
}

// Open makes the folder where it is missing.
func Open(dir string) (*Queue, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the queue: %w", err)
	}
	return &Queue{dir: dir}, nil
}

// Put adds a payout. Putting the same gift again while it is due changes
// nothing.
func (q *Queue) Put(p Payout) error {
	if !ValidID(p.Gift) {
		return fmt.Errorf("queueing a payout: %q cannot be a gift's id", p.Gift)
	}
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("queueing a payout: %w", err)
	}
	f, err := os.CreateTemp(q.dir, ".put-*")
	if err != nil {
		return fmt.Errorf("queueing a payout: %w", err)
	}
	_, err = f.Write(body)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), q.file(p.Gift))
	}
	if err != nil {
		return fmt.Errorf("queueing a payout: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// List returns the ids of the gifts that are due, in no order that means
// anything.
func (q *Queue) List() ([]string, error) {
	entries, err := os.ReadDir(q.dir)
	if err != nil {
		return nil, fmt.Errorf("listing the queue: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".json"); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Get reads a payout; ok is false when it is due no longer.
func (q *Queue) Get(id string) (p Payout, ok bool, err error) {
	body, err := os.ReadFile(q.file(id))
	if errors.Is(err, fs.ErrNotExist) {
		return p, false, nil
	}
	if err == nil {
		err = json.Unmarshal(body, &p)
	}
	if err != nil {
		return p, false, fmt.Errorf("reading payout %s: %w", id, err)
	}
	return p, true, nil
}

// Remove takes a payout out for good, when it is paid.
func (q *Queue) Remove(id string) error {
	if err := os.Remove(q.file(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing payout %s: %w", id, err)
	}
	return nil
}

func (q *Queue) file(id string) string { return filepath.Join(q.dir, id+".json") }
