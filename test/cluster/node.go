package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// startNode starts the kubelet and kube-proxy and waits until the node is
// Ready.
func (c *Cluster) startNode(ctx context.Context) error {
	if err := makeCgroups(); err != nil {
		return err
	}
	if err := c.startKubelet(ctx); err != nil {
		return err
	}
	if err := c.startProxy(ctx); err != nil {
		return err
	}
	return await(ctx, "a Ready node", processWait, c.nodeReady)
}

func (c *Cluster) nodeReady(ctx context.Context) error {
	var node struct {
		Status struct {
			Conditions []struct{ Type, Status, Message string }
		}
	}
	if err := c.Get(ctx, "/api/v1/nodes/"+nodeName, &node); err != nil {
		return err
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == "Ready" {
			if condition.Status == "True" {
				return nil
			}
			return fmt.Errorf("the node isn't Ready: %s", condition.Message)
		}
	}
	return errors.New("the node doesn't say whether it is Ready")
}

// startKubelet starts the node's agent. It throws away no image, since none
// could be fetched again, and evicts no pod.
func (c *Cluster) startKubelet(ctx context.Context) error {
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	dir := filepath.Join(c.state, "kubelet")
	config := filepath.Join(c.state, "kubelet.yaml")
	text := fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %[1]s
healthzBindAddress: 127.0.0.1
healthzPort: %[2]d
tlsCertFile: %[3]q
tlsPrivateKeyFile: %[4]q
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %[5]q}}
authorization: {mode: Webhook}
containerRuntimeEndpoint: "unix://%[6]s"
cgroupDriver: cgroupfs
cgroupRoot: %[7]q
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
clusterDomain: cluster.local
clusterDNS: [%[8]s]
resolvConf: /dev/null
podLogsDir: %[9]q
volumePluginDir: %[10]q
maxPods: 200
serializeImagePulls: false
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 1Mi, nodefs.available: 0%%, imagefs.available: 0%%, nodefs.inodesFree: 0%%}
`, nodeIP, ports[0], c.pki.path("kubelet.crt"), c.pki.path("kubelet.key"), c.pki.path("ca.crt"),
		c.containerdSocket(), "/"+cgroup, dnsServiceIP, filepath.Join(c.state, "pods"), filepath.Join(dir, "volume-plugins"))
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return err
	}
	return c.run(ctx, process{
		name: "kubelet",
		path: c.tools.bin("kubelet"),
		args: []string{"--config=" + config, "--kubeconfig=" + c.pki.kubeconfig("kubelet"), "--root-dir=" + dir,
			"--cert-dir=" + filepath.Join(dir, "pki"), "--hostname-override=" + nodeName, "--node-ip=" + nodeIP},
		ready: func(ctx context.Context) error {
			return answers(ctx, http.DefaultClient, fmt.Sprintf("http://127.0.0.1:%d/healthz", ports[0]))
		},
	})
}

// startProxy starts what makes services' addresses work, by iptables. Node
// ports are had on loopback alone.
func (c *Cluster) startProxy(ctx context.Context) error {
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	config := filepath.Join(c.state, "kube-proxy.yaml")
	text := fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: {kubeconfig: %q}
clusterCIDR: %s
hostnameOverride: %s
nodePortAddresses: [127.0.0.0/8]
healthzBindAddress: 127.0.0.1:%d
metricsBindAddress: 127.0.0.1:%d
conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
`, c.pki.kubeconfig("kube-proxy"), podNetwork, nodeName, ports[0], ports[1])
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return err
	}
	return c.run(ctx, process{
		name: "kube-proxy",
		path: c.tools.bin("kube-proxy"),
		args: []string{"--config=" + config},
		ready: func(ctx context.Context) error {
			return answers(ctx, http.DefaultClient, fmt.Sprintf("http://127.0.0.1:%d/healthz", ports[0]))
		},
	})
}
