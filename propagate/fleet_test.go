package propagate_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/propagate"
)

const patience = 2 * time.Minute // for conditions that are met in milliseconds

// TestMain makes the test binary a service of a fleet when it is started as one.
func TestMain(m *testing.M) {
	if name := os.Getenv("TEST_SERVICE"); name != "" {
		runService(name, os.Getenv("TEST_NEXT"), os.Getenv("TEST_JOURNAL"))
		return
	}
	os.Exit(m.Run())
}

// event is what a service tells the journal.
type event struct {
	Service, What, Detail string
}

// runService is one service: it calls the next, or, as the last, works until the
// journal opens the gate. Shutdown is a SIGTERM.
func runService(name, next, journal string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s := &service{
		name: name, next: next, journal: journal,
		client: propagate.Client(nil),
		plain:  &http.Client{},
	}
	srv := &http.Server{
		Handler:     propagate.Middleware(s, propagate.WithDeadline(patience)),
		BaseContext: propagate.Base(ctx),
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Addr())
	go srv.Serve(l)
	<-ctx.Done()
	// What is under way ends by its context and tells the journal.
	if err := srv.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
}

type service struct {
	name, next, journal string
	client, plain       *http.Client
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.tell("unread", err.Error())
		return
	}
	s.tell("began", propagate.StampFrom(ctx))
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-ended:
		case <-propagate.Disconnected(ctx):
			s.tell("disconnected", "")
		}
	}()
	url := s.next
	client := s.client
	if url == "" {
		url = s.journal + "/gate"
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, url, bytes.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			s.tell("cancelled", context.Cause(ctx).Error())
		} else {
			s.tell("failed", err.Error())
		}
		return
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	_, err = w.Write(bytes.Repeat([]byte("x"), 1<<20)) // to a client that may have left
	s.tell("done", fmt.Sprint(propagate.StampFrom(ctx), " written=", err == nil))
}

// tell uses a client of its own, so that it works when the request is cancelled.
func (s *service) tell(what, detail string) {
	raw, err := json.Marshal(event{s.name, what, detail})
	if err != nil {
		log.Fatal(err)
	}
	res, err := s.plain.Post(s.journal+"/tell", "application/json", bytes.NewReader(raw))
	if err != nil {
		log.Fatal(err)
	}
	res.Body.Close()
}

// fleet is three services in processes of their own, a → b → c, and a journal,
// which is not of the fleet.
type fleet struct {
	t         *testing.T
	front     string
	events    chan event
	gate      chan struct{}
	atGate    chan http.Header
	processes map[string]*exec.Cmd
	seen      []event
}

func startFleet(t *testing.T) *fleet {
	f := &fleet{
		t: t, events: make(chan event, 100), gate: make(chan struct{}),
		atGate: make(chan http.Header, 10), processes: map[string]*exec.Cmd{},
	}
	journal := httptest.NewServer(f)
	t.Cleanup(journal.Close)
	next := ""
	for _, name := range []string{"c", "b", "a"} {
		env := []string{"TEST_SERVICE=" + name, "TEST_NEXT=" + next, "TEST_JOURNAL=" + journal.URL}
		if next != "" {
			env = append(env, "GREENROOM_URL_NEXT="+next)
		}
		next = "http://" + f.start(name, env)
	}
	f.front = next
	return f
}

func (f *fleet) start(name string, env []string) (addr string) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = env
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.processes[name] = cmd
	f.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		f.t.Fatalf("starting service %s: %v", name, err)
	}
	return strings.TrimSpace(line)
}

func (f *fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/tell" {
		var e event
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			f.t.Error(err)
		}
		f.events <- e
		return
	}
	io.Copy(io.Discard, r.Body)
	f.atGate <- r.Header.Clone()
	select {
	case <-f.gate:
	case <-r.Context().Done():
	}
}

// wait returns the event of that service, which may have come before.
func (f *fleet) wait(service, what string) event {
	f.t.Helper()
	for _, e := range f.seen {
		if e.Service == service && e.What == what {
			return e
		}
	}
	timeout := time.After(patience)
	for {
		select {
		case e := <-f.events:
			f.seen = append(f.seen, e)
			if e.Service == service && e.What == what {
				return e
			}
		case <-timeout:
			f.t.Fatalf("service %s never told that it was %s; told were %v", service, what, f.seen)
		}
	}
}

func (f *fleet) never(what string, services ...string) {
	f.t.Helper()
	for _, e := range f.seen {
		for _, s := range services {
			if e.What == what && e.Service == s {
				f.t.Errorf("service %s: %s (%s)", s, what, e.Detail)
			}
		}
	}
}

// send lets a client make a request that hangs until hangUp is called.
func (f *fleet) send(method string) (hangUp func()) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, f.front+"/gift", strings.NewReader("one gift"))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set(propagate.Header, "r42")
	req.Header.Add("Baggage", "tenant=7;own")
	req.Header.Add("Baggage", "cart=a%2Cb")
	client := &http.Client{Transport: &http.Transport{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		res, err := client.Do(req)
		if err == nil {
			res.Body.Close()
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

func TestAWriteSurvivesItsClientInAllServices(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			f := startFleet(t)
			hangUp := f.send(method)
			third := <-f.atGate
			for _, s := range []string{"a", "b", "c"} {
				if e := f.wait(s, "began"); e.Detail != "r42" {
					t.Errorf("service %s worked under stamp %q, want r42", s, e.Detail)
				}
			}
			hangUp()
			f.wait("a", "disconnected")
			close(f.gate)
			if e := f.wait("c", "done"); e.Detail != "r42 written=true" {
				t.Errorf("c ended with %q", e.Detail)
			}
			f.wait("b", "done")
			f.wait("a", "done")
			f.never("cancelled", "a", "b", "c")
			wantNoStamp(t, third)
		})
	}
}

func TestASafeRequestIsCancelledWithItsClientInAllServices(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	hangUp := f.send("GET")
	<-f.atGate
	hangUp()
	for _, s := range []string{"a", "b", "c"} {
		f.wait(s, "cancelled")
	}
	f.never("done", "a", "b", "c")
}

func TestShutdownReachesWritesAndSafeRequests(t *testing.T) {
	for _, method := range []string{"POST", "GET"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			f := startFleet(t)
			f.send(method)
			<-f.atGate
			if err := f.processes["c"].Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if e := f.wait("c", "cancelled"); !strings.Contains(e.Detail, "terminated") {
				t.Errorf("c was cancelled because of %q, want the signal", e.Detail)
			}
			f.never("cancelled", "a", "b")
		})
	}
}

func TestShutdownReachesAWriteWhoseClientHasLeft(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	hangUp := f.send("POST")
	<-f.atGate
	hangUp()
	f.wait("a", "disconnected")
	if err := f.processes["a"].Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if e := f.wait("a", "cancelled"); !strings.Contains(e.Detail, "terminated") {
		t.Errorf("a was cancelled because of %q, want the signal", e.Detail)
	}
}

func wantNoStamp(t *testing.T, h http.Header) {
	t.Helper()
	raw := new(bytes.Buffer)
	h.Write(raw)
	if s := strings.ToLower(raw.String()); strings.Contains(s, "greenroom") || strings.Contains(s, "r42") || strings.Contains(s, "baggage") {
		t.Errorf("a third party got\n%s", s)
	}
}
