package command

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// JSON reports whether the answer is for a program.
func (a *App) JSON() bool { return a.output == "json" }

// Print writes v as JSON, or has text write it for a person.
func (a *App) Print(v any, text func(w io.Writer)) error {
	if a.JSON() {
		return a.printJSON(v)
	}
	text(a.Screen(a.Env.Stdout))
	return nil
}

func (a *App) printJSON(v any) error {
	e := json.NewEncoder(a.Env.Stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// PrintLine writes v as one line of JSON.
func (a *App) PrintLine(v any) error {
	e := json.NewEncoder(a.Env.Stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// Screen is w for a person: with the terminal's columns, where there is one,
// and with the program's name.
func (a *App) Screen(w io.Writer) io.Writer {
	w = a.named(w)
	if !a.Env.Terminal {
		return w
	}
	return screen{w, a.Env.Width()}
}

// screen is a terminal of so many columns, which tables keep to.
type screen struct {
	io.Writer
	columns int
}

// Note tells a person something that is no part of the answer, and a program
// in a line of JSON of its own.
func (a *App) Note(format string, args ...any) {
	text := a.called(fmt.Sprintf(format, args...))
	if a.JSON() {
		line, _ := json.Marshal(map[string]string{"note": strings.TrimSpace(text)}) // strings always encode
		text = string(line)
	}
	fmt.Fprintln(a.Env.Stderr, text)
}

// ownName is what the program is called in messages, of the commands as of the
// API, where people are told what to type.
const ownName = "greenroom"

// spoken are the beginnings of what people are told to type.
var spoken = regexp.MustCompile(`\b(kubectl )?` + ownName + ` (release|promote|rollback|hold|pass|status|events|logs|doctor|fleet|notify|adopt|version|--help)\b`)

// called puts what the program is called into a message.
func (a *App) called(text string) string {
	if a.Name == ownName {
		return text
	}
	return spoken.ReplaceAllString(text, a.Name+a.Again+" $2")
}

// named is w for messages, each of which is written at once.
func (a *App) named(w io.Writer) io.Writer {
	if a.Name == ownName {
		return w
	}
	return namedWriter{a, w}
}

type namedWriter struct {
	a *App
	w io.Writer
}

func (n namedWriter) Write(data []byte) (int, error) {
	if _, err := io.WriteString(n.w, n.a.called(string(data))); err != nil {
		return 0, err
	}
	return len(data), nil
}
