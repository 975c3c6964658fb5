package access

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/greenroom-dev/greenroom/internal/httpapi"
)

// Audience is whom a token can be made for that is good here and nowhere else.
const Audience = "greenroom-operator"

// TokenReviews asks whose a token is (client-go's TokenReviewInterface).
type TokenReviews interface {
	Create(context.Context, *authenticationv1.TokenReview, metav1.CreateOptions) (*authenticationv1.TokenReview, error)
}

// AccessReviews asks what somebody may do (client-go's
// SubjectAccessReviewInterface).
type AccessReviews interface {
	Create(context.Context, *authorizationv1.SubjectAccessReview, metav1.CreateOptions) (*authorizationv1.SubjectAccessReview, error)
}

// Reviews asks the API server on behalf of the APIs of all fleets. It is safe
// for concurrent use.
type Reviews struct {
	tokens   TokenReviews
	accesses AccessReviews
	holders  *answers[[sha256.Size]byte, httpapi.Identity] // by the token's digest
	allowed  *answers[question, struct{}]
	granted  *answers[grantKey, bool]
	vain     vain
}

// question is one that the API server has answered with yes.
type question struct {
	user      [sha256.Size]byte // digest of all that is known of the caller
	namespace string
	what      httpapi.Request
}

// subject is what the API server knows of a caller, for its own questions.
type subject struct {
	user   authenticationv1.UserInfo
	digest [sha256.Size]byte
}

// New returns Reviews that ask with a client's own credentials.
func New(tokens TokenReviews, accesses AccessReviews, now func() time.Time) *Reviews {
	return &Reviews{
		tokens: tokens, accesses: accesses,
		holders: newAnswers[[sha256.Size]byte, httpapi.Identity](now, maxAnswers), allowed: newAnswers[question, struct{}](now, maxAnswers),
		granted: newAnswers[grantKey, bool](now, maxGrants), vain: vain{now: now},
	}
}

// For returns the access to a fleet in a namespace.
func (r *Reviews) For(namespace string) httpapi.Access { return fleetAccess{r, namespace} }

type fleetAccess struct {
	*Reviews
	namespace string
}

// Holder returns whose token it is, as the API server says.
func (r *Reviews) Holder(ctx context.Context, token string) (httpapi.Identity, error) {
	if token == "" { // which the API server takes for a mistake of ours
		return httpapi.Identity{}, errNoToken()
	}
	key := sha256.Sum256([]byte(token))
	if who, known := r.holders.get(key); known {
		return who, nil
	}
	if !r.vain.may() {
		return httpapi.Identity{}, &httpapi.BusyError{Problem: "too many tokens that nobody has were shown lately", Remedy: "try again in a second"}
	}
	// The API server looks for one of the audiences that it is told, and
	// without any for its own.
	for _, audiences := range [][]string{nil, {Audience}} {
		who, known, err := r.review(ctx, token, audiences)
		if err != nil {
			return httpapi.Identity{}, err
		}
		if known {
			r.holders.keep(key, who)
			return who, nil
		}
	}
	r.vain.count()
	return httpapi.Identity{}, &httpapi.DeniedError{
		Anonymous: true, Problem: "the cluster does not know the token, or it has expired",
		Remedy: "log in to the cluster again: kubectl auth whoami tells whether it knows you",
	}
}

func (r *Reviews) review(ctx context.Context, token string, audiences []string) (httpapi.Identity, bool, error) {
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences}}
	done, err := r.tokens.Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return httpapi.Identity{}, false, fmt.Errorf("ask the API server whose a token is: %w", err)
	}
	if !done.Status.Authenticated || len(audiences) > 0 && !slices.Contains(done.Status.Audiences, Audience) {
		return httpapi.Identity{}, false, nil
	}
	user := done.Status.User
	all, err := json.Marshal(user)
	if err != nil {
		return httpapi.Identity{}, false, fmt.Errorf("read whose a token is: %w", err)
	}
	return httpapi.Identity{Name: user.Username, Via: "token", Detail: subject{user, sha256.Sum256(all)}}, true, nil
}

// Allowed asks the API server whether who may do it in the fleet's namespace.
func (f fleetAccess) Allowed(ctx context.Context, who httpapi.Identity, what httpapi.Request) error {
	s, known := who.Detail.(subject)
	if !known {
		return errNoToken()
	}
	asked, possible := attributes(f.namespace, what)
	if !possible {
		return &httpapi.DeniedError{
			Problem: "the operator has no API tokens and is not ended over its API",
			Remedy:  "people are known by their cluster credentials; kubectl says who may do what",
		}
	}
	key := question{s.digest, f.namespace, what}
	if _, yes := f.allowed.get(key); yes {
		return nil
	}
	for _, one := range needed(asked, what.Action) {
		yes, err := f.ask(ctx, s, one)
		if err != nil {
			return err
		}
		if !yes {
			return mayNot(s, one)
		}
	}
	if !changes(what.Action) {
		f.allowed.keep(key, struct{}{})
	}
	return nil
}

// ask asks the API server.
func (r *Reviews) ask(ctx context.Context, s subject, asked authorizationv1.ResourceAttributes) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		ResourceAttributes: &asked, User: s.user.Username, UID: s.user.UID, Groups: s.user.Groups, Extra: extra(s.user),
	}}
	done, err := r.accesses.Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("ask the API server what %s may do: %w", s.user.Username, err)
	}
	return done.Status.Allowed, nil
}

func mayNot(s subject, asked authorizationv1.ResourceAttributes) error {
	return &httpapi.DeniedError{
		Problem: fmt.Sprintf("%s may not %s %s in the namespace %s", s.user.Username, asked.Verb, resource(asked), asked.Namespace),
		Remedy:  "ask for a role that has this verb, such as greenroom-tester or greenroom-operator, bound in that namespace",
	}
}

func errNoToken() error {
	return &httpapi.DeniedError{
		Anonymous: true, Problem: "this needs a token of the cluster",
		Remedy: "kubectl greenroom sends your kubeconfig's; with a client certificate, name a service account: --service-account NAME",
	}
}

// resource names what was asked about as RBAC rules do.
func resource(a authorizationv1.ResourceAttributes) string {
	name := a.Resource
	if a.Subresource != "" {
		name += "/" + a.Subresource
	}
	if a.Group != "" {
		name = strings.Replace(name, a.Resource, a.Resource+"."+a.Group, 1)
	}
	return name
}

func extra(user authenticationv1.UserInfo) map[string]authorizationv1.ExtraValue {
	out := map[string]authorizationv1.ExtraValue{}
	for key, values := range user.Extra {
		out[key] = authorizationv1.ExtraValue(values)
	}
	return out
}
