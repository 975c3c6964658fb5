package operator

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/config"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// byAPI is the field manager of Releases that people open over the API. They are
// written by the operator, under the name of who asked for it.
const byAPI = "greenroom-api"

// OpenRelease opens a release. One that is written out (sets, or a document with
// a spec) is applied to the cluster, and opens when what it brings is there; of
// one that is only named, the Release in the cluster is taken in as it is, with
// what its Rollouts preview now.
func (e *Engine) OpenRelease(ctx context.Context, who string, in api.Open) (api.Changed, error) {
	if len(in.Document.Sets) == 0 {
		var doc struct {
			Kind     string            `json:"kind"`
			Metadata metav1.ObjectMeta `json:"metadata"`
			Spec     *struct{}         `json:"spec"`
		}
		if err := yaml.Unmarshal([]byte(in.Document.Data), &doc); err != nil || doc.Metadata.Name == "" || doc.Kind != "Release" {
			return api.Changed{}, &httpapi.InputError{Problem: in.Document.Name + " must hold one Release, with a name", Remedy: "write kind: Release and metadata: {name: r42}"}
		}
		if doc.Spec == nil {
			return e.takeIn(ctx, who, doc.Metadata.Name, in.Asked, false)
		}
	}
	r, err := readOpening(in.Document)
	if err != nil {
		return api.Changed{}, &httpapi.InputError{Problem: err.Error()}
	}
	return e.write(ctx, who, r, in)
}

// readOpening is the Release that a document or what was set comes to.
func readOpening(d api.Document) (*unstructured.Unstructured, error) {
	if len(d.Sets) > 0 {
		return kubernetes.ReleaseOf(d.Name, d.Sets)
	}
	return kubernetes.ReadRelease(d.Name, []byte(d.Data))
}

// write applies a Release to the cluster in who's name.
func (e *Engine) write(ctx context.Context, who string, r *unstructured.Unstructured, in api.Open) (api.Changed, error) {
	name := r.GetName()
	typed, err := e.place(r, who, in.Reason)
	if err != nil {
		return api.Changed{}, &httpapi.InputError{Problem: in.Document.Name + ": " + err.Error()}
	}
	if found := kubernetes.CheckRelease(typed, e.world.Load().fleet); len(found) > 0 {
		wrong := &config.Errors{}
		for _, c := range found {
			wrong.List = append(wrong.List, placed(in.Document, c.Object, c.Message, c.Remedy))
		}
		return api.Changed{}, wrong
	}
	options := []client.ApplyOption{client.FieldOwner(byAPI)}
	if in.DryRun {
		options = append(options, client.DryRunAll)
	}
	if err := e.d.Direct.Apply(ctx, client.ApplyConfigurationFromUnstructured(r), options...); err != nil {
		return api.Changed{}, notWritten(in.Document, name, err)
	}
	if in.DryRun {
		out := e.changed(name, false, name+" would be opened")
		out.Release = e.would(typed)
		return out, nil
	}
	return e.changed(name, true, name+" is made; it opens when its previews are there"), nil
}

// place makes a Release one of this fleet, with who opens it and why, and with
// nothing else that only objects in a cluster have.
func (e *Engine) place(r *unstructured.Unstructured, who, why string) (*crd.Release, error) {
	if ns := r.GetNamespace(); ns != "" && ns != e.key.Namespace {
		return nil, fmt.Errorf("%s is for the namespace %s, and the fleet here is in %s", r.GetName(), ns, e.key.Namespace)
	}
	annotations := r.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[kubernetes.OpenedByAnnotation] = who
	delete(annotations, reasonAnnotation)
	if why != "" {
		annotations[reasonAnnotation] = why
	}
	clean := &unstructured.Unstructured{Object: map[string]any{"spec": r.Object["spec"]}}
	clean.SetGroupVersionKind(r.GroupVersionKind())
	clean.SetNamespace(e.key.Namespace)
	clean.SetName(r.GetName())
	clean.SetLabels(r.GetLabels())
	clean.SetAnnotations(annotations)
	r.Object = clean.Object
	if says, _, err := unstructured.NestedString(r.Object, "spec", "fleet"); err == nil && says == "" {
		if err := unstructured.SetNestedField(r.Object, e.key.Name, "spec", "fleet"); err != nil {
			return nil, err
		}
	}
	typed := &crd.Release{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(r.Object, typed); err != nil {
		return nil, err
	}
	return typed, nil
}

// would is a release as far as it is known before its previews are there.
func (e *Engine) would(r *crd.Release) *api.Release {
	state := e.controller.Record().State
	out := &api.Release{Name: r.Name, Description: r.Spec.Description}
	for _, s := range r.Spec.Services {
		serving := state.Versions[state.DefaultVersion(s.Name)].Name
		to := s.Image
		if s.Version != "" {
			to = s.Version
		}
		out.Changes = append(out.Changes, api.ReleaseChange{Service: s.Name, From: serving, Serving: serving, To: to})
	}
	return out
}

// notWritten says what the API server has against a Release.
func notWritten(d api.Document, name string, err error) error {
	var status apierrors.APIStatus
	switch {
	case apierrors.IsConflict(err):
		return &release.Refused{Rule: "kept", Reason: name + " is kept by somebody else: " + err.Error(), Remedy: "change it where it is kept"}
	case apierrors.IsForbidden(err):
		return &release.Refused{Rule: "admission", Reason: "the cluster refuses " + name + ": " + err.Error(), Remedy: "ask whoever looks after the cluster"}
	case apierrors.IsInvalid(err) && errors.As(err, &status) && status.Status().Details != nil:
		wrong := &config.Errors{}
		for _, c := range status.Status().Details.Causes {
			wrong.List = append(wrong.List, placed(d, c.Field, c.Message, ""))
		}
		if len(wrong.List) > 0 {
			return wrong
		}
	}
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || strings.Contains(err.Error(), "failed to create typed patch object") {
		return &httpapi.InputError{Problem: d.Name + ": " + err.Error()}
	}
	return fmt.Errorf("make Release %s: %w", name, err)
}

// indexed is a field of one of a Release's services.
var indexed = regexp.MustCompile(`^spec\.services\[(\d+)\]`)

// placed says where something is wrong, as whoever wrote it knows the place: by
// what was set, or by the field of the document.
func placed(d api.Document, field, message, remedy string) *config.Error {
	out := &config.Error{File: d.Name, Problem: message, Hint: remedy}
	if len(d.Sets) == 0 {
		out.Problem = field + ": " + message
		return out
	}
	if m := indexed.FindStringSubmatch(field); m != nil {
		if i, err := strconv.Atoi(m[1]); err == nil && i < len(d.Sets) {
			out.File = "--set " + d.Sets[i]
		}
	}
	return out
}
