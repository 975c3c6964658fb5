package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway/edge"
)

// failing is a listener that takes one connection and then breaks.
type failing struct {
	net.Listener
	err error
}

func (f failing) Accept() (net.Conn, error) {
	c, err := f.Listener.Accept()
	if err == nil {
		_ = c.Close()
	}
	return nil, f.err
}

// TestBrokenListener ends greenroom with a failure, and leaves the services.
func TestBrokenListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the socket is gone")
	state, err := os.MkdirTemp("", "gr") // sockets bear no long paths
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(state)
	a, err := New(Options{
		State: state, Fleet: &fleet.Fleet{Name: "live", StampHeader: "X-Greenroom-Release"},
		Shim: []string{"/no/service/is/started"}, Version: "test", Who: "tester", Log: slog.New(slog.DiscardHandler),
		Listeners: edge.Listeners{Cleartext: failing{l, broken}}, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := a.Start(ctx); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	select {
	case in := <-a.Asked():
		if !in.LeaveServices || in.Reason == "" {
			t.Errorf("it asks for %+v", in)
		}
	case <-ctx.Done():
		t.Fatal("greenroom goes on without its edge")
	}
	if err := a.Stop(ctx, true); !errors.Is(err, broken) {
		t.Errorf("it ended with %v", err)
	}
}
