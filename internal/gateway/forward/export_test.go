package forward

import (
	"context"
	"net"
	"testing"
)

// What the tests of package forward_test see besides.
const (
	CloseReason    = closeReason
	CloseGoingAway = closeGoingAway
)

// CloseFrame is what a WebSocket is told at its end.
var CloseFrame = closeFrame

// Dial changes what a Forwarder's connections to a pool's first instance are
// made of.
func Dial(p *Pool, of func(net.Conn) net.Conn) {
	i := (*p.current.Load())[0]
	i.transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := i.dialer.dial(ctx, network, addr)
		if err == nil {
			ours := c.(*conn)
			ours.Conn = of(ours.Conn)
		}
		return c, err
	}
}

// TestLeastLoadedOfTwo prefers the instance that has less to do.
func TestLeastLoadedOfTwo(t *testing.T) {
	all := []*instance{newInstance(Instance{ID: "a"}, HTTP), newInstance(Instance{ID: "b"}, HTTP)}
	all[0].load.Store(1)
	for range 20 {
		if i := pick(all, nil); i != all[1] {
			t.Fatal("the busier one was picked")
		}
	}
	if i := pick(all, all[1:]); i != all[0] {
		t.Error("the one that was tried already was picked")
	}
	if i := pick(all, all); i != nil {
		t.Error("there is none left")
	}
}

// TestRetiredInstanceIsNotAcquired: between a look at the set and the count on
// one of it, that one may have been removed.
func TestRetiredInstanceIsNotAcquired(t *testing.T) {
	gone, stays := newInstance(Instance{ID: "a"}, HTTP), newInstance(Instance{ID: "b"}, HTTP)
	p := NewPool("web", "1", HTTP)
	p.current.Store(&[]*instance{gone, stays})
	gone.retire()
	for range 20 {
		i := p.acquire(nil)
		if i != stays {
			t.Fatalf("acquired %s", i.ID)
		}
		i.release() // or the one that is gone were the less loaded one for good
	}
	if n := gone.load.Load(); n != 0 {
		t.Errorf("%d requests are counted on the one that is gone", n)
	}
}
