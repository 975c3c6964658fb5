package cli

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
)

// atTerminal is a world with a person who types answer.
func atTerminal(answer string, out, errs io.Writer, getenv func(string) string, args ...string) Env {
	return Env{
		Args: args, Stdin: strings.NewReader(answer), Stdout: out, Stderr: errs, Terminal: true,
		Width: func() int { return 80 }, Getenv: getenv, Executable: os.Args[0], Version: "test",
	}
}

// TestQuestion asks a person before a promotion.
func TestQuestion(t *testing.T) {
	p := newPlace(t)
	p.up(nil, "-f", p.fleet())
	p.must("release", "open", "-f", p.release("r1", p.service("web", "v2")+"}"))
	getenv := func(name string) string { return map[string]string{"GREENROOM_STATE": p.state}[name] }
	for _, c := range []struct {
		answer string
		code   int
		serves string
	}{{"", Refused, "baseline"}, {"n\n", Refused, "baseline"}, {"perhaps\n", Refused, "baseline"}, {"y\n", Done, "r1"}} {
		var out, errs bytes.Buffer
		code := Main(atTerminal(c.answer, &out, &errs, getenv, "promote"))
		if code != c.code {
			t.Errorf("the answer %q ends with code %d: %s", c.answer, code, errs.String())
		}
		if !strings.HasPrefix(errs.String(), "Serving baseline (web v1)") || !strings.Contains(errs.String(), "Ordinary requests will get r1. Promote it? [y/N] ") {
			t.Errorf("it asked %s", errs.String())
		}
		if c.code == Refused && (out.Len() > 0 || !strings.Contains(errs.String(), "nothing was changed")) {
			t.Errorf("a no printed %s%s", out.String(), errs.String())
		}
		if got := p.must("status").out; !strings.HasPrefix(got, "Serving "+c.serves) {
			t.Errorf("after %q: %s", c.answer, got)
		}
	}
	// A pass on a terminal too narrow for its code says so instead of printing rubbish.
	p.must("rollback", "--yes")
	var out, errs bytes.Buffer
	if code := Main(atTerminal("", &out, &errs, getenv, "pass", "create")); code != Done || !strings.Contains(out.String()+errs.String(), "QR code") && !strings.Contains(out.String(), "█") {
		t.Errorf("the pass: %d %s%s", code, out.String(), errs.String())
	}
}

func TestProgress(t *testing.T) {
	const clear = "\r\033[K"
	var errs bytes.Buffer
	env := atTerminal("", io.Discard, &errs, os.Getenv)
	env.Width = func() int { return 12 }
	p := (&app{env: &env}).newProgress()
	p.say("one")
	p.say("one")
	p.say("a line too long")
	io.WriteString(p.beside(&errs), "log\n")
	p.tell("stays")
	p.say("two")
	p.end()
	p.end()
	want := clear + "one" + clear + "a line too…" + clear + "log\n" + clear + "a line too…" + clear + "stays\n" + clear + "two" + clear
	if errs.String() != want {
		t.Errorf("on a terminal:\n%q, want\n%q", errs.String(), want)
	}

	errs.Reset()
	env.Terminal = false
	p = (&app{env: &env}).newProgress()
	p.say("one")
	p.say("one")
	p.say("a line too long")
	p.end()
	if errs.String() != "one\na line too long\n" {
		t.Errorf("elsewhere: %q", errs.String())
	}

	errs.Reset()
	p = (&app{env: &env, output: "json"}).newProgress()
	p.say("one")
	p.tell("stays")
	p.end()
	if errs.String() != `{"note":"stays"}`+"\n" {
		t.Errorf("for programs: %q", errs.String())
	}
}
