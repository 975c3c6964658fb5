package access

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
)

// counted asks the API server and counts how often.
type counted struct {
	kubernetes.Interface
	tokens, accesses int
}

type countedTokens struct{ c *counted }

func (t countedTokens) Create(ctx context.Context, r *authenticationv1.TokenReview, o metav1.CreateOptions) (*authenticationv1.TokenReview, error) {
	t.c.tokens++
	return t.c.AuthenticationV1().TokenReviews().Create(ctx, r, o)
}

type countedAccesses struct{ c *counted }

func (a countedAccesses) Create(ctx context.Context, r *authorizationv1.SubjectAccessReview, o metav1.CreateOptions) (*authorizationv1.SubjectAccessReview, error) {
	a.c.accesses++
	return a.c.AuthorizationV1().SubjectAccessReviews().Create(ctx, r, o)
}

func TestAccess(t *testing.T) {
	cluster := operatortest.Start(t, operatortest.User{Name: "ann", Groups: []string{"on-call"}}, operatortest.User{Name: "bob"})
	k, err := kubernetes.NewForConfig(cluster.Admin())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	api := &counted{Interface: k}
	reviews := New(countedTokens{api}, countedAccesses{api}, func() time.Time { return now })
	shop, other := cluster.Namespace(t), cluster.Namespace(t)
	grant(t, k, shop, rbacv1.Subject{Kind: rbacv1.GroupKind, Name: "on-call"}, rbacv1.PolicyRule{
		APIGroups: []string{group}, Resources: []string{"releases"}, Verbs: []string{"get", "rollback", "open"}, // who may write no Release opens none
	})
	grant(t, k, shop, rbacv1.Subject{Kind: rbacv1.UserKind, Name: "bob"},
		rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{"releases"}, ResourceNames: []string{"r1"}, Verbs: []string{"promote"}},
		rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{"releases/passes"}, Verbs: []string{"create"}},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/log"}, Verbs: []string{"get"}})
	ann, bob := holder(t, reviews, cluster.As(t, "ann")), holder(t, reviews, cluster.As(t, "bob"))
	awaitGrant(t, reviews.For(shop), bob, httpapi.Request{Action: httpapi.MintPass})
	awaitGrant(t, reviews.For(shop), ann, httpapi.Request{Action: httpapi.Look})

	t.Run("verbs decide, in the fleet's namespace, by name where rules name releases", func(t *testing.T) {
		mayAnn := map[httpapi.Action]bool{httpapi.Look: true, httpapi.Diagnose: true, httpapi.MakeLogin: true, httpapi.Rollback: true}
		mayBob := map[httpapi.Action]bool{httpapi.Promote: true, httpapi.MintPass: true, httpapi.ReadLogs: true}
		for _, action := range httpapi.Actions() {
			what := httpapi.Request{Action: action, Release: "r1"}
			if got := allowed(t, reviews.For(shop), ann, what); got != mayAnn[action] {
				t.Errorf("ann may %s: %t", action, got)
			}
			if got := allowed(t, reviews.For(shop), bob, what); got != mayBob[action] {
				t.Errorf("bob may %s: %t", action, got)
			}
			if allowed(t, reviews.For(other), ann, what) || allowed(t, reviews.For(other), bob, what) {
				t.Errorf("somebody may %s in another namespace", action)
			}
		}
		if allowed(t, reviews.For(shop), bob, httpapi.Request{Action: httpapi.Promote, Release: "r2"}) {
			t.Error("bob may promote any release")
		}
	})
	t.Run("a denial says which verb is lacking", func(t *testing.T) {
		err := reviews.For(shop).Allowed(t.Context(), ann, httpapi.Request{Action: httpapi.Promote, Release: "r1"})
		if want := "ann may not promote releases.greenroom.dev in the namespace " + shop; err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
		err = reviews.For(shop).Allowed(t.Context(), ann, httpapi.Request{Action: httpapi.MintPass})
		if want := "ann may not create releases.greenroom.dev/passes in the namespace " + shop; err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	})
	t.Run("who shows nothing is nobody", func(t *testing.T) {
		for _, token := range []string{"", "forged", strings.Repeat("x", 5000)} {
			var denied *httpapi.DeniedError
			if _, err := reviews.Holder(t.Context(), token); !errors.As(err, &denied) || !denied.Anonymous {
				t.Errorf("%.10s: %v", token, err)
			}
		}
		var denied *httpapi.DeniedError
		if err := reviews.For(shop).Allowed(t.Context(), httpapi.Identity{}, httpapi.Request{Action: httpapi.Look}); !errors.As(err, &denied) || !denied.Anonymous {
			t.Errorf("nobody looks: %v", err)
		}
	})
	t.Run("tokens for the operator and for the API server are good, others are not", func(t *testing.T) {
		want := "system:serviceaccount:" + shop + ":robot"
		for _, audiences := range [][]string{nil, {Audience}} {
			who := holder(t, reviews, cluster.ByToken(cluster.ServiceAccountToken(t, shop, "robot", audiences...)))
			if who.Name != want {
				t.Errorf("a token for %v is %s's", audiences, who.Name)
			}
		}
		if who, err := reviews.Holder(t.Context(), cluster.ServiceAccountToken(t, shop, "robot", "vault")); err == nil {
			t.Errorf("a token for somebody else is good here, as %s's", who.Name)
		}
	})
	t.Run("looking asks once in a while, changing each time", func(t *testing.T) {
		ask := func(action httpapi.Action) (tokens, accesses int) {
			tokens, accesses = api.tokens, api.accesses
			who := holder(t, reviews, cluster.As(t, "ann"))
			if err := reviews.For(shop).Allowed(t.Context(), who, httpapi.Request{Action: action}); err != nil {
				t.Fatal(err)
			}
			return api.tokens - tokens, api.accesses - accesses
		}
		ask(httpapi.Look)
		if tokens, accesses := ask(httpapi.Look); tokens+accesses != 0 {
			t.Errorf("looking again asked %d+%d times", tokens, accesses)
		}
		if _, accesses := ask(httpapi.Rollback); accesses != 1 {
			t.Errorf("rolling back asked %d times", accesses)
		}
		if _, accesses := ask(httpapi.Rollback); accesses != 1 {
			t.Errorf("rolling back again asked %d times", accesses)
		}
		now = now.Add(believed)
		if tokens, accesses := ask(httpapi.Look); tokens != 1 || accesses != 1 {
			t.Errorf("after a while looking asked %d+%d times", tokens, accesses)
		}
	})
}

