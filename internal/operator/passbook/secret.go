package passbook

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// keysField is where the Secret has the keys.
const keysField = "keys.json"

// errConflict is returned by a write that somebody else was faster with. What
// they wrote has to be read first.
var errConflict = errors.New("somebody else changed it meanwhile")

// secret is a pass.Store in a Secret. Its methods are called one at a time.
type secret struct {
	client client.Client
	fleet  types.NamespacedName
	last   *corev1.Secret // as last read or written
}

func (b *Book) secret() *secret { return &secret{client: b.client, fleet: b.fleet} }

// meta is that of the Secret and of the ConfigMap.
func meta(fleet types.NamespacedName) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: fleet.Namespace, Name: kubernetes.NameOf(fleet.Name, "passes"),
		Labels: kubernetes.LabelsOf(fleet.Namespace, fleet.Name),
	}
}

// key is the name of both.
func key(fleet types.NamespacedName) types.NamespacedName {
	m := meta(fleet)
	return types.NamespacedName{Namespace: m.Namespace, Name: m.Name}
}

// String names the Secret.
func (s *secret) String() string { return "the Secret " + key(s.fleet).String() }

// Load reads the keys.
func (s *secret) Load(ctx context.Context) ([]byte, error) {
	var found corev1.Secret
	err := s.client.Get(ctx, key(s.fleet), &found)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("%s: %w", s, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s, err)
	}
	s.last = &found
	return found.Data[keysField], nil
}

// Create makes the Secret, or leaves the one that is there.
func (s *secret) Create(ctx context.Context, value []byte) error {
	made := &corev1.Secret{ObjectMeta: meta(s.fleet), Data: map[string][]byte{keysField: value}}
	if err := s.client.Create(ctx, made); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making %s: %w", s, err)
	}
	return nil
}

// Replace writes the keys over those that were read last, or returns
// errConflict.
func (s *secret) Replace(ctx context.Context, value []byte) error {
	next := s.last.DeepCopy()
	next.Data = map[string][]byte{keysField: value}
	err := s.client.Update(ctx, next)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return fmt.Errorf("%s: %w", s, errConflict)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", s, err)
	}
	s.last = next
	return nil
}
