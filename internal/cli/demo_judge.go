package cli

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/greenroom-dev/greenroom/examples/live"
	"github.com/greenroom-dev/greenroom/examples/live/load"
)

// demoJudge asserts of every request that was sent after a switch had returned,
// and answered before the next was asked for, that what it switched to answered.
type demoJudge struct {
	now      atomic.Pointer[switched] // nil while a switch is under way
	asserted atomic.Int64
	former   atomic.Int64

	mu    sync.Mutex
	first string // of former, in words
}

// switched is what ordinary requests get, and since when.
type switched struct {
	version string
	since   time.Time
}

// switchTo has do switch ordinary requests to a version, and returns when do
// returned, and how long it took.
func (j *demoJudge) switchTo(version string, do func() error) (at time.Time, took time.Duration, err error) {
	j.now.Store(nil)
	began := time.Now()
	if err := do(); err != nil {
		return began, 0, err
	}
	at = time.Now()
	j.now.Store(&switched{version, at})
	return at, at.Sub(began), nil
}

// see judges one answer. It is called when the answer is there, by many
// goroutines.
func (j *demoJudge) see(s load.Sample) {
	now := j.now.Load()
	if now == nil || s.Start.Before(now.since) || s.Err != nil {
		return // failed ones are counted as such
	}
	version := releasedVersion(s.Path)
	if version == "" {
		return // it met no service of the release
	}
	j.asserted.Add(1)
	if version == now.version {
		return
	}
	j.former.Add(1)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.first == "" {
		j.first = fmt.Sprintf("%s, sent %s after the switch to %s, was answered by %s", s.Kind, s.Start.Sub(now.since), now.version, s.Path)
	}
}

// releasedVersion is the version of the first service in a path that the
// release changes; "" if there is none.
func releasedVersion(path string) string {
	for hop := range strings.SplitSeq(path, ",") {
		service, version, _ := strings.Cut(hop, "=")
		if slices.Contains(live.Changed(), service) {
			return version
		}
	}
	return ""
}
