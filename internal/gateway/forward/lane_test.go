package forward_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
)

// TestSpentLaneIsNotKept: a Lane that does not take what it is sent may still
// have an answer to be read, and then it is over.
func TestSpentLaneIsNotKept(t *testing.T) {
	closed := make(chan struct{}, 4)
	pool := newPool(t, forward.HTTP, startRaw(t, func(c *net.TCPConn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err == nil {
			c.Close()
		}
		closed <- struct{}{}
	}))
	const request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	for name, write := range map[string]func(l *forward.Lane) error{
		"write": func(l *forward.Lane) error {
			_, err := l.Write([]byte(request))
			return err
		},
		"ask": func(l *forward.Lane) error {
			l.Used = false // or it is looked at before
			_, _, err := l.Ask([]byte(request), make([]byte, 100))
			if err == io.EOF { // it was written, and not taken
				return nil
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			turn, _ := pool.Turn(nil)
			defer turn.Release()
			lane, err := turn.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			turn.Put(lane, time.Now())
			if lane = turn.Take(time.Now()); lane == nil {
				t.Fatal("a Lane in good order is not kept")
			}
			_ = lane.SetReadDeadline(time.Now().Add(patience))
			if err := write(lane); err != nil {
				t.Fatal(err)
			}
			receive(t, closed)
			eventually(t, "writing fails", func() bool { return write(lane) != nil })
			turn.Put(lane, time.Now())
			if turn.Take(time.Now()) != nil {
				t.Error("it is kept")
			}
		})
	}
}

// TestLaneOfARetiredInstance: what is kept, and what is given back later, is
// closed at once, while others are under way on that instance still.
func TestLaneOfARetiredInstance(t *testing.T) {
	ended := make(chan struct{}, 2)
	pool := newPool(t, forward.HTTP, startRaw(t, func(_ *net.TCPConn, r *bufio.Reader) {
		io.Copy(io.Discard, r)
		ended <- struct{}{}
	}))
	turn, _ := pool.Turn(nil)
	other, _ := pool.Turn(nil)
	defer other.Release()
	var lanes []*forward.Lane
	for range 2 {
		lane, err := turn.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		lanes = append(lanes, lane)
	}
	turn.Put(lanes[0], time.Now())
	pool.Set(nil)
	receive(t, ended)
	turn.Put(lanes[1], time.Now())
	receive(t, ended)
	if _, ok := pool.Turn(nil); ok {
		t.Error("a removed instance is given out")
	}
	turn.Release()
}
