package fast_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway/edge"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
)

// overBoth runs a test over either path, before one instance at addr.
func overBoth(t *testing.T, o edge.Options, addr string, test func(t *testing.T, f *gatewaytest.Fleet)) {
	for _, how := range []fleet.HTTP1{fleet.HTTP1Std, fleet.HTTP1Fast} {
		t.Run(string(how), func(t *testing.T) {
			f := gatewaytest.New(t, gatewaytest.Config{Edge: fleet.Edge{HTTP1: how}, Options: o})
			f.Endpoint("web@1", addr)
			f.View("r1", "web@1")
			f.Publish("r1")
			test(t, f)
		})
	}
}

// connections serves an address with f, which has each connection to itself.
func connections(t *testing.T, f func(c net.Conn, r *bufio.Reader)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c, bufio.NewReader(c))
			}()
		}
	}()
	return l.Addr().String()
}

// nobody is an address at which nobody listens, and nobody begins to.
func nobody(t *testing.T) (addr string) {
	t.Helper()
	c, err := net.Dial("tcp", connections(t, func(_ net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().String()
}

// early answers each request when its head is there, keeps its connection, and
// takes whatever comes on it for the rest of that request.
func early(answer string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, r *bufio.Reader) {
		if readToBody(r) == nil {
			io.WriteString(c, answer)
			io.Copy(io.Discard, r)
		}
	}
}

func readToBody(r *bufio.Reader) error {
	for {
		line, err := r.ReadString('\n')
		if err != nil || line == "\r\n" {
			return err
		}
	}
}

const (
	ok      = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	garbage = "no HTTP at all\r\n\r\n"
)

// What is answered before its request has ended, by the service or since there
// is none, is the last answer on the client's connection: what follows is the
// rest of the body, and not another request (RFC 9112, section 9.3).
func TestAnswerBeforeTheRequestHasEndedIsTheLast(t *testing.T) {
	for name, c := range map[string]struct{ addr, status string }{
		"the service's": {connections(t, early("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")), "413"},
		"garbage":       {connections(t, early(garbage)), "502"},
		"no service":    {nobody(t), "502"},
	} {
		t.Run(name, func(t *testing.T) {
			overBoth(t, edge.Options{}, c.addr, func(t *testing.T, f *gatewaytest.Fleet) {
				client, r := dial(t, f)
				io.WriteString(client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\nabc")
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				if !strings.HasPrefix(resp.Status, c.status) || !resp.Close {
					t.Errorf("%s, close: %v", resp.Status, resp.Close)
				}
				io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				// It ends at once, whatever the client has still to send, and may be reset.
				if rest, err := io.ReadAll(r); len(rest) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("behind the last answer: %q, %v", rest, err)
				}
			})
		})
	}
}

// Who still sends when the last answer is there is not reset while it does:
// many clients would report that rather than the answer.
func TestLastAnswerIsNotReset(t *testing.T) {
	addr := connections(t, early("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"))
	sends := func(t *testing.T, f *gatewaytest.Fleet, begun, status string) error {
		client, r := dial(t, f)
		defer client.Close()
		io.WriteString(client, begun)
		if all, err := io.ReadAll(r); err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 "+status) {
			t.Fatalf("%q, %v", all, err)
		}
		for range 10 {
			if _, err := io.WriteString(client, strings.Repeat("x", 1000)); err != nil {
				return err
			}
		}
		return nil
	}
	overBoth(t, edge.Options{}, addr, func(t *testing.T, f *gatewaytest.Fleet) {
		// The connection does not wait for ever, and a busy machine may be slower.
		for begun, status := range map[string]string{
			"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc": "413",
			"POST/HTTP/1.1\r\nHost: x\r\n\r\n":                                "400",
			"GET / HTTP/0.9\r\nHost: x\r\n\r\n":                               "505",
			"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n":                            "400",
		} {
			eventually(t, "a client sends on behind its answer "+status, func() bool { return sends(t, f, begun, status) == nil })
		}
	})
}

// A connection that is kept behind a refused request whose body nobody wanted is
// idle, and ends as such.
func TestRefusedRequestLeavesAnIdleConnection(t *testing.T) {
	for _, how := range []fleet.HTTP1{fleet.HTTP1Std, fleet.HTTP1Fast} {
		f := gatewaytest.New(t, gatewaytest.Config{
			Edge:    fleet.Edge{HTTP1: how, Routes: []fleet.Route{{Path: "/", Methods: []string{"GET"}, Service: "web"}}},
			Options: edge.Options{IdleTimeout: 250 * time.Millisecond, BodyStall: patience},
		})
		f.Endpoint("web@1", nobody(t))
		f.View("r1", "web@1")
		f.Publish("r1")
		for _, body := range []string{"Content-Length: 3\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n"} {
			client, r := dial(t, f)
			io.WriteString(client, "POST / HTTP/1.1\r\nHost: x\r\n"+body)
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.Close || resp.StatusCode != http.StatusNotFound {
				t.Fatalf("%s: %s, close: %v, %v", how, resp.Status, resp.Close, err)
			}
			if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
				t.Errorf("%s, behind the answer: %q, %v", how, rest, err)
			}
		}
	}
}

