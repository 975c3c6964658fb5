// Package stagedoor lets the versions of every fleet in a cluster ask whether
// they are on stage.
//
// It owns the address by which a version is known, which the pods have as
// GREENROOM_STATUS_URL,
//
//	http://…/stage/NAMESPACE/FLEET/SERVICE/HASH
//
// with the pods' template hash from the downward API, and it remembers who
// asked. Who is on stage is package stage's decision, and so is the protocol
// below that address, the embedded engine's: POST …/stage asks, GET shows.
//
// Whoever in the cluster reaches the door can ask as any version, and so keep
// the stage from the next one: let a NetworkPolicy admit the fleets' namespaces
// alone.
//
// Start at Door.
package stagedoor

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/greenroom-dev/greenroom/internal/stage"
)

// maxPart bounds each part of the address, in bytes; Kubernetes allows no longer
// label.
const maxPart = 63

// Fleet is what the door needs of a fleet.
type Fleet interface {
	Stage() *stage.Keeper
	// Version returns the ID of the version of a service whose pods have a
	// template hash, false where the fleet knows none.
	Version(service, hash string) (id string, ok bool)
}

// Fleets finds the fleets whose engines run here.
type Fleets interface {
	Fleet(name types.NamespacedName) (Fleet, bool)
}

// Door is an http.Handler for everything below /stage/. It is safe for
// concurrent use.
type Door struct {
	fleets Fleets
	now    func() time.Time

	mu    sync.Mutex
	asked map[types.NamespacedName]map[string]time.Time // by fleet and version ID: when last
}

// New returns a Door. now is the clock.
func New(fleets Fleets, now func() time.Time) *Door {
	return &Door{fleets: fleets, now: now, asked: map[types.NamespacedName]map[string]time.Time{}}
}

// ServeHTTP answers the instances of all versions. A version that the fleet does
// not know is told the same as any that is not on stage. Where the fleet itself
// is not known (yet) the answer is 503, which to a client is none: who is on
// stage stays, who is not waits.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, service, hash, rest, ok := address(r.URL.Path)
	if !ok {
		refuse(w, http.StatusNotFound, "the address must be /stage/NAMESPACE/FLEET/SERVICE/HASH, with the pods' template hash: see GREENROOM_STATUS_URL")
		return
	}
	fleet, ok := d.fleets.Fleet(name)
	if !ok {
		refuse(w, http.StatusServiceUnavailable, fmt.Sprintf("the fleet %s is not looked after here, or not yet", name))
		return
	}
	id, known := fleet.Version(service, hash)
	if !known {
		id = service + "@" + hash // some version; it serves nowhere
	}
	if known && r.Method == http.MethodPost {
		d.note(name, id)
	}
	inner := r.Clone(r.Context())
	inner.URL.Path, inner.URL.RawPath = rest, ""
	stage.Handler(fleet.Stage(), service, id, d.now).ServeHTTP(w, inner)
}

// address takes a path apart. rest is what the version's own handler sees.
func address(path string) (fleet types.NamespacedName, service, hash, rest string, ok bool) {
	below, ok := strings.CutPrefix(path, "/stage/")
	parts := strings.SplitN(below, "/", 5)
	if !ok || len(parts) < 4 {
		return fleet, "", "", "", false
	}
	for _, part := range parts[:4] {
		if part == "" || len(part) > maxPart {
			return fleet, "", "", "", false
		}
	}
	rest = "/"
	if len(parts) == 5 {
		rest += parts[4]
	}
	return types.NamespacedName{Namespace: parts[0], Name: parts[1]}, parts[2], parts[3], rest, true
}

func (d *Door) note(fleet types.NamespacedName, version string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.asked[fleet] == nil {
		d.asked[fleet] = map[string]time.Time{}
	}
	d.asked[fleet][version] = d.now()
}

// Asked returns when a version of a fleet asked last, false if it did not since
// the operator's start: one whose service has background work and which runs
// for some time without asking works beside the one on stage.
func (d *Door) Asked(fleet types.NamespacedName, version string) (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, ok := d.asked[fleet][version]
	return at, ok
}

// Keep forgets the versions of a fleet that are not among the given ones, and
// all of a fleet that is gone.
func (d *Door) Keep(fleet types.NamespacedName, versions map[string]bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for version := range d.asked[fleet] {
		if !versions[version] {
			delete(d.asked[fleet], version)
		}
	}
	if len(d.asked[fleet]) == 0 {
		delete(d.asked, fleet)
	}
}

// refuse answers with a problem by RFC 9457.
func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": detail})
}
