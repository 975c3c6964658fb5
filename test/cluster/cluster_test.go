//go:build e2e

package cluster

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

//go:embed testdata/mesh.yaml
var meshManifest string

//go:embed testdata/rollout.yaml
var rolloutManifest string

// testContext ends a minute before the test's own deadline, so that a teardown
// still has time.
func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	if deadline, ok := t.Deadline(); ok {
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-time.Minute))
	}
	t.Cleanup(cancel)
	return ctx
}

// newState is a new folder with a short path; on failure the logs stay.
func newState(t *testing.T) string {
	dir, err := os.MkdirTemp("", "cluster-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the logs are in %s", filepath.Join(dir, "logs"))
			return
		}
		os.RemoveAll(dir)
	})
	return dir
}

// A real cluster answers, routes by header at every hop, lets Argo keep a
// preview, and leaves nothing behind.
func TestCluster(t *testing.T) {
	ctx := testContext(t)
	before := traces(t, ctx, "")
	state := newState(t)
	begin := time.Now()
	c, err := Start(ctx, Options{State: state, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("up after %.1f s", time.Since(begin).Seconds())
	t.Cleanup(func() {
		if c != nil {
			c.Stop(context.WithoutCancel(ctx))
		}
	})
	if _, err := Start(ctx, Options{State: newState(t)}); !errors.Is(err, ErrRunning) {
		t.Errorf("a second Start beside a running cluster: %v, want ErrRunning", err)
	}
	image, err := c.GoImage(ctx, imageHub+"/echo:1", module+"/images/echo")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.LoadImage(ctx, image); err != nil {
		t.Fatal(err)
	}
	t.Run("a request is routed by header at every hop", func(t *testing.T) { routeByHeader(t, ctx, c) })
	t.Run("Argo keeps a preview beside what serves", func(t *testing.T) { keepPreview(t, ctx, c) })
	if t.Failed() {
		c.printTails()
	}

	begin = time.Now()
	if err := c.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	c = nil
	t.Logf("down after %.1f s", time.Since(begin).Seconds())
	if left := traces(t, ctx, state); left != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", left, before)
	}
}

// routeByHeader sends requests through the gateway to web, which calls wallet:
// web has one version, wallet two.
func routeByHeader(t *testing.T, ctx context.Context, c *Cluster) {
	if err := c.Apply(ctx, meshManifest); err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitWorkloads(ctx, "mesh"); err != nil {
		t.Fatal(err)
	}
	var pods struct {
		Items []struct {
			Metadata struct{ Name string }
			Spec     struct{ Containers, InitContainers []struct{ Name string } }
		}
	}
	if err := c.Get(ctx, "/api/v1/namespaces/mesh/pods", &pods); err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) != 3 {
		t.Errorf("%d pods, want 3", len(pods.Items))
	}
	for _, p := range pods.Items {
		if s := fmt.Sprint(p.Spec); !strings.Contains(s, "istio-proxy") {
			t.Errorf("pod %s has no sidecar: %s", p.Metadata.Name, s)
		}
	}
	awaitAnswer(t, ctx, c, "web.test", "", "web=v1 wallet=v1")
	awaitAnswer(t, ctx, c, "web.test", "r42", "web=v1 wallet=v2")
	for range 50 {
		for stamp, want := range map[string]string{"": "web=v1 wallet=v1", "r42": "web=v1 wallet=v2"} {
			if got, err := ask(ctx, c, "web.test", stamp); err != nil || got != want {
				t.Fatalf("with stamp %q: %q, %v; want %q", stamp, got, err, want)
			}
		}
	}
}

// keepPreview changes a blueGreen Rollout's template: Argo must pause with the
// new pods beside the old ones, each behind its Service.
func keepPreview(t *testing.T, ctx context.Context, c *Cluster) {
	if err := c.Apply(ctx, rolloutManifest); err != nil {
		t.Fatal(err)
	}
	awaitPhase(t, ctx, c, "Healthy")
	awaitAnswer(t, ctx, c, "gift.test", "", "gift=v1")
	if _, err := c.Kubectl(ctx, "", "patch", "rollout", "gift", "-n", "rollout", "--type=json", "-p",
		`[{"op":"replace","path":"/spec/template/spec/containers/0/env/1/value","value":"v2"}]`); err != nil {
		t.Fatal(err)
	}
	awaitPhase(t, ctx, c, "Paused")
	awaitAnswer(t, ctx, c, "gift.test", "r42", "gift=v2")
	awaitAnswer(t, ctx, c, "gift.test", "", "gift=v1")

	var rollout struct {
		Status struct {
			BlueGreen struct{ ActiveSelector, PreviewSelector string }
		}
	}
	if err := c.Get(ctx, "/apis/argoproj.io/v1alpha1/namespaces/rollout/rollouts/gift", &rollout); err != nil {
		t.Fatal(err)
	}
	if b := rollout.Status.BlueGreen; b.PreviewSelector == "" || b.ActiveSelector == b.PreviewSelector {
		t.Errorf("preview and active select %q and %q, want two ReplicaSets", b.PreviewSelector, b.ActiveSelector)
	}
	var hpa struct {
		Spec struct{ ScaleTargetRef struct{ Kind string } }
	}
	if err := c.Get(ctx, "/apis/autoscaling/v2/namespaces/rollout/horizontalpodautoscalers/gift", &hpa); err != nil || hpa.Spec.ScaleTargetRef.Kind != "Rollout" {
		t.Errorf("the autoscaler of the Rollout: %+v, %v", hpa, err)
	}
}

