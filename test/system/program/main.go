// Command program is greenroom as it is, but for times that its tests would else
// have to wait for: who is on stage asks again within 3 seconds instead of 10.
package main

import (
	"os"
	"time"

	"github.com/greenroom-dev/greenroom/internal/app"
	"github.com/greenroom-dev/greenroom/internal/cli"
	"github.com/greenroom-dev/greenroom/internal/command"
)

func main() {
	os.Exit(cli.Main(command.FromOS(), func(o *app.Options) { o.Lease = 3 * time.Second }))
}
