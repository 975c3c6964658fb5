package main

import (
	"context"
	"fmt"
	"os"
	"slices"
)

// A bench is one run of this program.
type bench struct {
	options
	dir, self string
	proxies   []proxy
	absent    []missing
	backends  []*process
	at        place
	record    record
	run       run
	save      func() error // keeps what there is so far
}

func (b *bench) end() {
	for _, p := range b.backends {
		p.stop()
	}
}

// measure asks every question of every proxy, round by round.
func (b *bench) measure() error {
	if err := b.serve(); err != nil {
		return err
	}
	for _, q := range questions() {
		if !chosen(b.cases, q.Name) {
			continue
		}
		a, err := b.ask(q)
		if err != nil {
			return err
		}
		if len(a.By) == 0 {
			continue
		}
		b.record.Answers[q.Name] = a
		if err := b.save(); err != nil {
			return err
		}
	}
	return b.greenroomAlone()
}

// serve starts the services that every proxy forwards to.
func (b *bench) serve() error {
	addresses, err := free(6)
	if err != nil {
		return err
	}
	b.at = place{Dir: b.dir, Listen: addresses[0], ListenHTTP2: addresses[1], Backend: addresses[2], BackendHTTP2: addresses[3], Hop: addresses[4]}
	backend, err := start(b.dir, "backend", otherCore, []string{"GOMAXPROCS=1"}, b.self, roleBackend, b.at.Backend, b.at.BackendHTTP2)
	if err != nil {
		return err
	}
	b.backends = append(b.backends, backend)
	hop, err := startApart(b.dir, "hop", otherCore, []string{"GOMAXPROCS=1"}, b.self, roleHop, b.at.Hop, "http://"+b.at.Listen+"/leaf")
	if err != nil {
		return err
	}
	b.backends = append(b.backends, hop)
	return backend.await(b.at.Backend, b.at.BackendHTTP2)
}

// ask puts one question to all proxies that can carry it, in turn, so that a
// machine that grows slower does so for all of them.
func (b *bench) ask(q question) (answers, error) {
	a := answers{Run: b.run, By: map[string][]measured{}}
	if q.Share > 0 {
		rate, ok := b.record.highest("HAProxy")
		if !ok {
			return a, fmt.Errorf("%q needs HAProxy's highest rate: ask %q before", q.Name, plain)
		}
		q.Load.Rate = q.Share * rate
		a.Rate = q.Load.Rate
	}
	for round := range b.rounds {
		for _, p := range b.proxies {
			if !p.can(q.Load.Kind) {
				continue
			}
			m, err := b.once(p, q.Load)
			if err != nil {
				return a, fmt.Errorf("%s, %s: %w", q.Name, p.Name, err)
			}
			fmt.Fprintf(os.Stderr, "%s, round %d, %s: %.1f us, %.0f/s, p99 %.0f us, %d failed %s\n", q.Name, round+1, p.Name, m.CPU, float64(m.Requests)/m.Seconds, m.P99, m.Failed, m.FirstError)
			a.By[p.Name] = append(a.By[p.Name], m)
		}
	}
	return a, nil
}

// once starts a proxy, plays a load through it, and ends it.
func (b *bench) once(p proxy, l load) (measured, error) {
	running, l, err := b.begin(p, l)
	if err != nil {
		return measured{}, err
	}
	defer running.stop()
	return l.playOn(b.self, b.dir, running)
}

// begin starts a proxy in a folder of its own.
func (b *bench) begin(p proxy, l load) (*process, load, error) {
	at := b.at
	dir, err := os.MkdirTemp(b.dir, "run")
	if err != nil {
		return nil, l, err
	}
	at.Dir = dir
	l.Address, l.Seconds = at.Listen, b.seconds
	running, err := p.start(at)
	if err != nil {
		return nil, l, err
	}
	await := []string{at.Listen}
	if p.greening == nil && p.can(grpc) {
		await = append(await, at.ListenHTTP2)
		if l.Kind == http2 || l.Kind == grpc {
			l.Address = at.ListenHTTP2
		}
	}
	if err := running.await(await...); err != nil {
		running.stop()
		return nil, l, err
	}
	return running, l, nil
}

// spreads are the least, the middle and the most of several rounds.
type spreads struct{ least, median, most float64 }

func spread(runs []measured, of func(measured) float64) spreads {
	var values []float64
	for _, m := range runs {
		values = append(values, of(m))
	}
	slices.Sort(values)
	return spreads{values[0], values[len(values)/2], values[len(values)-1]}
}

// String returns the median and the range around it.
func (s spreads) String() string {
	digits := 1
	if s.most >= 1000 {
		digits = 0
	}
	return fmt.Sprintf("%.*f (%.*f–%.*f)", digits, s.median, digits, s.least, digits, s.most)
}

