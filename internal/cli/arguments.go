package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
)

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return badInput("%s takes no arguments, and got %q", cmd.CommandPath(), args[0])
	}
	return nil
}

func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return badInput("%s needs %s", cmd.CommandPath(), what)
		}
		return nil
	}
}

// oneName is for commands that name one release, or none where only one fits.
func oneName(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return badInput("%s takes one name, and got %s", cmd.CommandPath(), strings.Join(args, " "))
	}
	return nil
}

// group makes a command of commands: alone it shows its help, and it says
// which of them an unknown word comes close to.
func group(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(commands...)
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return badInput("%s has no command %s; did you mean %s?", cmd.CommandPath(), args[0], strings.Join(near, " or "))
		}
		return badInput("%s has no command %s; %s --help lists them", cmd.CommandPath(), args[0], cmd.CommandPath())
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

// completionPatience is how long a shell waits for names.
const completionPatience = 2 * time.Second

type completing = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// names completes the first argument by what the server knows; nothing where
// it does not answer.
func (a *app) names(of func(context.Context, *client.Client) []string) completing {
	return func(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
		defer cancel()
		api, err := a.client()
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found := slices.DeleteFunc(of(ctx, api), func(name string) bool { return !strings.HasPrefix(name, begin) })
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// releases completes the names of releases in some phases, all without any.
func (a *app) releases(phases ...string) completing {
	return a.names(func(ctx context.Context, api *client.Client) []string {
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

func (a *app) services() completing {
	return a.names(func(ctx context.Context, api *client.Client) []string {
		s, _ := api.Status(ctx)
		var names []string
		for _, service := range s.Services {
			names = append(names, service.Name)
		}
		return names
	})
}

func (a *app) validPasses() completing {
	return a.names(func(ctx context.Context, api *client.Client) []string {
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

func (a *app) tokens() completing {
	return a.names(func(ctx context.Context, api *client.Client) []string {
		all, _ := api.Tokens(ctx)
		var names []string
		for _, t := range all {
			names = append(names, t.Name+"\t"+t.Role)
		}
		return names
	})
}

// flagNames completes a flag as a first argument is.
func flagNames(cmd *cobra.Command, flag string, complete completing) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, begin string) ([]string, cobra.ShellCompDirective) {
		return complete(cmd, nil, begin)
	}) // fails only for a flag that is not
}

// words completes a flag by fixed words.
func words(cmd *cobra.Command, flag string, known ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(known, cobra.ShellCompDirectiveNoFileComp)) // as above
}
