package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

func (c *Cluster) containerdSocket() string { return filepath.Join(c.state, "containerd.sock") }

// startContainerd starts the container runtime. All of its mounts, those of
// the pods' network namespaces too, lie below the state folder.
func (c *Cluster) startContainerd(ctx context.Context) error {
	runc, err := lookPath("runc")
	if err != nil {
		return err
	}
	dir := filepath.Join(c.state, "containerd")
	config := filepath.Join(c.state, "containerd.toml")
	text := fmt.Sprintf(`version = 3
root = %[1]q
state = %[2]q
disabled_plugins = ['io.containerd.nri.v1.nri', 'io.containerd.snapshotter.v1.devmapper', 'io.containerd.snapshotter.v1.zfs', 'io.containerd.snapshotter.v1.btrfs', 'io.containerd.tracing.processor.v1.otlp', 'io.containerd.internal.v1.opt']
[grpc]
address = %[3]q
[plugins.'io.containerd.cri.v1.runtime']
# Where the machine forbids lower scores, runc fails with "can't get final
# child's PID from pipe" without this.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = [%[4]q]
conf_dir = %[5]q
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = %[6]q
SystemdCgroup = false
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = %[7]q
`, filepath.Join(dir, "root"), filepath.Join(dir, "state"), c.containerdSocket(), pluginFolder, filepath.Join(c.state, "cni"), runc, pauseImage)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return err
	}
	return c.run(ctx, process{
		name: "containerd",
		path: c.tools.bin("containerd"),
		args: []string{"--config", config},
		ready: func(ctx context.Context) error {
			_, err := c.command(ctx, "", "ctr", "version")
			return err
		},
	})
}