func holder(t *testing.T, r *Reviews, config *rest.Config) httpapi.Identity {
	t.Helper()
	who, err := r.Holder(t.Context(), config.BearerToken)
	if err != nil {
		t.Fatal(err)
	}
	return who
}

func allowed(t *testing.T, a httpapi.Access, who httpapi.Identity, what httpapi.Request) bool {
	t.Helper()
	err := a.Allowed(t.Context(), who, what)
	var denied *httpapi.DeniedError
	if err != nil && (!errors.As(err, &denied) || denied.Anonymous) {
		t.Fatal(err)
	}
	return err == nil
}

// awaitGrant waits until the API server knows of a rule that was made.
func awaitGrant(t *testing.T, a httpapi.Access, who httpapi.Identity, what httpapi.Request) {
	t.Helper()
	for !allowed(t, a, who, what) {
		select {
		case <-t.Context().Done():
			t.Fatalf("%s may never %s", who.Name, what.Action)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func grant(t *testing.T, k kubernetes.Interface, namespace string, to rbacv1.Subject, rules ...rbacv1.PolicyRule) {
	t.Helper()
	to.APIGroup = rbacv1.GroupName
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: to.Name}, Rules: rules}
	if _, err := k.RbacV1().Roles(namespace).Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: to.Name}, Subjects: []rbacv1.Subject{to},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: to.Name}}
	if _, err := k.RbacV1().RoleBindings(namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	now := time.Now()
	a := newAnswers[int, int](func() time.Time { return now }, maxAnswers)
	for i := range 3 * maxAnswers {
		a.keep(i, i)
	}
	if len(a.kept) > maxAnswers {
		t.Errorf("%d answers are kept", len(a.kept))
	}
	if v, ok := a.get(3*maxAnswers - 1); !ok || v != 3*maxAnswers-1 {
		t.Error("the latest answer is gone")
	}
	now = now.Add(believed)
	if _, ok := a.get(3*maxAnswers - 1); ok {
		t.Error("an old answer is believed")
	}
}

