//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/greenroom-dev/greenroom/test/cluster"
)

// stage is what every story plays on.
type stage struct {
	*cluster.Cluster
	ctx context.Context
}

// The bounds of waits. They are for a slow machine, not what things take.
const (
	podWait   = 90 * time.Second       // pods start, or go
	routeWait = 30 * time.Second       // what was written arrives at the proxies
	poll      = 100 * time.Millisecond // between two looks
)

// await looks until check has no complaint, and fails with the last one.
func (s *stage) await(t testing.TB, what string, limit time.Duration, check func() error) {
	t.Helper()
	if err := s.within(limit, check); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

// within looks until check has no complaint, and returns the last one.
func (s *stage) within(limit time.Duration, check func() error) error {
	ctx, cancel := context.WithTimeout(s.ctx, limit)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// kubectl runs kubectl, which has to work.
func (s *stage) kubectl(t testing.TB, args ...string) string {
	t.Helper()
	out, err := s.Kubectl(s.ctx, "", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// apply makes the cluster's objects what a manifest says.
func (s *stage) apply(t testing.TB, manifest string) {
	t.Helper()
	if err := s.Apply(s.ctx, manifest); err != nil {
		t.Fatal(err)
	}
}

// forget deletes a namespace when the test is over, and waits until its pods
// are gone, since they would take the next story's share of the machine. Of a
// story that failed, what is there is shown first.
func (s *stage) forget(t *testing.T, namespace string) {
	t.Cleanup(func() {
		if t.Failed() {
			s.show(t, namespace)
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), podWait)
		defer cancel()
		if _, err := s.Kubectl(ctx, "", "delete", "namespace", namespace, "--ignore-not-found", "--wait"); err != nil {
			t.Error(err)
		}
	})
}

// show logs what somebody needs to find out why a story failed.
func (s *stage) show(t *testing.T, namespace string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), time.Minute)
	defer cancel()
	for _, args := range [][]string{
		{"get", "rollouts,deployments,services,virtualservices,pods", "-n", namespace, "-o", "wide", "--show-labels"},
		{"get", "events", "-n", namespace, "--sort-by=.lastTimestamp"},
		{"logs", "-n", "istio-system", "deployment/istiod", "--tail=30"},
		{"logs", "-n", namespace, "deployment/gateway", "--tail=20"},
	} {
		out, err := s.Kubectl(ctx, "", args...)
		t.Logf("kubectl %s (%v):\n%s", strings.Join(args, " "), err, out)
	}
}

// render fills in a manifest.
func render(t testing.TB, name, text string, data any) string {
	t.Helper()
	tmpl, err := template.New(name).Option("missingkey=error").Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := tmpl.Execute(&b, data); err != nil {
		t.Fatal(fmt.Errorf("manifest %s: %w", name, err))
	}
	return b.String()
}
