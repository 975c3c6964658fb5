// Package load puts a fleet of package live under load, through its edge, and
// detects requests that met two releases.
//
// It owns the mix of requests, what counts as failed and as mixed, and the
// latencies of a run. It never retries, so that what failed is seen, and it is
// lean enough to share two cores with the fleet. It imports of greenroom only
// the demo fleet's contract. Start at Run.
package load

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/greenroom-dev/greenroom/examples/live/internal/trail"
	"github.com/greenroom-dev/greenroom/examples/live/wallet/walletpb"
)

// Options says what load to make. EdgeURL is needed, all else has a default.
type Options struct {
	EdgeURL string // http://host:port of the edge, cleartext HTTP/1.1
	GRPC    string // host:port of the edge for h2c; the same by default
	Pass    string // token sent as Greenroom-Pass; "" for ordinary traffic

	Workers     int           // requests under way at once; default 8
	Rate        float64       // requests per second of all workers, evenly; 0: each worker goes on at once
	MaxRequests int64         // stop after so many; 0: when ctx ends
	Timeout     time.Duration // of one request; default 30 s
	Mix         Mix           // default DefaultMix()
	Seed        uint64        // of the choice among the mix

	// Observe, if not nil, is called for every answer, from many goroutines.
	Observe func(Sample)
}

// Sample is one request and its answer.
type Sample struct {
	Kind       Kind
	Start, End time.Time
	Path       string // as in X-Live-Path; "" when nothing answered
	Mixed      bool
	Err        error // why the request counts as failed
}

// Run makes load until MaxRequests were sent or ctx ends, lets what is under way
// finish, and reports. The error says that the load could not be made at all;
// failed requests are in the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	o, edge, err := o.complete()
	if err != nil {
		return nil, err
	}
	// One connection for all gRPC calls of the run: the edge must route each call
	// by itself. gRPC retries nothing here but what was never sent.
	conn, err := grpc.NewClient("passthrough:///"+o.GRPC,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())
	if err != nil {
		return nil, fmt.Errorf("making load: %w", err)
	}
	defer conn.Close()

	g := &generator{
		options: o, edge: edge, wallet: walletpb.NewWalletClient(conn),
		// A connection used once is never one on which net/http sends again.
		sockets: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: -1}},
		small:   makeBody(256), large: makeBody(trail.MaxBody),
		begun: time.Now(), run: rand.Uint32(),
	}
	workers := make([]*worker, o.Workers)
	var all sync.WaitGroup
	for i := range workers {
		workers[i] = g.worker(i)
		all.Go(func() { workers[i].work(ctx) })
	}
	all.Wait()
	report := newReport(g.begun)
	for _, w := range workers {
		report.add(w.report)
		w.http.close()
	}
	report.Duration = time.Since(g.begun)
	return report, nil
}

func (o Options) complete() (Options, *url.URL, error) {
	edge, err := url.Parse(o.EdgeURL)
	if err != nil || edge.Scheme != "http" || edge.Host == "" {
		return o, nil, fmt.Errorf("making load: EdgeURL is %q, want http://host:port", o.EdgeURL)
	}
	if o.GRPC == "" {
		o.GRPC = edge.Host
	}
	if o.Workers <= 0 {
		o.Workers = 8
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Mix == (Mix{}) {
		o.Mix = DefaultMix()
	}
	if o.Mix.total() <= 0 {
		return o, nil, errors.New("making load: the mix has no requests in it")
	}
	return o, edge, nil
}

// body is something to send and how to recognise it.
type body struct {
	bytes  []byte
	header string // of Content-Digest
	digest string // hex, as the wallet answers it
}

func makeBody(size int) body {
	b := []byte(strings.Repeat("lantern ", size/8))
	sum := sha256.Sum256(b)
	return body{b, "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":", hex.EncodeToString(sum[:])}
}

type generator struct {
	options      Options
	edge         *url.URL
	wallet       walletpb.WalletClient
	sockets      *http.Client // dials anew for each WebSocket
	small, large body
	begun        time.Time
	run          uint32 // makes the ids of gifts differ from those of other runs
	sent         atomic.Int64
}

// worker makes one request after the other.
type worker struct {
	*generator
	id     int
	http   *client
	random *rand.Rand
	report *Report
}

func (g *generator) worker(id int) *worker {
	return &worker{
		generator: g, id: id,
		http:   &client{host: g.edge.Host, pass: g.options.Pass, timeout: g.options.Timeout},
		random: rand.New(rand.NewPCG(g.options.Seed, uint64(id))),
		report: newReport(g.begun),
	}
}

func (w *worker) work(ctx context.Context) {
	var pace time.Duration
	if w.options.Rate > 0 {
		pace = time.Duration(float64(w.options.Workers) / w.options.Rate * float64(time.Second))
	}
	next := time.Now().Add(pace * time.Duration(w.id) / time.Duration(w.options.Workers))
	for {
		if pace > 0 {
			until(ctx, next)
			next = next.Add(pace)
		}
		if ctx.Err() != nil {
			return
		}
		if n := w.sent.Add(1); w.options.MaxRequests > 0 && n > w.options.MaxRequests {
			return
		}
		kind := w.options.Mix.pick(w.random)
		s := Sample{Kind: kind, Start: time.Now()}
		path, err := w.send(context.WithoutCancel(ctx), kind)
		s.End, s.Path, s.Err = time.Now(), path.String(), err
		s.Mixed = path.Mixed() || errors.Is(err, errMixed)
		w.report.record(s)
		if w.options.Observe != nil {
			w.options.Observe(s)
		}
	}
}

func until(ctx context.Context, t time.Time) {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
