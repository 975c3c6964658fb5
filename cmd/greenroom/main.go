// Command greenroom runs a fleet of services on one machine and releases them
// without maintenance windows. See greenroom --help, or start with greenroom
// demo.
package main

import (
	"os"

	"github.com/greenroom-dev/greenroom/internal/cli"
)

func main() { os.Exit(cli.Main(cli.FromOS())) }
