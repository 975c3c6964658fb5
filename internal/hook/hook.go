// Package hook runs a release's hooks: commands, and checks over HTTP through
// the edge as a holder of a pass.
//
// It owns the life of one run: its environment, its deadline, what is kept of
// its output, and that a run left over by a killed greenroom is ended before
// the next. When hooks run and what their results mean is the state machine's;
// of greenroom it imports fleet and process alone.
//
// Start at Runner.Run. command.go runs processes, check.go asks over HTTP,
// output.go keeps what they said, leftover.go ends what a former greenroom
// left.
package hook

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// PassHeader carries a pass to the edge.
const PassHeader = "Greenroom-Pass"

// grace is how long a command's processes have from SIGTERM to SIGKILL.
const grace = 5 * time.Second

// Runner runs hooks. It is safe for concurrent use.
type Runner struct {
	dir       string
	grace     time.Duration
	transport http.RoundTripper

	mu      sync.Mutex
	running map[string]bool // by ID
}

// New returns a Runner that notes the processes it starts in the folder dir,
// which it makes when needed and which no other greenroom may use.
func New(dir string) *Runner {
	return &Runner{
		dir:   dir,
		grace: grace,
		// A proxy from the environment has no business between greenroom and
		// its own edge.
		transport: &http.Transport{DisableKeepAlives: true},
		running:   make(map[string]bool),
	}
}

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
	Output  string    `json:"output,omitempty"` // the last MaxOutput bytes and, if there were more, a line that says so; valid UTF-8
	Err     string    `json:"err,omitempty"`    // why it did not pass
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
}

// Run runs a hook until it has ended, its timeout is over or ctx is done. It
// first ends what a former greenroom left running of the same ID. When it
// returns, no process of the hook's group runs. A hook must be one that may
// run again: if greenroom is killed before the result is kept, it does.
func (r *Runner) Run(ctx context.Context, h fleet.Hook, c Context) Result {
	res := Result{Started: time.Now()}
	out := NewOutput(c.Pass)
	err := r.run(ctx, h, c, out)
	res.Output = out.String()
	if err != nil {
		res.Err = mask(err.Error(), c.Pass)
	}
	res.Passed = err == nil
	res.Ended = time.Now()
	return res
}

func (r *Runner) run(ctx context.Context, h fleet.Hook, c Context, out *Output) error {
	if !r.begin(c.ID) {
		return fmt.Errorf("hook %s (%s) is running already", h.Name, c.ID)
	}
	defer r.end(c.ID)
	limited, cancel := context.WithTimeoutCause(ctx, h.Timeout, fmt.Errorf("it took longer than its timeout of %s", h.Timeout))
	defer cancel()
	switch {
	case len(h.Run) > 0 && h.HTTP == nil:
		return r.command(limited, h, c, out)
	case len(h.Run) == 0 && h.HTTP != nil:
		return r.check(limited, h, c, out)
	}
	return fmt.Errorf("hook %s must have either a command or an HTTP check", h.Name)
}

func (r *Runner) begin(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running[id] {
		return false
	}
	r.running[id] = true
	return true
}

func (r *Runner) end(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, id)
}
