package client

import "time"

// Error is what the API answers instead of a result: problem+json (RFC 9457)
// with greenroom's own members.
type Error struct {
	Type   string          `json:"type,omitempty"`
	Title  string          `json:"title" doc:"What kind of problem it is"`
	Status int             `json:"status" doc:"The HTTP status"`
	Detail string          `json:"detail,omitempty" doc:"What happened"`
	Code   string          `json:"code" doc:"For programs: input, unauthorized, forbidden, not-found, refused, stale, timeout, failed, stopping"`
	Rule   string          `json:"rule,omitempty" doc:"The rule that refused, with code refused"`
	Remedy string          `json:"remedy,omitempty" doc:"What to do about it"`
	Errors []DocumentError `json:"errors,omitempty" doc:"Each thing that is wrong with a document"`
}

// DocumentError is one thing that is wrong with a document.
type DocumentError struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty" doc:"From 1; 0 when the whole file is meant"`
	Column  int    `json:"column,omitempty"`
	Excerpt string `json:"excerpt,omitempty"`
	Problem string `json:"problem"`
	Hint    string `json:"hint,omitempty"`
}

// Document is a file as somebody wrote it, with the folder that its relative
// paths are relative to.
type Document struct {
	Name string `json:"name" doc:"File name, for errors"`
	Dir  string `json:"dir" doc:"Absolute folder on the server's machine"`
	Data string `json:"data" doc:"The YAML text" maxLength:"1048576"`
}

// Serving is what ordinary requests get now.
type Serving struct {
	Release string    `json:"release" doc:"A release's name, or baseline"`
	Stamp   string    `json:"stamp"`
	Since   time.Time `json:"since,omitzero"`
	Until   time.Time `json:"until,omitzero" doc:"It can be rolled back until then"`
	Before  string    `json:"before,omitempty" doc:"What a rollback returns to"`
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
	Services []Service `json:"services"`
	Releases []Release `json:"releases" doc:"Those that are not over, and the last ended ones"`
	Dropped  []Drop    `json:"dropped" doc:"Calls outside the promise: who calls whom without the stamp"`
	Warnings []string  `json:"warnings"`
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

// Asked is what every changing request may say.
type Asked struct {
	Reason string `json:"reason,omitempty" doc:"Why; kept with the event" maxLength:"1000"`
	DryRun bool   `json:"dryRun,omitempty" doc:"Say what would happen, and change nothing"`
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

// Changed is what a changing request did.
type Changed struct {
	Changed bool     `json:"changed" doc:"False: it was so already, or a dry run"`
	Message string   `json:"message" doc:"One sentence for a person"`
	Release *Release `json:"release,omitempty" doc:"As it is, or would be, afterwards"`
	Serving Serving  `json:"serving" doc:"As it is, or would be, afterwards"`
	Notes   []string `json:"notes" doc:"What else a person should know"`
}

// FleetApply compares a Fleet document with what runs and applies what may
// change while it runs.
type FleetApply struct {
	Asked
	Document Document `json:"document"`
	Adopt    bool     `json:"adopt,omitempty" doc:"Release changed versions, to go live at once"`
}

// FleetChange is what a Fleet document changes.
type FleetChange struct {
	Changed  bool            `json:"changed"`
	Applied  []string        `json:"applied" doc:"What changes while it runs, a sentence each"`
	Versions []ReleaseChange `json:"versions" doc:"Changed versions of known services, which need a release"`
	Behind   []string        `json:"behind" doc:"Services whose version in the file is older than what a release brought"`
	Release  string          `json:"release,omitempty" doc:"The release that adopts changed versions"`
	Message  string          `json:"message"`
}

// Fleet is the fleet as last applied.
type Fleet struct {
	Name     string  `json:"name"`
	Document string  `json:"document" doc:"A Fleet document that would start what serves now"`
	Routes   []Route `json:"routes" doc:"The first that fits a request takes it"`
	Serving  Serving `json:"serving"`
}

// Route says which requests a service gets.
type Route struct {
	Host    string   `json:"host,omitempty" doc:"Exact, or *.suffix; any when empty"`
	Path    string   `json:"path,omitempty" doc:"Prefix by whole segments; any when empty"`
	Methods []string `json:"methods,omitempty" doc:"Any when empty"`
	Service string   `json:"service"`
}

// MintPass asks for a pass.
type MintPass struct {
	Asked
	Release string `json:"release"`
	For     string `json:"for,omitempty" doc:"How long, as 2h or 30m; 1 m to 30 d; 2h when empty"`
	Subject string `json:"subject,omitempty" doc:"Whom it is for, shown in the list; who asks when empty" maxLength:"200"`
}

// Pass is a pass as it is listed; its token is shown once, when it is made.
type Pass struct {
	ID        string    `json:"id"`
	Release   string    `json:"release"`
	Subject   string    `json:"subject,omitempty"`
	By        string    `json:"by"`
	Issued    time.Time `json:"issued"`
	Expires   time.Time `json:"expires"`
	Revoked   time.Time `json:"revoked,omitzero"`
	RevokedBy string    `json:"revokedBy,omitempty"`
	LastUse   time.Time `json:"lastUse,omitzero"`
	State     string    `json:"state" enum:"valid,expired,revoked,ended"`
}

// MintedPass is a new pass with its token.
type MintedPass struct {
	Pass
	Token  string `json:"token"`
	Header string `json:"header" doc:"The header that carries it"`
	Link   string `json:"link" doc:"Opens the preview in a browser"`
}

// MakeToken asks for an API token.
type MakeToken struct {
	Asked
	Name string `json:"name" pattern:"^[a-zA-Z0-9][a-zA-Z0-9._@-]{0,62}$"`
	Role string `json:"role" enum:"viewer,tester,operator,admin"`
}

// Token is an API token as it is listed.
type Token struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Role    string    `json:"role"`
	Created time.Time `json:"created"`
	By      string    `json:"by"`
	LastUse time.Time `json:"lastUse,omitzero"`
}

// MadeToken is a new token with its secret, which is shown once.
type MadeToken struct {
	Token
	Secret string `json:"secret"`
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

// Finding is something that doctor looked at.
type Finding struct {
	Check   string `json:"check"`
	Level   string `json:"level" enum:"ok,note,warning,problem"`
	Subject string `json:"subject,omitempty" doc:"The service or version"`
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`
}

// Shutdown asks the server to end.
type Shutdown struct {
	Asked
	LeaveServices bool `json:"leaveServices,omitempty" doc:"Services run on, for the next greenroom to adopt"`
}

// Whoami is who the server takes the caller for.
type Whoami struct {
	Name string `json:"name"`
	Role string `json:"role"`
	Via  string `json:"via" enum:"socket,token"`
}
