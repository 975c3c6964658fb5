package command

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/greenroom-dev/greenroom/client"
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

// terminalWidth is how many columns Stdout has; 80 when that is not known.
func terminalWidth() int {
	if w, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && w > 0 {
		return w
	}
	return 80
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

// Connection is how a program reaches the server that its flags name.
type Connection interface {
	// Client returns a client of that server. Errors are about the flags, or
	// about what it takes to find the server.
	Client(ctx context.Context) (*client.Client, error)
	// Remedy says what to do about an error for which the commands know
	// nothing better: that nobody answers, or that it is not greenroom. ""
	// where it knows nothing either.
	Remedy(err error) string
}

// App is one run of a program's command line.
type App struct {
	Env        *Env
	Name       string // what people call the program: greenroom, kubectl greenroom
	Again      string // flags that what people are told to type needs too, such as " -n shop"
	Shorthands string // letters of flags that the program uses for itself on every command
	Connection Connection
	output     string
}

// Root prepares a program's first command, with what every command has.
func (a *App) Root(root *cobra.Command) *cobra.Command {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		known := outputs(cmd)
		if !slices.Contains(known, a.output) {
			return BadInputf("-o %s: write -o %s or -o %s", a.output, strings.Join(known[:len(known)-1], ", -o "), known[len(known)-1])
		}
		return nil
	}
	root.SetOut(a.named(a.Env.Stdout))
	root.SetErr(a.named(a.Env.Stderr))
	root.SetIn(a.Env.Stdin)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return BadInputf("%w; %s --help lists its flags", err, cmd.CommandPath())
	})
	root.PersistentFlags().StringVarP(&a.output, "output", "o", "text", "text or json; events also jsonl or csv")
	_ = root.RegisterFlagCompletionFunc("output", func(cmd *cobra.Command, _ []string, begin string) ([]string, cobra.ShellCompDirective) {
		return slices.DeleteFunc(outputs(cmd), func(s string) bool { return !strings.HasPrefix(s, begin) }), cobra.ShellCompDirectiveNoFileComp
	}) // fails only for a flag that is not
	return root
}

// outputs are what a command's -o may be.
func outputs(cmd *cobra.Command) []string {
	return append([]string{"text", "json"}, strings.Fields(cmd.Annotations[formats])...)
}

// Run runs the command that the arguments name and returns its exit code.
func (a *App) Run(root *cobra.Command) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root.SetArgs(a.Env.Args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return Done
	}
	var said *SaidError
	if !errors.As(err, &said) {
		a.tell(err)
	}
	return ExitCode(err)
}
