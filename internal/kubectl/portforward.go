package kubectl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// apiPort is where the operator's API listens, on loopback inside of its pod.
const apiPort = 9090

// remoteErrorWait is how long the far end may take to say why it closed.
const remoteErrorWait = time.Second

// dialPod opens a connection to a port of a pod, through the API server. There
// is no local port, so that nothing else on this machine can use it.
func dialPod(ctx context.Context, config *rest.Config, k kubernetes.Interface, namespace, pod string, port int) (net.Conn, error) {
	url := k.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, fmt.Errorf("set up a port-forward: %w", err)
	}
	old := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	tunnel, err := portforward.NewSPDYOverWebsocketDialerForStreaming(url, config)
	if err != nil {
		return nil, fmt.Errorf("set up a port-forward: %w", err)
	}
	dialer := portforward.NewFallbackDialerForStreaming(tunnel, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	type dialled struct {
		conn net.Conn
		err  error
	}
	done := make(chan dialled, 1)
	go func() { // a dialer takes no context
		conn, err := openStreams(dialer, port)
		done <- dialled{conn, err}
	}()
	select {
	case <-ctx.Done():
		go func() {
			if d := <-done; d.err == nil {
				_ = d.conn.Close()
			}
		}()
		return nil, ctx.Err()
	case d := <-done:
		if d.err != nil {
			return nil, whyNot(ctx, k, namespace, pod, d.err)
		}
		return d.conn, nil
	}
}

// whyNot says what keeps a port-forward from being. The error of one has lost
// what the API server said but for its words, so that is asked again.
func whyNot(ctx context.Context, k kubernetes.Interface, namespace, pod string, err error) error {
	may := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
		Namespace: namespace, Verb: "create", Resource: "pods", Subresource: "portforward", Name: pod}}}
	done, failed := k.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, may, metav1.CreateOptions{})
	if failed == nil && !done.Status.Allowed {
		return unreachable("you may not forward a port to the operator's pod "+pod, "ask for the role greenroom-connect in the namespace "+namespace, err)
	}
	if _, failed := k.CoreV1().Pods(namespace).Get(ctx, pod, metav1.GetOptions{}); apierrors.IsNotFound(failed) {
		return unreachable(fmt.Sprintf("the pod %s, which led last, is gone", pod),
			"another takes over within seconds; if none does: kubectl -n "+namespace+" get pods", err)
	}
	return unreachable(fmt.Sprintf("forward a port to the pod %s/%s: %s", namespace, pod, reasonOf(err)), "kubectl -n "+namespace+" get pods shows how it is", err)
}

// openStreams begins one forwarding: a stream of data, and one on which the far
// end says what went wrong.
func openStreams(dialer httpstream.Dialer, port int) (net.Conn, error) {
	conn, protocol, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, err
	}
	if protocol != portforward.PortForwardProtocolV1Name {
		return nil, errors.Join(fmt.Errorf("the API server speaks %q, not %s", protocol, portforward.PortForwardProtocolV1Name), conn.Close())
	}
	headers := http.Header{}
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	headers.Set(corev1.PortHeader, strconv.Itoa(port))
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	complaints, err := conn.CreateStream(headers)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the stream of errors: %w", err), conn.Close())
	}
	_ = complaints.Close() // this end only reads it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := conn.CreateStream(headers)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the stream of data: %w", err), conn.Close())
	}
	p := &podConn{Stream: data, conn: conn, complained: make(chan struct{})}
	go func() {
		defer close(p.complained)
		text, err := io.ReadAll(complaints)
		if err == nil && len(text) > 0 {
			p.complaint = errors.New(strings.TrimSpace(string(text)))
		}
	}()
	return p, nil
}

// podConn is one connection to a port of a pod. It knows no deadlines; http's
// transports set none.
type podConn struct {
	httpstream.Stream
	conn       httpstream.Connection
	complained chan struct{} // closed when complaint is final
	complaint  error
}

// Read reads what the pod sends. When that ends early it says why, if the far
// end does.
func (p *podConn) Read(b []byte) (int, error) {
	n, err := p.Stream.Read(b)
	if err == nil {
		return n, nil
	}
	select {
	case <-p.complained:
		if p.complaint != nil {
			return n, p.complaint
		}
	case <-time.After(remoteErrorWait):
	}
	return n, err
}

// Close ends the forwarding.
func (p *podConn) Close() error { return errors.Join(p.Reset(), p.conn.Close()) }

// LocalAddr is no address of this machine.
func (p *podConn) LocalAddr() net.Addr { return podAddr{} }

// RemoteAddr is no address that this machine knows.
func (p *podConn) RemoteAddr() net.Addr { return podAddr{} }

// SetDeadline fails.
func (p *podConn) SetDeadline(time.Time) error { return os.ErrNoDeadline }

// SetReadDeadline fails.
func (p *podConn) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }

// SetWriteDeadline fails.
func (p *podConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

type podAddr struct{}

func (podAddr) Network() string { return "portforward" }
func (podAddr) String() string  { return "portforward" }
