// Package journal is the demo fleet's database: an append-only file of JSON
// lines that several processes read and write at the same time, since two
// versions of a service serve side by side and see one truth.
//
// It owns the file's format and its locking, and knows nothing of what the
// entries mean. Entries survive the end of a process at any moment; they are not
// synced against a loss of power, which a demo does not need. Start at Journal.
package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
)

// Journal feeds every entry of a file to one function, once and in order,
// whichever process wrote it. It is safe for concurrent use.
type Journal[T any] struct {
	mu    sync.Mutex
	file  *os.File
	read  int64 // up to here the entries were applied
	apply func(T)
}

// Open opens or makes the file. apply is called under the journal's lock, from
// within Sync and Append.
func Open[T any](path string, apply func(T)) (*Journal[T], error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening a journal: %w", err)
	}
	return &Journal[T]{file: f, apply: apply}, nil
}

// Close closes the file.
func (j *Journal[T]) Close() error { return j.file.Close() }

// Sync applies what was written since the last call, and calls then, if it is
// not nil, before anything else is applied.
func (j *Journal[T]) Sync(then func()) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.catchUp(); err != nil {
		return err
	}
	if then != nil {
		then()
	}
	return nil
}

// Append applies what others wrote, asks decide for the entry that follows, and
// writes and applies it; no process writes in between. An error of decide is
// returned as it is, and nothing is written.
func (j *Journal[T]) Append(decide func() (T, error)) (err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := lock(j.file); err != nil {
		return fmt.Errorf("locking journal %s: %w", j.file.Name(), err)
	}
	defer func() {
		if e := unlock(j.file); err == nil && e != nil {
			err = fmt.Errorf("unlocking journal %s: %w", j.file.Name(), e)
		}
	}()
	torn, err := j.catchUp()
	if err != nil {
		return err
	}
	entry, err := decide()
	if err != nil {
		return err
	}
	line, err := json.Marshal(entry)
	if err != nil {
		return fmt.Errorf("writing to journal %s: %w", j.file.Name(), err)
	}
	if torn { // by a process that died in the middle of a line
		if err := j.file.Truncate(j.read); err != nil {
			return fmt.Errorf("repairing journal %s: %w", j.file.Name(), err)
		}
	}
	n, err := j.file.WriteAt(append(line, '\n'), j.read)
	if err != nil {
		return fmt.Errorf("writing to journal %s: %w", j.file.Name(), err)
	}
	j.read += int64(n)
	j.apply(entry)
	return nil
}

// catchUp applies whole lines and reports whether something stands behind the
// last.
func (j *Journal[T]) catchUp() (torn bool, err error) {
	buf := make([]byte, 4096)
	for {
		n, err := j.file.ReadAt(buf, j.read)
		if err != nil && err != io.EOF {
			return false, fmt.Errorf("reading journal %s: %w", j.file.Name(), err)
		}
		end := bytes.LastIndexByte(buf[:n], '\n') + 1
		switch {
		case end == 0 && n < len(buf):
			return n > 0, nil
		case end == 0: // a line longer than the buffer
			buf = make([]byte, 2*len(buf))
			continue
		}
		for line := range bytes.Lines(buf[:end]) {
			var entry T
			if err := json.Unmarshal(line, &entry); err != nil {
				return false, fmt.Errorf("journal %s, at byte %d: %w", j.file.Name(), j.read, err)
			}
			j.read += int64(len(line))
			j.apply(entry)
		}
	}
}
