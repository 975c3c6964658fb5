package dashboard

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
)

// pace is how often what nothing tells of is looked at.
type pace struct {
	tick  time.Duration // health, counts, flow
	alive time.Duration // says that a silent stream is still there, and asks whose it is
	stall time.Duration // a browser that takes nothing for so long is given up
}

var usualPace = pace{tick: 2 * time.Second, alive: 15 * time.Second, stall: 30 * time.Second}

// moment is what there is to be seen, at one time.
type moment struct {
	status client.Status
	flow   client.Flow
	routed []string      // services that the edge leads to
	last   uint64        // number of the last event
	next   chan struct{} // closed when another one is there
	parts  sync.Map      // what was rendered of it already, by what it depends on
}

// hub looks at the fleet for all open pages at once, and only while there are
// any.
type hub struct {
	ctx  context.Context // ends with the server
	at   Look
	log  *slog.Logger
	tick time.Duration

	mu    sync.Mutex
	pages int
	now   *moment
	end   context.CancelFunc // of the looking

	routed   []string
	routedAt uint64 // revision
}

func newHub(ctx context.Context, at Look, log *slog.Logger, tick time.Duration) *hub {
	return &hub{ctx: ctx, at: at, log: log, tick: tick}
}

// look returns what there is to be seen now.
func (h *hub) look(ctx context.Context) (*moment, error) {
	m := &moment{next: make(chan struct{})}
	var err error
	if m.status, err = h.at.Status(ctx); err != nil {
		return nil, fmt.Errorf("look at the status: %w", err)
	}
	if m.flow, err = h.at.Flow(ctx, 1); err != nil {
		return nil, fmt.Errorf("look at the flow: %w", err)
	}
	if m.routed, err = h.routes(ctx, m.status.Revision); err != nil {
		return nil, err
	}
	events, err := h.at.Events(ctx, httpapi.EventQuery{Tail: true, Limit: 1})
	if err != nil {
		return nil, fmt.Errorf("look at the events: %w", err)
	}
	for _, e := range events {
		m.last = e.Seq
	}
	return m, nil
}

// routes are the services that the edge leads to, as of a revision of the state.
func (h *hub) routes(ctx context.Context, revision uint64) ([]string, error) {
	h.mu.Lock()
	known, at := h.routed, h.routedAt
	h.mu.Unlock()
	if at == revision && known != nil {
		return known, nil
	}
	fleet, err := h.at.Fleet(ctx)
	if err != nil {
		return nil, fmt.Errorf("look at the routes: %w", err)
	}
	out := []string{}
	for _, r := range fleet.Routes {
		if !slices.Contains(out, r.Service) {
			out = append(out, r.Service)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.routed, h.routedAt = out, revision
	return out, nil
}

// join begins to look for one more page, and returns what ends that.
func (h *hub) join() (*moment, func(), error) {
	m, err := h.look(h.ctx)
	if err != nil {
		return nil, nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pages == 0 {
		h.now = m
		var ctx context.Context
		ctx, h.end = context.WithCancel(h.ctx)
		go h.run(ctx)
	}
	h.pages++
	return h.now, h.leave, nil
}

func (h *hub) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pages--; h.pages == 0 {
		h.end()
		h.now = nil
	}
}

// after returns the moment after another one. It is called when that one's next
// is closed.
func (h *hub) after(m *moment) *moment {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now == nil {
		return m
	}
	return h.now
}

// run looks again whenever the state changes, and at every tick.
func (h *hub) run(ctx context.Context) {
	tick := time.NewTicker(h.tick)
	defer tick.Stop()
	for {
		changed := h.at.Changed()
		m, err := h.look(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			h.log.Warn("open pages are not told of what is new", "error", err)
		} else {
			h.publish(ctx, m)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
		}
	}
}

func (h *hub) publish(ctx context.Context, m *moment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil || h.now == nil || same(h.now, m) {
		return
	}
	old := h.now
	h.now = m
	close(old.next)
}

// same reports whether two moments show the same, but for their clocks.
func same(a, b *moment) bool {
	x, y := a.status, b.status
	x.Now, y.Now = time.Time{}, time.Time{}
	if a.last != b.last || !slices.Equal(a.routed, b.routed) || !reflect.DeepEqual(x, y) {
		return false
	}
	f, g := a.flow, b.flow
	f.At, g.At = time.Time{}, time.Time{}
	return reflect.DeepEqual(f, g)
}
