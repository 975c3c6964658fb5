// Command greenroom runs a fleet of services on one machine and releases them
// without maintenance windows. See greenroom --help, or start with greenroom
// demo.
package main

import (
	"os"
	_ "time/tzdata" // freezes name time zones, and not every machine knows them

	"github.com/greenroom-dev/greenroom/internal/cli"
	"github.com/greenroom-dev/greenroom/internal/command"
)

func main() { os.Exit(cli.Main(command.FromOS())) }
