package forward_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nX-Service: yes\r\n\r\n"

// startUpgrading starts an instance that upgrades and then does what f does.
func startUpgrading(t *testing.T, f func(c *net.TCPConn, r *bufio.Reader)) forward.Instance {
	t.Helper()
	return startRaw(t, func(c *net.TCPConn, r *bufio.Reader) {
		head, err := readHead(r)
		if err != nil {
			return
		}
		_, protocol, _ := strings.Cut(head, "Upgrade: ")
		protocol, _, _ = strings.Cut(protocol, "\r\n")
		// In one write with what follows, so that it comes right behind.
		fmt.Fprintf(c, switching+"early", protocol)
		f(c, r)
	})
}

// TestUpgradeLosesNothing: what either side sends right along, and half-closes.
func TestUpgradeLosesNothing(t *testing.T) {
	checkLeaks(t)
	instance := startUpgrading(t, func(c *net.TCPConn, r *bufio.Reader) {
		all, _ := io.ReadAll(r) // until the client's half is closed
		fmt.Fprintf(c, "got %q", all)
	})
	g := startGateway(t, newPool(t, forward.HTTP, instance), func(_ *http.Request, x *forward.Exchange) {
		x.Answer = func(status int, h http.Header) { h.Set("X-Hook", fmt.Sprint(status)) }
	})
	for _, behind := range []string{"", "x", strings.Repeat("y", 3000), strings.Repeat("z", 100_000)} {
		c, r := dialRaw(t, g.addr)
		say(t, c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: own/1\r\n\r\n"+behind)
		head := mustReadHead(t, r)
		for _, want := range []string{"HTTP/1.1 101 ", "\r\nConnection: Upgrade\r\n", "\r\nUpgrade: own/1\r\n", "\r\nX-Service: yes\r\n", "\r\nX-Hook: 101\r\n"} {
			if !strings.Contains(head, want) {
				t.Fatalf("no %q in %q", want, head)
			}
		}
		expect(t, r, "early")
		if n := g.pool.InFlight(); n != 1 {
			t.Errorf("%d in flight", n)
		}
		say(t, c, "more")
		c.CloseWrite()
		want := fmt.Sprintf("got %q", behind+"more")
		expect(t, r, want)
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
			t.Errorf("%q, %v", rest, err)
		}
		o := g.next(t)
		if o.err != nil || !o.res.Upgraded || o.res.Received != int64(len(behind)+4) || o.res.Sent != int64(len("early")+len(want)) {
			t.Errorf("%+v", o)
		}
	}
	eventually(t, "nothing in flight", func() bool { return g.pool.InFlight() == 0 })
}

// TestUpgradeTurnedDown is an ordinary exchange.
func TestUpgradeTurnedDown(t *testing.T) {
	g := startGateway(t, newPool(t, forward.HTTP, startService(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header["Connection"], r.Header["Upgrade"])
	})), nil)
	c, r := dialRaw(t, g.addr)
	say(t, c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: x, upgrade\r\nUpgrade: a\r\nUpgrade: b/2\r\nX: 1\r\n\r\n")
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(resp.Body); string(body) != "[Upgrade] [a, b/2]" && string(body) != "[Upgrade][a, b/2]" {
		t.Errorf("the service got %s", body)
	}
}

// TestUpgradeEnds: an unknown protocol is just closed.
func TestUpgradeEnds(t *testing.T) {
	checkLeaks(t)
	end, gone := make(chan struct{}), make(chan struct{})
	instance := startUpgrading(t, func(_ *net.TCPConn, r *bufio.Reader) {
		io.Copy(io.Discard, r)
		close(gone)
	})
	g := startGateway(t, newPool(t, forward.HTTP, instance), func(_ *http.Request, x *forward.Exchange) { x.End = end })
	c, r := dialRaw(t, g.addr)
	say(t, c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: own\r\n\r\n")
	mustReadHead(t, r)
	expect(t, r, "early")
	g.end(end)
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("got %v", err)
	}
	receive(t, gone)
	if o := g.next(t); o.err != nil || !o.res.Ended {
		t.Errorf("%+v", o)
	}
}

