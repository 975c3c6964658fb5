package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// stampLayout is RFC 3339 with all nanoseconds, so that stamps sort as text.
const stampLayout = "2006-01-02T15:04:05.000000000Z"

// rotatingLog writes an instance's lines into path, path.1 … path.(keep-1), of
// at most max bytes each, oldest last. One line of the file is
//
//	TIME STREAM F|P TEXT
//
// where P says that the line goes on in the next one of its stream. It never
// fails towards the service: lines that cannot be written are counted, and the
// count is the first thing written when writing works again.
type rotatingLog struct {
	path string
	max  int64
	keep int

	mu      sync.Mutex
	file    *os.File
	size    int64
	buf     []byte
	dropped int
	why     error
}

// write appends one line, in the order of the calls.
func (l *rotatingLog) write(stream string, at time.Time, text []byte, whole bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dropped > 0 {
		note := fmt.Sprintf("%d lines were dropped: %v", l.dropped, l.why)
		if l.append("greenroom", at, []byte(note), true) == nil {
			l.dropped, l.why = 0, nil
		}
	}
	if err := l.append(stream, at, text, whole); err != nil {
		l.dropped++
		l.why = err
	}
}

func (l *rotatingLog) append(stream string, at time.Time, text []byte, whole bool) error {
	mark := byte('F')
	if !whole {
		mark = 'P'
	}
	b := at.UTC().AppendFormat(l.buf[:0], stampLayout)
	b = append(append(append(b, ' '), stream...), ' ', mark, ' ')
	b = append(append(b, text...), '\n')
	l.buf = b
	if l.file != nil && l.size > 0 && l.size+int64(len(b)) > l.max {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	if l.file == nil {
		if err := l.open(); err != nil {
			return err
		}
	}
	n, err := l.file.Write(b)
	if err == nil {
		l.size += int64(n)
		return nil
	}
	// Half a line must not stay; and a fresh file may do where this one failed.
	_ = l.file.Truncate(l.size)
	_ = l.file.Close()
	l.file = nil
	return err
}

func (l *rotatingLog) open() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return err
	}
	l.file, l.size = f, info.Size()
	return nil
}

func (l *rotatingLog) rotate() error {
	_ = l.file.Close()
	l.file = nil
	for n := l.keep - 1; n > 0; n-- {
		if err := os.Rename(l.name(n-1), l.name(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if l.keep > 1 {
		return nil
	}
	return os.Remove(l.path)
}

func (l *rotatingLog) name(n int) string { return rotatedName(l.path, n) }

func (l *rotatingLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
}

// rotatedName is the path of a log's n-th file, 0 being the one written to.
func rotatedName(path string, n int) string {
	if n == 0 {
		return path
	}
	return fmt.Sprintf("%s.%d", path, n)
}
