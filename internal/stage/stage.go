// Package stage says which version of a service may do background work:
// consume queues, run timers, whatever no request asks for.
//
// It owns the stage's epoch, the leases that instances hold, and the little
// HTTP protocol by which they ask. Who serves is told to it by Follow, from a
// state; it reads no clock, persists nothing, and imports nothing else of
// greenroom than release, whose State it reads.
//
// A version is on stage if and only if it is in the view that ordinary
// requests get. Each of its instances asks for itself and gets a lease, which
// it renews well before its end. When another version takes over, its
// instances are admitted only after every instance of the former has left or
// its lease is over. What keeps two versions apart is therefore:
//
//   - an instance counts its lease from before it asked, and stops when it is
//     over. While greenroom is down it may stay, since nothing is switched
//     meanwhile, if it asks again within a lease of the restart;
//   - told that it is off stage, it begins nothing, goes on asking with the
//     epoch it holds until the work in hand has ended, and then leaves. It asks
//     anew once its leave was answered, or else under another name;
//   - the keeper takes a lease back for nothing but a leave or its end.
//
// So an instance that asks and never leaves keeps the next version waiting for
// ever, in sight of everybody: Holders names it, and so does the reason that
// the others are told. That is better than two versions at one queue.
//
// The epoch rises with every switch. Who is on stage can send it along as a
// fencing token, by which the system that is written to refuses what comes too
// late in spite of all this.
//
// Start at Keeper.Ask.
package stage

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// retry is how soon an instance that is not on stage asks again.
const retry = time.Second

// Keeper admits instances to the stage. It is safe for concurrent use.
type Keeper struct {
	lease   time.Duration
	settled time.Time

	mu       sync.Mutex
	epoch    uint64
	release  string
	versions map[string]string
	since    map[string]uint64 // service → epoch from which on its version serves, as far as known
	leases   map[string]map[holder]tenure
}

// holder names an instance within its service.
type holder struct{ version, instance string }

type tenure struct {
	epoch    uint64 // of the last answer by which its holder is on stage
	admitted bool   // by this keeper; else its holder says that it was on stage before a restart
	until    time.Time
}

// New returns a Keeper that gives leases of that length, at least a second;
// parts of a second are dropped. After a restart the leases given before are
// unknown, so instances that cannot show that they were on stage wait until
// settled, which is the restart plus the lease; it is the zero time where
// nothing ran before.
func New(lease time.Duration, settled time.Time) *Keeper {
	return &Keeper{
		lease:   max(lease.Truncate(time.Second), time.Second),
		settled: settled,
		since:   make(map[string]uint64),
		leases:  make(map[string]map[holder]tenure),
	}
}

// Switch tells which version of each service serves now, from which release,
// and under which epoch, at least 1. Before the first Switch nobody is on
// stage. Telling the same again changes nothing, but for services that joined
// or left; a lower epoch, or the same with other versions of a service, is an
// error and changes nothing either. The map of versions must not be changed
// afterwards.
//
// After a restart, tell the former view with its epoch first, and then the
// present one: so what serves in both need not prove more than the former
// epoch, and a switch shortly before a crash interrupts no other service.
func (k *Keeper) Switch(epoch uint64, release string, versions map[string]string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if epoch == k.epoch && release == k.release && maps.Equal(versions, k.versions) {
		return nil
	}
	if epoch < k.epoch || epoch == k.epoch && (release != k.release || disagree(versions, k.versions)) {
		return fmt.Errorf("the stage cannot go from epoch %d (%s) to epoch %d (%s): every switch needs a higher one", k.epoch, k.release, epoch, release)
	}
	for service, version := range versions {
		if k.versions[service] != version {
			k.since[service] = epoch
		}
	}
	maps.DeleteFunc(k.since, func(service string, _ uint64) bool { _, serves := versions[service]; return !serves })
	k.epoch, k.release, k.versions = epoch, release, versions
	return nil
}

// Answer is what an instance is told.
type Answer struct {
	OnStage bool
	Epoch   uint64        // of the stage; for who is on it, its fencing token
	Lease   time.Duration // whole seconds, from before the question was sent; 0 unless OnStage
	Retry   time.Duration // whole seconds; ask again after; 0 if OnStage
	Release string        // that serves; empty before the first Switch
	Reason  string        // why not, for a person; empty if OnStage
}

// disagree reports whether two maps have a service in common whose versions
// differ.
func disagree(a, b map[string]string) bool {
	for service, version := range a {
		if other, known := b[service]; known && other != version {
			return true
		}
	}
	return false
}

