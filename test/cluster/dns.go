package cluster

import (
	"context"
	_ "embed"
)

//go:embed manifests/dns.yaml
var dnsManifest string

// startDNS starts CoreDNS for the names of the cluster; it asks nobody outside.
func (c *Cluster) startDNS(ctx context.Context) error {
	if err := c.Apply(ctx, dnsManifest); err != nil {
		return err
	}
	return c.AwaitWorkloads(ctx, "kube-system")
}
