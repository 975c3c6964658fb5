package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const patience = 2 * time.Minute

// books are an event log and the places in it.
type books struct {
	mu      sync.Mutex
	events  []Event
	changed chan struct{}
	places  map[string]uint64
	saves   int
	broken  error // of Load, when it is not nil
	full    error // of Save and Forget, when it is not nil
}

func newBooks() *books { return &books{changed: make(chan struct{}), places: map[string]uint64{}} }

func (b *books) happens(kind, release, message string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	seq := uint64(len(b.events) + 1)
	b.events = append(b.events, Event{Seq: seq, Time: time.Unix(1_790_000_000+int64(seq), 0).UTC(), Type: kind, Release: release, Who: "ann", Message: message})
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *books) After(_ context.Context, after uint64, limit int) ([]Event, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if after >= uint64(len(b.events)) {
		return nil, nil
	}
	out := slices.Clone(b.events[after:])
	return out[:min(len(out), limit)], nil
}

func (b *books) Last(context.Context) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return uint64(len(b.events)), nil
}

func (b *books) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

func (b *books) Load(context.Context) (map[string]uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.places), b.broken
}

func (b *books) Save(_ context.Context, name string, seq uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full != nil {
		return b.full
	}
	b.places[name] = seq
	b.saves++
	return nil
}

func (b *books) Forget(_ context.Context, but []string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full != nil {
		return b.full
	}
	maps.DeleteFunc(b.places, func(name string, _ uint64) bool { return !slices.Contains(but, name) })
	return nil
}

// got is a request that a receiver took.
type got struct {
	path, body string
	header     http.Header
}

// receiver is a real server that answers as answer says.
type receiver struct {
	*httptest.Server
	took chan got
}

func newReceiver(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	out := &receiver{took: make(chan got, 100)}
	var mu sync.Mutex
	n := 0
	out.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		n++
		mine := n
		mu.Unlock()
		out.took <- got{r.URL.Path, string(body), r.Header.Clone()}
		if answer != nil {
			answer(mine, w, r)
		}
	}))
	t.Cleanup(out.Close)
	return out
}

func (r *receiver) next(t *testing.T) got {
	t.Helper()
	select {
	case g := <-r.took:
		return g
	case <-time.After(patience):
		t.Fatal("nothing came")
		return got{}
	}
}

func (r *receiver) none(t *testing.T) {
	t.Helper()
	select {
	case g := <-r.took:
		t.Errorf("this came: %s", g.body)
	default:
	}
}

// trial is a Notifier that is in a hurry.
type trial struct {
	*Notifier
	*books
	log  *bytes.Buffer
	stop func()
}

// start starts a trial, and waits until each receiver's place is kept.
func start(t *testing.T, b *books, receivers ...Receiver) *trial {
	t.Helper()
	out := launch(t, b, receivers...)
	for _, r := range receivers { // the log's end is where the new ones begin
		out.await(t, func() bool { b.mu.Lock(); defer b.mu.Unlock(); _, known := b.places[r.Name]; return known })
	}
	return out
}

// launch starts a trial and waits for nothing.
func launch(t *testing.T, b *books, receivers ...Receiver) *trial {
	t.Helper()
	out := &trial{books: b, log: &bytes.Buffer{}}
	out.Notifier = New(Options{
		Fleet: "live", Link: func() string { return "https://live.example.com" }, Log: b, Cursors: b,
		Logger: slog.New(slog.NewTextHandler(out.log, nil)), Now: time.Now,
	})
	out.pace = pace{first: time.Millisecond, long: 20 * time.Millisecond, giveUp: time.Hour, poll: 5 * time.Millisecond}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	out.Set(receivers)
	work.Go(func() { out.Run(ctx) })
	out.stop = func() { cancel(); work.Wait() }
	t.Cleanup(out.stop)
	return out
}

func (x *trial) await(t *testing.T, done func() bool) {
	t.Helper()
	tick, end := time.NewTicker(time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("it never came to that: %+v", x.States())
		}
	}
}

func at(url, secret string) func(context.Context) (Address, error) {
	return func(context.Context) (Address, error) { return Address{URL: url, Secret: secret}, nil }
}

