package kubectl

import (
	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/internal/command"
)

// app is one run of the command line.
type app struct {
	*command.App
	flags *flags
	conn  *connection
}

// Main runs one command and returns its exit code.
func Main(env command.Env) int {
	a := newApp(&env)
	return a.Run(a.root())
}

func newApp(env *command.Env) *app {
	f := &flags{}
	c := &connection{flags: f}
	return &app{
		App:   &command.App{Env: env, Name: "kubectl greenroom", Shorthands: "n", Connection: c},
		flags: f, conn: c,
	}
}

func (a *app) root() *cobra.Command {
	root := a.Root(&cobra.Command{
		Use:         "kubectl-greenroom",
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl greenroom"},
		Short:       "Releases without maintenance windows, for fleets of microservices",
		Long: `Opens, previews, promotes and rolls back releases of a Fleet, over the operator
in your cluster. You are known there by the credentials of your kubeconfig.

A Fleet is applied with kubectl apply; so may a Release be, instead of release
open. Begin with:  kubectl greenroom status`,
	})
	a.flags.register(root.PersistentFlags())
	before := root.PersistentPreRunE
	root.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		a.inNamespaceAgain(a.flags.namespace)
		return before(cmd, args)
	}
	root.AddGroup(&cobra.Group{ID: "run", Title: "Fleet:"}, &cobra.Group{ID: "release", Title: "Release:"},
		&cobra.Group{ID: "look", Title: "Look:"}, &cobra.Group{ID: "access", Title: "Let in:"})
	for group, commands := range map[string][]*cobra.Command{
		"run":     {a.FleetCommand("Show the fleet; kubectl apply changes it"), a.adoptCommand()},
		"release": {a.ReleaseCommand(a.releaseOpen()), a.PromoteCommand(), a.rollbackCommand(), a.HoldCommand(false)},
		"look":    {a.StatusCommand(), a.LogsCommand(), a.EventsCommand(), a.dashboardCommand(), a.NotifyCommand(), a.DoctorCommand(nil)},
		"access":  {a.PassCommand(), a.tokenCommand(), a.completionCommand()},
	} {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	root.CompletionOptions.DisableDefaultCmd = true
	return command.Group(root, a.VersionCommand())
}

// inNamespaceAgain lets what people are told to type name the namespace, where
// it is not the context's: without it they would be told of no Fleet.
func (a *app) inNamespaceAgain(namespace string) {
	if namespace != "" {
		a.Again = " -n " + namespace
	}
}

// tokenCommand says what stands for API tokens here.
func (a *app) tokenCommand() *cobra.Command {
	return &cobra.Command{
		Use: "token", Short: "Say how people and programs are known here", Args: command.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return command.BadInputf("there are no API tokens on Kubernetes: people are known by their cluster credentials, programs by a ServiceAccount's token; " +
				"bind greenroom-viewer, greenroom-tester or greenroom-operator to them in the fleet's namespace, and greenroom-connect in the operator's")
		},
	}
}

// completionScript is what kubectl runs to complete the plugin's words. It must
// be in PATH by the name that it says.
const completionScript = `#!/bin/sh
# Save this as kubectl_complete-greenroom in a folder of PATH, and make it
# executable: kubectl's own completion calls it.
exec kubectl greenroom __complete "$@"
`

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "completion", Short: "Print the program by which kubectl completes greenroom's words", Args: command.NoArgs,
		Long: `Prints a program for kubectl's own shell completion, which looks for it in PATH by
the name kubectl_complete-greenroom.`,
		Example: `  kubectl greenroom completion > ~/bin/kubectl_complete-greenroom
  chmod +x ~/bin/kubectl_complete-greenroom`,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.Env.Stdout.Write([]byte(completionScript))
			return err
		},
	}
}
