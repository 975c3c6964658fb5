// Command greenroom-operator keeps the fleets of a Kubernetes cluster. See
// greenroom-operator --help; greenroom-operator manifests prints what installs
// it.
package main

import (
	"fmt"
	"os"
	_ "time/tzdata" // freezes name time zones, and the image knows none

	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	if err := command().ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "greenroom-operator:", err)
		os.Exit(1)
	}
}
