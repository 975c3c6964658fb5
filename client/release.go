package client

import "time"

// Release is one release, as it is doing.
type Release struct {
	Name           string          `json:"name"`
	UID            string          `json:"uid"`
	Description    string          `json:"description,omitempty"`
	Phase          string          `json:"phase" enum:"Preparing,Previewing,Canary,Live,Settling,Settled,Aborted,Failed"`
	Since          time.Time       `json:"since"`
	Reason         string          `json:"reason,omitempty" doc:"What it waits for, or why it failed"`
	Generation     uint64          `json:"generation" doc:"Raised with every change of content; a promotion names it"`
	Stamp          string          `json:"stamp,omitempty" doc:"Of its current view"`
	OpenedAt       time.Time       `json:"openedAt"`
	OpenedBy       string          `json:"openedBy"`
	Before         string          `json:"before,omitempty" doc:"What served before it went live"`
	WindowEnds     time.Time       `json:"windowEnds,omitzero" doc:"It can be rolled back until then"`
	KeepUntil      time.Time       `json:"keepUntil,omitzero" doc:"Rolled back, it is aborted then"`
	RollbackWindow string          `json:"rollbackWindow"`
	Rolled         *RolledBack     `json:"rolledBack,omitempty"`
	Changes        []ReleaseChange `json:"changes"`
	Hooks          []Hook          `json:"hooks"`
	Checks         []Check         `json:"checks" doc:"What speaks for and against promoting it now"`

	Checklist       []ChecklistItem `json:"checklist" doc:"What is signed off before it goes live"`
	Approvals       []Approval      `json:"approvals"`
	ApprovalsNeeded int             `json:"approvalsNeeded" doc:"By others than who promotes it"`
	Planned         *Planned        `json:"planned,omitempty" doc:"It goes live at its hour, if nothing speaks against it then"`
}

// Unopened is a release that somebody asked for and that is not open yet: an
// object in the cluster, of which the state knows nothing.
type Unopened struct {
	Name        string    `json:"name"`
	UID         string    `json:"uid"`
	Description string    `json:"description,omitempty"`
	Since       time.Time `json:"since" doc:"When it was made"`
	Services    []string  `json:"services" doc:"Of which it brings versions"`
	Rule        string    `json:"rule,omitempty" doc:"The type of the condition that keeps it, such as NoPreview"`
	Reason      string    `json:"reason" doc:"What it waits for, and what to do about it"`
}

// Planned is a promotion that is yet to come.
type Planned struct {
	For               time.Time `json:"for"`
	Until             time.Time `json:"until" doc:"It is given up then"`
	Who               string    `json:"who"`
	Why               string    `json:"why,omitempty"`
	At                time.Time `json:"at" doc:"When it was planned"`
	Generation        uint64    `json:"generation" doc:"What is meant; a change of the release cancels it"`
	AllowUnstamped    bool      `json:"allowUnstamped,omitempty"`
	OverrideChecklist bool      `json:"overrideChecklist,omitempty"`
	OverrideFreezes   []string  `json:"overrideFreezes,omitempty"`
	Trouble           string    `json:"trouble,omitempty" doc:"What speaks against it, since its hour has come"`
}

// RolledBack says who took a release back, and why.
type RolledBack struct {
	At  time.Time `json:"at"`
	Who string    `json:"who"`
	Why string    `json:"why,omitempty"`
}

// ReleaseChange is what a release changes of one service.
type ReleaseChange struct {
	Service string      `json:"service"`
	From    string      `json:"from" doc:"Version name that it replaces"`
	To      string      `json:"to" doc:"Version name that it brings"`
	Serving string      `json:"serving" doc:"Version name that ordinary requests get now"`
	Fields  []FieldDiff `json:"fields" doc:"What differs; values of secrets are not among it"`
}

// FieldDiff is one field that differs between two versions.
type FieldDiff struct {
	Field string `json:"field"`
	From  string `json:"from,omitempty"`
	To    string `json:"to,omitempty"`
}

// Hook is one hook of a release and how it went.
type Hook struct {
	Moment string `json:"moment" enum:"prepare,verify,settle,rollback,abort"`
	Name   string `json:"name"`
	State  string `json:"state" enum:"waiting,running,passed,failed"`
	Detail string `json:"detail,omitempty"`
	Output string `json:"output,omitempty" doc:"The end of what it printed"`
}

// Check is one condition of a promotion.
type Check struct {
	Rule   string `json:"rule"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"`
}

// Open opens a release, or updates it.
type Open struct {
	Asked
	Document Document `json:"document"`
}

// Promote makes a release's versions what ordinary requests get.
type Promote struct {
	Asked
	Generation     uint64 `json:"generation,omitempty" doc:"As it was shown; refused when it changed meanwhile"`
	Serving        string `json:"serving,omitempty" doc:"The stamp that served when it was shown; refused when another serves"`
	AllowUnstamped bool   `json:"allowUnstamped,omitempty" doc:"Although calls lost the stamp in preview"`

	OverrideChecklist bool      `json:"overrideChecklist,omitempty" doc:"Although items of its checklist are open or no-go; needs a reason"`
	OverrideFreezes   []string  `json:"overrideFreezes,omitempty" doc:"In spite of the freezes of these names; needs a reason" maxItems:"50"`
	At                time.Time `json:"at,omitzero" doc:"Then, instead of now: it is checked again at that time, and promoted if nothing speaks against it"`
}

// Verify runs hooks again.
type Verify struct {
	Asked
	Moment string `json:"moment,omitempty" enum:"verify,settle,rollback,abort" doc:"Whose hooks; verify when empty"`
}

// Revert opens a release of the versions that another one replaced.
type Revert struct {
	Asked
	Name string `json:"name,omitempty" doc:"Of the new release; revert-NAME when empty"`
}
