package deploy_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/greenroom-dev/greenroom/deploy"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
	"github.com/greenroom-dev/greenroom/internal/operator/rbac"
)

// What is printed is what an API server takes, and does there what it is for.
func TestInstall(t *testing.T) {
	c := operatortest.Start(t, operatortest.User{Name: "argocd", Groups: []string{"system:masters"}},
		operatortest.User{Name: "viewer"}, operatortest.User{Name: "tester"}, operatortest.User{Name: "operator"})
	admin := clientFor(t, c.Admin())
	for _, o := range objects(t, manifests(t, deploy.Install{})) {
		if err := admin.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("test"), client.ForceOwnership); err != nil {
			t.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
		}
	}
	robot := c.ByToken(c.ServiceAccountToken(t, deploy.DefaultNamespace, "greenroom-operator"))
	t.Run("its pod is let in", func(t *testing.T) { podIsLetIn(t, admin) })
	t.Run("every right is of something", func(t *testing.T) { rightsAreOfSomething(t, c.Admin()) })
	t.Run("the operator has its rights and no others", func(t *testing.T) { operatorsRights(t, clientFor(t, robot), c.Namespace(t)) })
	t.Run("people have theirs", func(t *testing.T) { peoplesRights(t, c) })
	t.Run("the example is taken", func(t *testing.T) { exampleIsTaken(t, clientFor(t, c.Admin())) })
	t.Run("the guard keeps templates", func(t *testing.T) {
		guards(t, admin, clientFor(t, c.As(t, "argocd")), clientFor(t, robot), c.Namespace(t))
	})
}

func clientFor(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// objects reads a text of several documents.
func objects(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for document := range strings.SplitSeq(text, "\n---\n") {
		var o unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(document), &o.Object); err != nil {
			t.Fatalf("%v in %s", err, document)
		}
		if len(o.Object) > 0 {
			out = append(out, &o)
		}
	}
	return out
}

// podIsLetIn asks the namespace's pod security about the Deployment's pods.
func podIsLetIn(t *testing.T, admin client.Client) {
	var d appsv1.Deployment
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: deploy.DefaultNamespace, Name: "greenroom-operator"}, &d); err != nil {
		t.Fatal(err)
	}
	pod := corev1.Pod{ObjectMeta: *d.Spec.Template.ObjectMeta.DeepCopy(), Spec: *d.Spec.Template.Spec.DeepCopy()}
	pod.Namespace, pod.Name = d.Namespace, "operator"
	if err := admin.Create(t.Context(), pod.DeepCopy(), client.DryRunAll); err != nil {
		t.Error(err)
	}
	pod.Spec.Containers[0].SecurityContext.Capabilities = nil
	if err := admin.Create(t.Context(), &pod, client.DryRunAll); !apierrors.IsForbidden(err) {
		t.Errorf("a pod that keeps capabilities: %v", err)
	}
}

// exampleIsTaken applies the fleet of the example: the API server knows every
// field of it.
func exampleIsTaken(t *testing.T, admin client.Client) {
	strict := client.WithFieldValidation(admin, metav1.FieldValidationStrict)
	for _, o := range objects(t, build(t, example)) {
		if err := strict.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("test")); err != nil {
			t.Errorf("%s %s: %v", o.GetKind(), o.GetName(), err)
		}
	}
}

// rightsAreOfSomething finds rules that name what no API server has.
func rightsAreOfSomething(t *testing.T, config *rest.Config) {
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	_, lists, err := d.ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	verbs := map[string][]string{}
	for _, list := range lists {
		group, _, grouped := strings.Cut(list.GroupVersion, "/")
		if !grouped {
			group = ""
		}
		for _, r := range list.APIResources {
			verbs[group+"/"+r.Name] = append(verbs[group+"/"+r.Name], r.Verbs...)
		}
	}
	for _, r := range rbac.Rules() {
		for _, resource := range r.Resources {
			for _, verb := range r.Verbs {
				if !slices.Contains(verbs[r.Group+"/"+resource], verb) {
					t.Errorf("no API server has a %s of %s/%s", verb, r.Group, resource)
				}
			}
		}
	}
}

// can asks the API server whether somebody may do something.
func can(t *testing.T, who client.Client, namespace, verb, group, resource string) bool {
	t.Helper()
	resource, sub, _ := strings.Cut(resource, "/")
	review := authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Group: group, Resource: resource, Subresource: sub},
	}}
	if err := who.Create(t.Context(), &review); err != nil {
		t.Fatal(err)
	}
	return review.Status.Allowed
}

func operatorsRights(t *testing.T, robot client.Client, elsewhere string) {
	for _, r := range rbac.Rules() {
		namespace := elsewhere
		if r.Scope == rbac.Own {
			namespace = deploy.DefaultNamespace
		}
		for _, resource := range r.Resources {
			for _, verb := range r.Verbs {
				if len(r.Names) == 0 && !can(t, robot, namespace, verb, r.Group, resource) {
					t.Errorf("it may not %s %s/%s", verb, r.Group, resource)
				}
			}
		}
	}
	for _, no := range [][3]string{
		{"list", "", "secrets"}, {"watch", "", "secrets"}, {"create", "", "pods"}, {"create", "", "pods/exec"}, {"delete", "argoproj.io", "rollouts"},
		{"update", "apps", "deployments"}, {"create", "coordination.k8s.io", "leases"}, {"promote", "greenroom.dev", "releases"},
		{"create", "rbac.authorization.k8s.io", "rolebindings"}, {"delete", "greenroom.dev", "fleets"}, {"list", "", "nodes"},
	} {
		if can(t, robot, elsewhere, no[0], no[1], no[2]) {
			t.Errorf("it may %s", no)
		}
	}
}

