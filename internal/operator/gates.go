package operator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	istioapi "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

const (
	// switchTimeout is how long a switch may take to arrive at every gateway.
	switchTimeout = 30 * time.Second
	// askEvery is how often a gateway is asked meanwhile.
	askEvery = 10 * time.Millisecond
	// lookEvery is how often it is looked whether one that is behind is there.
	lookEvery = time.Second
	// answerWithin is how long the doctor waits for the gateways.
	answerWithin = 2 * time.Second
)

// gate is where a gateway's pod can be asked what it gives ordinary requests.
type gate struct {
	pod    types.NamespacedName
	uid    types.UID // of the pod
	addr   string    // ip:port
	scheme string
	host   string
}

// errNoGate is returned where no gateway can be asked: none takes HTTP or
// HTTPS of one side's certificate alone.
var errNoGate = errors.New("no gateway of the fleet has a port for HTTP or simple HTTPS at which it could be asked")

// gates finds the pods of the fleet's gateways, and where to ask them.
func (e *Engine) gates(ctx context.Context, f *crd.Fleet) ([]gate, error) {
	var out []gate
	for _, g := range f.Spec.Edge.Gateways {
		namespace, name, _ := strings.Cut(g.Name, "/")
		var gw networkingv1.Gateway
		if err := e.d.Direct.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &gw); err != nil {
			return nil, fmt.Errorf("read Gateway %s: %w", g.Name, err)
		}
		if g.Namespace != "" {
			namespace = g.Namespace
		}
		var pods corev1.PodList
		if err := e.d.Direct.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabels(g.Selector)); err != nil {
			return nil, fmt.Errorf("list the pods of Gateway %s: %w", g.Name, err)
		}
		var services corev1.ServiceList
		if err := e.d.Cache.List(ctx, &services, client.InNamespace(namespace)); err != nil {
			return nil, fmt.Errorf("list the Services of Gateway %s: %w", g.Name, err)
		}
		for i := range pods.Items {
			p := &pods.Items[i]
			if p.Status.PodIP == "" || !takesRequests(p) {
				continue
			}
			if port, scheme, host, ok := askAt(&gw, f.Namespace, g.Hosts, p, services.Items); ok {
				out = append(out, gate{pod: types.NamespacedName{Namespace: namespace, Name: p.Name}, uid: p.UID, scheme: scheme, host: host,
					addr: net.JoinHostPort(p.Status.PodIP, strconv.Itoa(port))})
			}
		}
	}
	if len(out) == 0 {
		return nil, errNoGate
	}
	return out, nil
}

// findGates finds the pods that a switch which is made has to arrive at. The API
// server may be away just then, and is asked again for as long as a switch may
// take, unless it refuses to tell.
func (e *Engine) findGates(ctx context.Context) ([]gate, error) {
	ctx, cancel := context.WithTimeout(ctx, switchTimeout)
	defer cancel()
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	var trouble error
	for {
		gates, err := e.gates(ctx, e.world.Load().fleet)
		if err == nil || errors.Is(err, errNoGate) || refusedByServer(err) {
			return gates, err
		}
		if trouble == nil || ctx.Err() == nil { // else the question was cut short, and what came before tells more
			trouble = err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, trouble
		}
	}
}

// takesRequests reports whether a gateway's pod is one that is waited for.
func takesRequests(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && p.Status.Phase == corev1.PodRunning
}

// askAt finds a port of a gateway's pod at which it can be asked about a fleet
// of a namespace, and for which of the fleet's hosts.
func askAt(gw *networkingv1.Gateway, namespace string, hosts []string, p *corev1.Pod, services []corev1.Service) (port int, scheme, host string, ok bool) {
	for _, s := range gw.Spec.Servers {
		host, ok := askedHost(s.GetHosts(), gw.Namespace, namespace, hosts)
		if !ok {
			continue
		}
		number := int32(s.GetPort().GetNumber())
		switch strings.ToUpper(s.GetPort().GetProtocol()) {
		case "HTTP", "HTTP2", "GRPC":
			if s.GetTls().GetHttpsRedirect() {
				continue
			}
			return targetPort(number, p, services), "http", host, true
		case "HTTPS":
			if m := s.GetTls().GetMode(); m == istioapi.ServerTLSSettings_SIMPLE || m == istioapi.ServerTLSSettings_OPTIONAL_MUTUAL {
				return targetPort(number, p, services), "https", host, true
			}
		}
	}
	return 0, "", "", false
}

// askedHost is a host of a fleet that a server of a Gateway takes for the
// fleet's namespace; for a wildcard any below it. What the server takes is
// written as Istio has it: a host, or whose routes it may have before it, "*/"
// for anybody's and "./" for those of the Gateway's own namespace.
func askedHost(served []string, gateway, fleet string, hosts []string) (string, bool) {
	for _, h := range hosts {
		for _, s := range served {
			if whose, rest, scoped := strings.Cut(s, "/"); scoped {
				if whose != "*" && whose != fleet && (whose != "." || gateway != fleet) {
					continue
				}
				s = rest
			}
			if both, ok := narrower(strings.ToLower(h), strings.ToLower(s)); ok {
				return strings.Replace(both, "*", "greenroom-asks", 1), true
			}
		}
	}
	return "", false
}

// narrower is the one of two hosts that the other covers.
func narrower(a, b string) (string, bool) {
	switch {
	case covers(b, a):
		return a, true
	case covers(a, b):
		return b, true
	}
	return "", false
}

