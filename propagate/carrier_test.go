package propagate_test

import (
	"context"
	"maps"
	"net/http"
	"testing"

	"github.com/greenroom-dev/greenroom/propagate"
)

func TestMessages(t *testing.T) {
	ctx := propagate.Extract(context.Background(), propagate.HeaderCarrier(http.Header{
		"X-Greenroom-Release": {"r42"}, "Baggage": {"a=1", "b=2"},
	}))
	for _, c := range []struct {
		name      string
		ctx       context.Context
		msg, want propagate.MapCarrier
		stamp     string
	}{
		{"stamped", ctx, propagate.MapCarrier{"id": "1"},
			propagate.MapCarrier{"id": "1", "X-Greenroom-Release": "r42", "baggage": "greenroom.release=r42,a=1,b=2"}, "r42"},
		{"baggage already written", ctx, propagate.MapCarrier{"Baggage": "c=3"},
			propagate.MapCarrier{"X-Greenroom-Release": "r42", "baggage": "greenroom.release=r42,c=3"}, "r42"},
		{"sent on", ctx, propagate.MapCarrier{"x-greenroom-release": "r41", "baggage": "greenroom.release=r41"},
			propagate.MapCarrier{"X-Greenroom-Release": "r42", "baggage": "greenroom.release=r42"}, "r42"},
		{"unstamped", context.Background(), propagate.MapCarrier{"baggage": "c=3"},
			propagate.MapCarrier{"baggage": "c=3"}, ""},
		{"stamp by hand", propagate.WithStamp(context.Background(), "r7"), propagate.MapCarrier{},
			propagate.MapCarrier{"X-Greenroom-Release": "r7", "baggage": "greenroom.release=r7"}, "r7"},
		{"no stamp at all", propagate.WithStamp(context.Background(), "r 7"), propagate.MapCarrier{},
			propagate.MapCarrier{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			propagate.Inject(c.ctx, c.msg)
			if !maps.Equal(c.msg, c.want) {
				t.Errorf("message %v, want %v", c.msg, c.want)
			}
			if got := propagate.StampFrom(propagate.Extract(context.Background(), c.msg)); got != c.stamp {
				t.Errorf("extracted %q, want %q", got, c.stamp)
			}
		})
	}
}

// TestAPoisonedMessage has bytes that net/http would refuse in a header, with
// which every call of its consumer would fail.
func TestAPoisonedMessage(t *testing.T) {
	server := listen(t, nil)
	ctx := propagate.Extract(context.Background(), propagate.MapCarrier{"baggage": "a=x\r\ny,greenroom.release=r42,b=2"})
	get(t, propagate.Client(nil, fleetOf(server)), ctx, server.URL, nil)
	if got := (<-server.got).Get("Baggage"); got != "greenroom.release=r42,b=2" {
		t.Errorf("baggage %q", got)
	}
}

func TestRemove(t *testing.T) {
	msg := propagate.MapCarrier{"x-greenroom-release": "r42", "baggage": "a=1,greenroom.release=r42"}
	propagate.New().Remove(msg)
	if !maps.Equal(msg, propagate.MapCarrier{"baggage": "a=1"}) {
		t.Errorf("message %v", msg)
	}
}
