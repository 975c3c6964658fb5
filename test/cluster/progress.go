package cluster

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// tailBytes is how much of each log is printed when a start fails.
const tailBytes = 3000

// progress writes what is being done, a line each, with the seconds since it
// was made. It is safe for concurrent use.
type progress struct {
	mu    sync.Mutex
	w     io.Writer
	begin time.Time
}

func newProgress(w io.Writer) *progress {
	if p, ok := w.(*progress); ok && p != nil {
		return p
	}
	if w == nil {
		w = io.Discard
	}
	return &progress{w: w, begin: time.Now()}
}

func (p *progress) printf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, "%7.1fs  %s\n", time.Since(p.begin).Seconds(), fmt.Sprintf(format, args...))
}

// Write lets the output of commands pass through unchanged.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.w.Write(b)
}

// printTails prints the end of every process's log.
func (c *Cluster) printTails() {
	logs, _ := filepath.Glob(filepath.Join(c.state, "logs", "*.log"))
	for _, path := range logs {
		fmt.Fprintf(c.log, "---- the end of %s\n%s\n", path, tail(path, tailBytes))
	}
}

// tail returns the last n bytes of a file, from the start of a line; nothing
// when it can't be read.
func tail(path string, n int64) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	from := max(0, info.Size()-n)
	b, err := io.ReadAll(io.NewSectionReader(f, from, info.Size()-from))
	if err != nil {
		return nil
	}
	if _, rest, cut := bytes.Cut(b, []byte("\n")); cut && from > 0 {
		b = rest
	}
	return b
}