// Ask answers an instance of a version, which holds the stage by an answer of
// the epoch held (0: it does not), or leaves it.
func (k *Keeper) Ask(service, version, instance string, held uint64, leave bool, now time.Time) Answer {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire(service, now)
	me := holder{version, instance}
	if leave {
		// A leave of an earlier epoch was on its way when the instance was
		// admitted once more, and must not take that away.
		if mine, ok := k.leases[service][me]; ok && held >= mine.epoch {
			delete(k.leases[service], me)
		}
		return k.off("it has left the stage")
	}
	if reason := k.refuse(service, version, held, now); reason != "" {
		if held > 0 {
			k.finish(service, me, held, now)
		}
		return k.off(reason)
	}
	k.extend(service, me, tenure{epoch: k.epoch, admitted: true}, now)
	return Answer{OnStage: true, Epoch: k.epoch, Lease: k.lease, Release: k.release}
}

// refuse returns why an instance cannot be on stage, or nothing.
//
// Once an instance of a version was admitted, no other version can be until
// all of its leases are over; so whoever else says that it is on stage is late
// and counts no more.
func (k *Keeper) refuse(service, version string, held uint64, now time.Time) string {
	serves := k.versions[service]
	owner := k.owner(service)
	switch {
	case k.epoch == 0:
		return "greenroom is starting"
	case serves == "":
		return fmt.Sprintf("%s has no %s", k.release, service)
	case serves != version:
		return fmt.Sprintf("%s serves, from %s", serves, k.release)
	case owner == version:
		return ""
	}
	for h := range k.leases[service] {
		if h.version != version {
			return fmt.Sprintf("%s of %s has not left the stage", h.instance, h.version)
		}
	}
	if now.Before(k.settled) && (held < k.since[service] || held > k.epoch) {
		return "greenroom was restarted, and who was on stage before may be so still"
	}
	return ""
}

// finish lets an instance that may not be on stage keep its lease while it
// finishes what it has in hand.
func (k *Keeper) finish(service string, h holder, held uint64, now time.Time) {
	if owner := k.owner(service); owner != "" && owner != h.version {
		return
	}
	l, ok := k.leases[service][h]
	if !ok {
		l.epoch = held
	}
	k.extend(service, h, l, now)
}

// owner is the version of the admitted instances, empty where there is none.
func (k *Keeper) owner(service string) string {
	for h, l := range k.leases[service] {
		if l.admitted {
			return h.version
		}
	}
	return ""
}

// extend makes an instance's lease last from now.
func (k *Keeper) extend(service string, h holder, l tenure, now time.Time) {
	if k.leases[service] == nil {
		k.leases[service] = make(map[holder]tenure)
	}
	l.until = now.Add(k.lease)
	k.leases[service][h] = l
}

// off is the answer to an instance that is not on stage.
func (k *Keeper) off(reason string) Answer {
	return Answer{Epoch: k.epoch, Retry: retry, Release: k.release, Reason: reason}
}

// expire forgets the leases of a service that are over.
func (k *Keeper) expire(service string, now time.Time) {
	leases := k.leases[service]
	maps.DeleteFunc(leases, func(_ holder, l tenure) bool { return !now.Before(l.until) })
	if len(leases) == 0 {
		delete(k.leases, service)
	}
}

// onStage says whether a version's instances may be on stage by the epoch that
// is told with it.
func (k *Keeper) onStage(service, version string) (bool, uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.epoch > 0 && k.versions[service] == version, k.epoch
}

// Holder is an instance that holds a lease.
type Holder struct {
	Service, Version, Instance string
	Epoch                      uint64    // of the last answer by which it is on stage
	Until                      time.Time // its lease is over, unless it asks before
	Leaving                    bool      // its version serves no longer; others wait for it
}

// Holders returns who holds a lease, by service, version and instance.
func (k *Keeper) Holders(now time.Time) []Holder {
	k.mu.Lock()
	defer k.mu.Unlock()
	var holders []Holder
	for service, leases := range k.leases {
		for h, l := range leases {
			if now.Before(l.until) {
				holders = append(holders, Holder{
					Service: service, Version: h.version, Instance: h.instance,
					Epoch: l.epoch, Until: l.until, Leaving: k.versions[service] != h.version,
				})
			}
		}
	}
	slices.SortFunc(holders, func(a, b Holder) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Instance, b.Instance))
	})
	return holders
}
