package kubectl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/greenroom-dev/greenroom/client"
)

// connection is the way to the operator: through the API server to the pod that
// leads, and there to the fleet's own part of the API.
type connection struct{ flags *flags }

// Client returns a client of the operator's API of the fleet that the flags
// mean. Who leads is asked with each new connection, so that a command that
// waits finds the next operator as well.
func (c *connection) Client(ctx context.Context) (*client.Client, error) {
	k, fleet, err := c.find(ctx)
	if err != nil {
		return nil, err
	}
	return c.clientOf(ctx, k, fleet)
}

// find returns the cluster and the name of the fleet that the flags mean.
func (c *connection) find(ctx context.Context) (cluster, string, error) {
	k, err := c.flags.cluster()
	if err != nil {
		return cluster{}, "", err
	}
	objects, err := k.client()
	if err != nil {
		return cluster{}, "", err
	}
	fleet, err := fleetName(ctx, c.flags.fleet, objects, k.namespace)
	return k, fleet, err
}

// fleetPath is where a fleet is at the operator's API.
func fleetPath(namespace, fleet string) string {
	return "/fleets/" + url.PathEscape(namespace) + "/" + url.PathEscape(fleet)
}

// dialer opens connections to the API of the operator that leads.
func (c *connection) dialer(k cluster, set kubernetes.Interface) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		l, err := findLeader(ctx, set, c.flags.operator, time.Now())
		if err != nil {
			return nil, err
		}
		conn, err := dialPod(ctx, k.config, set, c.flags.operator, l.pod, apiPort)
		if err != nil && l.late {
			return nil, unreachable(fmt.Sprintf("the operator does not run: %s led last, and was seen at %s", l.pod, l.seen.Local().Format(time.DateTime)),
				"kubectl -n "+c.flags.operator+" get pods shows why; greenroom rollback --break-glass rolls back without it", err)
		}
		return conn, err
	}
}

// clientOf returns a client of the operator's API of a fleet.
func (c *connection) clientOf(ctx context.Context, k cluster, fleet string) (*client.Client, error) {
	set, err := kubernetes.NewForConfig(k.config)
	if err != nil {
		return nil, fmt.Errorf("set up a client of the cluster: %w", err)
	}
	dial := c.dialer(k, set)
	transport := &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableCompression: true, IdleConnTimeout: time.Minute,
	}
	credentials, err := credentialsOf(ctx, k, set, c.flags.serviceAccount, transport)
	if err != nil {
		return nil, err
	}
	base := "http://greenroom-operator" + fleetPath(k.namespace, fleet)
	return client.Through(credentials, base, "the operator in the namespace "+c.flags.operator), nil
}

// Remedy says what to do about what is in the way to the operator.
func (c *connection) Remedy(err error) string {
	var reach *reachError
	switch {
	case errors.As(err, &reach):
		return reach.remedy
	case errors.Is(err, client.ErrNotGreenroom), errors.Is(err, client.ErrUnreachable):
		return "kubectl -n " + c.flags.operator + " get pods shows how the operator is"
	}
	return ""
}
