package command

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// Progress shows what a command waits for: one line that changes on a
// terminal, a line per change elsewhere, nothing for programs. It is safe for
// concurrent use.
type Progress struct {
	a     *App
	mu    sync.Mutex
	last  string
	shown bool // the line stands on the terminal
}

// NewProgress returns a Progress that shows nothing yet.
func (a *App) NewProgress() *Progress { return &Progress{a: a} }

// Say shows what is waited for now, its first line.
func (p *Progress) Say(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line, _, _ = strings.Cut(line, "\n")
	if line == p.last || p.a.JSON() {
		return
	}
	p.last = line
	if p.a.Env.Terminal {
		p.draw()
		return
	}
	fmt.Fprintln(p.a.Env.Stderr, p.a.called(line))
}

// Tell writes a line that stays.
func (p *Progress) Tell(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.a.Note(format, args...)
}

// End leaves the terminal as it was.
func (p *Progress) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.last = ""
}

func (p *Progress) draw() {
	fmt.Fprintf(p.a.Env.Stderr, "\r\033[K%s", Fit(p.a.called(p.last), p.a.Env.Width()))
	p.shown = true
}

func (p *Progress) clear() {
	if p.shown {
		fmt.Fprint(p.a.Env.Stderr, "\r\033[K")
		p.shown = false
	}
}

// Beside is a writer to the same terminal, whose lines the progress makes way
// for.
func (p *Progress) Beside(w io.Writer) io.Writer { return besides{p, w} }

type besides struct {
	p *Progress
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

// Fit cuts a line to a number of columns.
func Fit(line string, width int) string {
	line = strings.TrimRight(line, " ")
	if r := []rune(line); len(r) >= width && width > 1 {
		return string(r[:width-2]) + "…"
	}
	return line
}
