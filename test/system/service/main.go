// Command service is what the fleets of the whole-system tests consist of: an
// HTTP service that writes a line for every request, calls the next service on
// the path, and answers the versions that the request met. Its environment
// makes it misbehave in the ways that services do.
//
//	NAME, VERSION  what it answers with
//	NEXT           the service that it calls
//	DROP           does not pass the stamp on
//	LISTEN         listens there instead of on PORT
//	BROKEN         its health check answers 500
//	STUBBORN       ignores SIGTERM
//	ABRUPT         dies of SIGTERM at once, whatever it is working on
//	WORKER         works in the background while on stage, and writes it down there
//
// Its arguments mean nothing; the tests find its processes by them.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"github.com/greenroom-dev/greenroom/propagate"
)

type service struct {
	name, version string
	next          string // URL of the next service; empty: the path ends here
	client        *http.Client
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "service:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	switch {
	case os.Getenv("ABRUPT") != "":
		stop()
		ctx = context.Background()
	case os.Getenv("STUBBORN") != "":
		stop()
		signal.Ignore(syscall.SIGTERM)
		ctx = context.Background()
	}
	s := &service{name: os.Getenv("NAME"), version: os.Getenv("VERSION"), client: propagate.Client(nil)}
	if next := os.Getenv("NEXT"); next != "" {
		s.next = os.Getenv("GREENROOM_URL_" + strings.ToUpper(next))
		if s.next == "" {
			return fmt.Errorf("GREENROOM_URL_%s is not set", strings.ToUpper(next))
		}
	}
	handler := propagate.Middleware(s.routes())
	if os.Getenv("DROP") != "" {
		handler, s.client = s.routes(), http.DefaultClient
	}
	l, err := net.Listen("tcp", cmp.Or(os.Getenv("LISTEN"), "127.0.0.1:"+os.Getenv("PORT")))
	if err != nil {
		return err
	}
	worked := make(chan error, 1)
	go func() { worked <- s.work(ctx) }()
	server := &http.Server{Handler: handler}
	go func() {
		<-ctx.Done()
		_ = server.Shutdown(context.Background())
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return errors.Join(server.Shutdown(context.Background()), <-worked)
}

func (s *service) String() string { return s.name + "=" + s.version }

func (s *service) routes() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if os.Getenv("BROKEN") != "" {
			http.Error(w, "broken", http.StatusInternalServerError)
		}
	})
	m.HandleFunc("/headers", func(w http.ResponseWriter, r *http.Request) { _ = json.NewEncoder(w).Encode(r.Header) })
	m.HandleFunc("/hold", s.hold)
	m.HandleFunc("/events", s.events)
	m.HandleFunc("/ws", s.socket)
	m.HandleFunc("/", s.hop)
	return m
}

// hop answers the versions that the request meets from here on.
func (s *service) hop(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if id := r.FormValue("id"); id != "" {
		fmt.Printf("request %s\n", id)
	}
	rest := ""
	if s.next != "" {
		call, err := http.NewRequestWithContext(r.Context(), r.Method, s.next+r.URL.RequestURI(), nil)
		if err == nil {
			rest, err = s.call(call)
		}
		if err != nil {
			http.Error(w, s.String()+": "+err.Error(), http.StatusBadGateway)
			return
		}
	}
	fmt.Fprint(w, strings.TrimSpace(s.String()+" "+rest))
}

func (s *service) call(r *http.Request) (string, error) {
	resp, err := s.client.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return string(body), err
}

// hold answers when the URL in until does.
func (s *service) hold(w http.ResponseWriter, r *http.Request) {
	resp, err := http.Get(r.FormValue("until"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	_ = resp.Body.Close()
	fmt.Fprint(w, s)
}

// events tells its version over and over.
func (s *service) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		fmt.Fprintf(w, "data: %s\n\n", s)
		if flush.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

// socket answers every message with its version and the message.
func (s *service) socket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		kind, message, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if err := c.Write(r.Context(), kind, append([]byte(s.String()+" "), message...)); err != nil {
			return
		}
	}
}

// work writes down, one line each, when it comes on stage, what it does there,
// and when it leaves.
func (s *service) work(ctx context.Context) error {
	path := os.Getenv("WORKER")
	if path == "" {
		return nil
	}
	journal, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer journal.Close()
	note := func(what string, epoch uint64) {
		fmt.Fprintf(journal, "%d %s %d %d %s\n", time.Now().UnixMilli(), s, os.Getpid(), epoch, what)
	}
	err = propagate.RunOnStage(ctx, func(onStage context.Context, stage *propagate.Stage) error {
		note("enter", stage.Epoch())
		defer func() { note("leave", stage.Epoch()) }()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			note("work", stage.Epoch())
			select {
			case <-onStage.Done():
				return nil
			case <-tick.C:
			}
		}
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}
