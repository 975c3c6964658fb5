package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The addresses of the cluster. The node's address must lie on an interface of
// the machine, and is the pods' gateway: it is the bridge's.
const (
	bridge         = "greenroom0"
	nodeName       = "node"
	nodeIP         = "10.244.0.1"
	podNetwork     = "10.244.0.0/16"
	nodePods       = "10.244.0.0/24"
	serviceNetwork = "10.96.0.0/16"
	apiServiceIP   = "10.96.0.1"
	dnsServiceIP   = "10.96.0.10"
)

// settings are kernel settings that the network needs or that the kubelet and
// kube-proxy change; they are put back at the end. Missing ones are left out.
var settings = []struct{ path, value string }{
	{"net/ipv4/ip_forward", "1"},
	{"net/bridge/bridge-nf-call-iptables", "1"},
	{"net/bridge/bridge-nf-call-ip6tables", "1"},
	{"net/ipv4/conf/all/route_localnet", ""},
	{"vm/overcommit_memory", ""},
	{"vm/panic_on_oom", ""},
	{"kernel/panic", ""},
	{"kernel/panic_on_oops", ""},
	{"kernel/keys/root_maxkeys", ""},
	{"kernel/keys/root_maxbytes", ""},
	{"net/netfilter/nf_conntrack_max", ""},
	{"net/netfilter/nf_conntrack_tcp_timeout_established", ""},
	{"net/netfilter/nf_conntrack_tcp_timeout_close_wait", ""},
	{"net/netfilter/nf_conntrack_tcp_be_liberal", ""},
}

// startNetwork notes the kernel's settings, changes those that must be
// changed, and makes the bridge and the plugins' configuration.
func (c *Cluster) startNetwork(ctx context.Context) error {
	for _, s := range settings {
		if b, err := os.ReadFile(filepath.Join("/proc/sys", s.path)); err == nil {
			c.rec.Settings[s.path] = strings.TrimSpace(string(b))
		}
	}
	if err := c.rec.save(); err != nil {
		return err
	}
	for _, s := range settings {
		if _, present := c.rec.Settings[s.path]; !present || s.value == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join("/proc/sys", s.path), []byte(s.value), 0o644); err != nil {
			return fmt.Errorf("setting %s: %w", s.path, err)
		}
	}
	for _, args := range [][]string{
		{"link", "add", bridge, "type", "bridge"},
		{"address", "add", nodeIP + "/24", "dev", bridge},
		{"link", "set", bridge, "up"},
	} {
		if _, err := output(ctx, "ip", args...); err != nil {
			return err
		}
	}
	dir := filepath.Join(c.state, "cni")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	config := fmt.Sprintf(`{
  "cniVersion": "1.0.0", "name": "greenroom",
  "plugins": [{
    "type": "bridge", "bridge": %q, "isGateway": true, "hairpinMode": true,
    "ipam": {"type": "host-local", "dataDir": %q, "routes": [{"dst": "0.0.0.0/0"}],
             "ranges": [[{"subnet": %q, "gateway": %q}]]}
  }]
}
`, bridge, filepath.Join(c.state, "addresses"), nodePods, nodeIP)
	return os.WriteFile(filepath.Join(dir, "10-greenroom.conflist"), []byte(config), 0o644)
}

// output runs a program of the machine to its end.
func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}
