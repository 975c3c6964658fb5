package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Options say where a cluster lives and how long.
type Options struct {
	// State is the folder that holds everything of the cluster: data, sockets,
	// credentials, logs. It is made if missing, must otherwise be empty or an
	// earlier cluster's, and its path is at most 60 bytes long, since sockets
	// lie below it. Empty means DefaultState.
	State string
	// Keep lets the cluster live on when this process ends. Without it, the
	// cluster of a process that was killed counts as left behind, and the next
	// Start or Down removes it.
	Keep bool
	// ControlPlaneOnly leaves the node out, and all that runs there: what stays
	// are etcd, the API server, the controller manager and the scheduler, for
	// tests of what speaks to the API server alone. It is there in seconds.
	ControlPlaneOnly bool
	// Log gets a line for each thing done, with the time since Start. Nil
	// means nothing is written.
	Log io.Writer
}

// Cluster is a running cluster. Its methods may be called from several
// goroutines; Stop must be the last.
type Cluster struct {
	state string
	lock  *lock
	rec   *record
	tools *tools
	pki   *pki
	api   *apiClient
	log   *progress
}

// bounds of the waits; they are for a slow machine with cold disks, not what
// it takes.
const (
	processWait  = 2 * time.Minute
	workloadWait = 5 * time.Minute
)

// ErrRunning is returned when a cluster runs on this machine already: end it
// with Down, or use it with Attach.
var ErrRunning = errors.New("a cluster runs on this machine already")

// DefaultState is the state folder used where none is named.
func DefaultState() string { return filepath.Join(os.TempDir(), "greenroom-cluster") }

// Start brings a cluster up and returns when every part of it is ready: the
// node, DNS, Istio with its ingress gateway, and Argo Rollouts. The first
// Start on a machine installs packages and builds the binaries, which takes
// some 20 minutes on two cores; later ones find them in the user's cache
// folder.
//
// It first removes what a killed process left behind. On failure it prints the
// end of the logs to Options.Log, removes what it made, all but the logs, and
// returns an error that names the part.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	state, err := stateFolder(o.State, DefaultState())
	if err != nil {
		return nil, err
	}
	if err := checkMachine(state); err != nil {
		return nil, err
	}
	c := &Cluster{state: state, log: newProgress(o.Log)}
	if c.tools, err = prepareTools(ctx, c.log); err != nil {
		return nil, err
	}
	if c.lock, err = takeLock(); err != nil {
		return nil, err
	}
	if err := c.clearGround(ctx); err != nil {
		return nil, errors.Join(err, c.lock.release())
	}
	if err := c.start(ctx, o.ControlPlaneOnly); err != nil {
		c.log.printf("failed: %v", err)
		c.printTails()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), teardownWait)
		defer cancel()
		return nil, errors.Join(err, c.Stop(end))
	}
	if o.Keep {
		err := errors.Join(c.lock.write(claim{State: c.state, Kept: true}), c.lock.release())
		c.lock = nil
		if err != nil {
			return nil, err
		}
	}
	c.log.printf("the cluster is ready: KUBECONFIG=%s", c.Kubeconfig())
	return c, nil
}

// clearGround removes what an earlier, killed process left behind and claims
// the machine for this cluster.
func (c *Cluster) clearGround(ctx context.Context) error {
	former, err := readClaim()
	if err != nil {
		return err
	}
	if former.Kept && running(former.State) {
		return fmt.Errorf("%w, in %s", ErrRunning, former.State)
	}
	var left []string
	if former.State != "" {
		left = append(left, former.State)
	}
	// The claim doesn't outlive the machine's restart, a state folder may.
	if _, err := os.Stat(recordPath(c.state)); err == nil && c.state != former.State {
		left = append(left, c.state)
	}
	for _, state := range left {
		c.log.printf("removing what a cluster in %s left behind", state)
		if err := teardown(ctx, state, c.log); err != nil {
			return err
		}
	}
	if err := checkNoKubernetes(ctx); err != nil {
		return err
	}
	if err := checkState(c.state); err != nil {
		return err
	}
	if err := c.lock.write(claim{State: c.state}); err != nil {
		return err
	}
	if err := makeState(c.state); err != nil {
		return err
	}
	c.rec, err = newRecord(c.state)
	return err
}

// step makes one part of the cluster and returns when it is ready.
type step struct {
	name string
	do   func(context.Context) error
}

