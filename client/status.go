package client

import "time"

// Serving is what ordinary requests get now.
type Serving struct {
	Release string    `json:"release" doc:"A release's name, or baseline"`
	Named   string    `json:"named" doc:"The same as people are told it: the versions of the baseline stand behind its name"`
	Stamp   string    `json:"stamp"`
	Since   time.Time `json:"since,omitzero"`
	Until   time.Time `json:"until,omitzero" doc:"It can be rolled back until then"`
	Before  string    `json:"before,omitempty" doc:"What a rollback returns to"`

	NamedBefore string `json:"namedBefore,omitempty" doc:"The same as people are told it"`
}

// Status is everything that a status screen shows.
type Status struct {
	Fleet    string    `json:"fleet"`
	Version  string    `json:"version" doc:"Of greenroom"`
	Revision uint64    `json:"revision" doc:"Of the state; raised by every change"`
	Now      time.Time `json:"now"`
	EdgeURL  string    `json:"edgeURL" doc:"Where the edge listens, as a URL on this machine"`
	Public   string    `json:"publicURL"`
	Serving  Serving   `json:"serving"`
	Hold     *Hold     `json:"hold,omitempty" doc:"What the edge keeps or turns away; none: nothing"`
	Services []Service `json:"services"`
	Releases []Release `json:"releases" doc:"Those that are not over, and the last ended ones"`
	Dropped  []Drop    `json:"dropped" doc:"Calls outside the promise: who calls whom without the stamp"`
	Warnings []string  `json:"warnings"`

	Unopened      []Unopened     `json:"unopened,omitempty" doc:"Releases that exist and are not open yet; on Kubernetes alone"`
	Lock          *Lock          `json:"lock,omitempty" doc:"Somebody keeps others from promoting"`
	Freezes       []Freeze       `json:"freezes" doc:"When nothing is promoted: now, or next"`
	Notifications []Notification `json:"notifications" doc:"Who is told of events, and how that goes"`
}

// Service is one service and all of its versions that run.
type Service struct {
	Name     string    `json:"name"`
	Protocol string    `json:"protocol"`
	Versions []Version `json:"versions" doc:"The one that serves comes first"`
}

// Version is one version of a service, as it is doing.
type Version struct {
	ID        string            `json:"id" doc:"service@name"`
	Name      string            `json:"name"`
	Service   string            `json:"service"`
	Digest    string            `json:"digest"`
	Commit    string            `json:"commit,omitempty"`
	URL       string            `json:"url,omitempty"`
	Runs      string            `json:"runs,omitempty" doc:"Its command line, its endpoints (HOST:PORT, with commas between) or its image: what opens a release of it when it is set"`
	Serving   bool              `json:"serving" doc:"Ordinary requests get it"`
	Releases  []string          `json:"releases" doc:"The releases that bring it"`
	State     string            `json:"state" enum:"starting,ready,unready,stopping,stopped,failed" doc:"Of the version as a whole"`
	Ready     int               `json:"ready"`
	Wanted    int               `json:"wanted" doc:"Instances that must be ready"`
	Message   string            `json:"message,omitempty" doc:"Why it is not ready"`
	InFlight  int64             `json:"inFlight"`
	Instances []Instance        `json:"instances"`
	Mesh      map[string]string `json:"mesh,omitempty" doc:"The addresses at which it calls other services"`
}

// Instance is one process or endpoint.
type Instance struct {
	ID       string    `json:"id"`
	Addr     string    `json:"addr"`
	PID      int       `json:"pid,omitempty"`
	State    string    `json:"state" enum:"starting,ready,unready,backoff,stopping,exited,failed"`
	Restarts int       `json:"restarts"`
	Started  time.Time `json:"started,omitzero"`
	LastExit string    `json:"lastExit,omitempty"`
	Health   string    `json:"health,omitempty" doc:"What the last check found wrong"`
	Adopted  bool      `json:"adopted,omitempty" doc:"It was started by a former greenroom process"`
}

// Drop is calls that got their view by another way than the stamp.
type Drop struct {
	Caller   string    `json:"caller" doc:"Version ID"`
	Callee   string    `json:"callee" doc:"Service"`
	Release  string    `json:"release,omitempty" doc:"Whose request it probably was; empty for background work"`
	Reason   string    `json:"reason" doc:"source, unstamped or unknown"`
	Count    uint64    `json:"count"`
	LastSeen time.Time `json:"lastSeen"`
}

// Finding is something that doctor looked at.
type Finding struct {
	Check   string `json:"check"`
	Level   string `json:"level" enum:"ok,note,warning,problem"`
	Subject string `json:"subject,omitempty" doc:"The service or version"`
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`
}
