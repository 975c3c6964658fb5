package cluster

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"path/filepath"
)

// startControlPlane starts etcd, the API server, the controller manager and
// the scheduler.
func (c *Cluster) startControlPlane(ctx context.Context) error {
	etcd, err := c.startEtcd(ctx)
	if err != nil {
		return err
	}
	if err := c.startAPIServer(ctx, etcd); err != nil {
		return err
	}
	if err := c.startControllers(ctx, "kube-controller-manager", "controller-manager",
		"--cluster-cidr="+podNetwork, "--service-cluster-ip-range="+serviceNetwork, "--allocate-node-cidrs=true",
		"--root-ca-file="+c.pki.path("ca.crt"), "--service-account-private-key-file="+c.pki.path("sa.key"),
		"--horizontal-pod-autoscaler-sync-period=1s", // tests have no quarter of a minute
		"--use-service-account-credentials=true", "--flex-volume-plugin-dir="+filepath.Join(c.state, "volume-plugins")); err != nil {
		return err
	}
	return c.startControllers(ctx, "kube-scheduler", "scheduler")
}

func (c *Cluster) startAPIServer(ctx context.Context, etcd string) error {
	p := c.pki
	return c.run(ctx, process{
		name: "kube-apiserver",
		path: c.tools.bin("kube-apiserver"),
		args: []string{
			"--etcd-servers=" + etcd,
			"--bind-address=" + nodeIP, "--advertise-address=" + nodeIP, "--secure-port=6443",
			"--tls-cert-file=" + p.path("apiserver.crt"), "--tls-private-key-file=" + p.path("apiserver.key"),
			"--client-ca-file=" + p.path("ca.crt"), "--token-auth-file=" + p.path("tokens.csv"),
			"--authorization-mode=Node,RBAC", "--allow-privileged=true",
			"--service-cluster-ip-range=" + serviceNetwork,
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + p.path("sa.crt"), "--service-account-signing-key-file=" + p.path("sa.key"),
			// istio-ca is whom the sidecars' tokens are for.
			"--api-audiences=https://kubernetes.default.svc,istio-ca",
			"--kubelet-preferred-address-types=InternalIP",
			"--kubelet-certificate-authority=" + p.path("ca.crt"),
			"--kubelet-client-certificate=" + p.path("apiserver-kubelet-client.crt"),
			"--kubelet-client-key=" + p.path("apiserver-kubelet-client.key"),
		},
		ready: func(ctx context.Context) error { return c.api.do(ctx, http.MethodGet, "/readyz", "", nil, nil) },
	})
}

// startControllers starts the controller manager or the scheduler, alike but
// for their flags. Nobody else runs with them, so they elect no leader.
func (c *Cluster) startControllers(ctx context.Context, name, user string, flags ...string) error {
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	kubeconfig := c.pki.kubeconfig(user)
	// Its certificate is made by itself, for itself.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	return c.run(ctx, process{
		name: name,
		path: c.tools.bin(name),
		args: append(flags, "--kubeconfig="+kubeconfig, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig,
			"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", ports[0]), "--leader-elect=false"),
		ready: func(ctx context.Context) error {
			return answers(ctx, client, fmt.Sprintf("https://127.0.0.1:%d/healthz", ports[0]))
		},
	})
}
