package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// firstCheck is the pause between the first checks of a starting instance. It
// grows with the time waited, so that waiting costs at most a tenth more.
const firstCheck = 50 * time.Millisecond

// watchEndpoint checks an endpoint from now on. Callers hold mu.
func (p *Platform) watchEndpoint(v *version, i *instance) {
	ctx, cancel := context.WithCancel(p.ctx)
	i.quit = cancel
	i.active = true
	i.done = make(chan struct{})
	i.state = Starting
	i.startedAt = time.Now()
	p.work.Go(func() {
		defer close(i.done)
		p.checkHealth(ctx, v, i)
	})
}

// checkHealth checks the instance until ctx ends.
func (p *Platform) checkHealth(ctx context.Context, v *version, i *instance) {
	began := time.Now()
	looked := began
	for {
		p.mu.Lock()
		h, addr, run := v.spec.Service.Health, i.addr, v.spec.Version.Run
		p.mu.Unlock()
		if run != nil {
			p.checkInPlace(v, run)
		}
		err := probe(ctx, h, addr)
		if ctx.Err() != nil {
			return
		}
		starting := p.noteHealth(v, i, err)
		pause := h.Interval
		if starting {
			pause = min(pause, max(firstCheck, time.Since(began)/10))
		}
		if starting && errors.Is(err, syscall.ECONNREFUSED) && time.Since(looked) > time.Second {
			looked = time.Now()
			p.lookElsewhere(i)
		}
		timer := time.NewTimer(pause*9/10 + rand.N(pause/5+1))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// noteHealth takes in the outcome of a check and reports whether the instance
// is still starting.
func (p *Platform) noteHealth(v *version, i *instance, err error) (starting bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, text := i.state, i.health
	i.health = ""
	if err != nil {
		i.health = err.Error()
	}
	switch {
	case i.state == Stopping || i.state == Exited:
	case err == nil:
		i.checks = 0
		i.elsewhere = ""
		if i.state != Ready {
			i.state = Ready
			i.readySince = time.Now()
			i.moves = 0
		}
		p.noteReady(v)
	default:
		i.checks++
		if i.state == Ready && i.checks >= v.spec.Service.Health.Failures {
			i.state = Unready
		}
	}
	if i.state != before || i.health != text {
		p.touch()
	}
	return i.state == Starting
}

// lookElsewhere warns where the instance listens on another port than its own.
func (p *Platform) lookElsewhere(i *instance) {
	p.mu.Lock()
	session, port := i.session(), i.port
	p.mu.Unlock()
	elsewhere := misplaced(session, port)
	p.mu.Lock()
	defer p.mu.Unlock()
	if i.elsewhere != elsewhere {
		i.elsewhere = elsewhere
		p.touch()
	}
}

// probe checks addr once, over a connection of its own. The error says what was
// wrong.
func probe(ctx context.Context, h fleet.Health, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	var err error
	switch h.Kind {
	case fleet.HealthHTTP:
		err = probeHTTP(ctx, h, addr)
	case fleet.HealthGRPC:
		err = probeGRPC(ctx, h, addr)
	case fleet.HealthTCP:
		err = probeTCP(ctx, addr)
	default:
		err = fmt.Errorf("unknown kind of health check %q", h.Kind)
	}
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%s gave no answer within %v", addr, h.Timeout)
	}
	return err
}

func probeTCP(ctx context.Context, addr string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

func probeHTTP(ctx context.Context, h fleet.Health, addr string) error {
	path := h.Path
	if path == "" {
		path = "/"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return fmt.Errorf("health path %q: %w", h.Path, err)
	}
	req.Header.Set("User-Agent", "greenroom-health")
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := transport.RoundTrip(req) // follows no redirect: 3xx is an answer
	if err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	if res.StatusCode < 200 || res.StatusCode > 399 {
		return fmt.Errorf("GET %s answered %s", path, res.Status)
	}
	return nil
}
