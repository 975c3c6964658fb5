package client

import "time"

// Lock keeps others than who holds the fleet from promoting.
type Lock struct {
	Who   string    `json:"who"`
	Why   string    `json:"why,omitempty"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until" doc:"It ends by itself then"`
}

// Freeze is a time during which nothing is promoted.
type Freeze struct {
	Name  string    `json:"name"`
	Why   string    `json:"why,omitempty"`
	From  time.Time `json:"from" doc:"In the freeze's own time zone"`
	To    time.Time `json:"to"`
	Holds bool      `json:"holds" doc:"It is so now; else it will be from then on"`
}

// ChecklistItem is something that testers sign off.
type ChecklistItem struct {
	Name     string    `json:"name"`
	Text     string    `json:"text,omitempty" doc:"What to look at"`
	Fleet    bool      `json:"fleet" doc:"Every release of the fleet has it"`
	State    string    `json:"state" enum:"open,go,no-go" doc:"no-go as long as anybody says so"`
	SignOffs []SignOff `json:"signOffs" doc:"What people said last, one each"`
}

// SignOff is what somebody says of an item.
type SignOff struct {
	Who        string    `json:"who"`
	At         time.Time `json:"at"`
	Verdict    string    `json:"verdict" enum:"go,no-go"`
	Note       string    `json:"note,omitempty"`
	Generation uint64    `json:"generation" doc:"What they looked at"`
	Void       bool      `json:"void" doc:"The release has changed since, or was rolled back: it does not count"`
}

// Approval is somebody's word that a release may go live.
type Approval struct {
	Who        string    `json:"who"`
	At         time.Time `json:"at"`
	Note       string    `json:"note,omitempty"`
	Generation uint64    `json:"generation" doc:"What they looked at"`
	Void       bool      `json:"void" doc:"The release has changed since, or was rolled back: it does not count"`
}

// Say signs an item of a release's checklist off. The reason is the note that
// goes with it.
type Say struct {
	Asked
	Item       string `json:"item" maxLength:"100"`
	Verdict    string `json:"verdict" enum:"go,no-go,withdraw" doc:"A no-go needs a note; withdraw takes back what you said"`
	Generation uint64 `json:"generation,omitempty" doc:"As it was shown; refused when it changed meanwhile"`
}

// Approve says that a release may go live. The reason is the note that goes
// with it.
type Approve struct {
	Asked
	Generation uint64 `json:"generation,omitempty" doc:"As it was shown; refused when it changed meanwhile"`
	Withdraw   bool   `json:"withdraw,omitempty" doc:"Take your approval back"`
}

// LockFleet keeps others than the caller from promoting.
type LockFleet struct {
	Asked
	For string `json:"for,omitempty" doc:"How long, as 2h or 30m; 1 m to 7 d; 1h when empty"`
}

// UnlockFleet ends a lock.
type UnlockFleet struct {
	Asked
	Override bool `json:"override,omitempty" doc:"Although it is somebody else's; needs a reason"`
}
