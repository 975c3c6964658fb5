//go:build e2e

package operator_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// TestScale prints what the operator takes for small and large fleets: a
// process of its own, with its own rights, against an API server alone. How
// long a switch takes is printed up to what is written: there are no proxies.
func TestScale(t *testing.T) {
	program := filepath.Join(t.TempDir(), "greenroom-operator")
	build := exec.Command("go", "build", "-o", program, "github.com/greenroom-dev/greenroom/cmd/greenroom-operator")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the operator: %v: %s", err, out)
	}
	for _, n := range []int{10, 300} {
		t.Run(fmt.Sprintf("%d services", n), func(t *testing.T) { scale(t, program, n) })
	}
}

// mostMemory is how much memory the operator may take, in MiB.
const mostMemory = 100

func scale(t *testing.T, program string, n int) {
	cluster := operatortest.Start(t, operatortest.User{Name: "alice", Groups: []string{"system:masters"}})
	install(t, cluster)
	var services []string
	for i := range n {
		services = append(services, fmt.Sprintf("s%03d", i))
	}
	r := placeFleet(t, cluster, services...)
	for _, s := range services {
		r.active(s, "1")
	}
	p := r.startProcess(program)
	r.fleet(services...)
	r.serves("baseline")
	r.until("all routes are there", func() error {
		if got := r.objects(); got < n+1 {
			return fmt.Errorf("%d objects", got)
		}
		return nil
	})
	before := r.objects()
	r.release("r1", "2", services[:3]...)
	r.phase("r1", "Previewing")
	r.until("the preview has what it needs", func() error {
		if r.objects() < before+6 {
			return fmt.Errorf("%d objects", r.objects())
		}
		return nil
	})
	opened := r.objects() - before
	busy := p.cpu()
	var took []time.Duration
	const switches = 10
	for i := range switches {
		began := time.Now()
		if i%2 == 0 {
			r.promoted("r1")
		} else if _, err := r.api.Rollback(t.Context(), "r1", api.Asked{}); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	perSwitch := (p.cpu() - busy) / switches
	if got := p.peak(); got >= mostMemory {
		t.Errorf("the operator has taken %d MiB of memory for %d services, and is to stay below %d", got, n, mostMemory)
	}
	t.Logf("%3d services: a release of 3 adds %d objects; a switch was asked for, durable, written and read back in %v to %v (median %v), for %v of the operator's processor time with all that follows; it has taken %d MiB of memory at most",
		n, opened, took[0].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), took[len(took)/2].Round(time.Millisecond), perSwitch.Round(time.Millisecond), p.peak())
}

// objects counts what greenroom made for the fleet.
func (r *rig) objects() int {
	r.t.Helper()
	var virtual networkingv1.VirtualServiceList
	var services corev1.ServiceList
	for _, list := range []client.ObjectList{&virtual, &services} {
		if err := r.c.List(r.t.Context(), list, client.InNamespace(r.ns), client.MatchingLabels{kubernetes.LabelManaged: kubernetes.ManagedBy}); err != nil {
			r.t.Fatal(err)
		}
	}
	return len(virtual.Items) + len(services.Items)
}

// process is an operator that runs by itself.
type process struct {
	t   *testing.T
	pid int
}

// startProcess runs the operator's program until the test ends.
func (r *rig) startProcess(program string) process {
	r.t.Helper()
	addr := freeAddr(r.t)
	cmd := exec.Command(program, "run", "--namespace", r.ns, "--no-leader-election", "--metrics", "", "--health", "", "--pages", "", "--api", addr, "--log-level", "error")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig(r.t, r.config))
	cmd.Stderr = testLog{r.t}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			r.t.Errorf("the operator: %v", err)
		}
	})
	r.stop = func() {}
	r.reach(addr)
	return process{r.t, cmd.Process.Pid}
}

func kubeconfig(t *testing.T, config *rest.Config) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": {Token: config.BearerToken}},
		Contexts:       map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u"}},
		CurrentContext: "x",
	}, path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// peak is the most memory that the process had, in MiB.
func (p process) peak() int {
	p.t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			if err != nil {
				p.t.Fatal(err)
			}
			return kb / 1024
		}
	}
	p.t.Fatal("the process says nothing of its memory")
	return 0
}

// cpu is the processor time that the process has taken.
func (p process) cpu() time.Duration {
	p.t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.pid))
	if err != nil || len(tasks) == 0 {
		p.t.Fatalf("the process says nothing of its threads: %v", err)
	}
	var total time.Duration
	for _, file := range tasks {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has ended
		}
		first, _, _ := strings.Cut(string(data), " ")
		ns, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			p.t.Fatal(err)
		}
		total += time.Duration(ns)
	}
	return total
}