func awaitPhase(t *testing.T, ctx context.Context, c *Cluster, want string) {
	t.Helper()
	var status json.RawMessage
	err := await(ctx, "a Rollout that is "+want, workloadWait, func(ctx context.Context) error {
		var rollout struct{ Status json.RawMessage }
		if err := c.Get(ctx, "/apis/argoproj.io/v1alpha1/namespaces/rollout/rollouts/gift", &rollout); err != nil {
			return err
		}
		status = rollout.Status
		var phase struct{ Phase string }
		if err := json.Unmarshal(status, &phase); err != nil || phase.Phase != want {
			return fmt.Errorf("it is %q (%v)", phase.Phase, err)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, status)
	}
}

// ask sends one request through the ingress gateway.
func ask(ctx context.Context, c *Cluster, host, stamp string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Gateway(), nil)
	if err != nil {
		return "", err
	}
	req.Host = host
	if stamp != "" {
		req.Header.Set("X-Greenroom-Release", stamp)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(b), err
}

func awaitAnswer(t *testing.T, ctx context.Context, c *Cluster, host, stamp, want string) {
	t.Helper()
	if err := await(ctx, "an answer through the gateway", processWait, func(ctx context.Context) error {
		got, err := ask(ctx, c, host, stamp)
		if err == nil && got != want {
			err = fmt.Errorf("with stamp %q %s answers %q, want %q", stamp, host, got, want)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// What a killed process leaves behind, the next one removes.
func TestKilledStartLeavesNothing(t *testing.T) {
	ctx := testContext(t)
	before := traces(t, ctx, "")
	state := newState(t)
	program := filepath.Join(t.TempDir(), "cluster")
	if _, err := goCommand(ctx, "", "build", "-o", program, module+"/cmd"); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, program, "--state", state, "up")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// It is killed when pods are about to run.
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		t.Log(lines.Text())
		if strings.Contains(lines.Text(), "node ready") {
			break
		}
	}
	if err := await(ctx, "a pod's network", processWait, func(context.Context) error {
		pods, err := filepath.Glob(filepath.Join(state, "containerd/state/io.containerd.grpc.v1.cri/netns/*"))
		if err == nil && len(pods) == 0 {
			err = errors.New("no pod yet")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	// Not even the runtime is there any more to end its containers.
	if err := syscall.Kill(recorded(state)["containerd"].pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if left := traces(t, ctx, state); left == before {
		t.Error("the killed process left nothing, so this test shows nothing")
	}
	if err := Down(ctx, "", t.Output()); err != nil {
		t.Fatal(err)
	}
	if left := traces(t, ctx, state); left != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", left, before)
	}
	if err := Down(ctx, "", nil); err != nil {
		t.Errorf("Down without a cluster: %v", err)
	}
}

// traces lists what of a cluster can be seen on this machine.
func traces(t *testing.T, ctx context.Context, state string) string {
	t.Helper()
	var found []string
	add := func(kind string, names ...string) {
		for _, n := range names {
			found = append(found, kind+" "+n)
		}
	}
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range processes {
		b, _ := os.ReadFile(p)
		if line := strings.ReplaceAll(string(b), "\x00", " "); state != "" && strings.Contains(line, state) {
			add("process", line)
		}
	}
	points, err := mountPoints()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range points {
		if state != "" && strings.HasPrefix(p, state) || strings.HasPrefix(p, "/run/netns") || strings.HasPrefix(p, "/run/containerd") {
			add("mount", p)
		}
	}
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		add("link", l.Name)
	}
	chains, err := clusterChains(ctx)
	if err != nil {
		t.Fatal(err)
	}
	add("chain", chains...)
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/" + cgroup)
	add("cgroup", groups...)
	for _, s := range settings {
		b, _ := os.ReadFile(filepath.Join("/proc/sys", s.path))
		add("setting", s.path+"="+strings.TrimSpace(string(b)))
	}
	for _, dir := range foreignFolders {
		if _, err := os.Stat(dir); err == nil {
			add("folder", dir)
		}
	}
	if state != "" {
		entries, err := os.ReadDir(state)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != "logs" {
				add("state", e.Name())
			}
		}
	}
	return strings.Join(found, "\n")
}
