package gateway_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
	"github.com/greenroom-dev/greenroom/internal/metrics"
)

// TestNoLockOnTheRequestPath looks at the mutex and the block profile of many
// requests at once over the fast path: nobody waits for anybody there.
func TestNoLockOnTheRequestPath(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{
		Edge: fleet.Edge{
			HTTP1: fleet.HTTP1Fast, SessionPinning: time.Minute,
			AccessLog: fleet.AccessLog{Format: "json", Errors: "all", Sample: 0.01},
		},
		Metrics: metrics.New("test"), AccessLog: io.Discard,
	})
	f.Run("web@1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }))
	f.View("r1", "web@1")
	f.Passes["r1"] = gateway.PassRule{UID: "r1", Access: gateway.Preview, Stamp: "r1"}
	f.Publish("r1")

	const clients, each = 64, 100
	var conns []net.Conn
	for range clients {
		c, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	rounds(t, conns, 3) // connections to the service are made, and buffers
	runtime.SetBlockProfileRate(1)
	runtime.SetMutexProfileFraction(1)
	rounds(t, conns, each)
	runtime.SetBlockProfileRate(0)
	runtime.SetMutexProfileFraction(0)
	for name, profile := range map[string]func([]runtime.BlockProfileRecord) (int, bool){"mutex": runtime.MutexProfile, "block": runtime.BlockProfile} {
		waits := onRequestPath(profile)
		t.Logf("%s profile of %d requests over %d connections: %d places on the request path", name, clients*each, clients, len(waits))
		for _, w := range waits {
			t.Errorf("%s: somebody waited at\n%s", name, w)
		}
	}
}

// rounds sends n requests over each connection at once.
func rounds(t *testing.T, conns []net.Conn, n int) {
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(func() {
			r := bufio.NewReader(c)
			for range n {
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
			}
		})
	}
	wg.Wait()
}

// onRequestPath returns the stacks of a profile that lead through a request of
// the fast path. Locks of the runtime's own are left out, sync.Pool's, which it
// takes when a collection has emptied it, and the end of a slow request's own
// look at its client.
func onRequestPath(profile func([]runtime.BlockProfileRecord) (int, bool)) (stacks []string) {
	records := make([]runtime.BlockProfileRecord, 1000)
	n, ok := profile(records)
	if !ok {
		return []string{"more than can be read"}
	}
	for _, record := range records[:n] {
		var names []string
		frames := runtime.CallersFrames(record.Stack())
		for more := true; more; {
			var f runtime.Frame
			f, more = frames.Next()
			names = append(names, f.Function)
		}
		of := func(part string) bool {
			return slices.ContainsFunc(names, func(s string) bool { return strings.Contains(s, part) })
		}
		own := strings.HasPrefix(names[0], "runtime.unlock") || names[0] == "runtime._LostContendedRuntimeLock" || of("sync.(*Pool)") || of("(*conn).endWatch")
		if of("fast.(*conn).request") && !own {
			stacks = append(stacks, strings.Join(names, "\n"))
		}
	}
	return stacks
}