func TestWebhook(t *testing.T) {
	b := newBooks()
	b.happens("FleetStarted", "", "before anybody was told")
	r := newReceiver(t, nil)
	x := start(t, b, Receiver{Name: "audit", Kind: Webhook, Timeout: patience, Secrets: at(r.URL+"/hook?key=1", "s3cret")})
	b.happens("ReleaseOpened", "r1", "opened")
	g := r.next(t)
	var d Delivery
	if err := json.Unmarshal([]byte(g.body), &d); err != nil || d.Event != b.events[1] || d.Fleet != "live" || d.URL != "https://live.example.com" || d.ID != g.header.Get(IDHeader) {
		t.Errorf("got %s, %v, header %v", g.body, err, g.header)
	}
	// Verified as a receiver would that knows the docs alone.
	stamp, sum, _ := strings.Cut(g.header.Get("Greenroom-Signature"), ",v1=")
	mac := hmac.New(sha256.New, []byte("s3cret"))
	fmt.Fprintf(mac, "%s.%s", strings.TrimPrefix(stamp, "t="), g.body)
	if want := hex.EncodeToString(mac.Sum(nil)); sum != want {
		t.Errorf("signed %s, want %s", sum, want)
	}
	x.await(t, func() bool { s := x.States()[0]; return s.Told == 2 && s.Waiting == 0 && !s.LastTold.IsZero() })
	if s := x.States()[0]; s.Host != strings.TrimPrefix(r.URL, "http://") {
		t.Errorf("the state is %+v", s)
	}
	r.none(t)
}

func TestSlackAndGrafana(t *testing.T) {
	b := newBooks()
	slack, grafana := newReceiver(t, nil), newReceiver(t, nil)
	start(t, b,
		Receiver{Name: "chat", Kind: Slack, Timeout: patience, Secrets: at(slack.URL+"/T0/B0", "")},
		Receiver{Name: "graphs", Kind: Grafana, Tags: []string{"prod"}, Timeout: patience, Secrets: at(grafana.URL+"/sub", "glsa")})
	b.happens("PassCreated", "r1", "nobody wants to read this in a channel")
	b.happens("ReleasePromoted", "r1", "ordinary requests get r1 <!channel> & more")
	if g := slack.next(t); g.path != "/T0/B0" || g.body != `{"text":"🟢 *r1*: ordinary requests get r1 \u0026lt;!channel\u0026gt; \u0026amp; more _(ann, fleet live)_"}` || g.header.Get("Authorization")+g.header.Get(SignatureHeader) != "" {
		t.Errorf("slack got %+v", g)
	}
	g := grafana.next(t)
	var note struct {
		Time int64
		Tags []string
		Text string
	}
	if err := json.Unmarshal([]byte(g.body), &note); err != nil || g.path != "/sub/api/annotations" || g.header.Get("Authorization") != "Bearer glsa" ||
		note.Time != b.events[1].Time.UnixMilli() || !slices.Equal(note.Tags, []string{"greenroom", "live", "ReleasePromoted", "r1", "prod"}) ||
		note.Text != "r1: ordinary requests get r1 &lt;!channel&gt; &amp; more (ann)" {
		t.Errorf("grafana got %+v, %v", g, err)
	}
	slack.none(t)
	grafana.none(t)
}

func TestToldAgainUntilTaken(t *testing.T) {
	b := newBooks()
	r := newReceiver(t, func(n int, w http.ResponseWriter, r *http.Request) {
		switch n {
		case 1:
			w.WriteHeader(http.StatusInternalServerError)
		case 2:
			<-r.Context().Done() // it hangs
		case 3:
			panic(http.ErrAbortHandler)
		case 4:
			http.Redirect(w, r, "/elsewhere", http.StatusServiceUnavailable)
		}
	})
	x := start(t, b, Receiver{Name: "audit", Kind: Webhook, Timeout: time.Second, Secrets: at(r.URL, "s3cret")})
	b.happens("ReleaseOpened", "r1", "opened")
	b.happens("ReleasePromoted", "r1", "live")
	ids := map[string]int{}
	first, second := idOf("live", b.events[0]), idOf("live", b.events[1])
	for ids[second] == 0 {
		ids[r.next(t).header.Get(IDHeader)]++
	}
	if ids[first] < 5 || len(ids) != 2 { // more often on a machine that does not answer within the timeout
		t.Errorf("came: %v", ids)
	}
	x.await(t, func() bool { s := x.States()[0]; return s.Told == 2 && s.Failing == "" && s.Attempts == 0 })
	x.stop()
	if strings.Contains(x.log.String(), "s3cret") {
		t.Errorf("the log has the secret: %s", x.log)
	}
}

