package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
)

// checkMachine says what a cluster can't do without and what no package can
// bring.
func checkMachine(state string) error {
	switch {
	case runtime.GOOS != "linux":
		return fmt.Errorf("a cluster runs on Linux only, not on %s", runtime.GOOS)
	case os.Geteuid() != 0:
		return errors.New("a cluster needs root: it makes a bridge, network namespaces, mounts and control groups")
	case len(state) > 60:
		return fmt.Errorf("the state folder's path %s is longer than 60 bytes, too long for the sockets below it", state)
	}
	filesystems, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return fmt.Errorf("reading what the kernel can mount: %w", err)
	}
	if !strings.Contains(string(filesystems), "\toverlay\n") {
		return errors.New("the kernel has no overlay file system, which containers need: load the module overlay")
	}
	return nil
}

// checkNoKubernetes refuses a machine that has a Kubernetes, or a network on
// the cluster's addresses, that isn't ours.
func checkNoKubernetes(ctx context.Context) error {
	if _, err := net.InterfaceByName(bridge); err == nil {
		return fmt.Errorf("this machine has a bridge %s that no cluster known here made: remove it (ip link delete %s)", bridge, bridge)
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("reading the machine's addresses: %w", err)
	}
	for _, network := range []string{podNetwork, serviceNetwork} {
		_, ours, err := net.ParseCIDR(network)
		if err != nil {
			return err
		}
		for _, a := range addresses {
			if theirs, ok := a.(*net.IPNet); ok && (ours.Contains(theirs.IP) || theirs.Contains(ours.IP)) {
				return fmt.Errorf("this machine has the address %s, and the cluster needs %s", theirs, network)
			}
		}
	}
	chains, err := clusterChains(ctx)
	if err != nil {
		return err
	}
	if len(chains) > 0 {
		return fmt.Errorf("this machine's iptables have chains of a Kubernetes (%s …) that no cluster known here made: the two would disturb each other", chains[0])
	}
	return nil
}
