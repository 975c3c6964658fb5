package journal

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// What a ConfigMap of the log has beside the fleet's labels.
const (
	labelPart  = "greenroom.dev/part"
	partEvents = "events"
	annotation = "greenroom.dev/events" // a span as JSON
	linesField = "events.jsonl"
)

// span is what a ConfigMap says of its content.
type span struct {
	Number   int      `json:"-"`        // in its name; from 1
	First    uint64   `json:"first"`    // number of the first event
	Last     uint64   `json:"last"`     // and of the last
	Revision uint64   `json:"revision"` // of the last state whose events are in the log
	Releases []string `json:"releases"` // that its events are about, in order
}

// segment is one ConfigMap of the log.
type segment struct {
	span
	object *corev1.ConfigMap // nil: sealed, and not in memory
}

func (s segment) sealed() bool {
	return s.object == nil || s.object.Immutable != nil && *s.object.Immutable
}

func (s segment) size() int { return len(s.object.Data[linesField]) }

func (s segment) clone() segment {
	s.object = s.object.DeepCopy()
	s.Releases = slices.Clone(s.Releases)
	return s
}

// name is that of the ConfigMap with a number.
func name(fleet types.NamespacedName, number int) string {
	return kubernetes.NameOf(fleet.Name, "events", fmt.Sprintf("%06d", number))
}

// newSegment returns an empty one that follows another.
func newSegment(fleet types.NamespacedName, last span) segment {
	s := segment{span: span{Number: last.Number + 1, First: last.Last + 1, Last: last.Last, Revision: last.Revision}}
	labels := kubernetes.LabelsOf(fleet.Namespace, fleet.Name)
	labels[labelPart] = partEvents
	s.object = &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: fleet.Namespace, Name: name(fleet, s.Number), Labels: labels},
	}
	return s
}

// add takes in events, which lines holds too.
func (s *segment) add(revision uint64, events []Event, lines string) {
	for _, e := range events {
		if i, there := slices.BinarySearch(s.Releases, e.Release); !there && e.Release != "" {
			s.Releases = slices.Insert(s.Releases, i, e.Release)
		}
	}
	s.Last = events[len(events)-1].Seq
	s.Revision = max(s.Revision, revision)
	said, err := json.Marshal(s.span)
	if err != nil {
		panic("journal: numbers and names cannot be written: " + err.Error())
	}
	if s.object.Annotations == nil {
		s.object.Annotations = map[string]string{}
	}
	s.object.Annotations[annotation] = string(said)
	s.object.Data = map[string]string{linesField: s.object.Data[linesField] + lines}
}

// load reads what all ConfigMaps of the log say of themselves, and the content
// of the last.
func (j *Journal) load(ctx context.Context) error {
	var found metav1.PartialObjectMetadataList
	found.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	labels := client.MatchingLabels(kubernetes.LabelsOf(j.fleet.Namespace, j.fleet.Name))
	labels[labelPart] = partEvents
	if err := j.client.List(ctx, &found, client.InNamespace(j.fleet.Namespace), labels); err != nil {
		return fmt.Errorf("looking for the event log: %w", err)
	}
	var segments []segment
	for _, o := range found.Items {
		s, err := readSpan(j.fleet, &o)
		if err != nil {
			return err
		}
		segments = append(segments, segment{span: s})
	}
	slices.SortFunc(segments, func(a, b segment) int { return cmp.Compare(a.Number, b.Number) })
	if n := len(segments); n > 0 {
		object, err := j.fetch(ctx, segments[n-1].Number)
		if err != nil {
			return err
		}
		s, err := readSpan(j.fleet, object) // it may have grown since
		if err != nil {
			return err
		}
		segments[n-1] = segment{span: s, object: object}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.segments = segments
	if n := len(segments); n > 0 && segments[n-1].Number >= j.last.Number {
		j.last = segments[n-1].span
	}
	return nil
}

// fetch reads one ConfigMap. Its error is NotFound where somebody removed it.
func (j *Journal) fetch(ctx context.Context, number int) (*corev1.ConfigMap, error) {
	object := &corev1.ConfigMap{}
	key := types.NamespacedName{Namespace: j.fleet.Namespace, Name: name(j.fleet, number)}
	if err := j.client.Get(ctx, key, object); err != nil {
		return nil, fmt.Errorf("reading the event log: %w", err)
	}
	return object, nil
}

// readSpan reads what a ConfigMap says of its content.
func readSpan(fleet types.NamespacedName, o metav1.Object) (span, error) {
	var s span
	_, digits, _ := strings.Cut(o.GetName(), kubernetes.NameOf(fleet.Name, "events", ""))
	number, err := strconv.Atoi(digits)
	if err == nil {
		err = json.Unmarshal([]byte(o.GetAnnotations()[annotation]), &s)
	}
	if err != nil {
		return span{}, fmt.Errorf("the ConfigMap %s/%s carries the labels of the event log and is none (%w): remove its label %s, or put back its annotation %s",
			o.GetNamespace(), o.GetName(), err, labelPart, annotation)
	}
	s.Number = number
	return s, nil
}
