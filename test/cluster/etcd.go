package cluster

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
)

// startEtcd starts the store of the API server on loopback ports of its own
// and returns its URL. It doesn't sync to disk: a cluster of tests need not
// outlive a power cut.
func (c *Cluster) startEtcd(ctx context.Context) (string, error) {
	ports, err := freePorts(2)
	if err != nil {
		return "", err
	}
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", ports[0]), fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	return client, c.run(ctx, process{
		name: "etcd",
		path: c.tools.bin("etcd"),
		args: []string{
			"--name=node", "--data-dir=" + filepath.Join(c.state, "etcd"), "--unsafe-no-fsync",
			"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=node=" + peer,
		},
		ready: func(ctx context.Context) error { return answers(ctx, http.DefaultClient, client+"/health") },
	})
}

// freePorts returns loopback ports that nobody listens on now.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("looking for a free port: %w", err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// answers returns nil when the URL answers 200.
func answers(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}
