package operator

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/notify"
	"github.com/greenroom-dev/greenroom/internal/operator/journal"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/verbs"
)

// labelNotify stands on Secrets that notifications may use, with the Fleet's
// name: who may write a Fleet could else have any Secret of its namespace sent
// away.
const labelNotify = "greenroom.dev/notify"

// telling is a fleet's notifications, and whom they were set to tell.
type telling struct {
	*notify.Notifier
	mu  sync.Mutex
	set []crd.Notification
	any bool
}

func (e *Engine) newTelling() *telling {
	return &telling{Notifier: notify.New(notify.Options{
		Fleet: e.key.Name, Link: e.edgeURL, Log: eventLog{e}, Cursors: &places{e: e}, Logger: e.log, Now: e.d.Now,
	})}
}

// follow tells whom the Fleet names now.
func (t *telling) follow(e *Engine, list []crd.Notification) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.any && reflect.DeepEqual(t.set, list) {
		return
	}
	t.set, t.any = list, true
	var out []notify.Receiver
	for _, n := range list {
		timeout, err := cmp.Or(n.Timeout, v1alpha1.Duration("10s")).Parse()
		if err != nil {
			timeout = 10 * time.Second // which Check complains of
		}
		out = append(out, notify.Receiver{
			Name: n.Name, Kind: n.Kind, Events: n.Events, Tags: n.Tags, Timeout: timeout,
			Secrets: func(ctx context.Context) (notify.Address, error) { return e.addressOf(ctx, n) },
		})
	}
	t.Set(out)
}

// addressOf reads where a notification goes, as it is now. What a Secret says of
// where it goes is believed before the Fleet, and a token is sent nowhere else:
// who may write Fleets could have it sent to themselves. A webhook's key never
// leaves, it signs.
func (e *Engine) addressOf(ctx context.Context, n crd.Notification) (notify.Address, error) {
	out := notify.Address{URL: n.URL}
	if n.Secret == "" {
		return out, nil
	}
	var s corev1.Secret
	if err := e.d.Direct.Get(ctx, types.NamespacedName{Namespace: e.key.Namespace, Name: n.Secret}, &s); err != nil {
		return out, fmt.Errorf("read Secret %s: %w", n.Secret, err)
	}
	if s.Labels[labelNotify] != e.key.Name {
		return out, fmt.Errorf("the Secret %s is not for notifications: it needs the label %s=%s", n.Secret, labelNotify, e.key.Name)
	}
	own := strings.TrimSpace(string(s.Data["url"]))
	switch {
	case own != "":
		out.URL = own
	case n.URL == "":
		return out, fmt.Errorf("the Secret %s has no url", n.Secret)
	case n.Kind == notify.Grafana:
		return notify.Address{}, fmt.Errorf("the token of the Secret %s is only sent to the url that the Secret says itself: put url into it", n.Secret)
	}
	out.Secret = strings.TrimRight(string(s.Data["secret"]), "\r\n")
	if ca := s.Data["ca.crt"]; len(ca) > 0 {
		out.Roots = x509.NewCertPool()
		if !out.Roots.AppendCertsFromPEM(ca) {
			return out, fmt.Errorf("ca.crt of Secret %s holds no certificate", n.Secret)
		}
	}
	return out, nil
}

// eventLog is the event log as notifications read it.
type eventLog struct{ e *Engine }

func (l eventLog) After(ctx context.Context, after uint64, limit int) ([]notify.Event, error) {
	found, err := l.e.journal.After(ctx, after, journal.Filter{Limit: limit})
	out := make([]notify.Event, 0, len(found))
	for _, e := range found {
		out = append(out, notify.Event{Seq: e.Seq, Time: e.Time, Type: e.Type, Release: e.Release, Who: e.Who, Why: e.Why, Message: e.Message})
	}
	return out, err
}

func (l eventLog) Last(ctx context.Context) (uint64, error) {
	found, err := l.e.journal.Before(ctx, 0, journal.Filter{Limit: 1})
	if err != nil || len(found) == 0 {
		return 0, err
	}
	return found[0].Seq, nil
}

func (l eventLog) Changed() <-chan struct{} { return l.e.controller.Changed() }

// places keep how far notifications have come, in a ConfigMap.
type places struct {
	e  *Engine
	mu sync.Mutex
}

func placesName(fleet string) string { return "greenroom." + fleet + ".notify" }

// placesField is where the ConfigMap has them: name → number of an event.
const placesField = "places"

func (p *places) read(ctx context.Context) (*corev1.ConfigMap, map[string]uint64, error) {
	kept := &corev1.ConfigMap{}
	name := types.NamespacedName{Namespace: p.e.key.Namespace, Name: placesName(p.e.key.Name)}
	err := p.e.d.Direct.Get(ctx, name, kept)
	by := map[string]uint64{}
	if apierrors.IsNotFound(err) {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name, Labels: kubernetes.Labels(p.e.world.Load().fleet)}}, by, nil
	}
	if err == nil && kept.Data[placesField] != "" {
		err = json.Unmarshal([]byte(kept.Data[placesField]), &by)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read how far notifications have come in ConfigMap %s (without it they begin with what happens next): %w", name.Name, err)
	}
	return kept, by, nil
}

// Load returns all of them.
func (p *places) Load(ctx context.Context) (map[string]uint64, error) {
	_, by, err := p.read(ctx)
	return by, err
}

// Save keeps one of them.
func (p *places) Save(ctx context.Context, name string, seq uint64) error {
	return p.change(ctx, func(by map[string]uint64) { by[name] = seq })
}

// Forget drops all but those named.
func (p *places) Forget(ctx context.Context, but []string) error {
	return p.change(ctx, func(by map[string]uint64) {
		maps.DeleteFunc(by, func(name string, _ uint64) bool { return !slices.Contains(but, name) })
	})
}

func (p *places) change(ctx context.Context, f func(map[string]uint64)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept, by, err := p.read(ctx)
	if err != nil {
		return err
	}
	f(by)
	data, err := json.Marshal(by)
	if err != nil {
		return fmt.Errorf("write how far notifications have come: %w", err)
	}
	kept.Data = map[string]string{placesField: string(data)}
	write := func(c client.Client) error { return c.Update(ctx, kept) }
	if kept.ResourceVersion == "" {
		write = func(c client.Client) error { return c.Create(ctx, kept) }
	}
	if err := write(p.e.d.Direct); err != nil {
		return fmt.Errorf("write how far notifications have come: %w", err)
	}
	return nil
}

// Notifications returns who is told of events, and how that goes.
func (e *Engine) Notifications(context.Context) ([]api.Notification, error) {
	return verbs.Notifications(e.telling.States()), nil
}

// TestNotification tells one of them that this is a trial.
func (e *Engine) TestNotification(ctx context.Context, who, name string, in api.Asked) (api.Told, error) {
	return verbs.TestNotification(ctx, e.telling.Notifier, who, name, in, func(message string) {
		e.note(ctx, api.Event{Type: "NotificationTested", Who: who, Why: in.Reason, Message: message})
	})
}
