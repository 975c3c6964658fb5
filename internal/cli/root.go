package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/greenroom-dev/greenroom/client"
)

// app is one run of the command line.
type app struct {
	env    *Env
	state  string
	server string
	token  string
	caFile string
	output string
}

func (a *app) root() *cobra.Command {
	env := a.env
	root := &cobra.Command{
		Use:   "greenroom",
		Short: "Releases without maintenance windows, for fleets of microservices",
		Long: `Greenroom runs a fleet of services behind one edge. The next release stands in
production beside the one that serves, seen only by holders of a pass; several
services go live as one, in one step, and come back as fast.

Begin with:  greenroom demo      a whole fleet, a release, a tour
             greenroom init      a first greenroom.yaml for your own services`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.output != "text" && a.output != "json" {
				return badInput("-o %s: write -o text or -o json", a.output)
			}
			return nil
		},
	}
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetIn(env.Stdin)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return badInput("%w; %s --help lists its flags", err, cmd.CommandPath())
	})
	flags := root.PersistentFlags()
	flags.StringVar(&a.state, "state", env.Getenv("GREENROOM_STATE"), "folder of what greenroom keeps (GREENROOM_STATE; default "+filepath.Join("…", "greenroom")+" of the user)")
	flags.StringVar(&a.server, "server", env.Getenv("GREENROOM_SERVER"), "URL of a greenroom elsewhere (GREENROOM_SERVER)")
	flags.StringVar(&a.token, "token", "", "API token for --server (GREENROOM_TOKEN)")
	flags.StringVar(&a.caFile, "ca-file", env.Getenv("GREENROOM_CA_FILE"), "PEM file of the authority that signed the certificate of --server (GREENROOM_CA_FILE)")
	flags.StringVarP(&a.output, "output", "o", "text", "text or json")
	words(root, "output", "text", "json")
	root.AddGroup(&cobra.Group{ID: "run", Title: "Run a fleet:"}, &cobra.Group{ID: "release", Title: "Release:"},
		&cobra.Group{ID: "look", Title: "Look:"}, &cobra.Group{ID: "access", Title: "Let in:"})
	for group, commands := range map[string][]*cobra.Command{
		"run":     {a.initCommand(), a.checkCommand(), a.upCommand(), a.downCommand(), a.demoCommand(), a.fleetCommand()},
		"release": {a.releaseCommand(), a.promoteCommand(), a.rollbackCommand()},
		"look":    {a.statusCommand(), a.logsCommand(), a.eventsCommand(), a.doctorCommand()},
		"access":  {a.passCommand(), a.tokenCommand()},
	} {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	root.SetCompletionCommandGroupID("access")
	return group(root, a.versionCommand(), a.demoServiceCommand())
}

// stateFolder is the folder of --state, or the user's own.
func (a *app) stateFolder() (string, error) {
	if a.state != "" {
		return filepath.Abs(a.state)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", badInput("no folder for the state: %w; name one with --state", err)
	}
	switch {
	case a.env.Getenv("XDG_STATE_HOME") != "":
		return filepath.Join(a.env.Getenv("XDG_STATE_HOME"), "greenroom"), nil
	case runtime.GOOS == "darwin":
		return filepath.Join(home, "Library", "Application Support", "greenroom"), nil
	}
	return filepath.Join(home, ".local", "state", "greenroom"), nil
}

// client returns a client of the server that the flags name.
func (a *app) client() (*client.Client, error) {
	token := a.token
	if token == "" {
		token = a.env.Getenv("GREENROOM_TOKEN")
	}
	if a.server != "" {
		if token == "" {
			return nil, badInput("--server needs an API token: --token or GREENROOM_TOKEN (greenroom token create makes one on the server's machine)")
		}
		transport, err := trusting(a.caFile)
		if err != nil {
			return nil, &usageError{err}
		}
		c, err := client.Remote(a.server, token, transport)
		if err != nil {
			return nil, &usageError{err}
		}
		return c, nil
	}
	state, err := a.stateFolder()
	if err != nil {
		return nil, err
	}
	return client.Socket(socketPath(state)), nil
}

// trusting is a transport that trusts the authorities in a file besides the
// system's; nil without one.
func trusting(caFile string) (http.RoundTripper, error) {
	if caFile == "" {
		return nil, nil
	}
	data, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificate authority: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", caFile)
	}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}, nil
}

// json reports whether the answer is for a program.
func (a *app) json() bool { return a.output == "json" }

// print writes v as JSON, or has text write it for a person.
func (a *app) print(v any, text func(w io.Writer)) error {
	if a.json() {
		return a.printJSON(v)
	}
	text(a.screen(a.env.Stdout))
	return nil
}

// screen is w with the terminal's columns, where a person reads it.
func (a *app) screen(w io.Writer) io.Writer {
	if !a.env.Terminal {
		return w
	}
	return screen{w, a.env.Width()}
}

func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.env.Stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// note tells a person something that is no part of the answer, and a program
// in a line of JSON of its own.
func (a *app) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if a.json() {
		line, _ := json.Marshal(map[string]string{"note": strings.TrimSpace(text)}) // strings always encode
		text = string(line)
	}
	fmt.Fprintln(a.env.Stderr, text)
}

// changing are the flags of commands that change something.
type changing struct {
	reason string
	dryRun bool
	yes    bool
}

func (c *changing) register(cmd *cobra.Command, asks bool) {
	cmd.Flags().StringVar(&c.reason, "reason", "", "why; kept with the event")
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "say what would happen, and change nothing")
	if asks {
		cmd.Flags().BoolVarP(&c.yes, "yes", "y", false, "do not ask")
	}
}

func (c *changing) asked() client.Asked { return client.Asked{Reason: c.reason, DryRun: c.dryRun} }

// waiting are the flags of commands that wait.
type waiting struct {
	timeout time.Duration
	noWait  bool
}

func (w *waiting) register(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&w.timeout, "timeout", 10*time.Minute, "how long to wait")
	cmd.Flags().BoolVar(&w.noWait, "no-wait", false, "do not wait")
}

// mayAsk refuses at once when a command would have to ask and nobody is there
// to answer.
func (a *app) mayAsk(c *changing, what string) error {
	if c.yes || c.dryRun || a.env.Terminal {
		return nil
	}
	return &codedError{fmt.Errorf("%s asks first, and there is no terminal to ask at; give --yes to do it, or --dry-run to look", what), Refused}
}

// confirm asks a yes-or-no question.
func (a *app) confirm(ctx context.Context, c *changing, question string) error {
	if c.yes || c.dryRun {
		return nil
	}
	fmt.Fprintf(a.env.Stderr, "%s [y/N] ", question)
	answers := make(chan string, 1)
	go func() {
		var answer string
		_, _ = fmt.Fscanln(a.env.Stdin, &answer) // no answer is a no
		answers <- answer
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case answer := <-answers:
		if answer == "y" || answer == "Y" || answer == "yes" {
			return nil
		}
	}
	return &codedError{fmt.Errorf("nothing was changed"), Refused}
}

// terminalWidth is how many columns Stdout has; 80 when that is not known.
func terminalWidth() int {
	if w, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && w > 0 {
		return w
	}
	return 80
}