func peoplesRights(t *testing.T, c *operatortest.Cluster) {
	admin, namespace := clientFor(t, c.Admin()), c.Namespace(t)
	const releases, passes = "releases", "releases/passes"
	asks := []struct{ verb, resource, least string }{
		{"get", releases, "viewer"}, {"watch", "fleets", "viewer"},
		{"create", passes, "tester"}, {"list", passes, "tester"}, {"delete", passes, "tester"},
		{"patch", "fleets", "operator"}, {"create", releases, "operator"}, {"delete", releases, "operator"},
		{"open", releases, "operator"}, {"verify", releases, "operator"}, {"rebase", releases, "operator"}, {"promote", releases, "operator"},
		{"rollback", releases, "operator"}, {"revert", releases, "operator"}, {"settle", releases, "operator"}, {"abort", releases, "operator"},
		{"hold", "fleets", "operator"},
		{"delete", "fleets", "nobody"}, {"patch", "fleets/status", "nobody"},
	}
	ranks := []string{"viewer", "tester", "operator", "nobody"}
	for _, role := range ranks[:3] {
		binding := rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: role},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: role}},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "greenroom-" + role}}
		if err := admin.Create(t.Context(), &binding); err != nil {
			t.Fatal(err)
		}
		who := clientFor(t, c.As(t, role))
		waitUntil(t, role+"'s rights are known", func(context.Context) bool { return can(t, who, namespace, "get", "greenroom.dev", releases) })
		for _, ask := range asks {
			want := slices.Index(ranks, role) >= slices.Index(ranks, ask.least)
			if got := can(t, who, namespace, ask.verb, "greenroom.dev", ask.resource); got != want {
				t.Errorf("%s may %s %s: %t, want %t", role, ask.verb, ask.resource, got, want)
			}
		}
	}
}

func waitUntil(t *testing.T, what string, done func(context.Context) bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true,
		func(ctx context.Context) (bool, error) { return done(ctx), nil })
	if err != nil {
		t.Fatalf("waited in vain until %s", what)
	}
}

// guarded are a Rollout with its own template, one with a Deployment's, and
// that Deployment.
const guarded = `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: chat, annotations: {greenroom.dev/guarded: r42}}
spec:
  selector: {matchLabels: {app: chat}}
  template:
    metadata: {labels: {app: chat}}
    spec: {containers: [{name: chat, image: "chat:1"}]}
  strategy: {blueGreen: {activeService: chat, autoPromotionEnabled: false}}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: gift, annotations: {greenroom.dev/guarded: r42}}
spec:
  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: gift}
  strategy: {blueGreen: {activeService: gift, autoPromotionEnabled: false}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: gift, annotations: {greenroom.dev/guarded: r42}}
spec:
  selector: {matchLabels: {app: gift}}
  template:
    metadata: {labels: {app: gift}}
    spec: {containers: [{name: gift, image: "gift:1"}]}
`

func guards(t *testing.T, admin, argocd, robot client.Client, namespace string) {
	image := func(image string) string {
		return fmt.Sprintf(`[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":%q}]`, image)
	}
	workload := `[{"op":"replace","path":"/spec/workloadRef/name","value":"other"}]`
	patch := func(who client.Client, o *unstructured.Unstructured, patch string, opts ...client.PatchOption) error {
		return who.Patch(t.Context(), o.DeepCopy(), client.RawPatch("application/json-patch+json", []byte(patch)), opts...)
	}
	for _, o := range objects(t, guarded) {
		o.SetNamespace(namespace)
		if err := admin.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		name, change := o.GetKind()+" "+o.GetName(), image("new:2")
		if _, own, _ := unstructured.NestedMap(o.Object, "spec", "template"); !own {
			change = workload
		}
		var refused error
		waitUntil(t, "the guard is in force for "+name, func(context.Context) bool {
			refused = patch(argocd, o, change, client.DryRunAll)
			return refused != nil
		})
		if !apierrors.IsForbidden(refused) || !strings.Contains(refused.Error(), "release r42 is under way with the pods of "+o.GetName()+",") {
			t.Errorf("%s is refused with: %v", name, refused)
		}
		both := change[:len(change)-1] + `,{"op":"remove","path":"/metadata/annotations/greenroom.dev~1guarded"}]`
		if err := patch(argocd, o, both); !apierrors.IsForbidden(err) {
			t.Errorf("%s loses template and mark in one: %v", name, err)
		}
		for what, harmless := range map[string]string{
			"a label": `[{"op":"add","path":"/metadata/labels","value":{"a":"b"}}]`, "replicas": `[{"op":"add","path":"/spec/replicas","value":7}]`} {
			if err := patch(argocd, o, harmless); err != nil {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
		if err := patch(robot, o, change); err != nil {
			t.Errorf("%s: the operator itself: %v", name, err)
		}
		if err := patch(argocd, o, `[{"op":"remove","path":"/metadata/annotations/greenroom.dev~1guarded"}]`); err != nil {
			t.Errorf("%s: taking the mark away: %v", name, err)
		}
		if err := patch(argocd, o, strings.NewReplacer("new:2", "new:3", "other", "another").Replace(change)); err != nil {
			t.Errorf("%s without the mark: %v", name, err)
		}
	}
}
