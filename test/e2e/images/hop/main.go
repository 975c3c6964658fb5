// Command hop serves package hop at port 8080 until it is told to stop. Who it
// is stands in its image, in /etc/hop/service and /etc/hop/version, so that
// every version is an image of its own; NEXT names the services that it calls,
// separated by commas, and PASSES how it passes the stamp on.
package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/greenroom-dev/greenroom/test/e2e/hop"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	name, err := os.ReadFile("/etc/hop/service")
	if err != nil {
		return err
	}
	version, err := os.ReadFile("/etc/hop/version")
	if err != nil {
		return err
	}
	s := hop.Service{Name: string(name), Version: string(version), Passing: hop.Passing(os.Getenv("PASSES"))}
	if next := os.Getenv("NEXT"); next != "" {
		s.Next = strings.Split(next, ",")
	}
	handler, err := s.Handler()
	if err != nil {
		return err
	}
	server := &http.Server{Addr: ":8080", Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() {
		<-ctx.Done()
		ended <- server.Shutdown(context.WithoutCancel(ctx)) // the pod's grace period bounds it
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-ended
}