// A client hears at once that its answer broke off, whatever it has still to
// send.
func TestAnswerThatBreaksOffBeforeTheRequestHasEnded(t *testing.T) {
	addr := connections(t, func(c net.Conn, r *bufio.Reader) {
		if readToBody(r) == nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 70_000))
			c.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, r)
		}
	})
	overBoth(t, edge.Options{}, addr, func(t *testing.T, f *gatewaytest.Fleet) {
		client, r := dial(t, f)
		io.WriteString(client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\nabc")
		all, err := io.ReadAll(r)
		if errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(string(all), "HTTP/1.1 200 ") {
			t.Errorf("%.100q, %v", all, err)
		}
	})
}

// An error is an answer like others: where it is clear where the next request
// begins, the client's connection goes on.
func TestErrorsKeepTheConnection(t *testing.T) {
	for name, addr := range map[string]string{
		"garbage":    connections(t, early(garbage)),
		"no service": nobody(t),
	} {
		t.Run(name, func(t *testing.T) {
			overBoth(t, edge.Options{}, addr, func(t *testing.T, f *gatewaytest.Fleet) {
				client, r := dial(t, f)
				for _, sent := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"} {
					io.WriteString(client, sent)
					resp, err := http.ReadResponse(r, nil)
					if err != nil {
						t.Fatal(err)
					}
					io.Copy(io.Discard, resp.Body)
					if resp.StatusCode != 502 || resp.Close {
						t.Errorf("%s, close: %v", resp.Status, resp.Close)
					}
				}
			})
		})
	}
}

// A connection to a service that has answered before it had the whole request
// carries no other one: the service takes what comes for the rest.
func TestConnectionWithHalfARequestIsNotUsedAgain(t *testing.T) {
	overBoth(t, edge.Options{}, connections(t, early(ok)), func(t *testing.T, f *gatewaytest.Fleet) {
		for range 3 {
			client, r := dial(t, f)
			io.WriteString(client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\nabc")
			if got := head(t, r, 2); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
				t.Errorf("%q", got)
			}
		}
	})
}

// An answer does not wait for a service to take the rest of a request, of which
// it has taken nothing more.
func TestServiceAnswersAndDoesNotTakeTheRest(t *testing.T) {
	full := make(chan struct{})
	addr := connections(t, func(c net.Conn, r *bufio.Reader) {
		if readToBody(r) == nil {
			c.(*net.TCPConn).SetReadBuffer(4 << 10)
			<-full
			io.WriteString(c, ok)
			<-t.Context().Done()
		}
	})
	overBoth(t, edge.Options{}, addr, func(t *testing.T, f *gatewaytest.Fleet) {
		client, r := dial(t, f)
		io.WriteString(client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n")
		var err error
		for piece := make([]byte, 64<<10); err == nil; _, err = client.Write(piece) {
			client.SetWriteDeadline(time.Now().Add(250 * time.Millisecond)) // by then all buffers are full
		}
		full <- struct{}{}
		if got := head(t, r, 2); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("%q", got)
		}
		eventually(t, "nothing is under way", func() bool { return f.Gateway.Traffic()["r1"].InFlight == 0 })
	})
}

// An informational answer that the client does not take is not followed by
// another one, in the middle of it.
func TestInformationalAnswerThatIsNotTaken(t *testing.T) {
	given := make(chan struct{}, 1)
	addr := connections(t, func(c net.Conn, r *bufio.Reader) {
		if readToBody(r) != nil {
			return
		}
		hint := "HTTP/1.1 103 Early Hints\r\nLink: " + strings.Repeat("x", 16<<10) + "\r\n\r\n"
		for {
			if _, err := io.WriteString(c, hint); err != nil {
				given <- struct{}{}
				return
			}
		}
	})
	overBoth(t, edge.Options{WriteStall: 200 * time.Millisecond}, addr, func(t *testing.T, f *gatewaytest.Fleet) {
		client, r := dial(t, f)
		io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		<-given // up
		all, _ := io.ReadAll(r)
		if got := string(all); strings.Contains(got, "HTTP/1.1 4") || strings.Contains(got, "HTTP/1.1 5") {
			t.Errorf("it ends with %q", got[max(0, len(got)-1000):])
		}
		eventually(t, "nothing is under way", func() bool { return f.Gateway.Traffic()["r1"].InFlight == 0 })
		if flow := f.Gateway.Flows()[0]; flow.Errors != 0 {
			t.Errorf("%+v", flow)
		}
	})
}
