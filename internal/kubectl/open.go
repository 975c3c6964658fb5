package kubectl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/command"
	engine "github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// fieldManager is who applies a Release that was opened here.
const fieldManager = "kubectl-greenroom"

// reasonAnnotation says on a Release why it was opened.
const reasonAnnotation = "greenroom.dev/reason"

// openedByAnnotation says on a Release who applied it here.
const openedByAnnotation = "greenroom.dev/opened-by"

// maxDocument bounds a document, in bytes.
const maxDocument = 1 << 20

// takenWait is how often a Release is looked at until the operator has taken it
// in.
const takenWait = 200 * time.Millisecond

func (a *app) releaseOpen() *cobra.Command {
	var file string
	var sets []string
	var c command.Changing
	var w command.Waiting
	cmd := &cobra.Command{
		Use:   "open [NAME] (-f FILE | --set SERVICE=IMAGE...)",
		Short: "Open a release: its versions start beside what serves",
		Long: `Applies a Release with your own credentials, as kubectl apply -f does, and waits
until holders of a pass can see it. What --set names is set in the Rollouts by the
operator (apply: true).`,
		Example: `  kubectl greenroom release open -f r42.yaml
  kubectl greenroom release open r42 --set api=registry.example.com/api:2.5.0`,
		Args: command.OneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := a.releaseObject(file, sets, args)
			if err != nil {
				return err
			}
			return a.open(cmd.Context(), r, c, w)
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "Release; - for standard input")
	cmd.Flags().StringArrayVar(&sets, "set", nil, "SERVICE=IMAGE, instead of a document; repeatable")
	c.Register(cmd, false)
	w.Register(cmd)
	return cmd
}

// open applies a Release and waits for it.
func (a *app) open(ctx context.Context, r *unstructured.Unstructured, c command.Changing, w command.Waiting) error {
	k, err := a.flags.cluster()
	if err != nil {
		return err
	}
	objects, err := k.client()
	if err != nil {
		return err
	}
	if err := a.inNamespace(r, &k); err != nil {
		return err
	}
	fleet, err := a.place(ctx, r, objects, k.namespace)
	if err != nil {
		return err
	}
	if c.Reason != "" {
		r.SetAnnotations(with(r.GetAnnotations(), reasonAnnotation, c.Reason))
	}
	if who := whoCalls(ctx, objects); who != "" {
		r.SetAnnotations(with(r.GetAnnotations(), openedByAnnotation, who))
	}
	before, err := generationOf(ctx, objects, r)
	if err != nil {
		return err
	}
	if err := applyRelease(ctx, objects, r, c.DryRun); err != nil {
		return err
	}
	name := r.GetName()
	done := client.Changed{Changed: r.GetGeneration() != before, Message: name + " is opened"}
	if c.DryRun {
		done.Message = name + " would be opened"
	}
	if c.DryRun || w.NoWait {
		return a.PrintChanged(done)
	}
	api, err := a.conn.clientOf(ctx, k, fleet)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := a.awaitTaken(ctx, objects, r, w); err != nil {
		return err
	}
	s, err := api.Status(ctx)
	if err != nil {
		return err
	}
	done.Serving = s.Serving
	w.Timeout -= time.Since(begin)
	return a.Opened(ctx, api, name, done, w)
}

// whoCalls is the name by which the API server knows the caller, "" where it
// does not tell: then the event names the command.
func whoCalls(ctx context.Context, c kube.Client) string {
	var review authenticationv1.SelfSubjectReview
	if err := c.Create(ctx, &review); err != nil {
		return ""
	}
	return review.Status.UserInfo.Username
}

// inNamespace brings a Release and the namespace that is meant together, as
// kubectl apply does: its own goes before the context's, and -n agrees with it.
func (a *app) inNamespace(r *unstructured.Unstructured, k *cluster) error {
	own := r.GetNamespace()
	switch {
	case own == "":
		r.SetNamespace(k.namespace)
	case a.flags.namespace == "":
		if own != k.namespace {
			a.inNamespaceAgain(own)
		}
		k.namespace = own
	case a.flags.namespace != own:
		return command.BadInputf("%s is for the namespace %s, not for %s: leave out -n, or name that one", r.GetName(), own, a.flags.namespace)
	}
	return nil
}

// place says of a Release which Fleet it is for, and returns the Fleet's name.
func (a *app) place(ctx context.Context, r *unstructured.Unstructured, c kube.Client, namespace string) (string, error) {
	says, _, _ := unstructured.NestedString(r.Object, "spec", "fleet") // the API server refuses what is no string
	if says != "" && a.flags.fleet != "" && says != a.flags.fleet {
		return "", command.BadInputf("%s is for the Fleet %s, not for %s", r.GetName(), says, a.flags.fleet)
	}
	if says == "" {
		says = a.flags.fleet
	}
	fleet, err := fleetName(ctx, says, c, namespace)
	if err != nil {
		return "", err
	}
	if a.flags.fleet != "" {
		return fleet, unstructured.SetNestedField(r.Object, fleet, "spec", "fleet")
	}
	return fleet, nil
}

