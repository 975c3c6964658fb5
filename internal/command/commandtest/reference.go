// Package commandtest writes the reference of a program's commands, for the
// tests that hold the pages under docs to them. It imports nothing of greenroom
// and is imported by tests alone.
//
// Start at Reference.
package commandtest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Reference describes a program's commands in Markdown: the flags of all, then
// each command of its groups but the one called without.
func Reference(root *cobra.Command, without string) []byte {
	var b bytes.Buffer
	b.WriteString("\n## Flags of every command\n\n")
	writeFlags(&b, root.PersistentFlags())
	for _, group := range root.Groups() {
		fmt.Fprintf(&b, "\n## %s\n", strings.TrimSuffix(group.Title, ":"))
		for _, cmd := range root.Commands() {
			if cmd.GroupID == group.ID && cmd.Name() != without {
				writeCommand(&b, cmd)
			}
		}
	}
	return b.Bytes()
}

func writeCommand(b *bytes.Buffer, cmd *cobra.Command) {
	if cmd.Hidden {
		return
	}
	if cmd.HasSubCommands() {
		for _, sub := range cmd.Commands() {
			writeCommand(b, sub)
		}
		return
	}
	fmt.Fprintf(b, "\n### %s\n\n```\n%s\n```\n\n", cmd.CommandPath(), strings.TrimSuffix(cmd.UseLine(), " [flags]"))
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	b.WriteString(text + "\n\n")
	if cmd.Example != "" {
		fmt.Fprintf(b, "```\n%s\n```\n\n", cmd.Example)
	}
	writeFlags(b, cmd.LocalNonPersistentFlags())
}

func writeFlags(b *bytes.Buffer, flags *pflag.FlagSet) {
	first := true
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		if first {
			b.WriteString("| flag | |\n|-|-|\n")
		}
		first = false
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		text := strings.ReplaceAll(f.Usage, "|", "\\|")
		if d := f.DefValue; d != "" && d != "false" && d != "[]" && d != "0" {
			text += " (`" + d + "`)"
		}
		fmt.Fprintf(b, "| %s | %s |\n", name, text)
	})
}
