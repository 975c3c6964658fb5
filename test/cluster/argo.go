package cluster

import (
	"context"
	"fmt"
	"os"
	"regexp"
)

// argoImage is where Argo's manifest says which image to run, and when to fetch
// it.
var argoImage = regexp.MustCompile(`(?m)image: \S+/argo-rollouts:\S+\n( *)imagePullPolicy: \S+$`)

// startArgo installs Argo Rollouts by its own manifest, with the image made
// here.
func (c *Cluster) startArgo(ctx context.Context) error {
	b, err := os.ReadFile(c.tools.bin("install.yaml"))
	if err != nil {
		return fmt.Errorf("reading Argo's manifest: %w", err)
	}
	manifest := argoImage.ReplaceAllString(string(b), "image: "+imageHub+"/argo-rollouts:1\n${1}imagePullPolicy: Never")
	if err := c.Apply(ctx, "{apiVersion: v1, kind: Namespace, metadata: {name: argo-rollouts}}"); err != nil {
		return err
	}
	if _, err := c.Kubectl(ctx, manifest, "apply", "--server-side", "-n", "argo-rollouts", "-f", "-"); err != nil {
		return err
	}
	return c.AwaitWorkloads(ctx, "argo-rollouts")
}
