package local

import (
	"bufio"
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
		pause = pause*9/10 + rand.N(pause/5+1)
		if !starting {
			pause = inStep(time.Since(p.began), pause)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// step is what the moments of checks are multiples of, so that those of many
// instances come together: waking up costs more than a check. With fifty services
// that halves what an idle greenroom takes of the processor (TestIdleCost).
const step = 200 * time.Millisecond

// inStep returns the pause that ends at the multiple of step next to where this
// one ends, counted from the same beginning as now. A short one is kept.
func inStep(now, pause time.Duration) time.Duration {
	if pause < 5*step {
		return pause
	}
	return (now + pause).Round(step) - now
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

// exchange sends a request over a connection of its own and reads the answer,
// whose body is none of anybody's business. It does so on the caller's goroutine:
// an http.Transport starts three for each connection, and checks are most of what
// greenroom does while nothing happens.
func exchange(ctx context.Context, req *http.Request, addr string) (*http.Response, error) {
	d := net.Dialer{KeepAlive: -1} // it does not live so long
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	r := bufio.NewReader(io.LimitReader(conn, 1<<20))
	for {
		res, err := http.ReadResponse(r, req)
		switch {
		case err != nil:
			return nil, err
		case res.StatusCode >= 200 || res.StatusCode == http.StatusSwitchingProtocols:
			_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
			return res, nil
		}
	}
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
	req.Close = true
	res, err := exchange(ctx, req, addr) // follows no redirect: 3xx is an answer
	if err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	if res.StatusCode < 200 || res.StatusCode > 399 {
		return fmt.Errorf("GET %s answered %s", path, res.Status)
	}
	return nil
}
