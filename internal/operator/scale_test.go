//go:build e2e

package operator_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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
// long a switch takes is printed beside the same edge written by hand, up to
// where istiod would be told: there are no proxies.
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

// mostMemory is how much memory the operator may take, in MB (a million bytes).
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
	specs := r.bothEdges("r1", "baseline")
	r.calm()()
	busy := p.cpu()
	switched := r.measured("r1", "baseline", specs)
	r.calm()()
	perSwitch := (p.cpu() - busy) / (2 * pairs)
	if got := p.peak(); got >= mostMemory {
		t.Errorf("the operator has taken %d MB of memory for %d services, and is to stay below %d", got, n, mostMemory)
	}
	t.Logf("%3d services: %s", n, switched)
	t.Logf("%3d services: of greenroom's, as the operator says: %s", n, p.parts())
	t.Logf("%3d services: a release of 3 adds %d objects; a switch takes %v of the operator's processor time with all that follows; it has taken %d MB of memory at most",
		n, opened, perSwitch.Round(time.Millisecond), p.peak())
}

// pairs is how many promotions and rollbacks are measured, each.
const pairs = 3

// calmFor is how many looks in turn show a cluster in which nothing is written.
const calmFor = 20

// bothEdges promotes a release and rolls it back, and keeps what the edge says
// with each, for another host.
func (r *rig) bothEdges(release, former string) map[string]json.RawMessage {
	r.t.Helper()
	r.promoted(release)
	out := map[string]json.RawMessage{release: r.specOf(r.edge())}
	if _, err := r.api.Rollback(r.t.Context(), release, api.Asked{}); err != nil {
		r.t.Fatal(err)
	}
	out[former] = r.specOf(r.edge())
	return out
}

// measured promotes a release and rolls it back, and in turns writes the same
// edge by hand under another name. It says how long both took, from the call
// until somebody who watches routes, as istiod does, is told of the edge.
func (r *rig) measured(release, former string, specs map[string]json.RawMessage) string {
	r.t.Helper()
	r.applyControl(specs[former])
	routes := r.watchRoutes(r.edge(), control)
	var ours, hand []time.Duration
	for i := range 2 * pairs {
		stamp := release
		if i%2 == 1 {
			stamp = former
		}
		ours = append(ours, r.timed(routes, r.edge(), stamp, func() error {
			if stamp == release {
				_, err := r.api.Promote(r.t.Context(), release, api.Promote{})
				return err
			}
			_, err := r.api.Rollback(r.t.Context(), release, api.Asked{})
			return err
		}))
		hand = append(hand, r.timed(routes, control, stamp, func() error {
			vs := &metav1.PartialObjectMetadata{ObjectMeta: r.meta(control)}
			vs.SetGroupVersionKind(networkingv1.SchemeGroupVersion.WithKind("VirtualService"))
			return r.c.Patch(r.t.Context(), vs, client.RawPatch(types.MergePatchType, specs[stamp]))
		}))
	}
	return fmt.Sprintf("a switch by greenroom, from the call until who watches routes is told: %s; the same edge written by hand: %s; greenroom's share: %v (of medians)",
		spread(ours), spread(hand), (median(ours) - median(hand)).Round(time.Millisecond))
}

// control is a VirtualService like the edge's, that greenroom knows nothing of.
const control = "control"

