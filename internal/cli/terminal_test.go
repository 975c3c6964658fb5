package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/command"
)

// atTerminal is a world with a person who types answer.
func atTerminal(answer string, out, errs io.Writer, getenv func(string) string, args ...string) command.Env {
	return command.Env{
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
	}{{"", command.Refused, "baseline"}, {"n\n", command.Refused, "baseline"}, {"perhaps\n", command.Refused, "baseline"}, {"y\n", command.Done, "r1"}} {
		var out, errs bytes.Buffer
		code := Main(atTerminal(c.answer, &out, &errs, getenv, "promote"))
		if code != c.code {
			t.Errorf("the answer %q ends with code %d: %s", c.answer, code, errs.String())
		}
		if !strings.HasPrefix(errs.String(), "Serving baseline (web v1)") || !strings.Contains(errs.String(), "Ordinary requests will get r1. Promote it? [y/N] ") {
			t.Errorf("it asked %s", errs.String())
		}
		if c.code == command.Refused && (out.Len() > 0 || !strings.Contains(errs.String(), "nothing was changed")) {
			t.Errorf("a no printed %s%s", out.String(), errs.String())
		}
		if got := p.must("status").out; !strings.HasPrefix(got, "Serving "+c.serves) {
			t.Errorf("after %q: %s", c.answer, got)
		}
	}
	// A pass on a terminal too narrow for its code says so instead of printing rubbish.
	p.must("rollback", "--yes")
	var out, errs bytes.Buffer
	if code := Main(atTerminal("", &out, &errs, getenv, "pass", "create")); code != command.Done || !strings.Contains(out.String()+errs.String(), "QR code") && !strings.Contains(out.String(), "█") {
		t.Errorf("the pass: %d %s%s", code, out.String(), errs.String())
	}
}

// A document of standard input is that of the command, whoever runs it.
func TestCheckReadsTheCommandsStandardInput(t *testing.T) {
	p := newPlace(t)
	getenv := func(name string) string { return map[string]string{"GREENROOM_STATE": p.state}[name] }
	const release = "apiVersion: greenroom.dev/v1alpha1\nkind: Release\nmetadata: {name: %s}\nspec:\n  services: [{name: web, endpoints: [\"127.0.0.1:1\"]}]\n"
	for name, c := range map[string]struct {
		code int
		says string
	}{"r1": {command.Done, "- is right."}, `""`: {command.BadInput, "standard input:3:18: `name` is empty"}} {
		var out, errs bytes.Buffer
		code := Main(atTerminal(fmt.Sprintf(release, name), &out, &errs, getenv, "check", "-f", "-"))
		if code != c.code || !strings.Contains(out.String()+errs.String(), c.says) {
			t.Errorf("a release called %s: exit code %d, said %s%s", name, code, out.String(), errs.String())
		}
	}
}
