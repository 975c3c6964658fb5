package operatortest

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Node is a node that runs nothing: its pods' status is what the test writes,
// and their logs are what it prints. The API server asks it for logs as it asks
// any kubelet. Its methods may be called from several goroutines.
type Node struct {
	Name string

	mu      sync.Mutex
	logs    map[string]*containerLog // by namespace/pod/container
	changed chan struct{}            // closed with the next change
}

// containerLog is what a container printed.
type containerLog struct {
	lines    []logLine
	previous []logLine // before its last restart
	ended    bool
	read     int // the most lines that somebody was sent
}

type logLine struct {
	at   time.Time
	text string
}

// Node makes a node that is there until the test ends.
func (c *Cluster) Node(t testing.TB) *Node {
	t.Helper()
	n := &Node{logs: map[string]*containerLog{}, changed: make(chan struct{})}
	server := httptest.NewTLSServer(n)
	t.Cleanup(server.CloseClientConnections) // who follows a log never ends by itself
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	nodes := c.clientset(t).CoreV1().Nodes()
	made, err := nodes.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{GenerateName: "node-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("make a node: %v", err)
	}
	made.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
	made.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(number)
	if _, err := nodes.UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
		t.Fatalf("say where a node is: %v", err)
	}
	n.Name = made.Name
	return n
}

// Print adds lines to a container's log, as printed at a time.
func (n *Node) Print(p *corev1.Pod, container string, at time.Time, lines ...string) {
	n.change(p, container, func(l *containerLog) {
		for _, text := range lines {
			l.lines = append(l.lines, logLine{at, text})
		}
	})
}

// End ends a container's log.
func (n *Node) End(p *corev1.Pod, container string) {
	n.change(p, container, func(l *containerLog) { l.ended = true })
}

// Restart ends a container's log, and begins another.
func (n *Node) Restart(p *corev1.Pod, container string) {
	n.change(p, container, func(l *containerLog) { *l = containerLog{previous: l.lines} })
}

// awaitTimeout bounds Await on a machine that is busy.
const awaitTimeout = 20 * time.Second

// Await returns when somebody has read all that a container printed so far.
func (n *Node) Await(t testing.TB, p *corev1.Pod, container string) {
	t.Helper()
	deadline := time.After(awaitTimeout)
	for {
		n.mu.Lock()
		log, changed := n.log(p.Namespace+"/"+p.Name+"/"+container), n.changed
		done := log.read >= len(log.lines)
		n.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("nobody reads the log of %s", p.Name)
		}
	}
}

func (n *Node) change(p *corev1.Pod, container string, change func(*containerLog)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(n.log(p.Namespace + "/" + p.Name + "/" + container))
	n.tell()
}

// tell closes the present changed. The caller holds mu.
func (n *Node) tell() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// log returns a container's log. The caller holds mu.
func (n *Node) log(key string) *containerLog {
	if n.logs[key] == nil {
		n.logs[key] = &containerLog{}
	}
	return n.logs[key]
}

// ServeHTTP answers the API server: GET /containerLogs/NAMESPACE/POD/CONTAINER.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, ok := strings.CutPrefix(r.URL.Path, "/containerLogs/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	q := r.URL.Query()
	from := -1 // not known yet
	for {
		n.mu.Lock()
		log, changed := n.log(key), n.changed
		lines, ended := slices.Clone(log.lines), log.ended || q.Get("follow") != "true"
		if q.Get("previous") == "true" {
			lines, ended = slices.Clone(log.previous), true
		}
		n.mu.Unlock()
		if from < 0 {
			from = begin(lines, q.Get("tailLines"), q.Get("sinceTime"))
		}
		if from > len(lines) { // restarted
			return
		}
		for _, l := range lines[from:] {
			if q.Get("timestamps") == "true" {
				io.WriteString(w, l.at.UTC().Format(time.RFC3339Nano)+" ")
			}
			io.WriteString(w, l.text+"\n")
		}
		from = len(lines)
		http.NewResponseController(w).Flush()
		n.mu.Lock()
		if log.read < from {
			log.read = from
			n.tell()
		}
		n.mu.Unlock()
		if ended {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// begin is the first of the lines that are asked for.
func begin(lines []logLine, tail, since string) int {
	from := 0
	if n, err := strconv.Atoi(tail); err == nil {
		from = max(0, len(lines)-n)
	}
	if at, err := time.Parse(time.RFC3339, since); err == nil {
		from = max(from, slices.IndexFunc(append(slices.Clone(lines), logLine{at: at}), func(l logLine) bool { return !l.at.Before(at) }))
	}
	return from
}
