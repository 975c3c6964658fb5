package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// progress shows what a command waits for: one line that changes on a
// terminal, a line per change elsewhere, nothing for programs. It is safe for
// concurrent use.
type progress struct {
	a     *app
	mu    sync.Mutex
	last  string
	shown bool // the line stands on the terminal
}

func (a *app) newProgress() *progress { return &progress{a: a} }

func (p *progress) say(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line, _, _ = strings.Cut(line, "\n")
	if line == p.last || p.a.json() {
		return
	}
	p.last = line
	if p.a.env.Terminal {
		p.draw()
		return
	}
	fmt.Fprintln(p.a.env.Stderr, line)
}

// tell writes a line that stays.
func (p *progress) tell(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.a.note(format, args...)
}

// end leaves the terminal as it was.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.last = ""
}

func (p *progress) draw() {
	fmt.Fprintf(p.a.env.Stderr, "\r\033[K%s", fit(p.last, p.a.env.Width()))
	p.shown = true
}

func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.a.env.Stderr, "\r\033[K")
		p.shown = false
	}
}

// beside is a writer to the same terminal, whose lines the progress makes way
// for.
func (p *progress) beside(w io.Writer) io.Writer { return besides{p, w} }

type besides struct {
	p *progress
	w io.Writer
}

func (b besides) Write(data []byte) (int, error) {
	b.p.mu.Lock()
	defer b.p.mu.Unlock()
	again := b.p.shown
	b.p.clear()
	n, err := b.w.Write(data)
	if again {
		b.p.draw()
	}
	return n, err
}

// fit cuts a line to a number of columns.
func fit(line string, width int) string {
	line = strings.TrimRight(line, " ")
	if r := []rune(line); len(r) >= width && width > 1 {
		return string(r[:width-2]) + "…"
	}
	return line
}
