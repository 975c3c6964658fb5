package cli

import (
	"github.com/spf13/cobra"

	greenroom "github.com/greenroom-dev/greenroom/internal/app"
	"github.com/greenroom-dev/greenroom/internal/command"
)

// app is one run of the command line.
type app struct {
	*command.App
	where  *where
	change []func(*greenroom.Options)
}

func newApp(env *command.Env) *app {
	r := &where{getenv: env.Getenv}
	return &app{App: &command.App{Env: env, Name: "greenroom", Connection: r}, where: r}
}

func (a *app) root() *cobra.Command {
	root := a.Root(&cobra.Command{
		Use:   "greenroom",
		Short: "Releases without maintenance windows, for fleets of microservices",
		Long: `Greenroom runs a fleet of services behind one edge. The next release stands in
production beside the one that serves, seen only by holders of a pass; several
services go live as one, in one step, and come back as fast.

Begin with:  greenroom demo      a whole fleet, a release, a tour
             greenroom init      a first greenroom.yaml for your own services`,
	})
	a.where.register(root.PersistentFlags())
	root.AddGroup(&cobra.Group{ID: "run", Title: "Run a fleet:"}, &cobra.Group{ID: "release", Title: "Release:"},
		&cobra.Group{ID: "look", Title: "Look:"}, &cobra.Group{ID: "access", Title: "Let in:"})
	fleet := a.FleetCommand("Show the fleet that runs, compare it with a file, and apply one", a.fleetDiff(), a.fleetApply())
	for group, commands := range map[string][]*cobra.Command{
		"run":     {a.initCommand(), a.checkCommand(), a.upCommand(), a.downCommand(), a.demoCommand(), fleet},
		"release": {a.ReleaseCommand(a.releaseOpen()), a.PromoteCommand(), a.RollbackCommand(), a.HoldCommand(true)},
		"look":    {a.StatusCommand(), a.LogsCommand(), a.EventsCommand(), a.dashboardCommand(), a.NotifyCommand(), a.doctorCommand()},
		"access":  {a.PassCommand(), a.tokenCommand()},
	} {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	root.SetCompletionCommandGroupID("access")
	return command.Group(root, a.VersionCommand(), a.demoServiceCommand())
}
