package app

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/durable"
	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/notify"
	"github.com/greenroom-dev/greenroom/internal/store"
	"github.com/greenroom-dev/greenroom/internal/verbs"
)

func (a *App) newNotifier(fleetName string) *notify.Notifier {
	return notify.New(notify.Options{
		Fleet: fleetName, Link: func() string { return a.controller.Record().Fleet.Edge.PublicURL },
		Log: eventLog{a}, Cursors: &places{file: a.path(notifyFile)}, Logger: a.o.Log, Now: a.o.Now,
	})
}

// eventLog is the event log as notifications read it.
type eventLog struct{ a *App }

func (l eventLog) After(_ context.Context, after uint64, limit int) ([]notify.Event, error) {
	found, err := l.a.store.EventsAfter(after, store.Filter{Limit: limit})
	out := make([]notify.Event, 0, len(found))
	for _, e := range found {
		out = append(out, notify.Event{Seq: e.Seq, Time: e.Time, Type: e.Type, Release: e.Release, Who: e.Who, Why: e.Why, Message: e.Message})
	}
	return out, err
}

func (l eventLog) Last(context.Context) (uint64, error) {
	found, err := l.a.store.EventsBefore(0, store.Filter{Limit: 1})
	if err != nil || len(found) == 0 {
		return 0, err
	}
	return found[0].Seq, nil
}

func (l eventLog) Changed() <-chan struct{} { return l.a.controller.Changed() }

// places keep how far notifications have come, in a file: name → number of an
// event.
type places struct {
	file string
	mu   sync.Mutex
	by   map[string]uint64 // as the file has it; nil: not read yet
}

func (p *places) read() error {
	if p.by != nil {
		return nil
	}
	data, err := os.ReadFile(p.file)
	if errors.Is(err, fs.ErrNotExist) {
		p.by = map[string]uint64{}
		return nil
	}
	by := map[string]uint64{}
	if err == nil {
		err = json.Unmarshal(data, &by)
	}
	if err == nil && by == nil { // of the word null
		err = errors.New("it holds no places")
	}
	if err != nil {
		return fmt.Errorf("read how far notifications have come in %s (put back a copy, or remove it: they then begin with what happens next): %w", p.file, err)
	}
	p.by = by
	return nil
}

// Load returns all of them.
func (p *places) Load(context.Context) (map[string]uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.read(); err != nil {
		return nil, err
	}
	out := map[string]uint64{}
	for name, seq := range p.by {
		out[name] = seq
	}
	return out, nil
}

// Save keeps one of them.
func (p *places) Save(_ context.Context, name string, seq uint64) error {
	return p.change(func(by map[string]uint64) { by[name] = seq })
}

// Forget drops all but those named.
func (p *places) Forget(_ context.Context, but []string) error {
	return p.change(func(by map[string]uint64) {
		for name := range by {
			if !slices.Contains(but, name) {
				delete(by, name)
			}
		}
	})
}

func (p *places) change(f func(map[string]uint64)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.read(); err != nil {
		return err
	}
	f(p.by)
	data, err := json.Marshal(p.by)
	if err != nil {
		return fmt.Errorf("write how far notifications have come: %w", err)
	}
	return durable.Replace(p.file, bytes.NewReader(data))
}

// receivers are whom a fleet's document says to tell.
func receivers(f fleet.Fleet) []notify.Receiver {
	var out []notify.Receiver
	for _, n := range f.Notifications {
		out = append(out, notify.Receiver{
			Name: n.Name, Kind: n.Kind, Events: n.Events, Tags: n.Tags, Timeout: n.Timeout,
			Secrets: func(context.Context) (notify.Address, error) { return addressOf(n) },
		})
	}
	return out
}

// addressOf reads where a notification goes, as it is now.
func addressOf(n fleet.Notification) (notify.Address, error) {
	out := notify.Address{URL: n.URL}
	var err error
	if n.URL == "" {
		if out.URL, err = secretOf("its address", n.URLFrom); err != nil {
			return out, err
		}
	}
	if n.Secret != (fleet.SecretSource{}) {
		if out.Secret, err = secretOf("its secret", n.Secret); err != nil {
			return out, err
		}
	}
	if n.CAFile == "" {
		return out, nil
	}
	data, err := os.ReadFile(n.CAFile)
	if err != nil {
		return out, fmt.Errorf("read its authorities: %w", err)
	}
	out.Roots = x509.NewCertPool()
	if !out.Roots.AppendCertsFromPEM(data) {
		return out, fmt.Errorf("%s holds no certificate", n.CAFile)
	}
	return out, nil
}

func secretOf(what string, s fleet.SecretSource) (string, error) {
	if s.Env != "" {
		text, set := os.LookupEnv(s.Env)
		if !set || text == "" {
			return "", fmt.Errorf("%s is to be in the environment variable %s of greenroom, which is not set", what, s.Env)
		}
		return text, nil
	}
	data, err := os.ReadFile(s.File)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", what, err)
	}
	text := strings.TrimRight(string(data), "\r\n")
	if text == "" {
		return "", fmt.Errorf("%s is to be in %s, which is empty", what, s.File)
	}
	return text, nil
}

// Notifications returns who is told of events, and how that goes.
func (a *App) Notifications(context.Context) ([]client.Notification, error) {
	return verbs.Notifications(a.notifier.States()), nil
}

// TestNotification tells one of them that this is a trial.
func (a *App) TestNotification(ctx context.Context, who, name string, in client.Asked) (client.Told, error) {
	return verbs.TestNotification(ctx, a.notifier, who, name, in, func(message string) {
		if err := a.store.Append(a.event("NotificationTested", "", who, in.Reason, message)); err != nil {
			a.o.Log.Warn("the trial of a notification is not in the event log", "error", err)
		}
	})
}

// examineNotifications looks at whom nothing can be told.
func (a *App) examineNotifications() []client.Finding {
	return verbs.ExamineNotifications(a.notifier.States())
}
