package operator

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
)

// answers keeps what an API server was asked last, and its answer.
type answers struct {
	http.RoundTripper
	asked, last string
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		asked, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(asked))
		a.asked = string(asked)
	}
	res, err := a.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(res.Body)
	res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(text))
	a.last = string(text)
	return res, err
}

// ownersOfSpec are who owns a Fleet's spec.
func ownersOfSpec(f *crd.Fleet) []string {
	var out []string
	for _, one := range f.ManagedFields {
		if strings.Contains(one.FieldsV1.GetRawString(), "f:spec") {
			out = append(out, one.Manager)
		}
	}
	return out
}

func TestPutStatus(t *testing.T) {
	t.Parallel()
	cluster := operatortest.Start(t)
	k := keep(t, cluster)
	config, seen := cluster.Admin(), &answers{}
	config.Wrap(func(rt http.RoundTripper) http.RoundTripper { seen.RoundTripper = rt; return seen })
	scheme, err := Scheme()
	if err != nil {
		t.Fatal(err)
	}
	put, err := newPutStatus(config, scheme)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := k.read()
	fleet := before.DeepCopy()
	fleet.Status.ObservedGeneration = 7
	if err := put(t.Context(), fleet); err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal([]byte(seen.last), &answer); err != nil || answer["metadata"] == nil || answer["spec"] != nil || answer["status"] != nil {
		t.Errorf("the API server's answer is not metadata alone (%v): %s", err, seen.last)
	}
	var asked map[string]any
	if err := json.Unmarshal([]byte(seen.asked), &asked); err != nil || asked["status"] == nil || asked["spec"] != nil {
		t.Errorf("more than the status was sent (%v): %s", err, seen.asked)
	}
	now, _ := k.read()
	if !equality.Semantic.DeepEqual(now.Spec, before.Spec) || !equality.Semantic.DeepEqual(now.Labels, before.Labels) || !slices.Equal(ownersOfSpec(now), ownersOfSpec(before)) {
		t.Errorf("the Fleet became %+v of %v, and was %+v of %v", now.Spec, ownersOfSpec(now), before.Spec, ownersOfSpec(before))
	}
	if now.Status.ObservedGeneration != 7 || fleet.ResourceVersion != now.ResourceVersion || fleet.ResourceVersion == before.ResourceVersion {
		t.Errorf("generation %d was written; version %s of the Fleet is left, it was %s and is %s",
			now.Status.ObservedGeneration, fleet.ResourceVersion, before.ResourceVersion, now.ResourceVersion)
	}

	// Else the API server compares field by field with every write of the status.
	t.Run("spec and state count as one field each", func(t *testing.T) {
		owned := ""
		for _, one := range now.ManagedFields {
			owned += one.FieldsV1.GetRawString()
		}
		for _, inner := range []string{"f:services", "f:views"} {
			if !strings.Contains(owned, "f:spec") || strings.Contains(owned, inner) {
				t.Errorf("%s is owned by itself: %s", inner, owned)
			}
		}
	})
	t.Run("of a former version it is a conflict", func(t *testing.T) {
		late := before.DeepCopy()
		late.Status.ObservedGeneration = 8
		if err := put(t.Context(), late); !apierrors.IsConflict(err) {
			t.Errorf("error %v", err)
		}
		k.expect(1)
	})
	t.Run("what is wrong is said", func(t *testing.T) {
		wrong := now.DeepCopy()
		wrong.Status.Events = make([]crd.Event, 51)
		if err := put(t.Context(), wrong); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "status.events") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("of another Fleet of that name it is a conflict", func(t *testing.T) {
		other := now.DeepCopy()
		other.UID = "another"
		if err := put(t.Context(), other); !apierrors.IsConflict(err) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a Fleet that is gone is not found", func(t *testing.T) {
		gone := now.DeepCopy()
		gone.Name = "gone"
		if err := put(t.Context(), gone); !apierrors.IsNotFound(err) {
			t.Errorf("error %v", err)
		}
	})
}