// greenroomAlone measures what no peer has: the size of the table, switches
// under load, memory of connections, allocations, a second core.
func (b *bench) greenroomAlone() error {
	for _, p := range b.proxies {
		if p.greening == nil {
			continue
		}
		for _, one := range []struct {
			name string
			do   func(greenroom) (string, error)
		}{
			{"table", b.tables},
			{"switches", b.switches},
			{"memory", b.connections},
			{"allocations", b.allocated},
			{"cores", b.cores},
		} {
			if !chosen(b.cases, one.name) {
				continue
			}
			text, err := one.do(*p.greening)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", p.Name, one.name, err)
			}
			fmt.Fprintf(os.Stderr, "%s, %s: %s\n", p.Name, one.name, text)
			b.record.Alone[p.Name+", "+one.name] = alone{b.run, text}
			if err := b.save(); err != nil {
				return err
			}
		}
	}
	return nil
}

func small64() load { return load{Kind: http1, Path: "/", Connections: 64} }

// rounds plays one load through several ways to run greenroom, in turn.
func (b *bench) inTurn(l load, ways ...greenroom) ([][]measured, error) {
	all := make([][]measured, len(ways))
	for range b.rounds {
		for i, g := range ways {
			m, err := b.once(g.proxy("greenroom", ""), l)
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], m)
		}
	}
	return all, nil
}

func cpu(m measured) float64 { return m.CPU }
func p99(m measured) float64 { return m.P99 }

func (b *bench) tables(g greenroom) (string, error) {
	all, err := b.inTurn(small64(), g.sized(10, 1), g.sized(1000, 1), g.sized(1000, 20))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("processor time a request, microseconds: 10 services and 1 release %v; 1,000 and 1 %v; 1,000 and 20 %v", spread(all[0], cpu), spread(all[1], cpu), spread(all[2], cpu)), nil
}

// switches compares latencies at one rate with and without a switch a second.
func (b *bench) switches(g greenroom) (string, error) {
	l := small64()
	l.Rate = 5000
	var still, moving []measured
	made := 0
	for range b.rounds {
		m, err := b.once(g.proxy("greenroom", ""), l)
		if err != nil {
			return "", err
		}
		still = append(still, m)
		m, n, err := b.switched(g, l)
		if err != nil {
			return "", err
		}
		moving, made = append(moving, m), made+n
		if m.Failed > 0 {
			return "", fmt.Errorf("%d requests failed: %s", m.Failed, m.FirstError)
		}
	}
	return fmt.Sprintf("p99 at %.0f requests a second, microseconds: %v without, %v with a switch each second (%d switches, 0 failed)", l.Rate, spread(still, p99), spread(moving, p99), made), nil
}

func (b *bench) switched(g greenroom, l load) (measured, int, error) {
	var m measured
	running, l, err := b.begin(g.proxyOf(&g), l)
	if err != nil {
		return m, 0, err
	}
	defer running.stop()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		r.err = onCore(otherCore, func() (err error) { r.n, err = g.switching(ctx); return err })
		done <- r
	}()
	m, err = l.playOn(b.self, b.dir, running)
	stop()
	r := <-done
	if err == nil {
		err = r.err
	}
	return m, r.n, err
}

// connections measures memory beside that of a run with one connection.
func (b *bench) connections(g greenroom) (string, error) {
	const many = 1000
	each := func(k kind) (float64, error) {
		few, err := b.once(g.proxy("greenroom", ""), load{Kind: k, Path: "/", Connections: 1})
		if err != nil {
			return 0, err
		}
		all, err := b.once(g.proxy("greenroom", ""), load{Kind: k, Path: "/", Connections: many})
		return float64(all.Memory-few.Memory) / (many - 1) / 1024, err
	}
	quiet, err := each(idle)
	if err != nil {
		return "", err
	}
	busy, err := each(http1)
	return fmt.Sprintf("KiB a connection (client's and service's side together): %.1f idle, %.1f active", quiet, busy), err
}

// allocated reads greenroom's own count around a load.
func (b *bench) allocated(g greenroom) (string, error) {
	running, l, err := b.begin(g.proxyOf(&g), small64())
	if err != nil {
		return "", err
	}
	defer running.stop()
	if _, err := l.playOn(b.self, b.dir, running); err != nil { // pools fill
		return "", err
	}
	objects, size, err := g.allocations()
	if err != nil {
		return "", err
	}
	m, err := l.playOn(b.self, b.dir, running)
	if err != nil {
		return "", err
	}
	objects2, size2, err := g.allocations()
	// The count begins before the load's does.
	requests := float64(m.Requests) * (1 + warmUp.Seconds()/m.Seconds)
	return fmt.Sprintf("%.1f objects and %.0f bytes a request", (objects2-objects)/requests, (size2-size)/requests), err
}

// cores compares one and two processors for the gateway. With two it shares the
// second with the load.
func (b *bench) cores(g greenroom) (string, error) {
	all, err := b.inTurn(small64(), g, g.withProcs(2))
	if err != nil {
		return "", err
	}
	one, two := spread(all[0], cpu), spread(all[1], cpu)
	return fmt.Sprintf("processor time a request, microseconds: GOMAXPROCS 1 %v, 2 %v; ratio of medians %.2f", one, two, two.median/one.median), nil
}

// proxyOf is the proxy that leaves what it learns in g.
func (g greenroom) proxyOf(keep *greenroom) proxy {
	p := g.proxy("greenroom", "")
	p.start = func(at place) (*process, error) { return keep.start(at, "greenroom") }
	return p
}
