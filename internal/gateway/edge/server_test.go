package edge_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/edge"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
)

// certify writes a certificate for names and returns its serial number.
func certify(t *testing.T, at fleet.Certificate, names ...string) *big.Int {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		at.CertFile: {Type: "CERTIFICATE", Bytes: der}, at.KeyFile: {Type: "PRIVATE KEY", Bytes: pkcs8},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return serial
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	one := fleet.Certificate{CertFile: filepath.Join(dir, "a.crt"), KeyFile: filepath.Join(dir, "a.key")}
	two := fleet.Certificate{CertFile: filepath.Join(dir, "b.crt"), KeyFile: filepath.Join(dir, "b.key")}
	first, second := certify(t, one, "a.test"), certify(t, two, "b.test")
	var log buffer
	f := start(t, gatewaytest.Config{
		Edge: fleet.Edge{Listen: "127.0.0.1:0", TLS: &fleet.TLS{Listen: "127.0.0.1:0", Certificates: []fleet.Certificate{one, two}}},
		Log:  slog.New(slog.NewTextHandler(&log, nil)),
	})
	serial := func(name string) *big.Int {
		t.Helper()
		c, err := tls.Dial("tcp", strings.TrimPrefix(f.TLSURL, "https://"), &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber
	}
	for name, want := range map[string]*big.Int{"a.test": first, "b.test": second, "": first, "c.test": first} {
		if got := serial(name); got.Cmp(want) != 0 {
			t.Errorf("%q got another certificate", name)
		}
	}
	for _, h2 := range []bool{false, true} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: h2}
		defer transport.CloseIdleConnections()
		resp, err := (&http.Client{Transport: transport}).Get(f.TLSURL)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if got := resp.ProtoMajor == 2; got != h2 || !strings.Contains(string(body), `"X-Forwarded-Proto":["https"]`) {
			t.Errorf("HTTP/2 %v: %s %s", h2, resp.Proto, body)
		}
	}
	// A bad file keeps the former, and says so; a good one is taken.
	if err := os.WriteFile(one.CertFile, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the bad file is told", func() bool {
		return serial("a.test").Cmp(first) == 0 && strings.Contains(log.String(), "the former stays in use")
	})
	renewed := certify(t, one, "a.test")
	eventually(t, "the renewed certificate is used", func() bool { return serial("a.test").Cmp(renewed) == 0 })
	if n := strings.Count(log.String(), "the former stays in use"); n > 2 {
		t.Errorf("told %d times", n)
	}
}

