// Package hook runs a release's hooks: commands, and checks over HTTP through
// the edge as a holder of a pass.
//
// It owns the life of one run: its environment, its deadline, what is kept of
// its output, and that a run left over by a killed greenroom is ended before
// the next. When hooks run and what their results mean is the state machine's;
// of greenroom it imports fleet alone.
//
// Start at Runner.Run.
package hook

import (
	"context"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// Runner runs hooks. It is safe for concurrent use.
type Runner struct{}

// New returns a Runner that notes the processes it starts in the folder dir,
// which it makes when needed.
func New(dir string) *Runner { return &Runner{} }

// Context is what a hook is told about the release it runs for.
type Context struct {
	ID      string // of the run asked for; the same again when it is run again
	Release string
	EdgeURL string // http://host:port, no trailing slash
	Pass    string // token; kept out of Result
}

// Result is how a run ended.
type Result struct {
	Passed  bool      `json:"passed"`
	Output  string    `json:"output,omitempty"` // at most the last MaxOutput bytes, valid UTF-8
	Err     string    `json:"err,omitempty"`    // why it did not pass
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
}

// Run runs a hook until it ended, its timeout is over or ctx is done.
func (r *Runner) Run(ctx context.Context, h fleet.Hook, c Context) Result { return Result{} }

// EndLeftovers ends the hooks that a former greenroom left running.
func (r *Runner) EndLeftovers(ctx context.Context) error { return nil }
