package kubectl

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/clientcmd"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/command"
)

// takeIn does of an operator's work what release open waits for: the status of
// each Release that comes or changes. The API server ends watches as it pleases,
// so that another begins then, each from the version of a list: one without a
// version waits for the cluster's newest, which may never come to Releases.
func (p *place) takeIn() {
	var work sync.WaitGroup
	ctx, cancel := context.WithCancel(p.t.Context())
	p.t.Cleanup(func() { cancel(); work.Wait() })
	work.Go(func() {
		for ctx.Err() == nil {
			var there crd.ReleaseList
			err := p.objects.List(ctx, &there, kube.InNamespace(p.shop))
			for i := range there.Items {
				p.take(ctx, &there.Items[i])
			}
			var changes watch.Interface
			if err == nil {
				from := &kube.ListOptions{Namespace: p.shop, Raw: &metav1.ListOptions{ResourceVersion: there.ResourceVersion}}
				changes, err = p.objects.Watch(ctx, &crd.ReleaseList{}, from)
			}
			if err != nil {
				if ctx.Err() == nil {
					p.t.Errorf("watch Releases: %v", err)
				}
				return
			}
			for e := range changes.ResultChan() {
				if r, ok := e.Object.(*crd.Release); ok && e.Type != watch.Deleted {
					p.take(ctx, r)
				}
			}
		}
	})
}

func (p *place) take(ctx context.Context, r *crd.Release) {
	if r.Status.ObservedGeneration == r.Generation {
		return
	}
	r.Status = crd.ReleaseStatus{ObservedGeneration: r.Generation, Phase: "Previewing"}
	if r.Spec.Services[0].Name == "none" {
		r.Status = crd.ReleaseStatus{ObservedGeneration: r.Generation, Conditions: []metav1.Condition{{Type: "Invalid", Status: metav1.ConditionTrue,
			Reason: "Invalid", Message: "the fleet has no service none", LastTransitionTime: metav1.Now()}}}
	}
	err := p.objects.Status().Update(ctx, r)
	if err != nil && !apierrors.IsConflict(err) && ctx.Err() == nil { // a conflict is followed by another event
		p.t.Errorf("take in %s: %v", r.Name, err)
	}
}

