package kubectl

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/internal/adopt"
	"github.com/greenroom-dev/greenroom/internal/command"
)

func (a *app) adoptCommand() *cobra.Command {
	return &cobra.Command{
		Use: "adopt deployment/NAME", Short: "Print what takes the place of a Deployment, so that it can be released", Args: command.Exactly(1, "a Deployment: deployment/NAME"),
		Long: `Prints the Rollout, the Services and the autoscaler that take the place of a
Deployment without dropping a pod, and what its VirtualServices say that the Fleet
has to say from then on. It changes nothing: look it through, then apply it, and
keep it where your manifests are kept.`,
		Example: "  kubectl greenroom adopt deployment/chat > chat.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := deploymentName(args[0])
			if err != nil {
				return err
			}
			if a.JSON() {
				return command.BadInputf("adopt prints YAML to keep; it has no JSON form")
			}
			k, err := a.flags.cluster()
			if err != nil {
				return err
			}
			c, err := k.client()
			if err != nil {
				return err
			}
			found, err := adopt.Read(cmd.Context(), c, k.namespace, name)
			if err != nil {
				return clusterError(err, "look at the Deployment "+name+" in the namespace "+k.namespace)
			}
			return adopt.Write(a.Env.Stdout, found)
		},
	}
}

// deploymentName is the name in deployment/NAME, as kubectl lets people say it.
func deploymentName(arg string) (string, error) {
	kind, name, found := strings.Cut(arg, "/")
	if !found {
		return arg, nil
	}
	switch strings.ToLower(kind) {
	case "deployment", "deployments", "deploy", "deployment.apps", "deployments.apps":
		return name, nil
	}
	return "", command.BadInputf("%s is no Deployment; write deployment/NAME", arg)
}