func TestFailuresAreSeen(t *testing.T) {
	for _, c := range []struct {
		name, want string
		timeout    time.Duration
		answer     func(int, http.ResponseWriter, *http.Request)
	}{
		{"down", "it answers 503 Service Unavailable", patience, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }},
		{"hangs", "it did not answer in time", 30 * time.Millisecond, func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"no right", "it answers 403 Forbidden", patience, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBooks()
			r := newReceiver(t, c.answer)
			x := start(t, b, Receiver{Name: "chat", Kind: Slack, Timeout: c.timeout, Secrets: at(r.URL+"/secret-path", "")})
			b.happens("ReleasePromoted", "r1", "live")
			x.await(t, func() bool { return x.States()[0].Attempts >= 4 })
			s := x.States()[0]
			if s.Failing != c.want || s.Since.IsZero() || s.NextTry.IsZero() || s.GivenUp != 0 || s.Waiting != 1 {
				t.Errorf("the state is %+v", s)
			}
			x.stop()
			if strings.Contains(x.log.String(), "secret-path") || !strings.Contains(x.log.String(), c.want) {
				t.Errorf("the log says: %s", x.log)
			}
		})
	}
}

func TestWrongCertificate(t *testing.T) {
	b := newBooks()
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was told all the same") }))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(s.Close)
	x := start(t, b, Receiver{Name: "chat", Kind: Slack, Timeout: patience, Secrets: at(s.URL+"/secret-path", "")})
	b.happens("ReleasePromoted", "r1", "live")
	x.await(t, func() bool { return x.States()[0].Attempts >= 2 })
	if got := x.States()[0].Failing; !strings.Contains(got, "certificate") || strings.Contains(got, "secret-path") {
		t.Errorf("it fails for %q", got)
	}
	// With the right authority it is taken.
	taken := make(chan struct{}, 1)
	good := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { taken <- struct{}{} }))
	t.Cleanup(good.Close)
	roots := x509.NewCertPool()
	roots.AddCert(good.Certificate())
	x.Set([]Receiver{{Name: "chat", Kind: Slack, Timeout: patience, Secrets: func(context.Context) (Address, error) {
		return Address{URL: good.URL, Roots: roots}, nil
	}}})
	select {
	case <-taken:
	case <-time.After(patience):
		t.Errorf("not taken: %+v", x.States())
	}
}

