package release

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// Baseline is the stamp of the view that serves before the first release.
const Baseline = "baseline"

// State is everything that releases of one fleet have come to. It is one
// value, persisted whole as JSON: a renamed field, here or in what it holds, is
// a change of the store's format.
type State struct {
	Revision uint64             `json:"revision"` // raised by one with every change
	Services map[string]Service `json:"services"`
	Versions map[string]Version `json:"versions"` // by ID: all that a view or a release speaks of
	Views    map[string]View    `json:"views"`    // by stamp; an ended view is not among them
	Default  string             `json:"default"`  // stamp that ordinary requests get
	Since    time.Time          `json:"since"`    // of Default
	Settled  string             `json:"settled"`  // stamp of the view last settled; that view may have ended while the next one settles
	Releases map[string]Release `json:"releases"` // by name; the last History ended ones stay
	Live     map[string]string  `json:"live"`     // names that were ever Live → UID; never used again
	Pin      *Pin               `json:"pin,omitempty"`
	Hold     *Hold              `json:"hold,omitempty"`
	Lock     *Lock              `json:"lock,omitempty"`
	Epoch    uint64             `json:"epoch"` // of the stage, raised by every switch
	Settings Settings           `json:"settings"`

	// Pending are the events of the change that made this State. Whoever
	// persists it appends them to the log in the same write and clears them.
	Pending []Event `json:"-"`
}

// Settings are the fleet's own rules for its releases.
type Settings struct {
	Quiet   time.Duration `json:"quiet"`   // how long no hop must have seen a stamp before it ends
	Pinning time.Duration `json:"pinning"` // how long browsers may stay on the former view; 0: not at all
	History int           `json:"history"` // how many ended releases are kept
	Rules   Rules         `json:"rules,omitzero"`
}

// Service is what the state machine needs to know of one.
type Service struct {
	Drain time.Duration `json:"drain"` // how long its requests may outlive their view
}

// Version is one immutable way to run a service.
type Version struct {
	ID       string `json:"id"`
	Service  string `json:"service"`
	Name     string `json:"name"`
	Digest   string `json:"digest"`   // two versions with one ID and two digests are a mistake
	Replicas int    `json:"replicas"` // instances that must be ready; 0: something else runs it, and one endpoint will do

	Drain time.Duration `json:"drain,omitempty"` // of a service that has left the fleet; else the Service has it
}

// capacity is how many instances make the version ready.
func (v Version) capacity() int { return max(v.Replicas, 1) }

// View is a whole map service → version. Its versions never change while it
// exists, but for services that join or leave the fleet, and for Change.Become.
type View struct {
	Stamp       string            `json:"stamp"`
	Release     string            `json:"release,omitempty"` // empty: the baseline
	Over        string            `json:"over,omitempty"`    // stamp of the view it was built upon
	Versions    map[string]string `json:"versions"`          // service → version ID
	Own         map[string]string `json:"own,omitempty"`     // those of Versions that the release itself brought
	EndingSince time.Time         `json:"endingSince,omitzero"`
}

// Ending reports whether no new request is stamped with the view any more.
func (v View) Ending() bool { return !v.EndingSince.IsZero() }

// Pin lets browser sessions that began on Stamp stay there until Until.
type Pin struct {
	Stamp string    `json:"stamp"`
	Until time.Time `json:"until"`
}

// Event is one transition, for the log.
type Event struct {
	Time    time.Time `json:"time"`
	Type    string    `json:"type"`
	Release string    `json:"release,omitempty"`
	Who     string    `json:"who"`
	Why     string    `json:"why,omitempty"`
	Message string    `json:"message"`
}

// New returns the State of a fleet in which first serves as the baseline.
func New(services map[string]Service, first []Version, settings Settings, by Actor, now time.Time) State {
	s := State{
		Services: services,
		Versions: map[string]Version{},
		Views:    map[string]View{},
		Default:  Baseline,
		Since:    now,
		Settled:  Baseline,
		Releases: map[string]Release{},
		Live:     map[string]string{},
		Epoch:    1,
		Settings: settings,
	}
	view := View{Stamp: Baseline, Versions: map[string]string{}}
	for _, v := range first {
		s.Versions[v.ID] = v
		view.Versions[v.Service] = v.ID
	}
	s.Views[Baseline] = view
	d := s.edit(by, now)
	d.event("FleetStarted", "", "the fleet begins with "+countOf(len(first), "service"))
	return d.done()
}

