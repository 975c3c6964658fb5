package httpapi

// Action is what a request asks to do. Every route names its own; what it takes
// to be allowed is the business of an Access.
type Action string

// The actions.
const (
	Look     Action = "look"      // at the status, the fleet, releases, events
	ReadLogs Action = "read-logs" // of services
	Diagnose Action = "diagnose"  // ask the doctor

	ListPasses Action = "list-passes"
	MintPass   Action = "mint-pass"
	RevokePass Action = "revoke-pass"

	Open     Action = "open" // a release, or update it
	Rebase   Action = "rebase"
	Verify   Action = "verify"
	Promote  Action = "promote"
	Rollback Action = "rollback"
	Revert   Action = "revert"
	Settle   Action = "settle"
	Abort    Action = "abort"

	SignOff  Action = "sign-off" // say go or no-go of an item of a checklist
	Approve  Action = "approve"
	Override Action = "override" // what speaks against a promotion: asked besides Promote

	Hold Action = "hold" // begin, change or end a hold

	ApplyFleet Action = "apply-fleet"
	Lock       Action = "lock" // the fleet, or unlock it

	Notify Action = "notify" // on trial

	ListTokens  Action = "list-tokens"
	MakeToken   Action = "make-token"
	RevokeToken Action = "revoke-token"
	MakeLogin   Action = "make-login" // a link that logs somebody in to the dashboard
	ShutDown    Action = "shut-down"
)

// Actions are all there are.
func Actions() []Action {
	return []Action{
		Look, ReadLogs, Diagnose, ListPasses, MintPass, RevokePass, Open, Rebase, Verify, Promote, Rollback, Revert, Settle, Abort,
		SignOff, Approve, Override, Hold, ApplyFleet, Lock, Notify, ListTokens, MakeToken, RevokeToken, MakeLogin, ShutDown,
	}
}

// Role is the least role that may do it, where roles say who may.
func (a Action) Role() Role {
	switch a {
	case Look, ReadLogs, Diagnose, ListPasses:
		return Viewer
	case MintPass, RevokePass, SignOff:
		return Tester
	case Open, Rebase, Verify, Promote, Rollback, Revert, Settle, Abort, Hold, Approve, Override, ApplyFleet, Lock, Notify:
		return Operator
	}
	return Admin
}
