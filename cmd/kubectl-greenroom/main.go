// Command kubectl-greenroom is a plugin of kubectl: with it in PATH, kubectl
// greenroom releases services of a cluster without maintenance windows. See
// kubectl greenroom --help.
package main

import (
	"os"
	_ "time/tzdata" // promotions are planned by the clock of a time zone

	_ "k8s.io/client-go/plugin/pkg/client/auth" // kubeconfigs that name an auth-provider

	"github.com/greenroom-dev/greenroom/internal/command"
	"github.com/greenroom-dev/greenroom/internal/kubectl"
)

func main() { os.Exit(kubectl.Main(command.FromOS())) }
