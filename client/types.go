package client

import "time"

// Error is what the API answers instead of a result: problem+json (RFC 9457)
// with greenroom's own members.
type Error struct {
	Type   string          `json:"type,omitempty"`
	Title  string          `json:"title" doc:"What kind of problem it is"`
	Status int             `json:"status" doc:"The HTTP status"`
	Detail string          `json:"detail,omitempty" doc:"What happened"`
	Code   string          `json:"code" doc:"For programs: input, unauthorized, forbidden, not-found, refused, stale, busy, timeout, failed, stopping"`
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
// paths are relative to; or a Release of that name, of versions that were set on
// a command line.
type Document struct {
	Name string   `json:"name" doc:"File name, for errors; with sets the release's name"`
	Dir  string   `json:"dir" doc:"Absolute folder on the server's machine"`
	Data string   `json:"data" doc:"The YAML text; empty with sets" maxLength:"1048576"`
	Sets []string `json:"sets,omitempty" doc:"SERVICE=COMMAND or SERVICE=HOST:PORT each, instead of a text" maxItems:"1000"`
}

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

	Lock          *Lock          `json:"lock,omitempty" doc:"Somebody keeps others from promoting"`
	Freezes       []Freeze       `json:"freezes" doc:"When nothing is promoted: now, or next"`
	Notifications []Notification `json:"notifications" doc:"Who is told of events, and how that goes"`
}

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

	Checklist       []ChecklistItem `json:"checklist" doc:"What is signed off before it goes live"`
	Approvals       []Approval      `json:"approvals"`
	ApprovalsNeeded int             `json:"approvalsNeeded" doc:"By others than who promotes it"`
	Planned         *Planned        `json:"planned,omitempty" doc:"It goes live at its hour, if nothing speaks against it then"`
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

	OverrideChecklist bool      `json:"overrideChecklist,omitempty" doc:"Although items of its checklist are open or no-go; needs a reason"`
	OverrideFreezes   []string  `json:"overrideFreezes,omitempty" doc:"In spite of the freezes of these names; needs a reason" maxItems:"50"`
	At                time.Time `json:"at,omitzero" doc:"Then, instead of now: it is checked again at that time, and promoted if nothing speaks against it"`
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

// Told is how a notification on trial went.
type Told struct {
	Name    string `json:"name"`
	Message string `json:"message" doc:"One sentence for a person"`
	Took    string `json:"took"`
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

// MintPass asks for a pass, for a release or for whatever serves.
type MintPass struct {
	Asked
	Release string `json:"release,omitempty" doc:"Not with live"`
	Live    bool   `json:"live,omitempty" doc:"For whatever serves, promotions included: its holder goes through a hold, and is shown which release answers"`
	For     string `json:"for,omitempty" doc:"How long, as 2h or 30m; 1 m to 30 d; 2h when empty"`
	Subject string `json:"subject,omitempty" doc:"Whom it is for, shown in the list; who asks when empty" maxLength:"200"`
	// Paths limits it.
	Paths []string `json:"paths,omitempty" maxItems:"10" doc:"Begins of paths by whole segments, such as /shop: below them its holder sees the release, elsewhere what everybody gets; everywhere when empty"`
}

// MintCallback asks for a callback address: one that an outside system, such as
// a login provider, can call, and that leads to a release.
type MintCallback struct {
	Asked
	Release string   `json:"release"`
	Paths   []string `json:"paths" minItems:"1" maxItems:"10" doc:"Begins of paths by whole segments that may be called, such as /oauth/callback"`
	Methods []string `json:"methods,omitempty" maxItems:"10" doc:"HTTP methods that may be used, in capitals; GET and POST when empty"`
	For     string   `json:"for,omitempty" doc:"How long, as 2h or 30m; 1 m to 30 d; 1h when empty"`
	Count   int      `json:"count,omitempty" minimum:"0" maximum:"100000" doc:"How many calls it takes; any number when 0"`
	Subject string   `json:"subject,omitempty" doc:"Whom it is for, shown in the list; who asks when empty" maxLength:"200"`
}

// MintedCallback is a new callback address. It is shown once.
type MintedCallback struct {
	Pass
	Base      string   `json:"base" doc:"What the addresses begin with; previews learn it from the header X-Greenroom-Callback-Base"`
	Addresses []string `json:"addresses" doc:"One for each path"`
}

// Pass is a pass, or a callback address, as it is listed; its token is shown
// once, when it is made.
type Pass struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind" enum:"pass,callback" doc:"Who can use it: people and programs that send it along, or outside systems that call an address"`
	Release   string    `json:"release" doc:"Empty with live"`
	Live      bool      `json:"live,omitempty" doc:"It is for whatever serves"`
	Subject   string    `json:"subject,omitempty"`
	By        string    `json:"by"`
	Issued    time.Time `json:"issued"`
	Expires   time.Time `json:"expires"`
	Revoked   time.Time `json:"revoked,omitzero"`
	RevokedBy string    `json:"revokedBy,omitempty"`
	LastUse   time.Time `json:"lastUse,omitzero"`
	State     string    `json:"state" enum:"valid,expired,revoked,ended,used-up"`
	Paths     []string  `json:"paths,omitempty" doc:"What it is limited to; everywhere when empty"`
	Methods   []string  `json:"methods,omitempty" doc:"Of a callback: those it takes"`
	Count     int       `json:"count,omitempty" doc:"Of a callback: how many calls it takes; any number when 0"`
	Used      int       `json:"used,omitempty" doc:"Of a callback: how many calls it took"`
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
	Via  string `json:"via" enum:"socket,token,link"`
}

// Flow is what goes through the fleet, and went in the last minutes.
type Flow struct {
	At     time.Time    `json:"at" doc:"End of the last point; zero before the first"`
	Every  float64      `json:"every" doc:"Seconds from point to point"`
	Series []FlowSeries `json:"series"`
	Calls  []FlowCall   `json:"calls" doc:"Which versions have called which services since they started"`
	Note   string       `json:"note,omitempty" doc:"Why nothing is measured here"`
}

// FlowSeries is what went to one service in one release's view. Its lists are
// of the same length, the oldest first, and end together.
type FlowSeries struct {
	Service  string    `json:"service"`
	Release  string    `json:"release" doc:"A release's name, or baseline"`
	Requests []float64 `json:"requests" doc:"Per second, that ended"`
	Failed   []float64 `json:"failed" doc:"Share that failed: 5xx, or the answer broke off; 0 to 1"`
	P50      []float64 `json:"p50" doc:"Seconds; 0 without requests"`
	P99      []float64 `json:"p99" doc:"Seconds; 0 without requests"`
}

// FlowCall is calls of a version to a service.
type FlowCall struct {
	Caller string `json:"caller" doc:"Version ID"`
	Callee string `json:"callee" doc:"Service"`
	Count  uint64 `json:"count"`
}

// MakeLogin asks for a link that logs somebody in to the dashboard, once.
type MakeLogin struct {
	Asked
	Name string `json:"name,omitempty" pattern:"^[a-zA-Z0-9][a-zA-Z0-9._@-]{0,62}$" doc:"Who it is for, and who stands in events; who asks when empty"`
	Role string `json:"role,omitempty" enum:"viewer,tester,operator,admin" doc:"admin when empty"`
}

// MadeLogin is a login link. It is shown once.
type MadeLogin struct {
	Name    string    `json:"name"`
	Role    string    `json:"role"`
	Link    string    `json:"link"`
	Expires time.Time `json:"expires" doc:"It works once, and until then"`
}
