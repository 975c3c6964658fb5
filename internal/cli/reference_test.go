package cli

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/internal/command"
	"github.com/greenroom-dev/greenroom/internal/command/commandtest"
	"github.com/greenroom-dev/greenroom/internal/golden"
)

const referenceHead = `<!-- Generated from the commands by go generate ./internal/cli; change them instead. -->
# Command line

Every command but ` + "`init`, `check`, `up`, `demo`, `completion` and `version`" + ` asks a greenroom that runs, over its [API](api.md).

## Which greenroom

Without more, the one with the state folder of ` + "`--state`" + `, over the unix socket in it: only the user that it runs as, and root, may. Elsewhere: ` + "`--server URL`" + ` with an API token (` + "`greenroom token create`" + ` makes one).

| variable | instead of |
|-|-|
| ` + "`GREENROOM_STATE`" + ` | ` + "`--state`" + `; without either ` + "`$XDG_STATE_HOME/greenroom`, or `~/.local/state/greenroom`" + ` (macOS: ` + "`~/Library/Application Support/greenroom`" + `) |
| ` + "`GREENROOM_SERVER`" + ` | ` + "`--server`" + ` |
| ` + "`GREENROOM_TOKEN`" + ` | ` + "`--token`" + `, which other users of the machine can see |
| ` + "`GREENROOM_CA_FILE`" + ` | ` + "`--ca-file`" + ` |

## What it prints

Answers go to standard output; progress, questions and errors to standard error. On a terminal progress is one line that changes and tables are cut to its width; elsewhere progress is plain lines and nothing is cut. Times are those of the machine that the command runs on.

With ` + "`-o json`" + ` the answer is one JSON value, as the API gives it (` + "`events`, `logs` and `status --watch`" + `: one a line); there is no progress, and an error is one line of JSON on standard error:

` + "```json" + `
{"exit":3,"code":"refused","rule":"ready","detail":"api@v2 has 0 of 1 instances ready","remedy":"greenroom logs api"}
` + "```" + `

` + "`code`" + ` is one of the API's [codes](api.md#problems), or ` + "`unreachable`; `rule`, `remedy` and `errors`" + ` (what is wrong with a document, with file, line and excerpt) are there where they apply.

## Exit codes

| code | when |
|-|-|
| 0 | it is so now, whether it was so before or not: every verb may be repeated |
| 1 | it was tried and did not work out: a release failed, doctor found a problem |
| 2 | bad input: flags, documents, names that are not |
| 3 | refused by a rule, by a role, or by a person who was asked; also a question with nobody to answer it |
| 4 | no greenroom answers |
| 5 | not done within ` + "`--timeout`" + `; what was asked for goes on |

Commands that ask first (` + "`promote`, `rollback`, `release settle`, `release abort`, `fleet apply`, `down`" + `) do not without ` + "`--yes`" + `; where there is no terminal to ask at they refuse at once, before they ask a server for anything.

## Completion

` + "`source <(greenroom completion bash)`" + `, or zsh, fish, powershell. Names of releases, services, passes and tokens come from the greenroom that runs.
`

// TestReferenceUpToDate holds docs/cli.md to the commands.
func TestReferenceUpToDate(t *testing.T) {
	a := newApp(&command.Env{Getenv: func(string) string { return "" }})
	root := a.root()
	root.InitDefaultCompletionCmd()
	got := append([]byte(referenceHead), commandtest.Reference(root, "completion")...)
	golden.Check(t, filepath.Join("..", "..", "docs", "cli.md"), got)
}

// TestHelp holds every command's help to the words that it is meant to have.
func TestHelp(t *testing.T) {
	a := newApp(&command.Env{Getenv: func(string) string { return "" }})
	root := a.root()
	var b bytes.Buffer
	root.SetOut(&b)
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Hidden || cmd.Name() == "demo" { // whose flags docs/cli.md has
			return
		}
		fmt.Fprintf(&b, "$ %s --help\n", cmd.CommandPath())
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		b.WriteString("\n")
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
	golden.Check(t, filepath.Join("testdata", "help.txt"), b.Bytes())
	for line := range strings.Lines(b.String()) {
		if strings.HasPrefix(line, "  -") || strings.HasPrefix(line, "      --") {
			continue // pflag does not wrap
		}
		if n := len([]rune(line)); n > 101 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}
