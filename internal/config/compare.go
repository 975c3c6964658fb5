package config

import (
	"fmt"
	"strconv"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// Change is what applying a Fleet file to a fleet that runs means. Its values
// are for people and never show what environment variables hold.
type Change struct {
	// Live can be done at once.
	Live []Difference `json:"live,omitempty"`
	// Added and Removed are services by name, done at once as well.
	Added   []string `json:"added,omitempty"`
	Removed []string `json:"removed,omitempty"`
	// Replicas is how many instances serving versions shall have, by service,
	// where the file changes that. Live lists it too.
	Replicas map[string]int `json:"replicas,omitempty"`
	// Restart takes effect when greenroom is started again.
	Restart []Difference `json:"restart,omitempty"`
	// Refused cannot be applied at all; the Problem of each says why.
	Refused []Refusal `json:"refused,omitempty"`
	// Versions are refused unless they are adopted: released, and Live at once.
	Versions []VersionChange `json:"versions,omitempty"`
	// Behind are services whose file was overtaken by releases: nothing is to
	// be done, but people want to know.
	Behind []Behind `json:"behind,omitempty"`
}

// Refusal is one field that must not change.
type Refusal struct {
	Difference
	Problem string `json:"problem"`
	Hint    string `json:"hint"`
}

// VersionChange is a known service for which the file has another version than
// the one that serves.
type VersionChange struct {
	Service string        `json:"service"`
	Serving fleet.Version `json:"-"`
	File    fleet.Version `json:"-"`
	Fields  []Difference  `json:"fields"` // never empty
}

// Behind is a service whose file still has the version that it was first
// applied with, while releases have moved on.
type Behind struct {
	Service string `json:"service"`
	File    string `json:"file"`    // the version's name in the file
	Serving string `json:"serving"` // the name of the version that serves
}

// Empty tells whether there is nothing to do. A file that is merely behind is
// nothing to do.
func (c Change) Empty() bool {
	return len(c.Live)+len(c.Added)+len(c.Removed)+len(c.Restart)+len(c.Refused)+len(c.Versions) == 0
}

// Allowed tells whether the change may be applied; with adopt, changed
// versions are allowed.
func (c Change) Allowed(adopt bool) bool {
	return len(c.Refused) == 0 && (adopt || len(c.Versions) == 0)
}

// Compare decides what applying file means for a fleet whose last applied file
// was applied and whose state is serving. A Fleet's versions are only the
// first: for a service that is known already, the version in the file changes
// nothing if it is the one that serves, is merely behind if it is the one that
// was applied last, and is a refused change otherwise.
func Compare(file, applied fleet.Fleet, serving Serving) Change {
	var c Change
	c.edge(file, applied)
	for _, s := range file.Services {
		former, known := applied.Service(s.Name)
		v, serves := serving(s.Name)
		if !known && !serves {
			c.Added = append(c.Added, s.Name)
			continue
		}
		if known {
			c.service(s, former)
		}
		if !serves {
			v = former.First
		}
		c.version(s, former, known, v)
	}
	for _, s := range applied.Services {
		if _, kept := file.Service(s.Name); !kept {
			c.Removed = append(c.Removed, s.Name)
		}
	}
	return c
}

// edge compares what is not about a single service.
func (c *Change) edge(file, applied fleet.Fleet) {
	if applied.Name != "" && file.Name != applied.Name {
		c.Refused = append(c.Refused, Refusal{
			Difference: Difference{"metadata.name", applied.Name, file.Name},
			Problem:    fmt.Sprintf("this state belongs to the fleet %s", applied.Name),
			Hint:       "use another state folder for another fleet",
		})
	}
	if applied.Name == "" {
		return
	}
	live := func(field string, before, after any) { c.Live = differ(c.Live, field, before, after) }
	restart := func(field string, before, after any) { c.Restart = differ(c.Restart, field, before, after) }
	before, after := exportEdge(applied.Edge), exportEdge(file.Edge)
	live("edge.routes", before.Routes, after.Routes)
	live("edge.publicURL", applied.Edge.PublicURL, file.Edge.PublicURL)
	live("edge.trustedProxies", applied.Edge.TrustedProxies, file.Edge.TrustedProxies)
	live("edge.accessLog", before.AccessLog, after.AccessLog)
	live("edge.sessionPinning", before.SessionPinning, after.SessionPinning)
	live("edge.showRelease", applied.Edge.ShowRelease, file.Edge.ShowRelease)
	live("edge.badge", applied.Edge.Badge, file.Edge.Badge)
	live("edge.hold", before.Hold, after.Hold)
	live("edge.http1", before.HTTP1, after.HTTP1)
	live("quiet", v1alpha1.DurationOf(applied.Quiet), v1alpha1.DurationOf(file.Quiet))
	live("history", applied.History, file.History)
	live("release", ExportRules(applied.Rules), ExportRules(file.Rules))
	live("notify", exportNotifications(applied.Notifications), exportNotifications(file.Notifications))
	restart("edge.listen", applied.Edge.Listen, file.Edge.Listen)
	restart("edge.tls", applied.Edge.TLS, file.Edge.TLS)
	live("api.oidc", exportOIDC(applied.API.OIDC), exportOIDC(file.API.OIDC))
	restart("api.listen", applied.API.Listen, file.API.Listen)
	restart("api.tls", applied.API.TLS, file.API.TLS)
	restart("stamp.header", applied.StampHeader, file.StampHeader)
}

// service compares what holds for all versions of a service.
func (c *Change) service(s, former fleet.Service) {
	at := "services[" + s.Name + "]"
	if s.Protocol != former.Protocol {
		c.Refused = append(c.Refused, Refusal{
			Difference: Difference{at + ".protocol", string(former.Protocol), string(s.Protocol)},
			Problem:    "the protocol of " + s.Name + " cannot change: the versions that serve speak " + string(former.Protocol),
			Hint:       "declare a new service under another name",
		})
	}
	before, after := exportService(former, former.First), exportService(s, s.First)
	c.Live = differ(c.Live, at+".health", before.Health, after.Health)
	c.Live = differ(c.Live, at+".drain", before.Drain, after.Drain)
	c.Live = differ(c.Live, at+".calls", former.Calls, s.Calls)
	c.Live = differ(c.Live, at+".background", former.Background, s.Background)
}

// version compares the file's version of a service with the one that serves.
func (c *Change) version(s, former fleet.Service, known bool, serving fleet.Version) {
	switch {
	case same(s.First, serving):
	case known && same(s.First, former.First):
		c.Behind = append(c.Behind, Behind{s.Name, s.First.Name, serving.Name})
	default:
		c.Versions = append(c.Versions, VersionChange{s.Name, serving, s.First, Differences(serving, s.First)})
		return
	}
	want := s.First.Replicas()
	if want == 0 || serving.Run == nil || want == serving.Replicas() || known && want == former.First.Replicas() {
		return
	}
	if c.Replicas == nil {
		c.Replicas = map[string]int{}
	}
	c.Replicas[s.Name] = want
	c.Live = append(c.Live, Difference{"services[" + s.Name + "].run.replicas", strconv.Itoa(serving.Replicas()), strconv.Itoa(want)})
}

// same tells whether two versions of a service are one: the same content, and
// no two names given to it.
func same(a, b fleet.Version) bool {
	return a.Digest == b.Digest && (a.Name == b.Name || unnamed(a) || unnamed(b))
}

// unnamed tells whether a version's name was made of its digest.
func unnamed(v fleet.Version) bool { return v.Name == shortDigest(v.Digest) }
