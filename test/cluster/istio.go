package cluster

import (
	"context"
	_ "embed"
	"os"
	"path/filepath"
)

// gatewayPort is the ingress gateway's node port for HTTP, as the manifest
// says it.
const gatewayPort = 30080

//go:embed manifests/istio.yaml
var istioManifest string

// startIstio installs istiod and an ingress gateway from the charts that lie
// inside of istioctl.
func (c *Cluster) startIstio(ctx context.Context) error {
	path := filepath.Join(c.state, "istio.yaml")
	if err := os.WriteFile(path, []byte(istioManifest), 0o644); err != nil {
		return err
	}
	objects, err := c.command(ctx, "", "istioctl", "manifest", "generate", "-f", path)
	if err != nil {
		return err
	}
	if err := c.Apply(ctx, "{apiVersion: v1, kind: Namespace, metadata: {name: istio-system}}"); err != nil {
		return err
	}
	if err := c.Apply(ctx, objects); err != nil {
		return err
	}
	return c.AwaitWorkloads(ctx, "istio-system")
}
