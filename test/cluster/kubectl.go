package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// Kubectl runs the cluster's kubectl with every right and returns what it
// wrote; stdin may be empty. The error holds what it complained of.
func (c *Cluster) Kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	return c.command(ctx, stdin, "kubectl", args...)
}

// command runs one of the cluster's tools to its end.
func (c *Cluster) command(ctx context.Context, stdin, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.tools.bin(name), args...)
	cmd.Env = c.Environ()
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

// Apply makes the objects of a manifest, any number of YAML documents, what
// they say there (server-side apply).
func (c *Cluster) Apply(ctx context.Context, manifest string) error {
	_, err := c.Kubectl(ctx, manifest, "apply", "--server-side", "--force-conflicts", "-f", "-")
	return err
}

// AwaitWorkloads waits until every Deployment of a namespace has all of its
// replicas available, and fails with the state of its pods otherwise.
func (c *Cluster) AwaitWorkloads(ctx context.Context, namespace string) error {
	type deployment struct {
		Metadata struct {
			Name       string
			Generation int64
		}
		Spec   struct{ Replicas int }
		Status struct {
			ObservedGeneration                                          int64
			Replicas, UpdatedReplicas, AvailableReplicas, ReadyReplicas int
		}
	}
	err := await(ctx, "the workloads of "+namespace, workloadWait, func(ctx context.Context) error {
		var list struct{ Items []deployment }
		if err := c.Get(ctx, "/apis/apps/v1/namespaces/"+namespace+"/deployments", &list); err != nil {
			return err
		}
		if len(list.Items) == 0 {
			return errors.New("no Deployment there")
		}
		for _, d := range list.Items {
			if d.Status.ObservedGeneration < d.Metadata.Generation || d.Status.UpdatedReplicas < d.Spec.Replicas ||
				d.Status.AvailableReplicas < d.Spec.Replicas {
				return fmt.Errorf("deployment %s has %d of %d replicas available", d.Metadata.Name, d.Status.AvailableReplicas, d.Spec.Replicas)
			}
		}
		return nil
	})
	if err != nil {
		pods, _ := c.Kubectl(context.WithoutCancel(ctx), "", "get", "pods,events", "-n", namespace)
		return fmt.Errorf("%w\n%s", err, pods)
	}
	return nil
}
