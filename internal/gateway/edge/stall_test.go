package edge_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway/edge"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A client can keep the window of an HTTP/2 stream shut and its connection
// alive. Large answers wait in the handler then, small ones behind it.
func TestStreamThatIsNotReadIsReset(t *testing.T) {
	for name, size := range map[string]int{"large": 1 << 20, "small": 10} {
		t.Run(name, func(t *testing.T) {
			f := start(t, gatewaytest.Config{Options: edge.Options{WriteStall: 300 * time.Millisecond}})
			f.Run("web@1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Write(bytes.Repeat([]byte("x"), size))
			}))
			conn, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(2 * time.Minute))
			io.WriteString(conn, http2.ClientPreface)
			framer := http2.NewFramer(conn, conn)
			framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			var block bytes.Buffer
			encoder := hpack.NewEncoder(&block)
			for _, field := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/"}} {
				encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
			}
			framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
			for reset := false; !reset; {
				frame, err := framer.ReadFrame()
				if err != nil {
					t.Fatalf("no reset: %v", err)
				}
				_, reset = frame.(*http2.RSTStreamFrame)
			}
			eventually(t, "it was given up", func() bool { return f.Gateway.Traffic()["r41"].InFlight == 0 })
		})
	}
}

// A stream that has nothing to say for longer than a client may stall is none
// that stalls.
func TestSilentStreamIsKept(t *testing.T) {
	const stall = 500 * time.Millisecond
	f := start(t, gatewaytest.Config{Options: edge.Options{WriteStall: stall}})
	f.Run("web@1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		for i := range 3 {
			fmt.Fprint(w, i)
			control.Flush()
			select {
			case <-time.After(stall + stall/2):
			case <-r.Context().Done():
				return
			}
		}
	}))
	resp, err := overHTTP2(t).Get(f.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "012" {
		t.Errorf("%q, %v", b, err)
	}
}

// Uploads that a service does not read must leave room for others on their
// connection.
func TestUnreadUploadsHoldUpNoOthers(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	const unread = 6
	begun, end := make(chan struct{}, unread), make(chan struct{})
	f.Run("web@1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/unread" {
			begun <- struct{}{}
			<-end
			return
		}
		b, _ := io.ReadAll(r.Body)
		w.Write(b)
	}))
	defer close(end)
	client := overHTTP2(t)
	for range unread {
		go func() {
			patient := &http.Client{Transport: client.Transport}
			resp, err := patient.Post(f.URL+"/unread", "text/plain", bytes.NewReader(make([]byte, 8<<20)))
			if err == nil {
				resp.Body.Close()
			}
		}()
		<-begun
	}
	for range 20 {
		resp, err := client.Post(f.URL, "text/plain", bytes.NewReader(make([]byte, 100_000)))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || len(b) != 100_000 {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
	}
}

// overHTTP2 returns a client with one cleartext connection.
func overHTTP2(t *testing.T) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 2 * time.Minute}
}
