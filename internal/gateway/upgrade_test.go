package gateway_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
)

// A WebSocket goes through edge and mesh, stays on its view over a switch, and
// is told when that ends.
func TestWebSocketStaysAndIsTold(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{})
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, b, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if err := c.Write(r.Context(), kind, append([]byte(r.Header.Get("X-Greenroom-Release")+" "), b...)); err != nil {
				return
			}
		}
	})
	f.Run("web@1", echo)
	f.View("r41", "web@1")
	f.View("r42", "web@1")
	f.Publish("r41")
	c, resp, err := websocket.Dial(t.Context(), f.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if resp.Header.Get("X-Greenroom-Release") != "" {
		t.Errorf("%v", resp.Header)
	}
	say := func() {
		t.Helper()
		if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, b, err := c.Read(t.Context()); err != nil || string(b) != "r41 hello" {
			t.Fatalf("%q, %v", b, err)
		}
	}
	say()
	f.Publish("r42")
	say()
	f.Gateway.EndView("r41")
	// The service is told as well, and its answer must not be what the client
	// sees.
	_, _, err = c.Read(t.Context())
	if code := websocket.CloseStatus(err); code != websocket.StatusServiceRestart {
		t.Errorf("told: %v", err)
	}
	eventually(t, "it is gone", func() bool { return f.Gateway.Traffic()["r41"].InFlight == 0 })
}

// Bytes that come along with the upgrade request belong to the new protocol.
func TestBytesSentAlongWithAnUpgrade(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{})
	f.Run("web@1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := rw.ReadString('\n')
		io.WriteString(c, "got "+line)
	}))
	f.View("r1", "web@1")
	f.Publish("r1")
	for name, addr := range map[string]string{"edge": f.URL, "mesh": f.Calls("job@1", "web")["web"]} {
		c, err := net.Dial("tcp", strings.TrimPrefix(addr, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(2 * time.Minute))
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly\n")
		r := bufio.NewReader(c)
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != 101 {
			t.Fatalf("%s: %v %v", name, resp, err)
		}
		if line, err := r.ReadString('\n'); line != "got early\n" {
			t.Errorf("%s: %q, %v", name, line, err)
		}
	}
}
