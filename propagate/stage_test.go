package propagate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/propagate"
)

type ask struct {
	Instance string
	Epoch    uint64
	Leave    bool
}

// theatre serves the protocol of GREENROOM_STATUS_URL as one is told to, and
// keeps what it was asked.
type theatre struct {
	t   *testing.T
	url string

	mu      sync.Mutex
	status  int
	body    string
	asked   []ask
	changed chan struct{}
}

func openTheatre(t *testing.T) *theatre {
	th := &theatre{t: t, changed: make(chan struct{})}
	srv := httptest.NewServer(th)
	t.Cleanup(srv.Close)
	th.url = srv.URL
	return th
}

const (
	yes = `{"onStage":true,"epoch":%d,"leaseSeconds":0.03,"release":"r42"}`
	no  = `{"onStage":false,"epoch":8,"retryAfterSeconds":0.003,"reason":"r43 is on stage"}`
)

func (th *theatre) say(status int, body string) {
	th.mu.Lock()
	defer th.mu.Unlock()
	th.status, th.body = status, body
}

func (th *theatre) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	th.mu.Lock()
	defer th.mu.Unlock()
	if r.Method != "POST" || r.URL.Path != "/stage" {
		th.t.Errorf("%s %s", r.Method, r.URL)
	}
	var a ask
	if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
		th.t.Error(err)
	}
	th.asked = append(th.asked, a)
	close(th.changed)
	th.changed = make(chan struct{})
	w.WriteHeader(th.status)
	fmt.Fprint(w, th.body)
}

// await returns when n more questions like these have been asked.
func (th *theatre) await(n int, like func(ask) bool) {
	th.t.Helper()
	timeout := time.After(patience)
	th.mu.Lock()
	from := len(th.asked)
	for {
		seen := 0
		for _, a := range th.asked[from:] {
			if like(a) {
				seen++
			}
		}
		if seen >= n {
			th.mu.Unlock()
			return
		}
		changed := th.changed
		th.mu.Unlock()
		select {
		case <-changed:
		case <-timeout:
			th.t.Fatalf("asked %d times, want %d", seen, n)
		}
		th.mu.Lock()
	}
}

func (th *theatre) last() ask {
	th.mu.Lock()
	defer th.mu.Unlock()
	return th.asked[len(th.asked)-1]
}

func (th *theatre) opts() propagate.Option {
	return propagate.WithEnviron([]string{"GREENROOM_STATUS_URL=" + th.url + "/", "GREENROOM_INSTANCE=gift-1"})
}

func holding(epoch uint64) func(ask) bool {
	return func(a ask) bool { return a == ask{"gift-1", epoch, false} }
}

func TestAStarterWaits(t *testing.T) {
	th := openTheatre(t)
	for _, refusal := range []struct {
		status int
		body   string
	}{{200, no}, {503, yes}, {200, "<html>"}, {404, ""}} {
		if refusal.body == yes {
			refusal.body = fmt.Sprintf(yes, 7)
		}
		th.say(refusal.status, refusal.body)
		ctx, cancel := context.WithCancel(context.Background())
		result := make(chan error, 1)
		go func() {
			stage, err := propagate.OnStage(ctx, th.opts())
			if stage != nil {
				err = errors.New("admitted")
			}
			result <- err
		}()
		n := 1
		if refusal.body == no {
			n = 5
		}
		th.await(n, holding(0))
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("answer %d %q: %v", refusal.status, refusal.body, err)
		}
	}
}

func TestAStarterThatGivesUpSaysWhy(t *testing.T) {
	th := openTheatre(t)
	th.say(200, no)
	ctx, giveUp := context.WithCancelCause(context.Background())
	result := make(chan error, 1)
	go func() {
		_, err := propagate.OnStage(ctx, th.opts())
		result <- err
	}()
	th.await(2, holding(0)) // who asks a second time has had an answer
	giveUp(context.DeadlineExceeded)
	err := <-result
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, propagate.ErrOffStage) || !strings.Contains(err.Error(), "r43 is on stage") {
		t.Errorf("error %v", err)
	}
}

