// Package breakglass is what a rollback without the operator leaves behind for
// it: a note on the Fleet and on the VirtualServices of its gateways.
//
// It owns the note's form and where it stands. It is pure, and imports nothing
// of Kubernetes: kubectl greenroom rollback --break-glass writes notes, and the
// operator takes them in when it is back.
//
// Start at Note.
package breakglass

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Annotation holds the note, on both.
const Annotation = "greenroom.dev/break-glass"

// ByAnnotation stands beside it and says who wrote it, as the API server knows
// people: the admission policy greenroom-break-glass lets nobody write another
// one's name there. So it is not in the note itself, which a policy cannot read.
const ByAnnotation = "greenroom.dev/break-glass-by"

// FieldManager is who applies the VirtualServices then.
const FieldManager = "greenroom-break-glass"

// Note says that ordinary requests were given back what served before a
// release.
type Note struct {
	Release string    `json:"release"` // the one that was rolled back
	To      string    `json:"to"`      // the stamp that ordinary requests get since
	Who     string    `json:"-"`       // ByAnnotation
	At      time.Time `json:"at"`
	Why     string    `json:"why,omitempty"`
}

// Encode writes a note as annotations.
func Encode(n Note) (map[string]string, error) {
	if err := n.check(); err != nil {
		return nil, err
	}
	n.At = n.At.UTC().Truncate(time.Second)
	text, err := json.Marshal(n)
	if err != nil {
		return nil, fmt.Errorf("write the note of a rollback: %w", err)
	}
	return map[string]string{Annotation: string(text), ByAnnotation: n.Who}, nil
}

// Decode reads the note in an object's annotations. One that is damaged, or
// missing, is an error: what was done then has to be found out by people.
func Decode(annotations map[string]string) (Note, error) {
	n := Note{Who: annotations[ByAnnotation]}
	if err := json.Unmarshal([]byte(annotations[Annotation]), &n); err != nil {
		return Note{}, fmt.Errorf("read the note of a rollback in %s: %w", Annotation, err)
	}
	if err := n.check(); err != nil {
		return Note{}, err
	}
	return n, nil
}

func (n Note) check() error {
	if n.Release == "" || n.To == "" || n.Who == "" || n.At.IsZero() {
		return errors.New("the note of a rollback needs release, to and at, and beside it the annotation " + ByAnnotation)
	}
	return nil
}