// start makes the cluster part by part. The gateway's pod waits for names to
// be answered, so DNS goes before Istio.
func (c *Cluster) start(ctx context.Context, controlPlaneOnly bool) error {
	controlPlane := step{"control plane", c.startControlPlane}
	groups := [][]step{
		{{"network", c.startNetwork}},
		{{"credentials", c.makePKI}},
		{controlPlane, {"containerd and images", c.startRuntime}},
		{{"node", c.startNode}},
		{{"DNS", c.startDNS}, {"Argo Rollouts", c.startArgo}},
		{{"Istio", c.startIstio}},
	}
	if controlPlaneOnly {
		groups = append(groups[:2], []step{controlPlane})
	}
	for _, group := range groups {
		if err := c.together(ctx, group); err != nil {
			return err
		}
	}
	c.rec.Complete = true
	return c.rec.save()
}

// together runs steps at the same time; when one fails, the others are called
// off.
func (c *Cluster) together(ctx context.Context, steps []step) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, s := range steps {
		wg.Go(func() {
			begin := time.Now()
			if err := s.do(ctx); err != nil {
				cancel(fmt.Errorf("starting %s: %w", s.name, err))
				return
			}
			c.log.printf("%s ready after %.1f s", s.name, time.Since(begin).Seconds())
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// Attach returns the cluster that an earlier Start with Keep left running in
// the state folder (empty: DefaultState). Stop ends it like any other.
func Attach(ctx context.Context, state string, log io.Writer) (*Cluster, error) {
	state, err := stateFolder(state, DefaultState())
	if err != nil {
		return nil, err
	}
	if !running(state) {
		return nil, fmt.Errorf("no cluster runs in %s: start one first", state)
	}
	c := &Cluster{state: state, log: newProgress(log)}
	if c.rec, err = readRecord(state); err != nil {
		return nil, err
	}
	if c.tools, err = prepareTools(ctx, c.log); err != nil {
		return nil, err
	}
	c.pki = pkiOf(state)
	if c.api, err = newAPIClient(c.pki); err != nil {
		return nil, err
	}
	return c, nil
}

// Stop ends the cluster and removes what it made on this machine: processes,
// pods, mounts, network namespaces, bridge, iptables chains, cgroups and the
// state folder's content, all but the logs. It puts kernel settings back. It
// returns an error that names whatever is left.
func (c *Cluster) Stop(ctx context.Context) error {
	if c.lock == nil { // attached, or kept
		return Down(ctx, c.state, c.log)
	}
	err := teardown(ctx, c.state, c.log)
	if err == nil {
		err = c.lock.write(claim{})
	}
	err = errors.Join(err, c.lock.release())
	c.lock = nil
	return err
}

// Down ends the cluster in the state folder (empty: the one that this machine
// knows of), whichever process started it, also when that process was killed.
// Without a cluster it does nothing.
func Down(ctx context.Context, state string, log io.Writer) error {
	l, err := takeLock()
	if err != nil {
		return err
	}
	known, err := readClaim()
	if err != nil {
		return errors.Join(err, l.release())
	}
	if state, err = stateFolder(state, known.State); err != nil || state == "" {
		return errors.Join(err, l.release())
	}
	if known.State != "" && known.State != state {
		return errors.Join(fmt.Errorf("the cluster of this machine is in %s, not in %s", known.State, state), l.release())
	}
	err = teardown(ctx, state, newProgress(log))
	if err == nil {
		err = l.write(claim{})
	}
	return errors.Join(err, l.release())
}

// State is the folder that holds the cluster; its logs folder holds one file
// for each process.
func (c *Cluster) State() string { return c.state }

// Kubeconfig is the path of a kubeconfig with every right.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.state, "admin.kubeconfig") }

// Gateway is the loopback address, host:port, where the ingress gateway takes
// HTTP.
func (c *Cluster) Gateway() string { return fmt.Sprintf("127.0.0.1:%d", gatewayPort) }

// Environ is this process's environment with KUBECONFIG set to the cluster's
// and PATH led by the folders of its kubectl, istioctl and ctr.
func (c *Cluster) Environ() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "PATH=") && !strings.HasPrefix(kv, "KUBECONFIG=") {
			env = append(env, kv)
		}
	}
	return append(env,
		"KUBECONFIG="+c.Kubeconfig(),
		"CONTAINERD_ADDRESS="+c.containerdSocket(),
		"CONTAINERD_NAMESPACE=k8s.io",
		"PATH="+c.tools.path()+string(os.PathListSeparator)+os.Getenv("PATH"))
}
