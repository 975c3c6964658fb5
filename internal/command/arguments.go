package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/spelling"
)

// NoArgs is for commands that take no arguments.
func NoArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return BadInputf("%s takes no arguments, and got %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// Exactly is for commands that need n arguments: what they are.
func Exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return BadInputf("%s needs %s", cmd.CommandPath(), what)
		}
		return nil
	}
}

// OneName is for commands that name one release, or none where only one fits.
func OneName(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return BadInputf("%s takes one name, and got %s", cmd.CommandPath(), strings.Join(args, " "))
	}
	return nil
}

// Group makes a command of commands: alone it shows its help, and it says
// which of them an unknown word comes close to.
func Group(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(commands...)
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return BadInputf("%s has no command %s; did you mean %s?", cmd.CommandPath(), args[0], strings.Join(near, " or "))
		}
		return BadInputf("%s has no command %s; %s --help lists them", cmd.CommandPath(), args[0], cmd.CommandPath())
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

// completionPatience is how long a shell waits for names.
const completionPatience = 2 * time.Second

// Completing answers what an argument or a flag may be.
type Completing = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// Names completes the first argument by what the server knows; nothing where
// it does not answer.
func (a *App) Names(of func(context.Context, *client.Client) []string) Completing {
	return func(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
		defer cancel()
		api, err := a.Connection.Client(ctx)
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found := slices.DeleteFunc(of(ctx, api), func(name string) bool { return !strings.HasPrefix(name, begin) })
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// Releases completes the names of releases in some phases, all without any.
func (a *App) Releases(phases ...string) Completing {
	return a.Names(func(ctx context.Context, api *client.Client) []string {
		all, _ := api.Releases(ctx) // a completion has nobody to tell
		var names []string
		for _, r := range all {
			if len(phases) == 0 || slices.Contains(phases, r.Phase) {
				names = append(names, r.Name)
			}
		}
		return names
	})
}

func (a *App) services() Completing {
	return a.Names(func(ctx context.Context, api *client.Client) []string {
		s, _ := api.Status(ctx)
		var names []string
		for _, service := range s.Services {
			names = append(names, service.Name)
		}
		return names
	})
}

func (a *App) validPasses() Completing {
	return a.Names(func(ctx context.Context, api *client.Client) []string {
		all, _ := api.Passes(ctx)
		var names []string
		for _, p := range all {
			if p.State == "valid" {
				names = append(names, p.ID+"\t"+p.Release+" for "+p.Subject)
			}
		}
		return names
	})
}

// flagNames completes a flag as a first argument is.
func flagNames(cmd *cobra.Command, flag string, complete Completing) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, begin string) ([]string, cobra.ShellCompDirective) {
		return complete(cmd, nil, begin)
	}) // fails only for a flag that is not
}

// OneOf adds a flag that takes one of some words, the first of them unless
// another is given.
func OneOf(cmd *cobra.Command, word *string, flag, what, usage string, known ...string) {
	*word = known[0]
	cmd.Flags().Var(&oneOf{word: word, what: what, known: known}, flag, usage)
	Words(cmd, flag, known...)
}

type oneOf struct {
	word  *string
	what  string // that the words stand for: role
	known []string
}

func (o *oneOf) String() string { return *o.word }
func (o *oneOf) Type() string   { return "string" }

// Set takes a word, or says which there are.
func (o *oneOf) Set(s string) error {
	if slices.Contains(o.known, s) {
		*o.word = s
		return nil
	}
	list := strings.Join(o.known[:len(o.known)-1], ", ") + " and " + o.known[len(o.known)-1]
	if near := spelling.Nearest(s, o.known); near != "" {
		return fmt.Errorf("there is no %s %s; did you mean %s? There are %s", o.what, s, near, list)
	}
	return fmt.Errorf("there is no %s %s; there are %s", o.what, s, list)
}

// Words completes a flag by fixed words.
func Words(cmd *cobra.Command, flag string, known ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(known, cobra.ShellCompDirectiveNoFileComp)) // as above
}

// letter is a flag's shorthand, unless the program uses it for itself.
func (a *App) letter(l string) string {
	if strings.Contains(a.Shorthands, l) {
		return ""
	}
	return l
}