func (r *rig) specOf(name string) json.RawMessage {
	r.t.Helper()
	var vs networkingv1.VirtualService
	if err := r.get(&vs, name); err != nil {
		r.t.Fatal(err)
	}
	vs.Spec.Hosts = []string{control + ".test"}
	out, err := json.Marshal(map[string]any{"spec": &vs.Spec})
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

func (r *rig) applyControl(spec json.RawMessage) {
	r.t.Helper()
	vs := &networkingv1.VirtualService{ObjectMeta: r.meta(control)}
	if err := json.Unmarshal(spec, vs); err != nil {
		r.t.Fatal(err)
	}
	r.create(vs)
}

// told is that a watch said of a route what it gives ordinary requests.
type told struct {
	name, stamp string
	at          time.Time
}

// watchRoutes says of every change of some VirtualServices when it was told.
func (r *rig) watchRoutes(names ...string) <-chan told {
	r.t.Helper()
	c, err := client.NewWithWatch(r.cluster.Admin(), client.Options{Scheme: r.c.Scheme(), Mapper: r.c.RESTMapper()})
	if err != nil {
		r.t.Fatal(err)
	}
	var there networkingv1.VirtualServiceList
	if err := c.List(r.t.Context(), &there, client.InNamespace(r.ns)); err != nil {
		r.t.Fatal(err)
	}
	// Without a version, a watch waits for the cluster's newest, which may never come to VirtualServices.
	from := &metav1.ListOptions{ResourceVersion: there.ResourceVersion}
	out := make(chan told, 100)
	for _, name := range names {
		w, err := c.Watch(r.t.Context(), &networkingv1.VirtualServiceList{}, &client.ListOptions{Namespace: r.ns, Raw: from}, client.MatchingFields{"metadata.name": name})
		if err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(w.Stop)
		go func() {
			for e := range w.ResultChan() {
				if vs, ok := e.Object.(*networkingv1.VirtualService); ok {
					stamp, _ := kubernetes.Served(vs)
					out <- told{name, stamp, time.Now()}
				}
			}
		}()
	}
	return out
}

// timed is how long after the beginning of do a route was told to give a stamp.
// Before it the cluster is calm, and Argo is held meanwhile: it would look at
// every Rollout all the time, as the real one does not.
func (r *rig) timed(routes <-chan told, name, stamp string, do func() error) time.Duration {
	r.t.Helper()
	letGo := r.calm()
	defer letGo()
	for len(routes) > 0 {
		<-routes
	}
	began := time.Now()
	if err := do(); err != nil {
		r.t.Fatal(err)
	}
	deadline := time.After(wait)
	for {
		select {
		case one := <-routes:
			if one.name == name && one.stamp == stamp {
				return one.at.Sub(began)
			}
		case <-deadline:
			r.t.Fatalf("nobody was told that %s gives %s", name, stamp)
		}
	}
}

// hold makes Argo do nothing until letGo is called.
func (a *argo) hold() (letGo func()) {
	a.steps.Lock()
	return a.steps.Unlock
}

// calm waits until nothing is written, and holds Argo.
func (r *rig) calm() (letGo func()) {
	r.t.Helper()
	last, inTurn := "", 0
	r.until("calm", func() error {
		var some corev1.NamespaceList // the version of a list is that of the whole cluster
		if err := r.c.List(r.t.Context(), &some, client.Limit(1)); err != nil {
			return err
		}
		if some.ResourceVersion != last {
			last, inTurn = some.ResourceVersion, 0
		}
		if inTurn++; inTurn < calmFor {
			return fmt.Errorf("something was written %d looks ago", inTurn)
		}
		return nil
	})
	return r.argo.hold()
}

func median(list []time.Duration) time.Duration {
	list = slices.Sorted(slices.Values(list))
	return (list[(len(list)-1)/2] + list[len(list)/2]) / 2
}

func spread(list []time.Duration) string {
	return fmt.Sprintf("%v to %v (median %v)", slices.Min(list).Round(time.Millisecond), slices.Max(list).Round(time.Millisecond), median(list).Round(time.Millisecond))
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
	log *switchLog
}

// switchLog is what an operator's log says of switches.
type switchLog struct {
	mu    sync.Mutex
	parts map[string][]time.Duration
}

// read takes in a log until it ends. Errors are of the test's.
func (l *switchLog) read(t *testing.T, log io.Reader) {
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var line struct {
			Level, Msg                         string
			Translated, Encoded, Durable, Edge time.Duration
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line.Level == "ERROR" {
			t.Log(lines.Text())
		}
		if line.Msg != "the edge is switched" {
			continue
		}
		l.mu.Lock()
		for part, took := range map[string]time.Duration{"translated": line.Translated, "encoded": line.Encoded, "durable": line.Durable, "edge": line.Edge} {
			l.parts[part] = append(l.parts[part], took)
		}
		l.mu.Unlock()
	}
}

// parts says what the operator's log says of switches.
func (p process) parts() string {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	var out []string
	for _, part := range []string{"translated", "encoded", "durable", "edge"} {
		if took := p.log.parts[part]; len(took) > 0 {
			out = append(out, part+" "+spread(took))
		}
	}
	return strings.Join(out, ", ")
}

// startProcess runs the operator's program until the test ends.
func (r *rig) startProcess(program string) process {
	r.t.Helper()
	addr := freeAddr(r.t)
	cmd := exec.Command(program, "run", "--namespace", r.ns, "--no-leader-election", "--metrics", "", "--health", "", "--pages", "", "--api", addr, "--log-level", "info")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig(r.t, r.config))
	text, err := cmd.StderrPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	log, read := &switchLog{parts: map[string][]time.Duration{}}, make(chan struct{})
	go func() {
		defer close(read)
		log.read(r.t, text)
	}()
	r.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-read
		if err := cmd.Wait(); err != nil {
			r.t.Errorf("the operator: %v", err)
		}
	})
	r.stop = func() {}
	r.reach(addr)
	return process{r.t, cmd.Process.Pid, log}
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

// peak is the most memory that the process had, in MB, its program's pages and
// all: what it shares with others counts as its own.
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
			return kb * 1024 / 1_000_000
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
