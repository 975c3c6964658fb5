package forward

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// halfCloser is a connection whose sending half can be closed alone.
type halfCloser interface{ CloseWrite() error }

// upgrade takes over the client's connection once the instance has answered 101,
// and joins the two until both directions have ended.
func (e *exchange) upgrade(resp *http.Response, asked string) error {
	instance, ok := resp.Body.(io.ReadWriteCloser)
	protocol := upgradeOf(resp.Header)
	if !ok || asked == "" || protocol == "" || !offers(asked, protocol) {
		return fmt.Errorf("%s: %w: it switched to %q, asked for was %q", e.name(), ErrBadAnswer, protocol, asked)
	}
	if e.body != nil && !e.body.complete() {
		return fmt.Errorf("%s: %w: it switched protocols before the request had ended", e.name(), ErrBadAnswer)
	}
	h := e.w.Header()
	stripHopByHop(resp.Header)
	maps.Copy(h, resp.Header)
	h["Connection"] = []string{"Upgrade"}
	h["Upgrade"] = []string{protocol}
	if e.Answer != nil {
		e.Answer(resp.StatusCode, h)
	}
	conn, rw, err := e.control.Hijack()
	if err != nil {
		return fmt.Errorf("%s: taking over the client's connection: %w", e.name(), err)
	}
	defer conn.Close()
	e.res.Status, e.res.Upgraded = resp.StatusCode, true

	// The client's first bytes may have come along with its request.
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	client := struct {
		io.Reader
		io.Writer
	}{io.MultiReader(bytes.NewReader(early), conn), conn}
	if err := writeSwitch(conn, h); err != nil {
		return fmt.Errorf("%s: %w: %w: %w", e.name(), ErrBroken, ErrClientGone, err)
	}
	t := tunnel{websocket: strings.EqualFold(protocol, "websocket"), grace: e.grace}
	t.down = direction{src: instance, dst: client}
	t.up = direction{src: client, dst: instance, masked: true}
	t.closeBoth = func() { conn.Close(); instance.Close() }
	t.closeDown = halfClose(conn)
	t.closeUp = halfClose(instance)

	stop := e.onEnd(t.end)
	t.run()
	stop()
	e.res.Sent, e.res.Ended = t.down.copied, t.ended()
	if e.body == nil {
		e.res.Received = t.up.copied
	}
	return nil
}

// offers reports whether a protocol is among those that were asked for.
func offers(asked, protocol string) bool {
	for one := range strings.SplitSeq(asked, ",") {
		if strings.EqualFold(strings.TrimSpace(one), protocol) {
			return true
		}
	}
	return false
}

// writeSwitch writes the answer that ends HTTP on a connection.
func writeSwitch(conn net.Conn, h http.Header) error {
	w := bufio.NewWriter(conn)
	fmt.Fprintf(w, "HTTP/1.1 101 %s\r\n", http.StatusText(http.StatusSwitchingProtocols))
	if err := h.Write(w); err != nil {
		return err
	}
	io.WriteString(w, "\r\n")
	return w.Flush()
}

func halfClose(c any) func() {
	return func() {
		if h, ok := c.(halfCloser); ok {
			_ = h.CloseWrite() // it is closed then, or about to be
		}
	}
}

// reset closes a connection such that the peer cannot mistake it for an orderly
// close.
func reset(conn net.Conn) {
	raw := conn
	for { // of TLS, and of wrappers
		over, ok := raw.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		raw = over.NetConn()
	}
	if tcp, ok := raw.(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0) // it is closed in any case
	}
	raw.Close()
}

// tunnel joins a client and an instance whose connection was upgraded.
type tunnel struct {
	websocket bool
	grace     time.Duration
	down, up  direction // to the client, to the instance

	closeBoth          func()
	closeDown, closeUp func() // close the sending half of a direction

	mu     sync.Mutex
	isOver bool        // end was called
	timer  *time.Timer // closes both when a polite end takes too long
}

// run copies in both directions until both have ended.
func (t *tunnel) run() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.copy(&t.up, t.closeUp)
	}()
	t.copy(&t.down, t.closeDown)
	<-done
	t.closeBoth()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
	}
}

// copy runs one direction. A sender that has ended may still want to receive, but
// a WebSocket whose one side is closed has nothing more to say.
func (t *tunnel) copy(d *direction, closeHalf func()) {
	err := d.run(t.websocket)
	switch {
	case err != nil:
		t.closeBoth()
	case t.websocket:
		if !d.told() {
			closeHalf()
		}
		t.closeAfterGrace()
	default:
		closeHalf()
	}
}

// closeAfterGrace closes both connections some time from now.
func (t *tunnel) closeAfterGrace() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer == nil {
		t.timer = time.AfterFunc(t.grace, t.closeBoth)
	}
}

// end ends the tunnel: a WebSocket with a Close frame to both sides, anything
// else at once.
func (t *tunnel) end() {
	t.mu.Lock()
	t.isOver = true
	t.mu.Unlock()
	if !t.websocket {
		t.closeBoth()
		return
	}
	t.closeAfterGrace()
	// The client first: the service's answer to our Close frame must not reach
	// it before ours, which says that it should come back. Writing may block for
	// as long as the client does not read.
	told := make(chan struct{})
	go func() {
		defer close(told)
		t.down.endPolitely()
	}()
	blocked := time.NewTimer(t.grace / 2)
	defer blocked.Stop()
	select {
	case <-told:
	case <-blocked.C:
	}
	t.up.endPolitely()
	<-told
}

func (t *tunnel) ended() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.isOver
}
