// Package notify tells others of what happens to releases: webhooks, Slack and
// what takes messages as Slack does, and the annotations of a Grafana.
//
// It owns how events become messages, how those are signed, when they are sent
// again, and where in the event log each receiver has come to. It reads the
// log (interface Log) and nothing else of greenroom, after what happened has
// happened: no switch waits for it. Each event that a receiver wants is told
// in the log's order and at least once; after a crash the one under way may
// come twice, under the same id. One that is refused for good, or not taken for
// a day, is given up, so that the next have their turn.
//
// Secrets are read when they are needed, and neither kept nor logged; of an
// address only the host is ever shown.
//
// Start at New and Run; message.go has what is sent, send.go how.
package notify

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// The kinds of receivers.
const (
	Webhook = "webhook"
	Slack   = "slack"
	Grafana = "grafana"
)

// Event is one entry of the log.
type Event struct {
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"`
	Type    string    `json:"type"`
	Release string    `json:"release,omitempty"`
	Who     string    `json:"who"`
	Why     string    `json:"why,omitempty"`
	Message string    `json:"message"`
}

// Log is the event log.
type Log interface {
	// After returns at most limit events with a number above after, in order.
	After(ctx context.Context, after uint64, limit int) ([]Event, error)
	// Last returns the number of the last event; 0 when there is none.
	Last(ctx context.Context) (uint64, error)
	// Changed returns a channel that is closed when there may be more.
	Changed() <-chan struct{}
}

// Cursors keep how far in the log each receiver is, across restarts.
type Cursors interface {
	Load(ctx context.Context) (map[string]uint64, error)
	// Save keeps one receiver's place. It is durable when it returns.
	Save(ctx context.Context, name string, seq uint64) error
	// Forget drops the places of all receivers but those named.
	Forget(ctx context.Context, but []string) error
}

// Receiver is somebody who is told.
type Receiver struct {
	Name    string
	Kind    string
	Events  []string // types; none: Usual of the kind
	Tags    []string // of a Grafana's annotations
	Timeout time.Duration
	// Secrets returns where to, and with what. It is called for each attempt.
	Secrets func(ctx context.Context) (Address, error)
}

// Address is where a receiver is, and what it takes to be believed there.
type Address struct {
	URL    string
	Secret string         // key of a webhook's signature, or a Grafana's token; "" for none
	Roots  *x509.CertPool // nil: those of the machine
}

// State is how it goes with a receiver.
type State struct {
	Name, Kind string
	Host       string // of the address, once it was read
	Told       uint64 // number of the last event that is done with
	Waiting    int    // events that are yet to be told, at most MaxWaiting are counted
	LastTold   time.Time
	Failing    string // why the last attempt failed; "" when it did not
	Since      time.Time
	Attempts   int
	GivenUp    int
	NextTry    time.Time
}

// MaxWaiting is how far waiting events are counted.
const MaxWaiting = 1000

// refusals is how often what is refused for good is tried.
const refusals = 3

// far is how many events nobody wants are passed over until that is kept.
const far = 200

// pace is when something is tried again.
type pace struct {
	first  time.Duration // after the first attempt; twice as long after each
	long   time.Duration // at most
	giveUp time.Duration // since the first attempt for an event
	poll   time.Duration // looks at the log for what nobody tells of
}

var usualPace = pace{first: time.Second, long: 5 * time.Minute, giveUp: 24 * time.Hour, poll: 2 * time.Second}

// Options are what a Notifier works with. All are needed.
type Options struct {
	Fleet   string
	Link    func() string // to the fleet, for people
	Log     Log
	Cursors Cursors
	Logger  *slog.Logger
	Now     func() time.Time
}

// Notifier tells all receivers of one fleet.
type Notifier struct {
	o    Options
	pace pace
	sets chan []Receiver

	mu     sync.Mutex
	states map[string]*State
	known  []Receiver
}

// ErrUnknown is returned when no receiver has the name.
var ErrUnknown = errors.New("no such notification")

// New returns a Notifier that tells nobody yet.
func New(o Options) *Notifier {
	return &Notifier{o: o, pace: usualPace, sets: make(chan []Receiver, 1), states: map[string]*State{}}
}

