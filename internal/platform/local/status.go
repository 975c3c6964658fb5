package local

import (
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// Spec is what a version should run as.
type Spec struct {
	Version fleet.Version
	Service fleet.Service     // health, protocol, drain; may differ from one Ensure to the next
	Env     map[string]string // what the engine adds; wins over the version's own
}

// Status is how a version does.
type Status struct {
	Instances []Instance // in the order of their creation
	Ready     int        // how many of them are ready
	Failed    string     // gave up: the reason and the last lines of a log; empty otherwise
	Stopping  bool       // Stop was called and took effect or will
	Gone      bool       // Stopping, and no process is left
	Warnings  []string   // things a person should look at though it runs
}

// State is where an instance is in its life.
type State string

// The states of an instance. Endpoints know only Starting, Ready and Unready.
const (
	Starting State = "starting" // no check has succeeded since it was started
	Ready    State = "ready"
	Unready  State = "unready"  // was ready; Health.Failures checks in a row failed
	Backoff  State = "backoff"  // exited, will be started again
	Stopping State = "stopping" // told to end; gets no new requests
	Exited   State = "exited"   // ended, and is not started again
	Failed   State = "failed"   // ended, and its version gave up
)

// Instance is one process of a version, or one of its endpoints.
type Instance struct {
	ID        string // carried as GREENROOM_INSTANCE; of an endpoint, its address
	Addr      string // host:port
	PID       int    // of the service's process; 0 while none runs, and for endpoints
	State     State
	Restarts  int
	StartedAt time.Time // of the present or last process
	LastExit  *Exit     // nil while none of its processes has ended
	Health    string    // why the last check failed; empty when it succeeded
	Adopted   bool      // started by a former greenroom
}

// Exit is how a process ended.
type Exit struct {
	Code   int       `json:"code"`             // -1 where a signal ended it, it never ran, or nobody knows
	Signal string    `json:"signal,omitempty"` // as in "killed"
	At     time.Time `json:"at"`
	Error  string    `json:"error,omitempty"`  // why it could not be started
	Killed bool      `json:"killed,omitempty"` // did not end within its drain time
	How    How       `json:"how"`
}

// How says how an exit was learnt.
type How string

// The ways to learn of an exit.
const (
	Recorded How = "recorded" // its shim waited for it and wrote down the code
	Lost     How = "lost"     // its shim died first, or never ran; the code is unknown
	Refused  How = "refused"  // it never started
)
