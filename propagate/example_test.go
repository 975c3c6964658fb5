package propagate_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/greenroom-dev/greenroom/propagate"
)

// A service in two lines: Middleware around its handler, Client for its calls.
func Example() {
	wallet := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println("wallet:", r.Header.Get(propagate.Header), r.Header.Get("Baggage"))
	}))
	defer wallet.Close()
	os.Setenv("GREENROOM_URL_WALLET", wallet.URL) // greenroom does this
	defer os.Unsetenv("GREENROOM_URL_WALLET")

	client := propagate.Client(http.DefaultClient)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /gifts", func(w http.ResponseWriter, r *http.Request) {
		url := os.Getenv("GREENROOM_URL_WALLET") + "/charge"
		req, err := http.NewRequestWithContext(r.Context(), "POST", url, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		res, err := client.Do(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		w.WriteHeader(res.StatusCode)
	})
	handler := propagate.Middleware(mux)

	r := httptest.NewRequest("POST", "/gifts", nil)
	r.Header.Set("X-Greenroom-Release", "r42")
	handler.ServeHTTP(httptest.NewRecorder(), r)
	// Output: wallet: r42 greenroom.release=r42
}

// A shutdown lets requests finish, writes too, and ends what is left when the
// time for draining is over.
func ExampleBase() {
	handler := http.NotFoundHandler()

	term, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	base, end := context.WithCancel(context.Background())
	defer end()

	srv := &http.Server{
		Addr:        ":" + os.Getenv("PORT"),
		Handler:     propagate.Middleware(handler),
		BaseContext: propagate.Base(base),
	}
	go srv.ListenAndServe()

	<-term.Done()
	drain, cancel := context.WithTimeout(base, 25*time.Second)
	defer cancel()
	if err := srv.Shutdown(drain); err != nil {
		end() // what has not finished by now ends here
	}
}

// What goes on after the answer needs a context of its own.
func ExampleDetach() {
	sent := make(chan struct{})
	notify := func(ctx context.Context) {
		fmt.Println("notifying under", propagate.StampFrom(ctx), ctx.Err())
		close(sent)
	}

	handler := propagate.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := propagate.Detach(r.Context(), propagate.WithDeadline(10*time.Second))
		go func() {
			defer cancel()
			notify(ctx)
		}()
		w.WriteHeader(http.StatusAccepted)
	}))

	r := httptest.NewRequest("POST", "/gifts", nil)
	r.Header.Set("X-Greenroom-Release", "r42")
	handler.ServeHTTP(httptest.NewRecorder(), r)
	<-sent
	// Output: notifying under r42 <nil>
}

// A POST that only reads may die with its client.
func ExampleWithWrites() {
	mux := http.NewServeMux()

	handler := propagate.Middleware(mux, propagate.WithWrites(func(r *http.Request) bool {
		return r.Method != "GET" && r.Method != "HEAD" && r.URL.Path != "/search"
	}))

	_ = handler
}

// Whoever waits for something else than the client can still see it leave.
func ExampleDisconnected() {
	uploaded := make(chan struct{})

	handler := func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-uploaded:
			w.WriteHeader(http.StatusCreated)
		case <-propagate.Disconnected(r.Context()):
			log.Print("nobody waits for the answer any more")
		}
	}

	_ = handler
}

type message struct {
	Headers map[string]string
	Body    string
}

// The stamp travels in the headers of a message as it does in those of a call.
func ExampleInject() {
	queue := make(chan message, 1)
	publish := func(m message) { queue <- m }
	ctx := propagate.WithStamp(context.Background(), "r42")

	m := message{Headers: map[string]string{}, Body: "pay out gift 7"}
	propagate.Inject(ctx, propagate.MapCarrier(m.Headers))
	publish(m)

	m = <-queue
	fmt.Println(m.Headers)
	// Output: map[X-Greenroom-Release:r42 baggage:greenroom.release=r42]
}

// The consumer goes on under the release of the message's producer.
func ExampleExtract() {
	m := message{Headers: map[string]string{"baggage": "tenant=7,greenroom.release=r42"}}

	ctx := propagate.Extract(context.Background(), propagate.MapCarrier(m.Headers))

	fmt.Println(propagate.StampFrom(ctx))
	// Output: r42
}

// A worker takes from the queue only while its version is the one that users
// get.
func ExampleConsumeOnStage() {
	queue := make(chan message, 1)
	queue <- message{Headers: map[string]string{"X-Greenroom-Release": "r42"}, Body: "pay out gift 7"}
	ctx, stop := context.WithCancelCause(context.Background())
	done := errors.New("done")
	payOut := func(ctx context.Context, body string, epoch uint64) error {
		fmt.Println(body, "under", propagate.StampFrom(ctx))
		stop(done)
		return nil
	}

	take := func(ctx context.Context) (message, error) {
		select {
		case m := <-queue:
			return m, nil
		case <-ctx.Done():
			return message{}, ctx.Err()
		}
	}
	handle := func(ctx context.Context, m message, epoch uint64) error {
		ctx = propagate.Extract(ctx, propagate.MapCarrier(m.Headers))
		return payOut(ctx, m.Body, epoch)
	}
	err := propagate.ConsumeOnStage(ctx, take, handle)

	fmt.Println(err)
	// Output:
	// pay out gift 7 under r42
	// done
}

// A timer, with the steps that RunOnStage and ConsumeOnStage take by themselves.
func ExampleOnStage() {
	settleDay := func(ctx context.Context, epoch uint64) {}
	ctx := context.Background()
	midnight := time.Tick(24 * time.Hour)

	stage, err := propagate.OnStage(ctx) // waits
	if err != nil {
		log.Fatal(err)
	}
	for stage.Context().Err() == nil {
		select {
		case <-midnight:
			work, cancel := propagate.Detach(stage.Context())
			settleDay(work, stage.Epoch())
			cancel()
		case <-stage.Context().Done():
		}
	}
	if err := stage.Leave(); err != nil {
		log.Print(err)
	}
}

// Without the library: two headers, copied to calls that stay in the fleet.
func Example_byHand() {
	incoming, err := http.NewRequest("GET", "/", nil)
	if err != nil {
		log.Fatal(err)
	}
	incoming.Header.Set("X-Greenroom-Release", "r42")
	outgoing, err := http.NewRequest("GET", "http://wallet/balance", nil)
	if err != nil {
		log.Fatal(err)
	}

	for _, name := range []string{"X-Greenroom-Release", "Baggage"} {
		if values := incoming.Header.Values(name); len(values) > 0 {
			outgoing.Header[name] = values
		}
	}

	fmt.Println(outgoing.Header)
	// Output: map[X-Greenroom-Release:[r42]]
}
