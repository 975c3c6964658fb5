//go:build e2e

package e2e

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/test/cluster"
)

// attachTo is the variable that names the folder of a cluster that runs.
const attachTo = "GREENROOM_CLUSTER"

// stopWait is how long the cluster may take to go away; the stories end that
// much before the test's own deadline.
const stopWait = 2 * time.Minute

// TestKubernetes brings up a cluster and tells every story on it, one after the
// other: they share its gateway and two cores.
func TestKubernetes(t *testing.T) {
	s := onStage(t)
	t.Run("the routes hold before real proxies", s.routesHold)
	t.Run("Argo promotes one by one", s.argoOneByOne)
	t.Run("greenroom promotes all at once", s.greenroomsStory)
}

// onStage brings up a cluster until the test ends, with the images of the demo.
func onStage(t *testing.T) *stage {
	t.Helper()
	ctx := t.Context()
	if deadline, ok := t.Deadline(); ok {
		short, cancel := context.WithDeadline(ctx, deadline.Add(-stopWait))
		t.Cleanup(cancel)
		ctx = short
	}
	s := &stage{ctx: ctx, Cluster: theCluster(t, ctx)}
	s.loadImages(t)
	return s
}

// theCluster starts a cluster for this test, or attaches to the one that
// attachTo names.
func theCluster(t *testing.T, ctx context.Context) *cluster.Cluster {
	t.Helper()
	if state := os.Getenv(attachTo); state != "" {
		c, err := cluster.Attach(ctx, state, t.Output())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	state, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		t.Fatal(err)
	}
	c, err := cluster.Start(ctx, cluster.Options{State: state, Log: t.Output()})
	if err != nil {
		t.Fatalf("%v\nlogs are in %s", err, state)
	}
	t.Cleanup(func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWait)
		defer cancel()
		err := c.Stop(end)
		if err == nil && !t.Failed() {
			err = os.RemoveAll(state)
		}
		if err != nil || t.Failed() {
			t.Logf("logs are in %s", state)
		}
		if err != nil {
			t.Error(err)
		}
	})
	return c
}
