package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"golang.org/x/term"

	"github.com/greenroom-dev/greenroom/internal/platform/local"
)

// Env is the world that the command line runs in.
type Env struct {
	Args           []string // without the program's name
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Terminal       bool // a person reads Stdout and answers on Stdin
	Width          func() int
	Getenv         func(string) string
	Executable     string // this program, to run itself
	Version        string
}

// FromOS returns the process's own Env.
func FromOS() Env {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	return Env{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Terminal: term.IsTerminal(int(os.Stdout.Fd())) && term.IsTerminal(int(os.Stdin.Fd())),
		Width:    terminalWidth,
		Getenv:   os.Getenv, Executable: self, Version: version(),
	}
}

// version is what the program was built from: a release's number, or the
// commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	out := "devel"
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			out += "-" + s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			out += "-modified"
		}
	}
	return out
}

// shimCommand is the hidden command that stands beside every process.
const shimCommand = "shim"

// Main runs one command and returns its exit code.
func Main(env Env) int {
	if len(env.Args) > 0 && env.Args[0] == shimCommand {
		return local.ShimMain(env.Args[1:]) // before anything is set up that a shim has no use for
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{env: &env}
	root := a.root()
	root.SetArgs(env.Args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return Done
	}
	var said *saidError
	if !errors.As(err, &said) {
		tell(env.Stderr, err, a.json())
	}
	return exitCode(err)
}