// covers reports whether a host, which may begin with a wildcard, takes
// whatever another one takes.
func covers(host, other string) bool {
	below, wild := strings.CutPrefix(host, "*")
	return host == other || wild && strings.HasSuffix(other, below)
}

// targetPort is where a pod listens for what a Gateway calls a port: where a
// Service that selects the pod leads, else the very number.
func targetPort(number int32, p *corev1.Pod, services []corev1.Service) int {
	for _, s := range services {
		if len(s.Spec.Selector) == 0 || !labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(p.Labels)) {
			continue
		}
		for _, sp := range s.Spec.Ports {
			if sp.Port != number {
				continue
			}
			if sp.TargetPort.Type == intstr.Int && sp.TargetPort.IntVal != 0 {
				return int(sp.TargetPort.IntVal)
			}
			for _, c := range p.Spec.Containers {
				for _, cp := range c.Ports {
					if sp.TargetPort.Type == intstr.String && cp.Name == sp.TargetPort.StrVal {
						return int(cp.ContainerPort)
					}
				}
			}
		}
	}
	return int(number)
}

// askingTransport carries questions to gateways' pods.
func askingTransport() *http.Transport {
	return &http.Transport{
		// Nobody's certificate counts here: it is the pod's address that says
		// who answers, and nothing is told to it.
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true}, //nolint:gosec
		MaxIdleConnsPerHost: 1, DisableCompression: true,
	}
}

// awaitGates returns when every gateway's pod gives ordinary requests that
// stamp. Pods that come meanwhile begin with it, and pods that go take no new
// requests, so neither are waited for.
func (e *Engine) awaitGates(ctx context.Context, gates []gate, stamp string) error {
	ctx, cancel := context.WithTimeout(ctx, switchTimeout)
	defer cancel()
	transport := askingTransport()
	defer transport.CloseIdleConnections()
	behind := make([]string, len(gates))
	var wg sync.WaitGroup
	for i, g := range gates {
		wg.Go(func() {
			tick, look := time.NewTicker(askEvery), time.NewTicker(lookEvery)
			defer tick.Stop()
			defer look.Stop()
			said := "no answer"
			for {
				got, err := g.ask(ctx, transport, "/.greenroom/default")
				if err == nil && got == stamp {
					return
				}
				if ctx.Err() == nil { // else the question was cut short, and what came before tells more
					said = answered(got, err)
				}
				select {
				case <-look.C:
					if e.left(ctx, g) {
						return
					}
				case <-tick.C:
				case <-ctx.Done():
					behind[i] = g.pod.String() + " (" + said + ")"
					return
				}
			}
		})
	}
	wg.Wait()
	behind = slices.DeleteFunc(behind, func(s string) bool { return s == "" })
	if len(behind) == 0 {
		return nil
	}
	slices.Sort(behind)
	return fmt.Errorf("%s ordinary requests %s yet: %s", doNotGive(len(behind), len(gates)), stamp, strings.Join(behind, ", "))
}

// doNotGive is how so many of a fleet's gateway pods do not give something.
func doNotGive(behind, all int) string {
	switch {
	case all == 1:
		return "the gateway pod does not give"
	case behind == all:
		return fmt.Sprintf("none of the %d gateway pods gives", all)
	}
	return fmt.Sprintf("%d of the %d gateway pods %s not give", behind, all, oneOrMore(behind, "does", "do"))
}

// oneOrMore is a word by how many it is about.
func oneOrMore(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

// longestStamp bounds what is told of an answer: a stamp is a release's name.
const longestStamp = 63

// answered says what a gateway's pod said instead of a stamp that was awaited.
func answered(got string, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case got == "" || len(got) > longestStamp || strings.ContainsAny(got, " \n{<"):
		return "it answers with something other than a stamp: another route takes /.greenroom/ there"
	}
	return got
}

// escort keeps the way clear for a switch that nobody asked for just now, so that
// nobody waits for it: until every gateway's pod gives ordinary requests that
// stamp. What it returns has to be called when the edge is written.
func (e *Engine) escort(ctx context.Context, stamp string) (written func()) {
	if e.way.isTaken() {
		return func() {}
	}
	leave := e.way.take()
	return func() {
		e.loops.Go(func() {
			defer leave()
			ctx, cancel := context.WithTimeout(ctx, giveWay)
			defer cancel()
			if gates, err := e.gates(ctx, e.world.Load().fleet); err == nil {
				_ = e.awaitGates(ctx, gates, stamp) // the way is free after giveWay, whatever came of it
			}
		})
	}
}

// left reports whether a gateway's pod is gone, or going. Not to know is no.
func (e *Engine) left(ctx context.Context, g gate) bool {
	p := &corev1.Pod{}
	err := e.d.Direct.Get(ctx, g.pod, p)
	if err != nil {
		return apierrors.IsNotFound(err)
	}
	return p.UID != g.uid || !takesRequests(p)
}

// ask asks a gateway's pod for one of the pages that it answers itself.
func (g gate) ask(ctx context.Context, transport *http.Transport, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.scheme+"://"+g.addr+path, nil)
	if err != nil {
		return "", err
	}
	req.Host = g.host
	own := transport
	if g.scheme == "https" {
		own = transport.Clone()
		own.TLSClientConfig.ServerName = g.host
		defer own.CloseIdleConnections()
	}
	resp, err := own.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 8<<10))
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", resp.StatusCode)
	}
	return strings.TrimSpace(string(body)), nil
}