func TestAHolder(t *testing.T) {
	th := openTheatre(t)
	th.say(200, no)
	admitted := make(chan *propagate.Stage, 1)
	go func() {
		stage, err := propagate.OnStage(context.Background(), th.opts())
		if err != nil {
			t.Error(err)
		}
		admitted <- stage
	}()
	th.await(2, holding(0))
	th.say(200, fmt.Sprintf(yes, 7))
	stage := <-admitted
	if stage.Epoch() != 7 || stage.Release() != "r42" || stage.Context().Err() != nil {
		t.Fatalf("epoch %d, release %q, %v", stage.Epoch(), stage.Release(), stage.Context().Err())
	}
	th.await(2, holding(7))

	// No answer: it stays, and asks on.
	th.say(500, "")
	th.await(3, holding(7))
	if err := stage.Context().Err(); err != nil {
		t.Fatalf("without an answer: %v", err)
	}
	// A switch that leaves it on stage.
	th.say(200, fmt.Sprintf(yes, 8))
	th.await(2, holding(8))
	if stage.Epoch() != 8 || stage.Context().Err() != nil {
		t.Fatalf("after a switch: epoch %d, %v", stage.Epoch(), stage.Context().Err())
	}
	// No: it finishes its item, with the lease, and leaves.
	th.say(200, no)
	<-stage.Context().Done()
	if cause := context.Cause(stage.Context()); !errors.Is(cause, propagate.ErrOffStage) {
		t.Errorf("cause %v", cause)
	}
	th.await(2, holding(8))
	for range 2 {
		if err := stage.Leave(); err != nil {
			t.Fatal(err)
		}
	}
	if got := th.last(); got != (ask{"gift-1", 8, true}) {
		t.Errorf("last asked %+v, want the leave", got)
	}
	leaves := 0
	for _, a := range th.asked {
		if a.Leave {
			leaves++
		}
	}
	if leaves != 1 {
		t.Errorf("left %d times", leaves)
	}
}

// TestLeaveDoesNotOvertakeARenewal: a renewal that arrives behind the leave
// would admit the instance again, and the next version would wait.
func TestLeaveDoesNotOvertakeARenewal(t *testing.T) {
	renewing, left := make(chan struct{}, 1), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var a ask
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
			t.Error(err)
		}
		switch {
		case a.Leave:
			close(left)
		case a.Epoch != 0:
			renewing <- struct{}{}
			select {
			case <-left:
				t.Error("the leave overtook a renewal")
			case <-time.After(100 * time.Millisecond):
			}
		}
		fmt.Fprintf(w, yes, 7)
	}))
	defer srv.Close()
	stage, err := propagate.OnStage(context.Background(),
		propagate.WithEnviron([]string{"GREENROOM_STATUS_URL=" + srv.URL, "GREENROOM_INSTANCE=gift-1"}))
	if err != nil {
		t.Fatal(err)
	}
	<-renewing
	if err := stage.Leave(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-left:
	default:
		t.Error("nobody was told")
	}
}

func TestLeaveThatNobodyHears(t *testing.T) {
	th := openTheatre(t)
	th.say(200, fmt.Sprintf(yes, 7))
	stage, err := propagate.OnStage(context.Background(), th.opts())
	if err != nil {
		t.Fatal(err)
	}
	th.say(500, "")
	if err := stage.Leave(); err == nil || !strings.Contains(err.Error(), "end of the lease") {
		t.Errorf("error %v", err)
	}
	if cause := context.Cause(stage.Context()); !errors.Is(cause, propagate.ErrLeft) {
		t.Errorf("cause %v", cause)
	}
}

