package boot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
)

// grace is how long requests under way may take once the process was told to
// stop. greenroom sends nobody new by then, and its own deadline is the drain of
// the Fleet.
const grace = 10 * time.Second

// ServeHTTP serves h, and /healthz beside it, at HOST:PORT until ctx ends; then
// it takes no more, lets requests under way finish, and returns nil. base, which
// may be nil, wraps the context of all work; that ends when the time for
// finishing is over.
func (p Process) ServeHTTP(ctx context.Context, h http.Handler, base func(context.Context) func(net.Listener) context.Context) error {
	l, err := p.listen(ctx)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s %s is well\n", p.Service, p.Version)
	})
	mux.Handle("/", h)
	// No IdleTimeout: it would hang up on greenroom's pooled connections, at
	// times at the very moment at which the next request is sent over one.
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	work, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	if base != nil {
		srv.BaseContext = base(work)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving %s: %w", p.Service, err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		end()
		return errors.Join(fmt.Errorf("%s stopped with requests under way: %w", p.Service, err), srv.Close())
	}
	return nil
}

// ServeGRPC is ServeHTTP for a gRPC server.
func (p Process) ServeGRPC(ctx context.Context, srv *grpc.Server) error {
	l, err := p.listen(ctx)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving %s: %w", p.Service, err)
	case <-ctx.Done():
	}
	late := time.AfterFunc(grace, srv.Stop)
	srv.GracefulStop()
	if !late.Stop() {
		return fmt.Errorf("%s stopped with requests under way after %s", p.Service, grace)
	}
	return nil
}

// listen announces the address it got, since PORT may be 0.
func (p Process) listen(ctx context.Context) (net.Listener, error) {
	host, port := p.Getenv("HOST"), p.Getenv("PORT")
	if host == "" {
		host = "127.0.0.1"
	}
	if port == "" {
		return nil, fmt.Errorf("%s needs PORT, the port to listen on; greenroom sets it", p.Service)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.Service, err)
	}
	p.Log.Info("listening", "service", p.Service, "version", p.Version, "address", l.Addr().String())
	return l, nil
}
