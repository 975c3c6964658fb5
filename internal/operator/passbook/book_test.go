package passbook

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
	"github.com/greenroom-dev/greenroom/internal/pass"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// world is a fleet's namespace in an API server.
type world struct {
	*testing.T
	client client.Client
	fleet  types.NamespacedName
}

func (w world) open(now time.Time) *Book {
	w.Helper()
	b, err := Open(w.Context(), w.client, w.fleet, now)
	if err != nil {
		w.Fatal(err)
	}
	return b
}

func (w world) mint(b *Book, life time.Duration, now time.Time) (Pass, string) {
	w.Helper()
	p, token, err := b.Mint(w.Context(), Request{Release: "r42", UID: "u1", Subject: "ada", By: "bob", Life: life}, now)
	if err != nil {
		w.Fatal(err)
	}
	return p, token
}

func (w world) delete(o client.Object) {
	w.Helper()
	o.SetNamespace(w.fleet.Namespace)
	o.SetName("greenroom." + w.fleet.Name + ".passes")
	if err := w.client.Delete(w.Context(), o); err != nil {
		w.Fatal(err)
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func keyIDs(t *testing.T, b *Book) []string {
	t.Helper()
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal([]byte(b.JWKS()), &set); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, k := range set.Keys {
		if k["d"] != "" {
			t.Fatal("the published set has a private key")
		}
		ids = append(ids, k["kid"])
	}
	return ids
}

func TestBook(t *testing.T) {
	cluster := operatortest.Start(t)
	c, err := client.New(cluster.Admin(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]func(w world){
		"several operators make one key":                        testOneKey,
		"a pass is listed, revoked, and both outlive a restart": testLife,
		"a new key signs after the grace":                       testGrace,
		"keys rotate by age and go when their passes are over":  testRotation,
		"two operators lose nothing of each other":              testConflict,
		"a lost list is an error, a lost Secret takes all back": testLoss,
		"the list forgets and is bounded":                       testBounds,
		"a damaged list is left as it is":                       testDamage,
	} {
		t.Run(name, func(t *testing.T) {
			test(world{T: t, client: c, fleet: types.NamespacedName{Namespace: cluster.Namespace(t), Name: "live"}})
		})
	}
}

func testOneKey(w world) {
	tokens := make([]string, 6)
	var wg sync.WaitGroup
	for i := range tokens {
		wg.Go(func() {
			b, err := Open(w.Context(), w.client, w.fleet, noon)
			if err != nil {
				w.Error(err)
				return
			}
			_, tokens[i], err = b.Mint(w.Context(), Request{Release: "r42", UID: "u1", Subject: "ada", By: "bob", Life: time.Hour}, noon)
			if err != nil {
				w.Error(err)
			}
		})
	}
	wg.Wait()
	b := w.open(noon)
	for i, token := range tokens {
		if _, err := b.Verify(token, noon); err != nil {
			w.Errorf("pass %d: %v", i, err)
		}
	}
	if got := len(b.List()); got != len(tokens) {
		w.Errorf("%d passes are listed, want %d", got, len(tokens))
	}
}

func testLife(w world) {
	b := w.open(noon)
	p, token := w.mint(b, time.Hour, noon)
	claims, err := b.Verify(token, noon)
	if err != nil || claims.ID != p.ID || claims.Release != "r42" || claims.UID != "u1" || claims.Subject != "ada" {
		w.Errorf("the token says %+v (%v)", claims, err)
	}
	if b.Issuer() != "greenroom/"+w.fleet.Namespace+"/live" {
		w.Errorf("issuer %s", b.Issuer())
	}
	changed := b.Changed()
	w.mint(b, time.Hour, noon)
	if closed(changed) {
		w.Error("a pass that was made changes nothing at the gateways")
	}
	gone, err := b.Revoke(w.Context(), p.ID, "bob", "left the team", noon.Add(time.Minute))
	if err != nil || !gone.Revoked.Equal(noon.Add(time.Minute)) || gone.RevokedBy != "bob" || gone.RevokedWhy != "left the team" {
		w.Errorf("revoked %+v, %v", gone, err)
	}
	if !closed(changed) {
		w.Error("the gateways are not told of a revocation")
	}
	if again, err := b.Revoke(w.Context(), p.ID, "eve", "", noon.Add(time.Hour)); err != nil || again != gone {
		w.Errorf("revoked again: %+v, %v", again, err)
	}
	if _, err := b.Revoke(w.Context(), "nobody", "bob", "", noon); !errors.Is(err, ErrNotFound) {
		w.Errorf("revoking nothing: %v", err)
	}
	again := w.open(noon)
	for _, b := range []*Book{b, again} {
		if got := b.Revoked(noon); len(got) != 1 || got[0] != p.ID {
			w.Errorf("revoked are %v", got)
		}
		if got := b.Revoked(noon.Add(time.Hour)); len(got) != 0 {
			w.Errorf("revoked after the end are %v", got)
		}
		if _, err := b.Verify(token, noon); !errors.Is(err, ErrRevoked) {
			w.Errorf("a revoked pass: %v", err)
		}
		if len(b.List()) != 2 {
			w.Errorf("listed are %v", b.List())
		}
	}
	for _, life := range []time.Duration{0, pass.Shortest - 1, pass.Longest + 1} {
		if _, _, err := b.Mint(w.Context(), Request{Release: "r42", UID: "u1", Subject: "ada", By: "bob", Life: life}, noon); err == nil {
			w.Errorf("a pass for %s", life)
		}
	}
	if _, _, err := b.Draft(Request{Release: "r42", UID: "u1", Subject: "ada", By: "bob", Life: time.Hour}, noon); err != nil || len(b.List()) != 2 {
		w.Errorf("a draft: %v, %v", err, b.List())
	}
}

func testGrace(w world) {
	b := w.open(noon)
	first := keyIDs(w.T, b)
	changed := b.Changed()
	if err := b.Rotate(w.Context(), noon); err != nil {
		w.Fatal(err)
	}
	if !closed(changed) {
		w.Error("the gateways are not told of a new key")
	}
	both := keyIDs(w.T, b)
	if len(first) != 1 || len(both) != 2 || both[1] != first[0] {
		w.Fatalf("keys %v, then %v", first, both)
	}
	for at, want := range map[time.Duration]string{Grace - time.Second: first[0], Grace: both[0]} {
		_, token := w.mint(b, time.Hour, noon.Add(at))
		if !strings.Contains(header(w.T, token), want) {
			w.Errorf("after %s a pass is signed by %s, want %s", at, header(w.T, token), want)
		}
	}
}

func testRotation(w world) {
	b := w.open(noon)
	first := keyIDs(w.T, b)[0]
	if err := b.Sync(w.Context(), noon.Add(RotateEvery-1)); err != nil || len(keyIDs(w.T, b)) != 1 {
		w.Errorf("a young key: %v, %v", keyIDs(w.T, b), err)
	}
	_, last := w.mint(b, pass.Longest, noon.Add(RotateEvery))
	now := noon.Add(RotateEvery)
	for range 2 { // the second time there is nothing to do
		if err := b.Sync(w.Context(), now); err != nil || len(keyIDs(w.T, b)) != 2 {
			w.Errorf("an old key: %v, %v", keyIDs(w.T, b), err)
		}
	}
	for ; now.Before(noon.Add(RotateEvery + pass.Longest)); now = now.Add(24 * time.Hour) {
		if err := b.Sync(w.Context(), now); err != nil {
			w.Fatal(err)
		}
		if _, err := b.Verify(last, now); err != nil {
			w.Fatalf("a pass that holds, %s after its issue: %v", now.Sub(noon.Add(RotateEvery)), err)
		}
	}
	if err := b.Sync(w.Context(), now.Add(24*time.Hour)); err != nil {
		w.Fatal(err)
	}
	for _, id := range keyIDs(w.T, b) {
		if id == first {
			w.Error("the first key stays after its last pass")
		}
	}
}

func testConflict(w world) {
	one, other := w.open(noon), w.open(noon)
	w.mint(one, time.Hour, noon)
	w.mint(other, time.Hour, noon) // knows an older list
	if err := other.Rotate(w.Context(), noon); err != nil {
		w.Fatal(err)
	}
	if err := one.Rotate(w.Context(), noon.Add(time.Second)); err != nil { // knows older keys
		w.Fatal(err)
	}
	fresh := w.open(noon)
	if len(fresh.List()) != 2 || len(keyIDs(w.T, fresh)) != 3 {
		w.Errorf("%d passes and %d keys are kept, want 2 and 3", len(fresh.List()), len(keyIDs(w.T, fresh)))
	}
	changed := other.Changed()
	if err := other.Sync(w.Context(), noon); err != nil || !closed(changed) || other.JWKS() != one.JWKS() {
		w.Errorf("what the other wrote is not taken in: %v", err)
	}
}

func testLoss(w world) {
	b := w.open(noon)
	_, token := w.mint(b, time.Hour, noon)
	w.delete(&corev1.ConfigMap{})
	if err := b.Sync(w.Context(), noon); !errors.Is(err, ErrListLost) {
		w.Errorf("the list is gone: %v", err)
	}
	if _, _, err := b.Mint(w.Context(), Request{Release: "r42", UID: "u1", Subject: "ada", By: "bob", Life: time.Hour}, noon); !errors.Is(err, ErrListLost) {
		w.Errorf("a pass is made without a list: %v", err)
	}
	if _, err := Open(w.Context(), w.client, w.fleet, noon); !errors.Is(err, ErrListLost) {
		w.Errorf("a restart forgets what was revoked: %v", err)
	}
	w.delete(&corev1.Secret{})
	fresh := w.open(noon)
	if _, err := fresh.Verify(token, noon); !errors.Is(err, pass.ErrForged) {
		w.Errorf("a pass of the former keys: %v", err)
	}
	w.mint(fresh, time.Hour, noon)
	changed := fresh.Changed()
	w.delete(&corev1.Secret{})
	if err := fresh.Sync(w.Context(), noon); err != nil || !closed(changed) {
		w.Errorf("a Secret that was deleted: %v", err)
	}
	if _, err := w.open(noon).Verify(token, noon); !errors.Is(err, pass.ErrForged) {
		w.Errorf("a pass of the former keys: %v", err)
	}
}

func testBounds(w world) {
	b := w.open(noon)
	w.mint(b, time.Hour, noon)
	later := noon.Add(time.Hour + remember + 1)
	if err := b.Sync(w.Context(), later); err != nil || len(b.List()) != 0 {
		w.Errorf("a pass is remembered for ever: %v, %v", b.List(), err)
	}
	if err := b.change(w.Context(), later, func([]Pass) ([]Pass, error) {
		many := make([]Pass, maxPasses)
		for i := range many {
			many[i] = Pass{ID: fmt.Sprint(i), Release: "r42", Expires: later}
		}
		return many, nil
	}); err != nil {
		w.Fatal(err)
	}
	if _, _, err := b.Mint(w.Context(), Request{Release: "r42", UID: "u1", Subject: "ada", By: "bob", Life: time.Hour}, later); !errors.Is(err, ErrFull) {
		w.Errorf("one more than fit: %v", err)
	}
	w.delete(&corev1.ConfigMap{})
	w.delete(&corev1.Secret{})
	testFull(w, w.open(later), later)
}

// What is full by what its passes say can still be told that one is revoked.
func testFull(w world, b *Book, now time.Time) {
	const n = 1000
	many := make([]Pass, n)
	for i := range many {
		many[i] = Pass{ID: fmt.Sprint(i), Release: "r42", Subject: strings.Repeat("s", maxList/n-250), Expires: now.Add(time.Hour)}
	}
	text, err := json.Marshal(many)
	if err != nil || len(text) > maxList {
		w.Fatalf("%d bytes, %v", len(text), err)
	}
	many[0].Subject += strings.Repeat("s", maxList-len(text))
	if err := b.change(w.Context(), now, func([]Pass) ([]Pass, error) { return many, nil }); err != nil {
		w.Fatal(err)
	}
	if _, _, err := b.Mint(w.Context(), Request{Release: "r42", UID: "u1", Subject: "ada", By: "bob", Life: time.Hour}, now); !errors.Is(err, ErrFull) {
		w.Errorf("one more than fits: %v", err)
	}
	if _, err := b.Revoke(w.Context(), "7", "bob", "it was passed on", now); err != nil || !slices.Contains(b.Revoked(now), "7") {
		w.Errorf("one of a full list is revoked: %v", err)
	}
}

func testDamage(w world) {
	w.open(noon)
	var found corev1.ConfigMap
	if err := w.client.Get(w.Context(), key(w.fleet), &found); err != nil {
		w.Fatal(err)
	}
	found.Data[passesField] = "[{"
	if err := w.client.Update(w.Context(), &found); err != nil {
		w.Fatal(err)
	}
	if _, err := Open(w.Context(), w.client, w.fleet, noon); err == nil || !strings.Contains(err.Error(), "damaged") {
		w.Errorf("a damaged list: %v", err)
	}
}
