package adopt_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/greenroom-dev/greenroom/internal/adopt"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
)

// What is read from a cluster is what the golden files begin with, and what is
// printed is what the cluster takes.
func TestRead(t *testing.T) {
	c := operatortest.Start(t, operatortest.User{Name: "dev"})
	admin := clientFor(t, c.Admin())
	namespace := c.Namespace(t)
	data, err := os.ReadFile("testdata/whole.in.yaml")
	if err != nil {
		t.Fatal(err)
	}
	gateways := c.Namespace(t)
	text := strings.NewReplacer("namespace: shop", "namespace: "+namespace, ".shop.svc", "."+namespace+".svc", "istio-ingress", gateways, "clusterIP: 10.96.7.7", "").Replace(string(data))
	for _, o := range objects(t, text) {
		if err := admin.Create(t.Context(), o); err != nil {
			t.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
		}
	}
	f, err := adopt.Read(t.Context(), admin, namespace, "chat")
	if err != nil {
		t.Fatal(err)
	}
	if f.Deployment == nil || len(f.Services) != 2 || f.Autoscaler == nil || f.RolloutName != "" || !f.Elsewhere ||
		len(f.Istio.VirtualServices) != 3 || len(f.Istio.DestinationRules) != 1 || len(f.Istio.Gateways) != 1 {
		t.Fatalf("found %+v", f)
	}
	printed := write(t, f)
	t.Run("the Fleet is the golden file's", func(t *testing.T) {
		golden, err := os.ReadFile("testdata/whole.golden.yaml")
		if err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll(string(golden), "istio-ingress", gateways)
		if got := snippet(t, printed); got != snippet(t, want) {
			t.Errorf("got %s", got)
		}
	})
	t.Run("every object is taken", func(t *testing.T) {
		whole := strings.Replace(snippet(t, printed), "spec:\n", "apiVersion: greenroom.dev/v1alpha1\nkind: Fleet\nmetadata: {name: shop, namespace: "+namespace+"}\nspec:\n", 1)
		strict := client.WithFieldValidation(admin, metav1.FieldValidationStrict)
		for _, o := range append(objects(t, printed), objects(t, whole)...) {
			if err := strict.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("test"), client.ForceOwnership); err != nil {
				t.Errorf("%s %s: %v", o.GetKind(), o.GetName(), err)
			}
		}
		again, err := adopt.Read(t.Context(), admin, namespace, "chat")
		if err != nil {
			t.Fatal(err)
		}
		if again.RolloutName != "chat" || again.Autoscaler != nil {
			t.Errorf("afterwards there is a Rollout %q and %+v", again.RolloutName, again.Autoscaler)
		}
	})
	t.Run("who may look at one namespace is told so", func(t *testing.T) {
		allowIn(t, admin, namespace, "dev")
		dev := clientFor(t, c.As(t, "dev"))
		var f adopt.Found
		err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			var err error
			f, err = adopt.Read(ctx, dev, namespace, "chat")
			return err == nil, nil // the API server learns of rights a little later
		})
		if err != nil {
			t.Fatal(err)
		}
		f.RolloutName = ""
		if f.Elsewhere || len(f.Istio.VirtualServices) != 3 || len(f.Istio.Gateways) != 0 {
			t.Errorf("found %+v", f.Istio)
		}
		for _, want := range []string{"could be looked at", "Gateway " + gateways + "/public could not be read"} {
			if got := strings.ReplaceAll(write(t, f), "\n#   ", " "); !strings.Contains(got, want) {
				t.Errorf("nothing says %q in %s", want, got)
			}
		}
	})
	t.Run("a Deployment that is not", func(t *testing.T) {
		if _, err := adopt.Read(t.Context(), admin, namespace, "talk"); err == nil || !strings.Contains(err.Error(), namespace+"/talk") {
			t.Errorf("read with %v", err)
		}
	})
}

func clientFor(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	s := runtime.NewScheme()
	if err := adopt.Scheme(s); err != nil {
		t.Fatal(err)
	}
	if err := rbacv1.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: s})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

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

func write(t *testing.T, f adopt.Found) string {
	t.Helper()
	var b strings.Builder
	if err := adopt.Write(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// snippet is the part for the Fleet, as a document.
func snippet(t *testing.T, printed string) string {
	t.Helper()
	_, after, ok := strings.Cut(printed, "In the Fleet:\n#\n")
	if !ok {
		t.Fatalf("there is no Fleet in %s", printed)
	}
	var b strings.Builder
	for line := range strings.Lines(after) {
		b.WriteString(strings.TrimPrefix(line, "#   "))
	}
	return b.String()
}

// allowIn lets somebody do anything in one namespace.
func allowIn(t *testing.T, admin client.Client, namespace, user string) {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: namespace, Name: user}
	for _, o := range []client.Object{
		&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}}},
		&rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}},
	} {
		if err := admin.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
}
