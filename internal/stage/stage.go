// Package stage says which version of a service may do background work:
// consume queues, run timers, whatever no request asks for.
//
// It owns the stage's epoch, the leases that instances hold, and the little
// HTTP protocol by which they ask. Who serves is told to it by Switch; it
// reads no clock, persists nothing, and imports nothing else of greenroom.
//
// Start at Keeper.Ask.
package stage

import (
	"net/http"
	"time"
)

// Keeper admits instances to the stage. It is safe for concurrent use.
type Keeper struct{}

// New returns a Keeper that gives leases of that length (whole seconds). After
// a restart the leases given before are unknown, so instances that do not hold
// the current epoch wait until settled, which is the start plus the lease; the
// zero time where nothing ran before.
func New(lease time.Duration, settled time.Time) *Keeper { return &Keeper{} }

// Switch tells which version of each service serves now, from which release,
// and under which epoch. Telling it again changes nothing; a lower epoch, or
// the same with other versions, is an error.
func (k *Keeper) Switch(epoch uint64, release string, versions map[string]string) error { return nil }

// Answer is what an instance is told.
type Answer struct {
	OnStage bool
	Epoch   uint64        // of the stage; for who is on it, its fencing token
	Lease   time.Duration // from when the question was sent; 0 unless OnStage
	Retry   time.Duration // ask again after; 0 if OnStage
	Release string        // that serves
	Reason  string        // why not, for a person
}

// Ask answers an instance of a version, which holds a lease of the epoch held
// (0: none) or leaves the stage.
func (k *Keeper) Ask(service, version, instance string, held uint64, leave bool, now time.Time) Answer {
	return Answer{}
}

// Holder is an instance that holds a lease.
type Holder struct {
	Service, Version, Instance string
	Epoch                      uint64
	Until                      time.Time
}

// Holders returns who holds a lease, by service, version and instance.
func (k *Keeper) Holders(now time.Time) []Holder { return nil }

// Handler answers the instances of one version: POST /stage asks for the
// stage, GET / shows it. now is the clock.
func Handler(k *Keeper, service, version string, now func() time.Time) http.Handler {
	return http.NotFoundHandler()
}
