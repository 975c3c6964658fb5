package client

import "time"

// Notification is somebody who is told of events, and how that goes.
type Notification struct {
	Name     string    `json:"name"`
	Kind     string    `json:"kind" enum:"webhook,slack,grafana"`
	To       string    `json:"to" doc:"The host that is told; never the whole address, which may be a secret"`
	Told     uint64    `json:"told" doc:"Number of the last event that is done with"`
	Waiting  int       `json:"waiting" doc:"Events that are yet to be told, at most 1000 are counted"`
	LastTold time.Time `json:"lastTold,omitzero"`
	Failing  string    `json:"failing,omitempty" doc:"Why the last attempt failed"`
	Since    time.Time `json:"since,omitzero" doc:"Since when attempts have failed"`
	Attempts int       `json:"attempts,omitempty" doc:"Failed ones, for the event that is next"`
	GivenUp  int       `json:"givenUp,omitempty" doc:"Events that were never told, since greenroom started"`
	NextTry  time.Time `json:"nextTry,omitzero"`
}

// Told is how a notification on trial went.
type Told struct {
	Name    string `json:"name"`
	Message string `json:"message" doc:"One sentence for a person"`
	Took    string `json:"took"`
}

// Event is one entry of the log.
type Event struct {
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"`
	Type    string    `json:"type"`
	Release string    `json:"release,omitempty"`
	Who     string    `json:"who"`
	Why     string    `json:"why,omitempty"`
	Message string    `json:"message"`
}

// LogLine is one line that an instance printed.
type LogLine struct {
	Time     time.Time `json:"time"`
	Version  string    `json:"version"`
	Instance string    `json:"instance"`
	Stream   string    `json:"stream" enum:"stdout,stderr"`
	Line     string    `json:"line"`
}
