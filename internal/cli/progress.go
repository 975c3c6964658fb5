package cli

import (
	"fmt"
	"strings"
)

// progress shows what a command waits for: one line that changes on a
// terminal, a line per change elsewhere, nothing for programs.
type progress struct {
	a    *app
	last string
}

func (a *app) newProgress() *progress { return &progress{a: a} }

func (p *progress) say(line string) {
	line = oneLine(line)
	if line == p.last || p.a.json() {
		return
	}
	p.last = line
	if p.a.env.Terminal {
		fmt.Fprintf(p.a.env.Stderr, "\r\033[K%s", fit(line, p.a.env.Width()))
		return
	}
	fmt.Fprintln(p.a.env.Stderr, line)
}

// end leaves the terminal as it was.
func (p *progress) end() {
	if p.last != "" && p.a.env.Terminal && !p.a.json() {
		fmt.Fprint(p.a.env.Stderr, "\r\033[K")
	}
}

// fit cuts a line to a number of columns.
func fit(line string, width int) string {
	line = strings.TrimRight(line, " ")
	if r := []rune(line); len(r) >= width && width > 1 {
		return string(r[:width-2]) + "…"
	}
	return line
}
