package release

import "time"

// Observation is what a platform and the hops saw. What is missing has not
// been seen: a version that is not in Versions does not run.
type Observation struct {
	Versions map[string]VersionStatus // by ID
	Stamps   map[string]StampStatus
	Hooks    map[string]HookStatus // by RunHook.ID
	Drops    map[string][]Drop     // by stamp; nil: the hops do not tell

	// Watching is since when the hops have been seeing every call; zero: for
	// as long as it matters. What a hop did not see before does not make a
	// view quiet.
	Watching time.Time

	// Fit is what the platform says of views that would serve, by stamp: why one
	// must not yet, or "". Of one that is missing it has yet to look. nil: the
	// platform has no say. It is asked about what nobody waits for; who promotes
	// asks the platform itself.
	Fit map[string]string
}

// unfit returns why the platform would not let a view serve yet.
func (o Observation) unfit(stamp string) error {
	if o.Fit == nil {
		return nil
	}
	why, looked := o.Fit[stamp]
	switch {
	case !looked:
		return refuse("condition", "it is looked at", "whether %s may serve is not known yet", stamp)
	case why != "":
		return refuse("condition", "", "%s", why)
	}
	return nil
}

// ready is how many instances of a version take requests and will go on doing
// so.
func (o Observation) ready(id string) int {
	status := o.Versions[id]
	if status.Stopping || status.Gone {
		return 0
	}
	return status.Ready
}

// VersionStatus is how a version is doing.
type VersionStatus struct {
	Ready    int    // instances that take requests
	Replicas int    // instances that the platform was last asked for; 0: named by endpoints
	Failed   string // why the platform gave up before the version was ever ready; without meaning once it is Stopping
	Stopping bool   // it was told to stop, and was not run again since
	Gone     bool   // Stopping, and no process of it is left; what else is left stays until Forget
}

// StampStatus is what the hops know of a stamp.
type StampStatus struct {
	InFlight int64
	LastSeen time.Time // by any hop; zero: never
}

// HookStatus is how a hook is doing.
type HookStatus struct {
	Running bool
	Passed  bool   // when not Running
	Message string // why not
}

// Action is something to be done after the State was persisted. Doing one
// twice does no harm.
type Action interface{ action() }

// Run makes a version run with its replicas.
type Run struct{ Version string }

// Stop gives a version no new requests, lets it end its old ones for Drain and
// ends it.
type Stop struct {
	Version string
	Drain   time.Duration
}

// Forget removes what is left of a version that no release speaks of any more.
type Forget struct{ Version string }

// EndView tells and ends the streams that still belong to a view that has
// ended. It is given for as long as there are any.
type EndView struct{ Stamp string }

// RunHook runs one hook of a release. ID is the same when a crash makes it run
// again.
type RunHook struct {
	ID      string
	Release string
	Moment  Moment
	Index   int // position among the moment's hooks
}

func (Run) action()     {}
func (Stop) action()    {}
func (Forget) action()  {}
func (EndView) action() {}
func (RunHook) action() {}
