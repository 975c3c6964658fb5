package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// path names a place inside a document: spec.services[0].run.command[0]. The
// empty path is the document itself.
type path string

func (p path) field(name string) path {
	if p == "" {
		return path(name)
	}
	return p + "." + path(name)
}

func (p path) index(i int) path { return p + path("["+strconv.Itoa(i)+"]") }

// parent drops the last step; false at the document itself.
func (p path) parent() (path, bool) {
	i := strings.LastIndexAny(string(p), ".[")
	if i < 0 {
		return "", p != ""
	}
	return p[:i], true
}

// position is a place in a document, both from 1; the zero position is nowhere.
type position struct{ line, column int }

// span is part of a line that excerpts must not show.
type span struct{ from, to int } // columns from 1, to excluded

// source is the text of one document and where its parts stand.
type source struct {
	name    string // file name, or - for standard input
	dir     string // absolute; what relative paths are relative to
	before  int    // lines of the file before the document
	lines   []string
	flags   bool // made of command-line flags, one a line: no line numbers
	keys    map[path]position
	values  map[path]position
	secrets map[int][]span // by line
}

// newSource returns a source without any places yet.
func newSource(name, dir string, before int, lines []string) *source {
	return &source{
		name: name, dir: dir, before: before, lines: lines,
		keys: map[path]position{}, values: map[path]position{}, secrets: map[int][]span{},
	}
}

// where is the place of the value at p, or of the nearest part around it that
// the document has.
func (s *source) where(p path) position {
	for {
		if pos, ok := s.values[p]; ok {
			return pos
		}
		up, ok := p.parent()
		if !ok {
			return position{}
		}
		p = up
	}
}

func (s *source) file(pos position) string {
	if s.flags && pos.line >= 1 && pos.line <= len(s.lines) {
		return "--set " + s.lines[pos.line-1]
	}
	if s.name == "-" {
		return "standard input"
	}
	return s.name
}

func (s *source) line(pos position) int {
	if s.flags || pos.line == 0 {
		return 0
	}
	return pos.line + s.before
}

func (s *source) column(pos position) int {
	if s.flags {
		return 0
	}
	return pos.column
}

// excerptWidth bounds an excerpt's line, in characters.
const excerptWidth = 110

// excerpt is the line at pos with a caret below it. Values of environment
// variables are masked: excerpts end up in logs.
func (s *source) excerpt(pos position) string {
	if s.flags || pos.line < 1 || pos.line > len(s.lines) {
		return ""
	}
	line := []rune(s.lines[pos.line-1])
	for i, r := range line {
		if r < ' ' || r == utf8.RuneError {
			line[i] = ' '
		}
	}
	for _, m := range s.secrets[pos.line] {
		for i := m.from - 1; i < m.to-1 && i < len(line); i++ {
			line[i] = '*'
		}
	}
	caret := min(max(pos.column, 1), len(line)+1) - 1
	if caret > excerptWidth*3/4 {
		from := caret - excerptWidth*3/4
		line, caret = line[from:], caret-from
		line[0] = '…'
	}
	if len(line) > excerptWidth {
		line = line[:excerptWidth]
		line[excerptWidth-1] = '…'
	}
	number := fmt.Sprintf("%4d", s.line(pos))
	return fmt.Sprintf("%s | %s\n%s | %s^", number, string(line),
		strings.Repeat(" ", len(number)), strings.Repeat(" ", caret))
}
