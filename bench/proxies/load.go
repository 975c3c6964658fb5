package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	stampHeader = "X-Greenroom-Release"

	websocketKey    = "Z3JlZW5yb29tIGJlbmNoIQ=="
	websocketAccept = "EJqB2mUFRwJiIWiHWM+sJoHDnE8="

	// warmUp is how long the load runs before it counts.
	warmUp = 500 * time.Millisecond
	// maxSamples bounds the latencies that one client keeps.
	maxSamples = 1 << 20
)

// A load is what one run asks of a proxy.
type load struct {
	Address     string
	Kind        kind
	Method      string // GET if empty
	Path        string
	Body        int               // bytes of the request's body
	Header      map[string]string // besides Host
	Connections int
	Seconds     float64
	Rate        float64 // requests a second of all connections; 0: each as soon as its last is answered
}

// A kind is how requests are made.
type kind string

const (
	http1     kind = "http1"     // keep-alive
	churn     kind = "churn"     // a connection for each request
	http2     kind = "http2"     // cleartext
	grpc      kind = "grpc"      // unary calls over http2
	websocket kind = "websocket" // a message and its echo
	idle      kind = "idle"      // connections that have made one request
)

// An outcome is what came of a load. Latencies are in microseconds, from when a
// request was due to the last byte of its answer.
type outcome struct {
	Requests, Failed     int
	Seconds              float64
	P50, P99, P999, Most float64
	FirstError           string
}

// An exchanger makes requests on a connection of its own.
type exchanger interface {
	exchange() error
	close()
}

// runLoad plays the load that is in its input, and prints a line when counting
// begins and the outcome as the last.
func runLoad(in io.Reader, out io.Writer) error {
	var l load
	if err := json.NewDecoder(in).Decode(&l); err != nil {
		return err
	}
	clients, err := l.connect()
	defer func() {
		for _, c := range clients {
			c.close()
		}
	}()
	if err != nil {
		return err
	}
	if l.Kind == idle {
		return l.idle(clients, out)
	}
	o := l.play(clients, func() { _, _ = fmt.Fprintln(out, "counting") })
	return json.NewEncoder(out).Encode(o)
}

func (l load) connect() ([]exchanger, error) {
	var clients []exchanger
	for range l.Connections {
		c, err := l.client()
		if err != nil {
			return clients, err
		}
		clients = append(clients, c)
	}
	return clients, nil
}

// idle makes one request on each connection and keeps them until its input ends.
func (l load) idle(clients []exchanger, out io.Writer) error {
	for _, c := range clients {
		if err := c.exchange(); err != nil {
			return err
		}
	}
	_, _ = fmt.Fprintln(out, "counting")
	time.Sleep(time.Duration(l.Seconds * float64(time.Second)))
	return json.NewEncoder(out).Encode(outcome{Requests: len(clients), Seconds: l.Seconds})
}

// samples are what one client saw.
type samples struct {
	latencies []float32
	requests  int
	failed    int
	err       error
}

func (l load) play(clients []exchanger, counting func()) outcome {
	var count atomic.Bool
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	seen := make([]samples, len(clients))
	var under sync.WaitGroup
	began := time.Now()
	for i, c := range clients {
		under.Go(func() { seen[i] = l.ask(ctx, c, i, began, &count) })
	}
	time.Sleep(warmUp)
	counting()
	count.Store(true)
	from := time.Now()
	time.Sleep(time.Duration(l.Seconds * float64(time.Second)))
	count.Store(false)
	took := time.Since(from)
	stop()
	under.Wait()
	return total(seen, took)
}

// ask makes requests until ctx is done. At a given rate each connection has its
// share of the instants at which requests are due, and is never excused for
// being late.
func (l load) ask(ctx context.Context, c exchanger, nth int, began time.Time, count *atomic.Bool) samples {
	var s samples
	every := time.Duration(0)
	due := began
	if l.Rate > 0 {
		every = time.Duration(float64(l.Connections) / l.Rate * float64(time.Second))
		due = began.Add(every * time.Duration(nth) / time.Duration(l.Connections))
	}
	for ctx.Err() == nil {
		if every > 0 {
			if wait := time.Until(due); wait > 0 {
				time.Sleep(wait)
			}
		} else {
			due = time.Now()
		}
		err := c.exchange()
		if count.Load() {
			s.requests++
			if len(s.latencies) < maxSamples {
				s.latencies = append(s.latencies, float32(time.Since(due).Nanoseconds())/1000)
			}
			if err != nil {
				s.failed++
				s.err = cmp.Or(s.err, err)
			}
		}
		if err != nil && ctx.Err() == nil {
			c.close()
			fresh, err := l.client()
			if err != nil {
				s.err = errors.Join(s.err, err)
				return s
			}
			c = fresh
		}
		due = due.Add(every)
	}
	return s
}

func total(seen []samples, took time.Duration) outcome {
	o := outcome{Seconds: took.Seconds()}
	var all []float32
	for _, s := range seen {
		o.Requests += s.requests
		o.Failed += s.failed
		all = append(all, s.latencies...)
		if s.err != nil && o.FirstError == "" {
			o.FirstError = s.err.Error()
		}
	}
	if len(all) == 0 {
		return o
	}
	slices.Sort(all)
	at := func(q float64) float64 { return float64(all[int(q*float64(len(all)-1))]) }
	o.P50, o.P99, o.P999, o.Most = at(0.5), at(0.99), at(0.999), at(1)
	return o
}

// playOn runs a load in a process of its own on the other core, and reads the
// proxy's processor time over exactly what is counted.
func (l load) playOn(self, dir string, p *process) (measured, error) {
	var m measured
	cmd, in, lines, err := loadProcess(self, dir)
	if err != nil {
		return m, err
	}
	defer func() { _ = cmd.Process.Kill() }()
	if err := json.NewEncoder(in).Encode(l); err != nil {
		return m, err
	}
	if !lines.Scan() {
		_ = cmd.Wait()
		return m, fmt.Errorf("the load could not begin; see %s", loadLog(dir))
	}
	before, err := p.cpu()
	if err != nil {
		return m, err
	}
	if l.Kind == idle {
		time.Sleep(warmUp)
	}
	if !lines.Scan() {
		_ = cmd.Wait()
		return m, fmt.Errorf("the load did not end; see %s", loadLog(dir))
	}
	after, err1 := p.cpu()
	m.Memory, err = p.memory()
	if err := errors.Join(err1, err, json.Unmarshal(lines.Bytes(), &m.outcome)); err != nil {
		return m, err
	}
	_ = in.Close()
	_ = cmd.Wait()
	if m.Requests > 0 {
		m.CPU = float64((after - before).Microseconds()) / float64(m.Requests)
	}
	return m, nil
}

// measured is an outcome with what it took of the proxy.
type measured struct {
	outcome
	CPU    float64 // microseconds of processor time a request
	Memory int     // bytes resident at the end, the connections still open
}

func loadLog(dir string) string { return dir + "/load.log" }