// Serving is what ordinary requests get now.
type Serving struct {
	Release string    `json:"release"` // a release's name, or baseline
	Named   string    `json:"named"`   // Release as people are told it
	Stamp   string    `json:"stamp"`
	Since   time.Time `json:"since,omitzero"`
	Until   time.Time `json:"until,omitzero"`   // it can be rolled back until then; zero: it can not
	Before  string    `json:"before,omitempty"` // what a rollback returns to: a release's name, or baseline

	NamedBefore string `json:"namedBefore,omitempty"` // Before as people are told it
}

// Serving says what ordinary requests get now, and what a rollback returns to.
func (s State) Serving() Serving {
	out := Serving{Release: s.nameOf(s.Default), Named: s.Named(s.Default), Stamp: s.Default, Since: s.Since}
	if r, ok := s.live(); ok {
		out.Until = r.WindowEnds
		out.Before, out.NamedBefore = s.nameOf(r.Former), s.Named(r.Former)
	}
	return out
}

func (s State) nameOf(stamp string) string {
	if name := s.Views[stamp].Release; name != "" {
		return name
	}
	return Baseline
}

// DefaultVersion returns the ID of the version of service that ordinary
// requests get, or "".
func (s State) DefaultVersion(service string) string {
	return s.Views[s.Default].Versions[service]
}

// Desired returns the IDs of all versions that have to run, sorted.
func (s State) Desired() []string {
	want := make([]string, 0, len(s.Versions))
	for _, v := range s.Versions {
		if s.desires(v) {
			want = append(want, v.ID)
		}
	}
	slices.Sort(want)
	return want
}

// desires reports whether a version has to run.
func (s State) desires(v Version) bool {
	for _, view := range s.Views {
		if view.Versions[v.Service] == v.ID {
			return true
		}
	}
	for _, r := range s.Releases {
		if r.Versions[v.Service] == v.ID && r.Phase.previewable() && (r.Phase != Preparing || s.hooksPassed(r, Prepare)) {
			return true
		}
	}
	return false
}

// live returns the release in phase Live.
func (s State) live() (Release, bool) { return s.inPhase(Live) }

func (s State) inPhase(p Phase) (Release, bool) {
	for _, r := range s.Releases {
		if r.Phase == p {
			return r, true
		}
	}
	return Release{}, false
}

// draft is a State under change: Views and Releases are its own, and Versions
// are from the first of them that is set or dropped. What holds an entry for
// every service is not copied by a change that leaves it alone: a switch costs
// what its releases are, and who persists the State sees that it is the same.
type draft struct {
	State
	by      Actor
	now     time.Time
	changes int
	owned   bool // Versions
}

func (s State) edit(by Actor, now time.Time) *draft {
	s.Views = maps.Clone(s.Views)
	s.Releases = maps.Clone(s.Releases)
	s.Pending = slices.Clip(s.Pending)
	return &draft{State: s, by: by, now: now}
}

// done returns the changed State, or the one it began as.
func (d *draft) done() State {
	if d.changes > 0 {
		d.Revision++
	}
	return d.State
}

// versions are those of the draft, to be changed.
func (d *draft) versions() map[string]Version {
	if !d.owned {
		d.Versions, d.owned = maps.Clone(d.Versions), true
	}
	return d.Versions
}

func (d *draft) put(r Release) {
	d.Releases[r.Name] = r
	d.changes++
}

// enter puts r into a phase.
func (d *draft) enter(r Release, p Phase, reason string) Release {
	r.Phase, r.Since, r.Reason = p, d.now, reason
	d.put(r)
	return r
}

func (d *draft) event(kind, release, message string) {
	d.Pending = append(d.Pending, Event{
		Time: d.now, Type: kind, Release: release, Who: d.by.Who, Why: d.by.Why, Message: message,
	})
	d.changes++
}

func countOf(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
