package passbook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/greenroom-dev/greenroom/internal/pass"
)

// Pass is what is kept of a pass that was made; never its token. Of a callback
// address the token is kept: it stands in the gateways' routes anyway.
type Pass struct {
	ID         string    `json:"id"`
	Live       bool      `json:"live,omitempty"` // it is for what serves, and for no release
	Release    string    `json:"release"`
	UID        string    `json:"uid"` // of the release
	Subject    string    `json:"subject"`
	By         string    `json:"by"` // who made it
	Issued     time.Time `json:"issued"`
	Expires    time.Time `json:"expires"`
	Revoked    time.Time `json:"revoked,omitzero"` // zero: not revoked
	RevokedBy  string    `json:"revokedBy,omitempty"`
	RevokedWhy string    `json:"revokedWhy,omitempty"`

	Callback *pass.Callback `json:"callback,omitempty"` // nil: it is a pass
}

// The bounds of the list. The API server takes about a MiB.
const (
	maxPasses = 2000
	maxList   = 900 << 10  // bytes, as JSON, with a pass more
	maxTold   = 1020 << 10 // the same, with what is told of those that were revoked: that is never refused before
)

// remember is how long a pass stays in the list after its end.
const remember = 30 * 24 * time.Hour

// passesField is where the ConfigMap has the list.
const passesField = "passes.json"

// list is the ConfigMap as last read or written.
type list struct {
	object *corev1.ConfigMap
	passes []Pass // by time of issue
}

func decodeList(object *corev1.ConfigMap) (list, error) {
	l := list{object: object}
	if err := json.Unmarshal([]byte(object.Data[passesField]), &l.passes); err != nil {
		return list{}, fmt.Errorf("the list of passes in the ConfigMap %s/%s is damaged (%w): put back a copy, or delete it and the Secret of the same name, and every pass has to be made anew", object.Namespace, object.Name, err)
	}
	return l, nil
}

// with returns the list with other passes, or ErrFull where they take more than
// most bytes.
func (l list) with(passes []Pass, most int) (list, error) {
	if passes == nil {
		passes = []Pass{}
	}
	text, err := json.Marshal(passes)
	if err != nil {
		return list{}, fmt.Errorf("writing down the passes: %w", err)
	}
	if len(passes) > maxPasses || len(text) > most {
		return list{}, fmt.Errorf("%w: %d passes take %d bytes, and %d and %d are the most; let them hold for a shorter time, since each is remembered for %d days after its end",
			ErrFull, len(passes), len(text), maxPasses, most, remember/(24*time.Hour))
	}
	next := list{object: l.object.DeepCopy(), passes: passes}
	next.object.Data = map[string]string{passesField: string(text)}
	return next, nil
}

// readList reads the ConfigMap. Its error is fs.ErrNotExist where there is
// none.
func (b *Book) readList(ctx context.Context) (list, error) {
	var found corev1.ConfigMap
	err := b.client.Get(ctx, key(b.fleet), &found)
	if apierrors.IsNotFound(err) {
		return list{}, fmt.Errorf("the list of passes: %w", fs.ErrNotExist)
	}
	if err != nil {
		return list{}, fmt.Errorf("reading the list of passes: %w", err)
	}
	return decodeList(&found)
}

// createList makes an empty list, or reads the one that was made meanwhile.
func (b *Book) createList(ctx context.Context) (list, error) {
	empty, err := list{object: &corev1.ConfigMap{ObjectMeta: meta(b.fleet)}}.with(nil, maxList)
	if err != nil {
		return list{}, err
	}
	err = b.client.Create(ctx, empty.object)
	if apierrors.IsAlreadyExists(err) {
		return b.readList(ctx)
	}
	if err != nil {
		return list{}, fmt.Errorf("making the list of passes: %w", err)
	}
	return empty, nil
}

func (b *Book) listLost() error {
	return fmt.Errorf("%w: put back the ConfigMap %s, or delete the Secret of the same name too: new keys are made then, and every pass has to be made anew", ErrListLost, key(b.fleet))
}

// syncList takes in what others wrote, and forgets what is long over.
func (b *Book) syncList(ctx context.Context, now time.Time) error {
	b.edit.Lock()
	defer b.edit.Unlock()
	l, err := b.readList(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return b.listLost()
	}
	if err != nil {
		return err
	}
	b.adopt(l, now)
	if !slices.ContainsFunc(l.passes, func(p Pass) bool { return forgotten(p, now) }) {
		return nil
	}
	return b.change(ctx, now, func(passes []Pass) ([]Pass, error) { return passes, nil })
}

func forgotten(p Pass, now time.Time) bool { return now.After(p.Expires.Add(remember)) }

// change writes another list. It begins from the one known, and again from the
// one that is there if somebody was faster. The caller holds edit.
func (b *Book) change(ctx context.Context, now time.Time, change func([]Pass) ([]Pass, error)) error {
	for range attempts {
		b.mu.RLock()
		l := b.list
		b.mu.RUnlock()
		passes := slices.DeleteFunc(slices.Clone(l.passes), func(p Pass) bool { return forgotten(p, now) })
		most, kept := maxTold, len(passes)
		passes, err := change(passes)
		if errors.Is(err, errUnchanged) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(passes) > kept {
			most = maxList
		}
		next, err := l.with(passes, most)
		if err != nil {
			return err
		}
		err = b.client.Update(ctx, next.object)
		if err == nil {
			b.adopt(next, now)
			return nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return fmt.Errorf("writing the list of passes: %w", err)
		}
		fresh, err := b.readList(ctx)
		if errors.Is(err, fs.ErrNotExist) {
			return b.listLost()
		}
		if err != nil {
			return err
		}
		b.adopt(fresh, now)
	}
	return fmt.Errorf("writing the list of passes: %w", errConflict)
}

// adopt makes l the list that is known.
func (b *Book) adopt(l list, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := revoked(b.list.passes, now)
	b.list = l
	if !slices.Equal(before, revoked(l.passes, now)) {
		b.tell()
	}
}

// revoked returns the IDs of the passes that were revoked and would hold else.
func revoked(passes []Pass, now time.Time) []string {
	var ids []string
	for _, p := range passes {
		if p.Callback == nil && !p.Revoked.IsZero() && now.Before(p.Expires) {
			ids = append(ids, p.ID)
		}
	}
	slices.Sort(ids)
	return ids
}
