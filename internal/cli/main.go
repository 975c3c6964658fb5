package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/platform/local"
)

// The exit codes.
const (
	Done        = 0
	Failed      = 1 // it was tried and did not work out
	BadInput    = 2 // flags, documents, names
	Refused     = 3 // by a rule, or by a person who was asked
	Unreachable = 4 // no server answers
	TimedOut    = 5
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
		Terminal: isatty.IsTerminal(os.Stdout.Fd()) && isatty.IsTerminal(os.Stdin.Fd()),
		Width:    terminalWidth,
		Getenv:   os.Getenv, Executable: self, Version: version(),
	}
}

// version is what the program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "devel"
	}
	return info.Main.Version
}

// Main runs one command and returns its exit code.
func Main(env Env) int {
	if len(env.Args) > 0 && env.Args[0] == shimCommand {
		return local.ShimMain(env.Args[1:]) // before anything is set up that a shim has no use for
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot(&env)
	root.SetArgs(env.Args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return Done
	}
	code := exitCode(err)
	var said *saidError
	if !errors.As(err, &said) {
		fmt.Fprintf(env.Stderr, "greenroom: %s\n", err)
	}
	if errors.Is(err, client.ErrUnreachable) {
		fmt.Fprintln(env.Stderr, "  Start one with greenroom up -f greenroom.yaml, or name the right one with --state or --server.")
	}
	return code
}

// shimCommand is the hidden command that stands beside every process.
const shimCommand = "shim"

// usageError is bad input on the command line itself.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func badInput(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// codedError is an error with an exit code of its own.
type codedError struct {
	err  error
	code int
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// saidError was told to the person already.
type saidError struct{ error }

func (e *saidError) Unwrap() error { return e.error }

func exitCode(err error) int {
	var coded *codedError
	var usage *usageError
	var api *client.Error
	switch {
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &usage):
		return BadInput
	case errors.As(err, &api):
		return exitCodeOf(api)
	case errors.Is(err, client.ErrUnreachable), errors.Is(err, client.ErrCut):
		return Unreachable
	case errors.Is(err, context.DeadlineExceeded):
		return TimedOut
	}
	return Failed
}

func exitCodeOf(e *client.Error) int {
	switch e.Code {
	case "input", "not-found":
		return BadInput
	case "refused", "stale", "forbidden", "unauthorized":
		return Refused
	case "stopping":
		return Unreachable
	case "timeout":
		return TimedOut
	}
	return Failed
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return badInput("%s takes no arguments, and got %q", cmd.CommandPath(), args[0])
	}
	return nil
}
