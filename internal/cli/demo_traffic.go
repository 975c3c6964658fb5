package cli

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/greenroom-dev/greenroom/examples/live/load"
)

// trafficRate is the requests a second of a tour's traffic: enough to see that
// none fails, and little enough to leave a laptop alone.
const trafficRate = 50

// demoTraffic is ordinary users in the background of a tour.
type demoTraffic struct {
	first, second, failed, mixed atomic.Int64

	cancel context.CancelFunc
	ended  chan error
}

func newDemoTraffic(ctx context.Context, edge string) *demoTraffic {
	ctx, cancel := context.WithCancel(ctx)
	t := &demoTraffic{cancel: cancel, ended: make(chan error, 1)}
	go func() {
		_, err := load.Run(ctx, load.Options{EdgeURL: edge, Rate: trafficRate, Workers: 4, Observe: t.see})
		t.ended <- err
	}()
	return t
}

// end stops the traffic and lets what is under way finish.
func (t *demoTraffic) end() error {
	t.cancel()
	return <-t.ended
}

func (t *demoTraffic) see(s load.Sample) {
	switch version := releasedVersion(s.Path); {
	case s.Mixed:
		t.mixed.Add(1)
	case s.Err != nil:
		t.failed.Add(1)
	case version == "v1":
		t.first.Add(1)
	case version == "v2":
		t.second.Add(1)
	}
}

// String is what the traffic came to so far.
func (t *demoTraffic) String() string {
	return fmt.Sprintf("v1 %d, v2 %d, failed %d, mixed %d", t.first.Load(), t.second.Load(), t.failed.Load(), t.mixed.Load())
}
