package client

import "time"

// Hold is what the edge keeps waiting or turns away. Holders of a pass go
// through it, and streams that are open stay.
type Hold struct {
	On        bool      `json:"on" doc:"False: it is over, or there was none; requests that waited may still be on their way"`
	Mode      string    `json:"mode,omitempty" enum:"wait,writes-only,page" doc:"Requests wait; writes are turned away; all are shown a page"`
	Routes    []string  `json:"routes" doc:"What it is for, as /path or host/path with everything below; all requests when empty"`
	Since     time.Time `json:"since,omitzero"`
	Until     time.Time `json:"until,omitzero" doc:"It ends by itself then; not there: when somebody ends it"`
	By        string    `json:"by,omitempty" doc:"Who began it"`
	Reason    string    `json:"reason,omitempty" doc:"Why, as they said"`
	Waiting   int       `json:"waiting" doc:"Requests that wait at the edge, after a hold for their turn"`
	Bytes     int64     `json:"bytes" doc:"What of these requests is kept in memory"`
	UnderWay  int64     `json:"underWay" doc:"Requests that were let through and are not answered yet; streams are not counted"`
	Countable bool      `json:"countable" doc:"Waiting, bytes and underWay are known; with Kubernetes they are not"`
}

// HoldOn begins a hold, or changes the one that is on.
type HoldOn struct {
	Asked
	Mode   string   `json:"mode,omitempty" enum:"wait,writes-only,page" doc:"wait when empty"`
	For    string   `json:"for,omitempty" doc:"How long, as 20s or 5m. When empty: of wait 30s, or as long as a request may wait if that is less; of the others until somebody ends it"`
	Routes []string `json:"routes,omitempty" maxItems:"50" doc:"What it is for, as /path or host/path with everything below; all requests when empty"`
}

// HoldChanged is what a request about the hold did.
type HoldChanged struct {
	Changed bool     `json:"changed" doc:"False: it was so already, or a dry run"`
	Message string   `json:"message" doc:"One sentence for a person"`
	Hold    Hold     `json:"hold" doc:"As it is, or would be, afterwards"`
	Notes   []string `json:"notes" doc:"What else a person should know"`
}
