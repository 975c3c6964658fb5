package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// A destination that no route leads to any more goes when it has lingered, and
// not with whatever happens to be looked at after that.
func TestLingering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApplier(nil, slog.New(slog.DiscardHandler), time.Now, nil)
		service := func(name string) kubernetes.Object {
			return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
		}
		look := func(ours ...kubernetes.Object) {
			t.Helper()
			if err := a.prune(t.Context(), kubernetes.Value{}, &world{ours: ours}); err != nil {
				t.Fatal(err)
			}
		}
		rests := func(want time.Duration) {
			t.Helper()
			if got := a.rest(resync); got != want {
				t.Errorf("the next look is after %v, want %v", got, want)
			}
		}
		look()
		rests(resync)
		look(service("gr-api-1"))
		rests(resync)
		time.Sleep(lingering - 10*time.Second)
		look(service("gr-api-1"), service("gr-api-2"))
		rests(10 * time.Second)
		time.Sleep(5 * time.Second)
		rests(5 * time.Second)
		look(service("gr-api-2")) // the other is wanted again, or gone
		rests(resync)
	})
}

// What a pass writes stays out of the way of a switch, and is not written for a
// default that a switch has replaced meanwhile.
func TestLetPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w way
		a := newApplier(nil, slog.New(slog.DiscardHandler), time.Now, nil)
		a.clear = w.await
		serving := func(stamp string, revision uint64) kubernetes.Value {
			return kubernetes.Value{State: release.State{Revision: revision, Default: stamp}}
		}
		before := serving("r1", 1)
		a.follow(t.Context(), before, nil)
		if err := a.letPass(t.Context(), before); err != nil {
			t.Errorf("with nothing on its way: %v", err)
		}
		a.follow(t.Context(), serving("r1", 2), nil)
		if err := a.letPass(t.Context(), before); err != nil {
			t.Errorf("after a change that switches nothing: %v", err)
		}
		leave := w.take()
		time.AfterFunc(time.Second, leave)
		began := time.Now()
		if err := a.letPass(t.Context(), before); err != nil || time.Since(began) != time.Second {
			t.Errorf("beside a switch it waited %v: %v", time.Since(began), err)
		}
		a.follow(t.Context(), serving("r2", 3), nil)
		if err := a.letPass(t.Context(), before); !errors.Is(err, ErrOvertaken) {
			t.Errorf("after a switch: %v", err)
		}
	})
}

// patched is an API server that takes every object, and calls did after each.
type patched struct {
	client.Client
	did func()
}

func (p patched) Patch(context.Context, client.Object, client.Patch, ...client.PatchOption) error {
	p.did()
	return nil
}

// A switch ends what a pass is still writing for the former default: of many
// services' routes hardly any are written behind it.
func TestSwitchEndsPass(t *testing.T) {
	const services, switchAt = 100, 3
	at := func(stamp string, revision uint64) kubernetes.Value {
		return kubernetes.Value{State: release.State{Revision: revision, Default: stamp}}
	}
	var a *applier
	var written atomic.Int32
	a = newApplier(patched{did: func() {
		if written.Add(1) == switchAt {
			a.follow(t.Context(), at("r2", 2), nil)
		}
	}}, slog.New(slog.DiscardHandler), time.Now, func(context.Context) error { return nil })
	a.follow(t.Context(), at("r1", 1), nil)
	var objects kubernetes.Objects
	for i := range services {
		objects.Mesh = append(objects.Mesh, &networkingv1.VirtualService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprint(i)}})
	}
	err := a.pass(t.Context(), at("r1", 1), &world{}, objects)
	if got := written.Load(); !errors.Is(err, ErrOvertaken) || got > switchAt+writers*2 {
		t.Errorf("%d of %d were written, %v", got, services, err)
	}
}
