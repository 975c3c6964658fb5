package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/greenroom-dev/greenroom/internal/spelling"
)

// maxErrors is how many complaints are shown at once: enough to be worth a
// round of editing, few enough to be read.
const maxErrors = 10

// Error is one complaint about a document.
type Error struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`    // from 1; 0: not about a place in a file
	Column  int    `json:"column,omitempty"`  // from 1, in characters
	Field   string `json:"field,omitempty"`   // such as spec.services[0].drain
	Excerpt string `json:"excerpt,omitempty"` // the line and a caret below it
	Problem string `json:"problem"`
	Hint    string `json:"hint,omitempty"` // what to do
}

// Error prints the complaint for a terminal, without a final line break.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	b.WriteString(": ")
	b.WriteString(e.Problem)
	if e.Excerpt != "" {
		b.WriteString("\n")
		b.WriteString(e.Excerpt)
	}
	if e.Hint != "" {
		b.WriteString("\n  ")
		b.WriteString(e.Hint)
	}
	return b.String()
}

// Errors are the complaints about a document, in the order of their places. It
// is what every function of this package returns for a document that is not
// right; errors.As finds the first *Error in it.
type Errors struct {
	List []*Error // at most 10, at least one
	More int      // how many there are beyond List
}

// Error prints all complaints, separated by blank lines.
func (e *Errors) Error() string {
	texts := make([]string, 0, len(e.List)+1)
	for _, one := range e.List {
		texts = append(texts, one.Error())
	}
	if e.More > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", e.More))
	}
	return strings.Join(texts, "\n\n")
}

// Unwrap returns the complaints, for errors.As.
func (e *Errors) Unwrap() []error {
	out := make([]error, len(e.List))
	for i, one := range e.List {
		out[i] = one
	}
	return out
}

// problems collects complaints about one source.
type problems struct {
	src  *source
	list []*Error
}

// at complains about the value at a path, or about what is nearest to it if
// the document leaves the value out.
func (p *problems) at(where path, hint, format string, args ...any) {
	p.add(p.src.where(where), where, hint, fmt.Sprintf(format, args...))
}

// atKey complains about the key of a field rather than its value.
func (p *problems) atKey(where path, hint, format string, args ...any) {
	pos := p.src.where(where)
	if at, ok := p.src.keys[where]; ok {
		pos = at
	}
	p.add(pos, where, hint, fmt.Sprintf(format, args...))
}

func (p *problems) add(pos position, where path, hint, problem string) {
	p.list = append(p.list, &Error{
		File:    p.src.file(pos),
		Line:    p.src.line(pos),
		Column:  p.src.column(pos),
		Field:   string(where),
		Excerpt: p.src.excerpt(pos),
		Problem: problem,
		Hint:    hint,
	})
}

// err returns the complaints as an error, nil if there are none.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	list := slices.CompactFunc(p.list, func(a, b *Error) bool { return *a == *b })
	if len(list) > maxErrors {
		return &Errors{List: list[:maxErrors], More: len(list) - maxErrors}
	}
	return &Errors{List: list}
}

// did returns a hint that names the one of the known words that is nearest to
// what was written, else all of them if they are few, else nothing.
func did(wrote string, known []string) string {
	if best := spelling.Nearest(wrote, known); best != "" {
		return fmt.Sprintf("did you mean `%s`?", best)
	}
	if len(known) == 0 || len(known) > 16 {
		return ""
	}
	return "known here: " + strings.Join(known, ", ")
}
