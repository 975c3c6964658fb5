package forward_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	pipeline "github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
)

// patience is how long tests wait for what must happen, on a machine that does
// much else too.
const patience = 2 * time.Minute

// outcome is what became of an exchange.
type outcome struct {
	res forward.Result
	err error
}

// gateway is a server that forwards everything to one pool, as a pipeline would:
// HTTP/1.1 in cleartext by the path that the tests run over, all else by a
// Forwarder.
type gateway struct {
	addr     string // HTTP/1.1 and h2c
	tlsAddr  string
	pool     *forward.Pool
	outcomes chan outcome // what becomes of exchanges; bounded, the rest is dropped

	change func(*http.Request, *forward.Exchange)
	core   *pipeline.Gateway // of the fast path; nil without
	bodies func()            // called before a body's trailers are read; nil: nothing is
}

// startGateway starts one; change, if not nil, fills in what each exchange is
// given besides the pool.
func startGateway(t *testing.T, pool *forward.Pool, change func(*http.Request, *forward.Exchange)) *gateway {
	t.Helper()
	return startPatient(t, pool, 500*time.Millisecond, change)
}

// startPatient is startGateway with another time for polite ends.
func startPatient(t *testing.T, pool *forward.Pool, grace time.Duration, change func(*http.Request, *forward.Exchange)) *gateway {
	t.Helper()
	g := &gateway{pool: pool, outcomes: make(chan outcome, 4096), change: change}
	f := forward.New(forward.Options{CloseGrace: grace})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.bodies != nil {
			r.Body = &endedBody{r.Body, g.bodies}
		}
		res, err := f.Forward(w, r, g.exchange(r))
		g.ended(res, err)
		switch {
		case errors.Is(err, forward.ErrBroken):
			panic(http.ErrAbortHandler)
		case err != nil:
			w.Header().Set("X-Error", err.Error())
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler:                      handler,
		Protocols:                    protocols,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(io.Discard, "", 0),
		TLSConfig:                    &tls.Config{Certificates: []tls.Certificate{certificate(t)}},
	}
	plain, secure := listen(t), listen(t)
	g.addr, g.tlsAddr = plain.Addr().String(), secure.Addr().String()
	go server.Serve(g.serve(t, plain))
	go server.ServeTLS(secure, "", "")
	t.Cleanup(func() { server.Close() })
	return g
}

// endedBody tells of its end.
type endedBody struct {
	io.ReadCloser
	tell func()
}

func (b *endedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.tell()
	}
	return n, err
}

// exchange is what one request is forwarded with.
func (g *gateway) exchange(r *http.Request) forward.Exchange {
	x := forward.Exchange{Pool: g.pool}
	if g.change != nil {
		g.change(r, &x)
	}
	return x
}

func (g *gateway) ended(res forward.Result, err error) {
	select {
	case g.outcomes <- outcome{res, err}:
	default:
	}
}

// end ends the streams of exchanges that were given end.
func (g *gateway) end(end chan struct{}) {
	close(end)
	if g.core != nil {
		g.core.EndView(stamp)
	}
}

// next returns what became of the next exchange.
func (g *gateway) next(t *testing.T) outcome {
	t.Helper()
	return receive(t, g.outcomes)
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("waited in vain")
		panic("unreachable")
	}
}

// eventually waits for a condition that nothing announces.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("in vain waited for: %s", what)
		}
	}
}

// checkLeaks fails the test if goroutines remain when everything else it
// registered is cleaned up. It must come first.
func checkLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		deadline := time.Now().Add(patience)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for ; runtime.NumGoroutine() > before; <-tick.C {
			if time.Now().After(deadline) {
				buf := make([]byte, 1<<20)
				t.Errorf("%d goroutines, %d at the beginning:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
				return
			}
		}
	})
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// newPool returns a pool with these instances, closed when the test ends.
func newPool(t *testing.T, p forward.Protocol, instances ...forward.Instance) *forward.Pool {
	t.Helper()
	pool := forward.NewPool("api", "v1", p)
	pool.Set(instances)
	t.Cleanup(pool.Close)
	return pool
}

// startService starts an HTTP/1.1 instance.
func startService(t *testing.T, h http.HandlerFunc) forward.Instance {
	t.Helper()
	l := listen(t)
	server := &http.Server{Handler: h, DisableGeneralOptionsHandler: true}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return forward.Instance{ID: "service-" + l.Addr().String(), Addr: l.Addr().String()}
}

// startRaw starts an instance that speaks whatever f does with each connection.
func startRaw(t *testing.T, f func(c *net.TCPConn, r *bufio.Reader)) forward.Instance {
	t.Helper()
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(patience))
				f(c.(*net.TCPConn), bufio.NewReader(c))
			}()
		}
	}()
	return forward.Instance{ID: "raw-" + l.Addr().String(), Addr: l.Addr().String()}
}

// refusing returns an instance that nothing listens for: its port is taken, by
// the near end of a connection, so that nobody else comes to listen there.
func refusing(t *testing.T) forward.Instance {
	t.Helper()
	c, _ := dialRaw(t, listen(t).Addr().String())
	return forward.Instance{ID: "refusing", Addr: c.LocalAddr().String()}
}

// dialRaw connects to addr.
func dialRaw(t *testing.T, addr string) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn), bufio.NewReader(c)
}

// say writes s to a connection.
func say(t *testing.T, w io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
}

// readHead reads a header, to its empty line.
func readHead(r *bufio.Reader) (string, error) {
	var head strings.Builder
	for {
		line, err := r.ReadString('\n')
		head.WriteString(line)
		if err != nil || line == "\r\n" {
			return head.String(), err
		}
	}
}

func mustReadHead(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	head, err := readHead(r)
	if err != nil {
		t.Fatalf("reading a header: %v; so far: %q", err, head)
	}
	return head
}

// expect reads exactly want.
func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	if got := exactly(t, r, len(want)); string(got) != want {
		t.Fatalf("read %q, want %q", got, want)
	}
}

// exactly reads n bytes.
func exactly(t *testing.T, r io.Reader, n int) []byte {
	t.Helper()
	got := make([]byte, n)
	if n, err := io.ReadFull(r, got); err != nil {
		t.Fatalf("read %q (%v), want %d bytes", got[:n], err, len(got))
	}
	return got
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// h2Client returns a client that speaks HTTP/2, in cleartext towards http URLs.
func h2Client(t *testing.T) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	tr := &http.Transport{
		Protocols:          protocols,
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true}, // its own certificate, on loopback
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}