// Set says who is told from now on. One that is new begins with what happens
// next; one that is known goes on where it is. Of several at once the last one
// is in force, whole.
func (n *Notifier) Set(receivers []Receiver) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known = slices.Clone(receivers)
	states := map[string]*State{}
	for _, r := range receivers {
		s := n.states[r.Name]
		if s == nil || s.Kind != r.Kind {
			s = &State{Name: r.Name, Kind: r.Kind}
		}
		states[r.Name] = s
	}
	n.states = states
	select { // what nobody has taken yet is overtaken
	case <-n.sets:
	default:
	}
	n.sets <- receivers // which has room: nobody else sends under mu
}

// States says how it goes, in the order of the receivers.
func (n *Notifier) States() []State {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []State
	for _, r := range n.known {
		out = append(out, *n.states[r.Name])
	}
	return out
}

func (n *Notifier) note(name string, change func(*State)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s := n.states[name]; s != nil {
		change(s)
	}
}

// Run tells receivers until ctx is done.
func (n *Notifier) Run(ctx context.Context) {
	var work sync.WaitGroup
	stop := func() {}
	defer func() { stop(); work.Wait() }()
	for {
		select {
		case <-ctx.Done():
			return
		case receivers := <-n.sets:
			stop()
			work.Wait()
			telling, end := context.WithCancel(ctx)
			stop = end
			places, receivers, known := n.awaitPlaces(ctx, receivers)
			if !known {
				return
			}
			for _, r := range receivers {
				at := places[r.Name]
				work.Go(func() { n.tell(telling, r, at) })
			}
		}
	}
}

// place is how far a receiver has come.
type place struct {
	seq  uint64
	kept bool // over a restart
}

// awaitPlaces returns how far receivers have come, and tries until that can be
// read; until then all of them are shown as failing. Where others are set
// meanwhile, it is about those, and returns them. It is false when ctx is done
// first.
func (n *Notifier) awaitPlaces(ctx context.Context, receivers []Receiver) (map[string]place, []Receiver, bool) {
	places, err := n.places(ctx, receivers)
	for tried := 1; err != nil; tried++ {
		if ctx.Err() != nil {
			return nil, nil, false
		}
		n.o.Logger.Error("how far notifications have come is not known, and nobody is told anything; it is tried again", "error", err)
		wait, now := n.pace.long/10, n.o.Now()
		n.noteAll(receivers, func(s *State) {
			if s.Failing == "" {
				s.Since = now
			}
			s.Failing, s.Attempts, s.NextTry = err.Error(), tried, now.Add(wait)
		})
		select {
		case <-ctx.Done():
			return nil, nil, false
		case receivers = <-n.sets:
		case <-time.After(wait):
		}
		if places, err = n.places(ctx, receivers); err == nil {
			n.noteAll(receivers, func(s *State) { s.Failing, s.Since, s.Attempts, s.NextTry = "", time.Time{}, 0, time.Time{} })
		}
	}
	return places, receivers, true
}

func (n *Notifier) noteAll(receivers []Receiver, change func(*State)) {
	for _, r := range receivers {
		n.note(r.Name, change)
	}
}