func startWebSocketEcho(t *testing.T) (forward.Instance, <-chan error) {
	closed := make(chan error, 1)
	return startService(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(-1)
		for {
			kind, msg, err := c.Read(r.Context())
			if err != nil {
				closed <- err
				return
			}
			if err := c.Write(r.Context(), kind, msg); err != nil {
				return
			}
		}
	}), closed
}

// TestWebSocketEnds: both sides are told, and why.
func TestWebSocketEnds(t *testing.T) {
	checkLeaks(t)
	instance, closed := startWebSocketEcho(t)
	end := make(chan struct{})
	g := startPatient(t, newPool(t, forward.HTTP, instance), 10*patience, func(_ *http.Request, x *forward.Exchange) { x.End = end })
	c, _, err := websocket.Dial(t.Context(), "ws://"+g.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	for _, size := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
		msg := bytes.Repeat([]byte{byte(size)}, size)
		if err := c.Write(t.Context(), websocket.MessageBinary, msg); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(t.Context()); err != nil || !bytes.Equal(got, msg) {
			t.Fatalf("%d bytes came back as %d: %v", size, len(got), err)
		}
	}
	g.end(end)
	_, _, err = c.Read(t.Context())
	var ce websocket.CloseError
	if !errors.As(err, &ce) || ce.Code != websocket.StatusServiceRestart || ce.Reason != forward.CloseReason {
		t.Errorf("the client was told %v", err)
	}
	// The client's answer to our Close frame may reach the service before ours.
	if err := receive(t, closed); websocket.CloseStatus(err) != websocket.StatusGoingAway && websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Errorf("the service was told %v", err)
	}
	if o := g.next(t); o.err != nil || !o.res.Ended { // without grace: both have answered
		t.Errorf("%+v", o)
	}
}

// TestWebSocketEndsAtBoundary: End comes inside a frame; the Close frame goes
// behind it, and a message that would follow does not.
func TestWebSocketEndsAtBoundary(t *testing.T) {
	checkLeaks(t)
	goOn := make(chan struct{})
	fromGateway := make(chan []byte, 1)
	instance := startRaw(t, func(c *net.TCPConn, r *bufio.Reader) {
		if _, err := readHead(r); err != nil {
			return
		}
		fmt.Fprintf(c, switching+"\x82\x0ahello", "websocket")
		<-goOn
		io.WriteString(c, "world\x82\x01!")
		all, _ := io.ReadAll(r)
		fromGateway <- all
	})
	end := make(chan struct{})
	g := startGateway(t, newPool(t, forward.HTTP, instance), func(_ *http.Request, x *forward.Exchange) { x.End = end })
	c, r := dialRaw(t, g.addr)
	say(t, c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\n")
	mustReadHead(t, r)
	expect(t, r, "\x82\x0ahello")
	g.end(end)
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if b, err := r.ReadByte(); err == nil {
		t.Fatalf("%x came in the middle of a frame", b)
	}
	c.SetReadDeadline(time.Now().Add(patience))
	close(goOn)
	expect(t, r, "world"+string(forward.CloseFrame(false)))
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		t.Errorf("%q follows the Close frame", rest)
	}
	got := receive(t, fromGateway)
	if len(got) < 8 || got[0] != 0x88 || got[1] != 0x80|byte(2+len(forward.CloseReason)) {
		t.Fatalf("the service got %x", got)
	}
	key, payload := got[2:6], got[6:]
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	if code := binary.BigEndian.Uint16(payload); code != forward.CloseGoingAway || string(payload[2:]) != forward.CloseReason {
		t.Errorf("the service was told %d %q", code, payload[2:])
	}
}
