package chat

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/greenroom-dev/greenroom/examples/live/internal/journal"
)

const (
	remembered = 50                     // messages of history
	backlog    = 64                     // frames a guest may be behind
	glance     = 100 * time.Millisecond // how often a room looks what the other version's guests said
)

// Message is one line of the chat and of its journal.
type Message struct {
	Name    string    `json:"name"`
	Text    string    `json:"text"`
	Version string    `json:"version"` // of the chat that it was said to
	At      time.Time `json:"at"`
}

// room keeps who is there and what was said last.
type room struct {
	journal *journal.Journal[Message]
	last    []Message // under the journal's lock

	mu     sync.Mutex
	guests map[*guest]bool
	closed bool
	all    sync.WaitGroup
}

// guest is one connection.
type guest struct {
	hears  chan Frame
	behind chan struct{} // closed when a frame was dropped
	once   sync.Once
}

// send never blocks: a guest that does not read is cut off instead.
func (g *guest) send(f Frame) {
	select {
	case g.hears <- f:
	default:
		g.once.Do(func() { close(g.behind) })
	}
}

func openRoom(path string) (*room, error) {
	r := &room{guests: map[*guest]bool{}}
	j, err := journal.Open(path, r.heard)
	if r.journal = j; err != nil {
		return nil, err
	}
	return r, j.Sync(nil) // what was said before is no news to the first guest
}

func (r *room) close() { _ = r.journal.Close() }

// heard is called for each message, whichever version's guest said it.
func (r *room) heard(m Message) {
	if len(r.last) == remembered {
		r.last = slices.Delete(r.last, 0, 1)
	}
	r.last = append(r.last, m)
	r.mu.Lock()
	defer r.mu.Unlock()
	for g := range r.guests {
		g.send(Frame{Kind: "message", Name: m.Name, Text: m.Text, Version: m.Version})
	}
}

func (r *room) say(m Message) error {
	return r.journal.Append(func() (Message, error) { return m, nil })
}

// history returns the last messages, the oldest first.
func (r *room) history() (last []Message, err error) {
	last = []Message{} // JSON has [] for an empty room
	err = r.journal.Sync(func() { last = append(last, r.last...) })
	return last, err
}

// follow hears what is said to the other version, until ctx ends.
func (r *room) follow(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for {
		if err := r.journal.Sync(nil); err != nil {
			log.Error("following the chat", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// enter adds a guest, unless the room is closing.
func (r *room) enter() (*guest, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, false
	}
	g := &guest{hears: make(chan Frame, backlog), behind: make(chan struct{})}
	r.guests[g] = true
	r.all.Add(1)
	return g, true
}

func (r *room) exit(g *guest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.guests, g)
	r.all.Done()
}

// leave lets nobody in and returns when all have gone.
func (r *room) leave() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.all.Wait()
}
