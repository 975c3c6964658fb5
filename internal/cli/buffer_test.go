package cli

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// lockedBuffer keeps what a process prints while a test reads it.
type lockedBuffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	more chan struct{} // closed and renewed with every write; nil: nobody waits
}

func newLockedBuffer() *lockedBuffer { return &lockedBuffer{more: make(chan struct{})} }

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more != nil {
		close(l.more)
		l.more = make(chan struct{})
	}
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// await waits until text was printed.
func (l *lockedBuffer) await(t *testing.T, text string) {
	t.Helper()
	late := time.After(patience)
	for {
		l.mu.Lock()
		more, there := l.more, strings.Contains(l.b.String(), text)
		l.mu.Unlock()
		if there {
			return
		}
		select {
		case <-more:
		case <-late:
			t.Fatalf("%q was never printed, but: %s", text, l)
		}
	}
}
