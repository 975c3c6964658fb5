// Command greenroom-operator keeps the fleets of a Kubernetes cluster. See
// greenroom-operator --help; greenroom-operator manifests prints what installs
// it.
package main

import (
	"fmt"
	"os"
	"runtime"
	_ "time/tzdata" // freezes name time zones, and the image knows none

	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	runtime.MemProfileRate = 0 // nobody can ask for a profile, and what it would be made of is 1 MiB
	if err := command().ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "greenroom-operator:", err)
		os.Exit(1)
	}
}
