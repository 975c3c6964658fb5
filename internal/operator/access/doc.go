// Package access is who may do what at the operator's API: callers are known by
// the cluster's credentials, and the API server is asked what they may do.
//
// It owns the two questions, TokenReview and SubjectAccessReview, how the API's
// actions are named as verbs of the cluster's RBAC, and for how long an answer
// is believed. It never writes a token anywhere.
//
// A bearer token that the API server itself takes is taken here too, since it
// is what kubeconfigs have; whoever serves this API could use it in its owner's
// name. A token for the audience greenroom-operator alone can not be misused so:
// that is what kubectl greenroom --service-account asks for.
//
// Start at New.
package access
