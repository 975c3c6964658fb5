package command

import (
	"bytes"
	"io"
	"testing"
)

func TestProgress(t *testing.T) {
	const clear = "\r\033[K"
	var errs bytes.Buffer
	env := Env{Stdout: io.Discard, Stderr: &errs, Terminal: true, Width: func() int { return 12 }}
	p := (&App{Env: &env, Name: ownName}).NewProgress()
	p.Say("one")
	p.Say("one")
	p.Say("a line too long")
	io.WriteString(p.Beside(&errs), "log\n")
	p.Tell("stays")
	p.Say("two")
	p.End()
	p.End()
	want := clear + "one" + clear + "a line too…" + clear + "log\n" + clear + "a line too…" + clear + "stays\n" + clear + "two" + clear
	if errs.String() != want {
		t.Errorf("on a terminal:\n%q, want\n%q", errs.String(), want)
	}

	errs.Reset()
	env.Terminal = false
	p = (&App{Env: &env, Name: ownName}).NewProgress()
	p.Say("one")
	p.Say("one")
	p.Say("a line too long")
	p.End()
	if errs.String() != "one\na line too long\n" {
		t.Errorf("elsewhere: %q", errs.String())
	}

	errs.Reset()
	p = (&App{Env: &env, Name: ownName, output: "json"}).NewProgress()
	p.Say("one")
	p.Tell("stays")
	p.End()
	if errs.String() != `{"note":"stays"}`+"\n" {
		t.Errorf("for programs: %q", errs.String())
	}
}