func TestGivenUpForTheNext(t *testing.T) {
	b := newBooks()
	r := newReceiver(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n <= 3 {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	x := start(t, b, Receiver{Name: "chat", Kind: Slack, Timeout: patience, Secrets: at(r.URL, "")})
	b.happens("ReleasePromoted", "r1", "one")
	b.happens("ReleasePromoted", "r2", "two")
	for range 3 {
		if g := r.next(t); !strings.Contains(g.body, "r1") {
			t.Errorf("came: %s", g.body)
		}
	}
	if g := r.next(t); !strings.Contains(g.body, "r2") {
		t.Errorf("came: %s", g.body)
	}
	x.await(t, func() bool { s := x.States()[0]; return s.Told == 2 && s.GivenUp == 1 && s.Failing == "" })
}

func TestRestartLosesNone(t *testing.T) {
	b := newBooks()
	var down sync.Mutex
	broken := true
	r := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		down.Lock()
		defer down.Unlock()
		if broken {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	to := Receiver{Name: "audit", Kind: Webhook, Timeout: patience, Secrets: at(r.URL, "")}
	x := start(t, b, to)
	b.happens("ReleaseOpened", "r1", "opened")
	x.await(t, func() bool { return x.States()[0].Attempts >= 2 })
	x.stop() // in the middle of it
	b.happens("ReleasePromoted", "r1", "live")
	down.Lock()
	broken = false
	down.Unlock()
	for len(r.took) > 0 {
		<-r.took
	}
	y := start(t, b, to)
	for i := range 2 {
		if g := r.next(t); g.header.Get(IDHeader) != idOf("live", b.events[i]) {
			t.Errorf("event %d came as %s", i+1, g.body)
		}
	}
	y.await(t, func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.places["audit"] == 2 })
	y.stop()
	start(t, b, to)
	r.none(t)
}

func TestPlaces(t *testing.T) {
	b := newBooks()
	for i := range 3 {
		b.happens("ReleaseOpened", "r1", fmt.Sprint(i))
	}
	b.places = map[string]uint64{"gone": 1, "beyond": 99, "behind": 2}
	r := newReceiver(t, nil)
	x := start(t, b,
		Receiver{Name: "behind", Kind: Webhook, Timeout: patience, Secrets: at(r.URL, "")},
		Receiver{Name: "beyond", Kind: Webhook, Timeout: patience, Secrets: at(r.URL, "")},
		Receiver{Name: "new", Kind: Webhook, Timeout: patience, Secrets: at(r.URL, "")})
	if g := r.next(t); g.header.Get(IDHeader) != idOf("live", b.events[2]) {
		t.Errorf("came: %s", g.body)
	}
	x.await(t, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return maps.Equal(b.places, map[string]uint64{"behind": 3, "beyond": 3, "new": 3})
	})
	r.none(t)
}

func TestTrial(t *testing.T) {
	b := newBooks()
	r := newReceiver(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n > 1 {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	x := start(t, b, Receiver{Name: "chat", Kind: Slack, Timeout: patience, Secrets: at(r.URL, "")},
		Receiver{Name: "lost", Kind: Slack, Timeout: patience, Secrets: func(context.Context) (Address, error) {
			return Address{}, errors.New("read its address: no such file")
		}})
	if host, _, err := x.Test(t.Context(), "chat", "kim"); err != nil || host == "" {
		t.Errorf("%s, %v", host, err)
	}
	if g := r.next(t); !strings.Contains(g.body, "this is a trial of the notification chat _(kim") {
		t.Errorf("came: %s", g.body)
	}
	if _, _, err := x.Test(t.Context(), "chat", "kim"); err == nil || err.Error() != "it answers 418 I'm a teapot" {
		t.Errorf("refused with %v", err)
	}
	if _, _, err := x.Test(t.Context(), "lost", "kim"); err == nil || err.Error() != "read its address: no such file" {
		t.Errorf("lost: %v", err)
	}
	if _, _, err := x.Test(t.Context(), "none", "kim"); !errors.Is(err, ErrUnknown) {
		t.Errorf("unknown: %v", err)
	}
}

// TestPlacesThatCanNotBeKept has a disk that is full from the start: everybody is
// told all the same, and places are kept when there is room, with no event to
// bring that about.
func TestPlacesThatCanNotBeKept(t *testing.T) {
	b := newBooks()
	b.happens("FleetStarted", "", "before anybody was told")
	b.places["known"], b.places["gone"], b.full = 0, 1, errors.New("no space left")
	known, fresh := newReceiver(t, nil), newReceiver(t, nil)
	x := launch(t, b,
		Receiver{Name: "known", Kind: Webhook, Timeout: patience, Secrets: at(known.URL, "")},
		Receiver{Name: "fresh", Kind: Webhook, Timeout: patience, Secrets: at(fresh.URL, "")})
	if g := known.next(t); !strings.Contains(g.body, "before anybody was told") {
		t.Errorf("who is known got %s", g.body)
	}
	x.await(t, func() bool { s := x.States(); return s[0].Told == 1 && s[1].Told == 1 })
	b.happens("ReleaseOpened", "r1", "opened")
	for _, r := range []*receiver{known, fresh} {
		if g := r.next(t); !strings.Contains(g.body, "opened") {
			t.Errorf("got %s", g.body)
		}
	}
	x.await(t, func() bool { s := x.States(); return s[0].Told == 2 && s[1].Told == 2 })
	b.mu.Lock()
	if b.places["known"] != 0 || len(b.places) != 2 {
		t.Errorf("the disk was not full: %v", b.places)
	}
	b.full = nil
	b.mu.Unlock()
	x.await(t, func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.places["known"] == 2 && b.places["fresh"] == 2 })
	known.none(t)
	fresh.none(t)
	x.stop()
	if log := x.log.String(); !strings.Contains(log, "could not be kept") || !strings.Contains(log, "could not be forgotten") {
		t.Errorf("the log: %s", log)
	}
}

// TestPlacesThatCanNotBeRead shows as a failure of each receiver, and ends when
// they can be read.
func TestPlacesThatCanNotBeRead(t *testing.T) {
	b := newBooks()
	b.happens("FleetStarted", "", "before anybody was told")
	b.places["audit"], b.broken = 0, errors.New("the file is cut")
	r := newReceiver(t, nil)
	x := launch(t, b, Receiver{Name: "audit", Kind: Webhook, Timeout: patience, Secrets: at(r.URL, "")})
	x.await(t, func() bool {
		s := x.States()[0]
		return strings.Contains(s.Failing, "the file is cut") && s.Attempts > 1 && !s.Since.IsZero() && !s.NextTry.IsZero()
	})
	r.none(t)
	b.mu.Lock()
	b.broken = nil
	b.mu.Unlock()
	if g := r.next(t); !strings.Contains(g.body, "before anybody was told") {
		t.Errorf("got %s", g.body)
	}
	x.await(t, func() bool { s := x.States()[0]; return s.Failing == "" && s.Since.IsZero() && s.Told == 1 })
}
