package access

import (
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/greenroom-dev/greenroom/internal/httpapi"
)

// group is the API group of greenroom's resources.
const group = "greenroom.dev"

// attributes is what the API server is asked about a request; false for what
// nobody may do at an operator.
func attributes(namespace string, what httpapi.Request) (authorizationv1.ResourceAttributes, bool) {
	releases := func(verb string) (authorizationv1.ResourceAttributes, bool) {
		return authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Group: group, Resource: "releases", Name: what.Release}, true
	}
	passes := func(verb string) (authorizationv1.ResourceAttributes, bool) {
		return authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Group: group, Resource: "releases", Subresource: "passes"}, true
	}
	switch what.Action {
	case httpapi.Look, httpapi.Diagnose, httpapi.MakeLogin: // a login is the caller's own, and may what they may
		return releases("get")
	case httpapi.ReadLogs:
		return authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "get", Resource: "pods", Subresource: "log"}, true
	case httpapi.ListPasses:
		return passes("list")
	case httpapi.MintPass:
		return passes("create")
	case httpapi.RevokePass:
		return passes("delete")
	case httpapi.Open, httpapi.Rebase, httpapi.Verify, httpapi.Promote, httpapi.Rollback, httpapi.Revert, httpapi.Settle, httpapi.Abort,
		httpapi.SignOff, httpapi.Approve, httpapi.Override:
		return releases(string(what.Action)) // these have the names of the verbs
	case httpapi.Lock, httpapi.Hold, httpapi.Notify:
		return authorizationv1.ResourceAttributes{Namespace: namespace, Verb: string(what.Action), Group: group, Resource: "fleets"}, true
	case httpapi.ApplyFleet:
		return authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "patch", Group: group, Resource: "fleets"}, true
	}
	return authorizationv1.ResourceAttributes{}, false
}

// needed is what the API server is asked for an action. Who opens a release has
// the operator write a Release, and must be allowed to write one.
func needed(asked authorizationv1.ResourceAttributes, a httpapi.Action) []authorizationv1.ResourceAttributes {
	out := []authorizationv1.ResourceAttributes{asked}
	if a == httpapi.Open {
		for _, verb := range []string{"create", "patch"} {
			one := asked
			one.Verb = verb
			out = append(out, one)
		}
	}
	return out
}

// changes reports whether an action does more than look. Such a one is asked
// about each time.
func changes(a httpapi.Action) bool {
	switch a {
	case httpapi.Look, httpapi.Diagnose, httpapi.ReadLogs, httpapi.ListPasses:
		return false
	}
	return true
}
