package gateway_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
)

// While the default goes back and forth, every request is answered, and by one
// view alone; and none that began after a switch returned is answered by what
// served before.
func TestSwitchingUnderLoad(t *testing.T) {
	f := twoHops(t, gatewaytest.Config{}, byHeader)
	const clients, switches = 8, 1000
	var stop atomic.Bool
	var done atomic.Int64
	var wg sync.WaitGroup
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for range clients {
		wg.Go(func() {
			for !stop.Load() {
				resp, err := client.Get(f.URL)
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if body := string(b); err != nil || !strings.HasPrefix(body, "web@1 api@1[r41|") && !strings.HasPrefix(body, "web@2 api@2[r42|") {
					t.Errorf("%d %q %v", resp.StatusCode, body, err)
					return
				}
				done.Add(1)
			}
		})
	}
	s := f.Gateway.Current()
	for i := 0; i < switches || done.Load() < 100 && !t.Failed(); i++ {
		stamp, want := "r42", "web@2"
		if i%2 == 1 {
			stamp, want = "r41", "web@1"
		}
		next, err := s.With(gateway.Switch{Default: stamp, Passes: f.Passes})
		if err != nil {
			t.Fatal(err)
		}
		f.Gateway.Publish(next)
		s = next
		if i%10 == 0 {
			if _, body := get(t, f.URL); !strings.HasPrefix(body, want) {
				t.Errorf("after the switch to %s: %s", stamp, body)
			}
		}
	}
	stop.Store(true)
	wg.Wait()
	eventually(t, "nothing is under way", func() bool { // an answer is there before its request is over
		for _, traffic := range f.Gateway.Traffic() {
			if traffic.InFlight != 0 {
				return false
			}
		}
		return true
	})
	if d := f.Gateway.Drops(); len(d) != 0 {
		t.Errorf("drops: %+v", d)
	}
}

func TestWithRefusesAnUnknownDefault(t *testing.T) {
	f := twoHops(t, gatewaytest.Config{}, byHeader)
	if _, err := f.Gateway.Current().With(gateway.Switch{Default: "r9"}); err == nil || !strings.Contains(err.Error(), "r9") {
		t.Error(err)
	}
	if got := f.Gateway.Current().Default(); got != "r41" {
		t.Errorf("the default is %s", got)
	}
}

func TestEndViewEndsItsStreamsAlone(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{})
	stream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: begun\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	f.Run("web@1", stream)
	f.Run("web@2", stream)
	f.View("r41", "web@1")
	f.View("r42", "web@2")
	f.Publish("r41")
	open := func() *bufio.Scanner {
		resp, err := http.Get(f.URL)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		lines := bufio.NewScanner(resp.Body)
		if !lines.Scan() || lines.Text() != "data: begun" {
			t.Fatalf("%q %v", lines.Text(), lines.Err())
		}
		return lines
	}
	old := open()
	f.Publish("r42")
	open()
	f.Gateway.EndView("r41")
	f.Gateway.EndView("r41")
	var last []string
	for old.Scan() { // until it ends
		last = append(last, old.Text())
	}
	if old.Err() != nil || !strings.Contains(strings.Join(last, "\n"), "event: ") {
		t.Errorf("the stream was not told: %q, %v", last, old.Err())
	}
	eventually(t, "the stream is gone", func() bool { return f.Gateway.Traffic()["r41"].InFlight == 0 })
	if n := f.Gateway.Traffic()["r42"].InFlight; n != 1 {
		t.Errorf("%d of the other view's streams are left", n)
	}
}

// A release that is opened again under its name has a view that is not ended.
func TestStampThatComesBack(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{})
	release := make(chan struct{})
	f.Run("web@1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(200)
		http.NewResponseController(w).Flush()
		<-release
		io.WriteString(w, "whole")
	}))
	defer close(release)
	f.View("r41", "web@1")
	f.View("r42", "web@1")
	f.Publish("r42")
	open := func() *http.Response {
		resp, err := http.Get(f.URL)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	under := func(n int64) func() bool {
		return func() bool { return f.Gateway.Traffic()["r42"].InFlight == n }
	}
	open()
	f.DropView("r42")
	f.Publish("r41")
	f.View("r42", "web@1")
	f.Publish("r42") // back, while a stream of the former is under way
	open()
	eventually(t, "both count", under(2))
	f.DropView("r42")
	f.Publish("r41")
	f.Gateway.EndView("r42")
	eventually(t, "the second ended, the first cannot be told any more", under(1))
	f.Gateway.EndView("r43") // of which nothing was ever seen
	f.View("r42", "web@1")
	f.View("r43", "web@1")
	f.Publish("r42")
	third := open()
	f.Publish("r43")
	fourth := open()
	eventually(t, "the third is not ended", under(2))
	for range 4 {
		release <- struct{}{}
	}
	for _, resp := range []*http.Response{third, fourth} {
		if b, err := io.ReadAll(resp.Body); string(b) != "whole" {
			t.Errorf("%q, %v", b, err)
		}
	}
}