// places are how far receivers have come. Who is new begins at the log's end,
// and so does who is beyond it, since the log is another one. That such a place
// can not be kept yet, on a full disk say, keeps nobody from being told.
func (n *Notifier) places(ctx context.Context, receivers []Receiver) (map[string]place, error) {
	kept, err := n.o.Cursors.Load(ctx)
	if err != nil {
		return nil, err
	}
	last, err := n.o.Log.Last(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	out := map[string]place{}
	for _, r := range receivers {
		names = append(names, r.Name)
		seq, known := kept[r.Name]
		at := place{seq: seq, kept: true}
		if !known || seq > last {
			at = place{seq: last, kept: n.keep(ctx, r.Name, last)}
		}
		out[r.Name] = at
		n.note(r.Name, func(s *State) { s.Told = at.seq })
	}
	if !covers(names, kept) {
		if err := n.o.Cursors.Forget(ctx, names); err != nil && ctx.Err() == nil {
			n.o.Logger.Warn("how far former notifications had come could not be forgotten", "error", err)
		}
	}
	return out, nil
}

// keep keeps a receiver's place over a restart. It is false where that failed.
func (n *Notifier) keep(ctx context.Context, name string, seq uint64) bool {
	err := n.o.Cursors.Save(ctx, name, seq)
	if err != nil && ctx.Err() == nil {
		n.o.Logger.Error("how far a notification has come could not be kept, which is tried again; after a restart it may come again", "notification", name, "error", err)
	}
	return err == nil
}

func covers(names []string, kept map[string]uint64) bool {
	for name := range kept {
		if !slices.Contains(names, name) {
			return false
		}
	}
	return true
}

// tell goes along the log with one receiver.
func (n *Notifier) tell(ctx context.Context, r Receiver, at place) {
	seq, saved, kept := at.seq, at.seq, at.kept
	wanted := r.Events
	if len(wanted) == 0 {
		wanted = Usual(r.Kind)
	}
	tick := time.NewTicker(n.pace.poll)
	defer tick.Stop()
	for {
		changed := n.o.Log.Changed()
		events, err := n.o.Log.After(ctx, seq, MaxWaiting)
		if err != nil && ctx.Err() == nil {
			n.o.Logger.Error("the event log cannot be read for a notification; it is tried again", "notification", r.Name, "error", err)
		}
		events = slices.DeleteFunc(events, func(e Event) bool {
			if len(wanted) > 0 && !slices.Contains(wanted, e.Type) {
				seq = max(seq, e.Seq)
				return true
			}
			return false
		})
		for i, e := range events {
			n.note(r.Name, func(s *State) { s.Waiting = len(events) - i })
			if !n.deliver(ctx, r, e) {
				return
			}
			kept = n.keep(ctx, r.Name, e.Seq)
			saved = e.Seq
			n.note(r.Name, func(s *State) { s.Waiting, s.Told = len(events)-i-1, e.Seq })
		}
		if len(events) > 0 {
			seq = max(seq, events[len(events)-1].Seq)
			continue
		}
		n.note(r.Name, func(s *State) { s.Told = max(s.Told, seq) })
		if !kept || seq >= saved+far { // the latter so that a restart need not look at all of it again
			if n.o.Cursors.Save(ctx, r.Name, seq) == nil { // a failure was logged, or is tried again before it matters
				saved, kept = seq, true
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
		}
	}
}

// deliver tells one event, again and again until it is taken or given up. It is
// false when ctx is done first.
func (n *Notifier) deliver(ctx context.Context, r Receiver, e Event) bool {
	began := n.o.Now()
	pause := n.pace.first
	for attempt := 1; ; attempt++ {
		host, err := n.send(ctx, r, e)
		if ctx.Err() != nil {
			return false
		}
		now := n.o.Now()
		if err == nil {
			n.note(r.Name, func(s *State) {
				s.Host, s.LastTold, s.Failing, s.Since, s.Attempts, s.NextTry = host, now, "", time.Time{}, 0, time.Time{}
			})
			return true
		}
		wait := min(pause, n.pace.long)
		pause = wait * 2
		var refused *Refusal
		if errors.As(err, &refused) && refused.After > wait {
			wait = min(refused.After, n.pace.long)
		}
		given := now.Sub(began) >= n.pace.giveUp || refused != nil && refused.Final && attempt >= refusals
		n.note(r.Name, func(s *State) {
			if s.Failing == "" {
				s.Since = now
			}
			s.Host, s.Failing, s.Attempts, s.NextTry = host, err.Error(), attempt, now.Add(wait)
			if given {
				s.GivenUp++
				s.NextTry = time.Time{}
			}
		})
		if given {
			n.o.Logger.Error("a notification is given up", "notification", r.Name, "event", e.Seq, "type", e.Type, "attempts", attempt, "error", err)
			return true
		}
		if attempt == 1 {
			n.o.Logger.Warn("a notification was not taken; it is tried again", "notification", r.Name, "event", e.Seq, "type", e.Type, "error", err)
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
	}
}

// Test tells one receiver, once, that this is a trial. It returns its host, and
// how long it took.
func (n *Notifier) Test(ctx context.Context, name, who string) (host string, took time.Duration, err error) {
	n.mu.Lock()
	i := slices.IndexFunc(n.known, func(r Receiver) bool { return r.Name == name })
	var r Receiver
	if i >= 0 {
		r = n.known[i]
	}
	n.mu.Unlock()
	if i < 0 {
		return "", 0, fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	began := time.Now()
	host, err = n.send(ctx, r, Event{Time: n.o.Now(), Type: "NotificationTest", Who: who, Message: "this is a trial of the notification " + name})
	return host, time.Since(began), err
}