// eventually waits for a condition that others bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within two minutes: %s", what)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	g := gateway.New(gateway.Options{})
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		edge fleet.Edge
		says string
	}{
		{"nowhere", fleet.Edge{}, "nowhere to listen"},
		{"a taken port", fleet.Edge{Listen: taken.Addr().String()}, "free the port"},
		{"no certificate", fleet.Edge{TLS: &fleet.TLS{Listen: "127.0.0.1:0"}}, "spec.edge.tls.certificates"},
		{"no file", fleet.Edge{Listen: "127.0.0.1:0", TLS: &fleet.TLS{Listen: "127.0.0.1:0", Certificates: []fleet.Certificate{{CertFile: filepath.Join(dir, "x.crt"), KeyFile: "y"}}}}, "x.crt"},
	} {
		if _, err := edge.Open(g, c.edge, edge.Listeners{}, edge.Options{}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestGivenListenerIsUsed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := edge.Open(gateway.New(gateway.Options{}), fleet.Edge{Listen: "192.0.2.1:1"}, edge.Listeners{Cleartext: l}, edge.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve() }()
	resp, err := http.Get("http://" + l.Addr().String())
	if err != nil || resp.StatusCode != 503 {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestSlowHeaderIsCutOff(t *testing.T) {
	f := start(t, gatewaytest.Config{Options: edge.Options{HeaderTimeout: 200 * time.Millisecond}})
	c := dial(t, f)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nA: ")
	if b, err := io.ReadAll(c); err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

func dial(t *testing.T, f *gatewaytest.Fleet) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	return c
}

func TestStalledBodyIsGivenUp(t *testing.T) {
	f := start(t, gatewaytest.Config{Options: edge.Options{BodyStall: 200 * time.Millisecond}})
	for _, c := range []struct{ name, head string }{
		{"with a length", "Content-Length: 100\r\n\r\nabc"},
		{"chunked", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := dial(t, f)
			io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+c.head)
			answer, _ := io.ReadAll(conn)
			if !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") || !strings.Contains(string(answer), "X-Greenroom-Error: body-stalled") {
				t.Errorf("%s", answer)
			}
		})
	}
	t.Run("HTTP/2", func(t *testing.T) {
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		transport := &http.Transport{Protocols: protocols}
		defer transport.CloseIdleConnections()
		body, feed := io.Pipe()
		defer feed.Close()
		go io.WriteString(feed, "abc")
		r, err := http.NewRequest("POST", f.URL, body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 408 || resp.ProtoMajor != 2 {
			t.Errorf("%v", resp)
		}
	})
	eventually(t, "nothing is under way", func() bool { return f.Gateway.Traffic()["r41"].InFlight == 0 })
}

// A large upload that moves is not slow, and a stream that has begun to answer
// may be silent for longer than a body may stall.
func TestBodiesThatMoveAndStreamsAreNotCut(t *testing.T) {
	const stall = 1500 * time.Millisecond // far more than passes between two pieces on a crowded machine
	f := start(t, gatewaytest.Config{Options: edge.Options{BodyStall: stall}})
	conn := dial(t, f)
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 16\r\n\r\n")
	pieces := time.NewTicker(stall / 10)
	defer pieces.Stop()
	for range 16 {
		<-pieces.C
		io.WriteString(conn, "x")
	}
	if answer, _ := io.ReadAll(conn); !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
		t.Errorf("the upload: %s", answer)
	}

	f.Run("web@1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		control.EnableFullDuplex()
		io.WriteString(w, "begun\n")
		control.Flush()
		line, _ := bufio.NewReader(r.Body).ReadString('\n')
		io.WriteString(w, "got "+line)
	}))
	conn = dial(t, f)
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
	answer := bufio.NewReader(conn)
	for line := ""; !strings.Contains(line, "begun"); {
		var err error
		if line, err = answer.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	<-time.After(stall + stall/2) // it is this silence that is under test
	io.WriteString(conn, "2\r\nb\n\r\n0\r\n\r\n")
	rest, _ := io.ReadAll(answer)
	if !strings.Contains(string(rest), "got ab") {
		t.Errorf("the stream: %s", rest)
	}
}

func TestClientWhoDoesNotReadIsGivenUp(t *testing.T) {
	f := start(t, gatewaytest.Config{Options: edge.Options{WriteStall: 300 * time.Millisecond}})
	f.Run("web@1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		piece := bytes.Repeat([]byte("x"), 1<<20)
		for range 64 {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}))
	conn := dial(t, f)
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	eventually(t, "the request began", func() bool { return f.Gateway.Traffic()["r41"].InFlight == 1 })
	eventually(t, "it was given up", func() bool { return f.Gateway.Traffic()["r41"].InFlight == 0 })
}

func TestShutdownWaits(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	arrived, answer := make(chan struct{}, 1), make(chan struct{})
	f.Run("web@1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-answer
		io.WriteString(w, "whole")
	}))
	got := make(chan string, 1)
	go func() {
		resp, err := http.Get(f.URL)
		if err != nil {
			got <- err.Error()
			return
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		got <- string(b)
	}()
	<-arrived
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	over := make(chan error, 1)
	go func() { over <- f.Edge.Shutdown(t.Context()) }()
	<-soon.Done()
	select {
	case err := <-over:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	close(answer)
	if body := <-got; body != "whole" {
		t.Errorf("the answer: %s", body)
	}
	if err := <-over; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://")); err == nil {
		t.Error("it still takes connections")
	}
}

func TestShutdownEndsAtItsDeadline(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	arrived := make(chan struct{}, 1)
	f.Run("web@1", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	go http.Get(f.URL)
	<-arrived
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := f.Edge.Shutdown(soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
