package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/command"
)

func (a *app) tokenCommand() *cobra.Command {
	return command.Group(&cobra.Command{Use: "token", Short: "Let programs and people elsewhere use the API"},
		a.tokenCreate(), a.tokenList(), a.tokenRevoke())
}

func (a *app) tokenCreate() *cobra.Command {
	var c command.Changing
	var role string
	cmd := &cobra.Command{
		Use: "create NAME --role ROLE", Short: "Make an API token", Args: command.Exactly(1, "a name for the token: it stands as who in events"),
		Long: `Makes an API token. Roles: viewer looks; tester also makes passes and signs
checklists off; operator also opens, promotes, rolls back, settles, aborts and
approves releases, holds requests and applies the fleet; admin also makes tokens
and login links, and ends greenroom. An operator can run any command as the user
that greenroom runs as: that is what releases do.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !tokenName(args[0]) {
				return command.BadInputf("%s is no token's name: letters, digits and . _ @ -, at most 63, beginning with a letter or a digit", args[0])
			}
			api, err := a.Connection.Client(cmd.Context())
			if err != nil {
				return err
			}
			t, err := api.MakeToken(cmd.Context(), client.MakeToken{Asked: c.Asked(), Name: args[0], Role: role})
			if err != nil {
				return err
			}
			return a.Print(t, func(w io.Writer) {
				if t.Secret == "" {
					fmt.Fprintf(w, "The %s token %s would be made.\n", t.Role, t.Name)
					return
				}
				fmt.Fprintf(w, "%s\n", t.Secret)
				a.Note("This is the secret of the %s token %s. It is shown once.", t.Role, t.Name)
			})
		},
	}
	command.OneOf(cmd, &role, "role", "role", "viewer, tester, operator or admin", "viewer", "tester", "operator", "admin")
	c.Register(cmd, false)
	return cmd
}

// tokenName tells what the API takes for a token's name.
func tokenName(s string) bool {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	for i, r := range s {
		if !plain(r) && (i == 0 || !strings.ContainsRune("._@-", r)) {
			return false
		}
	}
	return s != "" && len(s) <= 63
}

func (a *app) tokenList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List API tokens; their secrets are not kept", Args: command.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.Connection.Client(cmd.Context())
			if err != nil {
				return err
			}
			tokens, err := api.Tokens(cmd.Context())
			if err != nil {
				return err
			}
			return a.Print(tokens, func(w io.Writer) { command.PrintTokens(w, tokens, time.Now()) })
		},
	}
}

func (a *app) tokenRevoke() *cobra.Command {
	var c command.Changing
	cmd := &cobra.Command{
		Use: "revoke NAME", Short: "Make an API token worthless at once", Args: command.Exactly(1, "the token's name (greenroom token list)"),
		ValidArgsFunction: a.tokens(),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.Connection.Client(cmd.Context())
			if err != nil {
				return err
			}
			t, err := api.RevokeToken(cmd.Context(), args[0], c.Asked())
			if err != nil {
				return err
			}
			return a.Print(t, func(w io.Writer) {
				if c.DryRun {
					fmt.Fprintf(w, "The token %s would be revoked.\n", t.Name)
					return
				}
				fmt.Fprintf(w, "The token %s is revoked.\n", t.Name)
			})
		},
	}
	c.Register(cmd, false)
	return cmd
}

func (a *app) tokens() command.Completing {
	return a.Names(func(ctx context.Context, api *client.Client) []string {
		all, _ := api.Tokens(ctx)
		var names []string
		for _, t := range all {
			names = append(names, t.Name+"\t"+t.Role)
		}
		return names
	})
}