func TestReleaseOpen(t *testing.T) {
	p := newPlace(t)
	p.make(someFleet(p.shop, "live"))
	p.lead("operator-1", 0)
	p.takeIn()
	ann, eve := p.kubeconfig("ann", p.cluster.As(t, "ann")), p.kubeconfig("eve", p.cluster.As(t, "eve"))
	document := func(name, services string) string {
		file := filepath.Join(p.folder, name+".yaml")
		text := "apiVersion: greenroom.dev/v1alpha1\nkind: Release\nmetadata: {name: " + name + "}\nspec: {services: [" + services + "]}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	r42 := document("r42", "{name: api, image: example.com/api:2}")
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{command.BadInput, "name a document with -f", []string{"r42"}},
		{command.BadInput, "--set needs the release's name", []string{"--set", "api=x"}},
		{command.BadInput, "--set api: write --set", []string{"r42", "--set", "api"}},
		{command.BadInput, "is the document of r42, not of r43", []string{"r43", "-f", r42}},
		{command.BadInput, "must hold one Release", []string{"-f", ann}},
		{command.BadInput, "spec.services[0].name", []string{"-f", document("bad", "{name: API}")}},
		{command.BadInput, "kubectl explain release.spec", []string{"-f", document("field", "{name: api, imag: example.com/api:2}")}},
		{command.BadInput, "the fleet has no service none", []string{"-f", document("wrong", "{name: none}")}},
		{command.Done, "r42 would be opened.", []string{"-f", r42, "--dry-run"}},
		{command.Done, "r42 is Previewing; ordinary requests still get r41.", []string{"-f", r42, "--reason", "gifts"}},
		{command.Done, "r42 was open with this content already.", []string{"-f", r42, "--reason", "gifts"}},
		{command.Done, "kubectl greenroom pass create r42", []string{"r42", "--set", "api=example.com/api:3"}},
	} {
		got := run(ann, append([]string{"release", "open", "--timeout", "2m"}, c.args...)...)
		if got.code != c.code || !strings.Contains(got.out+got.errors, c.says) {
			t.Errorf("%v ended with %d: %s%s; want %d and %s", c.args, got.code, got.out, got.errors, c.code, c.says)
		}
		if c.says == "r42 would be opened." {
			var list crd.ReleaseList
			if err := p.objects.List(t.Context(), &list, kube.InNamespace(p.shop)); err != nil {
				t.Fatal(err)
			}
			for _, r := range list.Items {
				if r.Name == "r42" {
					t.Error("a dry run opened it")
				}
			}
		}
	}
	r := &crd.Release{}
	if err := p.objects.Get(t.Context(), kube.ObjectKey{Namespace: p.shop, Name: "r42"}, r); err != nil {
		t.Fatal(err)
	}
	if s := r.Spec.Services[0]; s.Image != "example.com/api:3" || !s.Apply {
		t.Errorf("--set made %+v", s)
	}
	if m := r.ManagedFields[0].Manager; m != fieldManager {
		t.Errorf("it was applied by %s", m)
	}
	if who := r.Annotations[openedByAnnotation]; who != "ann" {
		t.Errorf("it was opened by %q", who)
	}
	r.Spec.Services[0].Image = "example.com/api:4"
	if err := p.objects.Update(t.Context(), r, kube.FieldOwner("argocd")); err != nil {
		t.Fatal(err)
	}
	if got := run(ann, "release", "open", "-f", r42); got.code != command.Refused || !strings.Contains(got.errors, "is kept by somebody else") || !strings.Contains(got.errors, "argocd") {
		t.Errorf("what Argo CD keeps ended with %d: %s", got.code, got.errors)
	}
	if got := run(eve, "release", "open", "-f", r42, "--fleet", "live"); got.code != command.Refused || !strings.Contains(got.errors, "forbidden") {
		t.Errorf("eve ended with %d: %s", got.code, got.errors)
	}
}

// TestReleaseOpenElsewhere opens a Release whose document says its namespace,
// with a kubeconfig that is somewhere else: as kubectl apply, the document wins,
// unless -n says something.
func TestReleaseOpenElsewhere(t *testing.T) {
	p := newPlace(t)
	p.make(someFleet(p.shop, "live"))
	p.lead("operator-1", 0)
	p.takeIn()
	home := p.kubeconfig("ann", p.cluster.As(t, "ann"))
	config, err := clientcmd.LoadFromFile(home)
	if err != nil {
		t.Fatal(err)
	}
	config.Contexts["c"].Namespace = "default"
	elsewhere := filepath.Join(p.folder, "elsewhere")
	if err := clientcmd.WriteToFile(*config, elsewhere); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.folder, "r42.yaml")
	text := "apiVersion: greenroom.dev/v1alpha1\nkind: Release\nmetadata: {name: r42, namespace: " + p.shop + "}\nspec: {services: [{name: api}]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kubeconfig, namespace string
		code                  int
		says                  string
	}{
		{home, "default", command.BadInput, "leave out -n"},
		{elsewhere, "", command.Done, "kubectl greenroom -n " + p.shop + " pass create r42"},
		{elsewhere, p.shop, command.Done, "kubectl greenroom -n " + p.shop + " promote r42"},
		{home, "", command.Done, "kubectl greenroom promote r42"},
	} {
		args := []string{"release", "open", "--timeout", "2m", "-f", file}
		if c.namespace != "" {
			args = append(args, "-n", c.namespace)
		}
		if got := run(c.kubeconfig, args...); got.code != c.code || !strings.Contains(got.out+got.errors, c.says) {
			t.Errorf("with -n %q it ended with %d: %s%s; want %d and %s", c.namespace, got.code, got.out, got.errors, c.code, c.says)
		}
	}
}