// TestAWorkerThatForgetsToLeave must not renew its lease for ever.
func TestAWorkerThatForgetsToLeave(t *testing.T) {
	th := openTheatre(t)
	th.say(200, fmt.Sprintf(yes, 7))
	ctx, cancel := context.WithCancel(context.Background())
	stage, err := propagate.OnStage(ctx, th.opts(), propagate.WithDeadline(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-stage.Context().Done()
	// Each quiet spell of thirty renewals' length must come soon.
	timeout := time.After(patience)
	for quiet := false; !quiet; {
		th.mu.Lock()
		changed := th.changed
		th.mu.Unlock()
		select {
		case <-changed:
		case <-time.After(300 * time.Millisecond):
			quiet = true
		case <-timeout:
			t.Fatal("it renews on")
		}
	}
}

func TestOutsideGreenroom(t *testing.T) {
	stage, err := propagate.OnStage(context.Background(), propagate.WithEnviron(nil))
	if err != nil {
		t.Fatal(err)
	}
	if stage.Epoch() != 0 || stage.Release() != "" || stage.Context().Err() != nil {
		t.Errorf("epoch %d, release %q, %v", stage.Epoch(), stage.Release(), stage.Context().Err())
	}
	if err := stage.Leave(); err != nil || stage.Context().Err() == nil {
		t.Errorf("leave: %v, context %v", err, stage.Context().Err())
	}
}

func TestAHalfEnvironment(t *testing.T) {
	for _, environ := range [][]string{
		{"GREENROOM_STATUS_URL=http://127.0.0.1:1"},
		{"GREENROOM_STATUS_URL=127.0.0.1:1", "GREENROOM_INSTANCE=a"},
		{"GREENROOM_STATUS_URL=unix:///x", "GREENROOM_INSTANCE=a"},
	} {
		if _, err := propagate.OnStage(context.Background(), propagate.WithEnviron(environ)); err == nil || !strings.Contains(err.Error(), "GREENROOM_STATUS_URL") {
			t.Errorf("%v: error %v", environ, err)
		}
	}
}

func TestConsumeFinishesTheItemLeavesAndComesBack(t *testing.T) {
	th := openTheatre(t)
	th.say(200, fmt.Sprintf(yes, 7))
	ctx, stop := context.WithCancelCause(context.Background())
	queue := make(chan int)
	began, finish := make(chan struct{}), make(chan struct{})
	var handled []string
	result := make(chan error, 1)
	go func() {
		result <- propagate.ConsumeOnStage(ctx,
			func(ctx context.Context) (int, error) {
				select {
				case item := <-queue:
					return item, nil
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			},
			func(ctx context.Context, item int, epoch uint64) error {
				began <- struct{}{}
				<-finish
				handled = append(handled, fmt.Sprint(item, " at ", epoch, " ", ctx.Err()))
				return nil
			}, th.opts())
	}()
	queue <- 1
	<-began
	th.say(200, no)
	th.await(4, func(a ask) bool { return !a.Leave }) // told, and still at its item
	finish <- struct{}{}
	th.await(3, holding(0)) // has left, and waits again
	if !slices.Contains(th.all(), ask{"gift-1", 7, true}) {
		t.Errorf("it never left: %v", th.all())
	}
	select {
	case queue <- 2:
		t.Error("it takes items off stage")
	default:
	}
	th.say(200, fmt.Sprintf(yes, 9))
	queue <- 3
	<-began
	finish <- struct{}{}
	why := errors.New("deployed elsewhere")
	th.await(1, holding(9))
	stop(why)
	if err := <-result; !errors.Is(err, why) {
		t.Errorf("it returned %v", err)
	}
	if want := []string{"1 at 7 <nil>", "3 at 9 <nil>"}; !slices.Equal(handled, want) {
		t.Errorf("handled %q, want %q", handled, want)
	}
}

func (th *theatre) all() []ask {
	th.mu.Lock()
	defer th.mu.Unlock()
	return slices.Clone(th.asked)
}

func TestRunOnStage(t *testing.T) {
	failed := errors.New("the queue is gone")
	for _, want := range []error{nil, failed} {
		th := openTheatre(t)
		th.say(200, fmt.Sprintf(yes, 7))
		err := propagate.RunOnStage(context.Background(), func(_ context.Context, s *propagate.Stage) error {
			if s.Epoch() != 7 {
				t.Errorf("epoch %d", s.Epoch())
			}
			return want
		}, th.opts())
		if !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("returned %v, want %v", err, want)
		}
		if got := th.last(); !got.Leave {
			t.Errorf("last asked %+v, want the leave", got)
		}
	}
}

// A leave that nobody answered may arrive late. By then the worker must be on
// stage by another name, so that it cannot take that away.
func TestRunOnStageComesBackByAnotherNameAfterALeaveWithoutAnswer(t *testing.T) {
	th := openTheatre(t)
	th.say(200, fmt.Sprintf(yes, 7))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	turns := 0
	err := propagate.RunOnStage(ctx, func(onStage context.Context, _ *propagate.Stage) error {
		name := th.last().Instance
		switch turns++; turns {
		case 1:
			th.say(200, no)
			<-onStage.Done() // off stage by the next renewal
			th.say(500, "")  // and the leave is not answered
			go func() {
				th.await(3, func(a ask) bool { return a.Leave && a.Instance == "gift-1" })
				th.say(200, fmt.Sprintf(yes, 9))
			}()
		case 2:
			if name != "gift-1+1" {
				t.Errorf("after a leave without an answer it is %s", name)
			}
			th.say(200, no)
			<-onStage.Done()
			th.say(200, fmt.Sprintf(yes, 11)) // and the leave is answered
		case 3:
			if name != "gift-1+1" {
				t.Errorf("after a leave with an answer it is %s", name)
			}
			cancel()
		}
		return nil
	}, th.opts())
	if !errors.Is(err, context.Canceled) || turns != 3 {
		t.Errorf("ended with %v after %d turns", err, turns)
	}
}

func TestConsumeReturnsTheFirstError(t *testing.T) {
	failed := errors.New("no")
	take := func(context.Context) (string, error) { return "item", nil }
	handle := func(context.Context, string, uint64) error { return failed }
	if err := propagate.ConsumeOnStage(context.Background(), take, handle, propagate.WithEnviron(nil)); !errors.Is(err, failed) {
		t.Errorf("handle failed, returned %v", err)
	}
	broken := func(context.Context) (string, error) { return "", failed }
	if err := propagate.ConsumeOnStage(context.Background(), broken, handle, propagate.WithEnviron(nil)); !errors.Is(err, failed) {
		t.Errorf("take failed, returned %v", err)
	}
}