// TestGrants holds what pages show to what the API server says, without asking
// it each time, and for a short while only.
func TestGrants(t *testing.T) {
	cluster := operatortest.Start(t, operatortest.User{Name: "ann"}, operatortest.User{Name: "bob"})
	k, err := kubernetes.NewForConfig(cluster.Admin())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	api := &counted{Interface: k}
	reviews := New(countedTokens{api}, countedAccesses{api}, func() time.Time { return now })
	shop := cluster.Namespace(t)
	grant(t, k, shop, rbacv1.Subject{Kind: rbacv1.UserKind, Name: "ann"}, rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{"releases"}, Verbs: []string{"get", "rollback"}})
	grant(t, k, shop, rbacv1.Subject{Kind: rbacv1.UserKind, Name: "bob"}, rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{"releases"}, ResourceNames: []string{"r1"}, Verbs: []string{"promote"}})
	ann, bob := holder(t, reviews, cluster.As(t, "ann")), holder(t, reviews, cluster.As(t, "bob"))
	awaitGrant(t, reviews.For(shop), ann, httpapi.Request{Action: httpapi.Rollback})
	awaitGrant(t, reviews.For(shop), bob, httpapi.Request{Action: httpapi.Promote, Release: "r1"})
	grants := reviews.Grants(shop)
	page := func(who httpapi.Identity, release string) {
		for _, action := range httpapi.Actions() {
			what := httpapi.Request{Action: action, Release: release}
			if got, want := allowed(t, grants, who, what), allowed(t, reviews.For(shop), who, what); got != want {
				t.Errorf("%s may %s %s: shown %t, is %t", who.Name, action, release, got, want)
			}
		}
		after := api.accesses
		for range 3 {
			for _, action := range httpapi.Actions() {
				_ = grants.Allowed(t.Context(), who, httpapi.Request{Action: action, Release: release})
			}
		}
		if api.accesses != after {
			t.Errorf("%s: the same page asks %d times more", who.Name, api.accesses-after)
		}
	}
	for _, release := range []string{"", "r1", "r2"} {
		page(ann, release)
		page(bob, release)
	}
	if grants.Allowed(t.Context(), httpapi.Identity{}, httpapi.Request{Action: httpapi.Look}) == nil {
		t.Error("nobody looks")
	}
	if err := k.RbacV1().RoleBindings(shop).Delete(t.Context(), "ann", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if !allowed(t, grants, ann, httpapi.Request{Action: httpapi.Look}) {
		t.Error("what was remembered is gone at once: the clock stands still")
	}
	for still := true; still; still = allowed(t, reviews.For(shop), ann, httpapi.Request{Action: httpapi.Rollback}) { // asked each time
		select {
		case <-t.Context().Done():
			t.Fatal("the API server never takes a role back")
		case <-time.After(20 * time.Millisecond):
		}
	}
	now = now.Add(believed)
	if allowed(t, grants, ann, httpapi.Request{Action: httpapi.Look}) || allowed(t, grants, ann, httpapi.Request{Action: httpapi.Rollback, Release: "r1"}) {
		t.Error("a right that was taken back is shown longer than an answer is believed")
	}
}

// TestStrangersAreHeldBack bounds what tokens that nobody has cost the API
// server, and lets people in whom it knows.
func TestStrangersAreHeldBack(t *testing.T) {
	cluster := operatortest.Start(t, operatortest.User{Name: "ann"})
	k, err := kubernetes.NewForConfig(cluster.Admin())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	api := &counted{Interface: k}
	reviews := New(countedTokens{api}, countedAccesses{api}, func() time.Time { return now })
	ann := cluster.As(t, "ann")
	holder(t, reviews, ann)
	var busy *httpapi.BusyError
	for range 3 * vainBurst {
		if _, err = reviews.Holder(t.Context(), "forged"); errors.As(err, &busy) {
			break
		}
	}
	if !errors.As(err, &busy) || api.tokens > 2*vainBurst+2 {
		t.Errorf("the API server was asked %d times, and the last answer is %v", api.tokens, err)
	}
	holder(t, reviews, ann)
	now = now.Add(believed)
	holder(t, reviews, ann)
}
