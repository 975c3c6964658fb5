// Package release is the state machine of releases: which views exist, which
// of them ordinary requests get, and what has to be started, stopped or run
// for that.
//
// It owns its types and imports nothing else of greenroom and nothing of any
// platform; both engines share it. Everything here is a pure function of its
// arguments: no I/O, no clock, no goroutine. What people ask for are methods
// of State (Open, Promote, Rollback, Abort, Settle, …) that answer with the
// next State or a *Refused; what time and the world bring is Step. A caller
// persists the State in one write, moves State.Pending into its event log in
// the same write, and only then applies the Actions. Actions follow from the
// State and the Observation alone, so one that a crash swallowed is given
// again by the next Step.
//
// A State is never changed in place: a function that changes something works
// on copies of the maps that it touches.
//
// Start at State, then Step, then promote.go for the switch itself.
package release

import "time"

// Phase is how far a release has come.
type Phase string

// The phases. A release goes Preparing → Previewing ⇄ (Canary →) Live →
// Settling → Settled; Aborted and Failed are its other ends, and a Failed one
// can be opened again with changed content.
const (
	Preparing  Phase = "Preparing"
	Previewing Phase = "Previewing"
	Canary     Phase = "Canary"
	Live       Phase = "Live"
	Settling   Phase = "Settling"
	Settled    Phase = "Settled"
	Aborted    Phase = "Aborted"
	Failed     Phase = "Failed"
)

// Ended reports whether nothing more will happen to a release in this phase.
func (p Phase) Ended() bool { return p == Settled || p == Aborted }

// previewable is where a release has, or works towards, a view of its own that
// is not yet past the point of no return.
func (p Phase) previewable() bool {
	return p == Preparing || p == Previewing || p == Canary || p == Live
}

// Actor is who did something and the reason given, if any.
type Actor struct {
	Who string `json:"who"`
	Why string `json:"why,omitempty"`
}

// Greenroom is the Actor of what no person asked for.
func Greenroom() Actor { return Actor{Who: "greenroom"} }

// Release is a named set of versions, at most one per service.
type Release struct {
	Name        string `json:"name"`
	UID         string `json:"uid"` // passes carry it; another release of the same name has another
	Description string `json:"description,omitempty"`

	Phase      Phase     `json:"phase"`
	Since      time.Time `json:"since"` // of the phase
	OpenedAt   time.Time `json:"openedAt"`
	OpenedBy   string    `json:"openedBy"`
	Generation uint64    `json:"generation"`       // raised with every change of content
	Reason     string    `json:"reason,omitempty"` // what it waits for, or why it failed; for people

	Versions map[string]string `json:"versions"` // service → version ID that it brings
	Replaces map[string]string `json:"replaces"` // service → version ID that ordinary requests got when it was opened or last rebased; "" where the service had none

	View   string `json:"view,omitempty"`   // stamp of its current view
	Views  int    `json:"views"`            // how many views were built for this name
	Former string `json:"former,omitempty"` // stamp that served before its promotion

	RollbackWindow time.Duration `json:"rollbackWindow"`
	Keep           time.Duration `json:"keep"` // after a rollback, until it is aborted
	WindowEnds     time.Time     `json:"windowEnds,omitzero"`
	KeepUntil      time.Time     `json:"keepUntil,omitzero"`
	RolledBack     *Note         `json:"rolledBack,omitempty"` // the last rollback, kept for who looks at what went wrong: it may have been promoted or changed since

	Hooks      map[Moment][]string `json:"hooks,omitempty"`      // names, in order
	HookDigest string              `json:"hookDigest,omitempty"` // of what they do
	Progress   map[Moment]Progress `json:"progress,omitempty"`   // of the moments that have come
	Dropped    []Drop              `json:"dropped,omitempty"`    // calls that lost the stamp while this content was in preview
	Checklist  []Item              `json:"checklist,omitempty"`  // of its own, beside that of the fleet
	SignOffs   []SignOff           `json:"signOffs,omitempty"`   // the latest of each person for each item
	Approvals  []Approval          `json:"approvals,omitempty"`  // at most one of each person
	Plan       *Plan               `json:"plan,omitempty"`       // when it is to go live
	Auto       bool                `json:"auto,omitempty"`       // promote as soon as nothing speaks against it, but never again after a rollback
}

// TakenBack reports whether the release was rolled back with the content that
// it has, and not promoted or changed since. Holders of a pass still see it; it
// goes Live again only when a person says so. RolledBack says less: that it was
// rolled back at some time.
func (r Release) TakenBack() bool { return r.Phase == Previewing && !r.KeepUntil.IsZero() }

// open reports whether the release's content may still change.
func (r Release) open() bool {
	return r.Phase == Preparing || r.Phase == Previewing || r.Phase == Failed
}

// Note is something that a person did to a release.
type Note struct {
	At time.Time `json:"at"`
	Actor
}

// Drop is a call that should have carried a release's stamp and did not.
type Drop struct {
	Caller string `json:"caller"` // service
	Callee string `json:"callee"` // service
}

// Moment is when in the life of a release hooks run.
type Moment string

// The moments.
const (
	Prepare    Moment = "prepare"  // before its versions start; a failure fails the release
	Verify     Moment = "verify"   // in Previewing; promotion waits for it
	OnSettle   Moment = "settle"   // when the former versions are gone
	OnRollback Moment = "rollback" // after the switch back, which never waits for it
	OnAbort    Moment = "abort"    // after the end of the preview, which never waits for it
)

// Moments returns all of them, in the order in which their hooks are shown.
func Moments() []Moment { return []Moment{Prepare, Verify, OnSettle, OnRollback, OnAbort} }

// Progress is how far the hooks of a moment have come. They run one after the
// other.
type Progress struct {
	Attempt int    `json:"attempt"`          // from 1, raised by a retry
	Passed  int    `json:"passed"`           // how many have passed
	Failed  string `json:"failed,omitempty"` // why the next one did not
}