// generationOf is the generation of a Release in the cluster, 0 for none.
func generationOf(ctx context.Context, c kube.Client, r *unstructured.Unstructured) (int64, error) {
	there := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: r.GetAPIVersion(), Kind: r.GetKind()}}
	err := c.Get(ctx, kube.ObjectKeyFromObject(r), there)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, clusterError(err, "look for the Release "+r.GetName())
	}
	return there.Generation, nil
}

// applyRelease applies a Release, which is filled with what has come of it.
func applyRelease(ctx context.Context, c kube.Client, r *unstructured.Unstructured, dryRun bool) error {
	options := []kube.ApplyOption{kube.FieldOwner(fieldManager)}
	if dryRun {
		options = append(options, kube.DryRunAll)
	}
	err := c.Apply(ctx, kube.ApplyConfigurationFromUnstructured(r), options...)
	switch {
	case err == nil:
		return nil
	case apierrors.IsConflict(err):
		return &command.CodedError{Err: fmt.Errorf("%s is kept by somebody else: %s; change it where it is kept", r.GetName(), reasonOf(err)), Code: command.Refused}
	case undeclared(err):
		return command.BadInputf("open %s: %s; kubectl explain release.spec --recursive names the fields", r.GetName(), reasonOf(err))
	case apierrors.IsForbidden(err):
		return &command.CodedError{Err: fmt.Errorf("open %s: %s; ask for the role greenroom-operator in the namespace %s", r.GetName(), reasonOf(err), r.GetNamespace()), Code: command.Refused}
	}
	return clusterError(err, "open "+r.GetName())
}

// undeclared reports whether the API server could not read an object by its
// schema, as with a field that there is not. It has no reason of its own for
// that: it comes as an internal error.
func undeclared(err error) bool {
	return strings.Contains(reasonOf(err), "failed to create typed patch object")
}

// awaitTaken waits until the operator knows of a Release's content, showing
// what keeps it from taking it in.
func (a *app) awaitTaken(ctx context.Context, c kube.Client, r *unstructured.Unstructured, w command.Waiting) error {
	ctx, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	show := a.NewProgress()
	defer show.End()
	waiting := "the operator has not seen it yet"
	for {
		var now crd.Release
		err := c.Get(ctx, kube.ObjectKeyFromObject(r), &now)
		switch {
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return &command.CodedError{Err: fmt.Errorf("%s is not opened after %s; it goes on, and greenroom status says how\n%s", r.GetName(), w.Timeout, waiting), Code: command.TimedOut}
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return clusterError(err, "look at the Release "+r.GetName())
		case now.Status.ObservedGeneration >= r.GetGeneration() && now.Status.Phase != "":
			return nil
		case now.Status.ObservedGeneration >= r.GetGeneration():
			text, invalid := inTheWay(now.Status.Conditions)
			if invalid {
				return command.BadInputf("%s", text)
			}
			if text != "" {
				waiting = text
			}
		}
		show.Say(r.GetName() + ": " + waiting)
		select {
		case <-ctx.Done():
		case <-time.After(takenWait):
		}
	}
}

// inTheWay is what keeps a Release from being opened, and whether only another
// document helps.
func inTheWay(conditions []metav1.Condition) (text string, invalid bool) {
	for _, c := range conditions {
		if c.Type == "Invalid" && c.Status == metav1.ConditionTrue {
			return c.Message, true
		}
		if c.Type != "Ready" && c.Status == metav1.ConditionTrue && text == "" {
			text = c.Message
		}
	}
	return text, false
}

// releaseObject is the Release of -f, or one made of --set.
func (a *app) releaseObject(file string, sets, args []string) (*unstructured.Unstructured, error) {
	switch {
	case file == "" && len(sets) == 0:
		return nil, command.BadInputf("name a document with -f, or images with --set api=registry.example.com/api:2.5.0")
	case file != "" && len(sets) > 0:
		return nil, command.BadInputf("-f and --set do not go together: put the image into the document")
	case file != "":
		r, err := a.readRelease(file)
		if err == nil && len(args) == 1 && args[0] != r.GetName() {
			return nil, command.BadInputf("%s is the document of %s, not of %s", file, r.GetName(), args[0])
		}
		return r, err
	case len(args) != 1:
		return nil, command.BadInputf("--set needs the release's name: kubectl greenroom release open r42 --set api=registry.example.com/api:2.5.0")
	}
	r, err := engine.ReleaseOf(args[0], sets)
	if err != nil {
		return nil, &command.UsageError{Err: err}
	}
	return r, nil
}

// readRelease reads a file that holds one Release. What its fields must be the
// API server says.
func (a *app) readRelease(file string) (*unstructured.Unstructured, error) {
	var data []byte
	var err error
	if file == "-" {
		data, err = io.ReadAll(io.LimitReader(a.Env.Stdin, maxDocument))
	} else {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, command.BadInputf("read the document: %w", err)
	}
	r, err := engine.ReadRelease(file, data)
	if err != nil {
		return nil, &command.UsageError{Err: err}
	}
	return r, nil
}

// with is a map with one more entry.
func with(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}
