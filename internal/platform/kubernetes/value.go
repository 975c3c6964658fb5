package kubernetes

import (
	"encoding/json"
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/greenroom-dev/greenroom/internal/release"
)

// valueFormat is the number of the present form of Value.
const valueFormat = 1

// maxValue bounds a Value in bytes: an object of the API server may have about
// 1.5 MB, and status holds events and conditions beside it.
const maxValue = 1 << 20

// Value is the state of a whole fleet as Fleet.status.state keeps it: one
// value, written with the object's resourceVersion.
type Value struct {
	Format    int                 `json:"format"`
	State     release.State       `json:"state"`
	Templates map[string]Template `json:"templates"` // by version ID, of all that State speaks of
	Opened    map[string]int64    `json:"opened"`    // by release: the generation of its object that State knows
}

// Core returns the state.
func (v Value) Core() release.State { return v.State }

// With returns the Value with another state, and without what that state does
// not speak of any more.
func (v Value) With(s release.State) Value {
	v.State = s
	v.Templates, v.Opened = maps.Clone(v.Templates), maps.Clone(v.Opened)
	maps.DeleteFunc(v.Templates, func(id string, _ Template) bool { _, known := s.Versions[id]; return !known })
	maps.DeleteFunc(v.Opened, func(name string, _ int64) bool { _, known := s.Releases[name]; return !known })
	return v
}

// Opening is the Value with a state in which a release was opened, or joined
// the fleet, with versions made of these templates.
func (v Value) Opening(s release.State, templates map[string]Template) Value {
	known := maps.Clone(v.Templates)
	if known == nil {
		known = map[string]Template{}
	}
	maps.Copy(known, templates)
	v.Templates = known
	return v.With(s)
}

// Template is what makes a version in a cluster.
type Template struct {
	Hash   string            `json:"hash"`             // of the pods' template, as Argo labels them
	Images map[string]string `json:"images,omitempty"` // container → image by digest, as its pods run it; but for the sidecar
}

// EncodeValue writes a Value for Fleet.status. It fails when the Value would
// not fit the API server: fewer services, or a shorter history, help.
func EncodeValue(v Value) (*runtime.RawExtension, error) {
	v = v.With(v.State)
	v.Format = valueFormat
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("writing down the fleet's state: %w", err)
	}
	if len(data) > maxValue {
		return nil, fmt.Errorf("the fleet's state takes %d bytes, more than the %d that fit: set spec.history lower, or split the fleet", len(data), maxValue)
	}
	return &runtime.RawExtension{Raw: data}, nil
}

// DecodeValue reads a Value. A state that is missing, damaged or of a newer
// form is an error: nothing is assumed about what serves.
func DecodeValue(raw *runtime.RawExtension) (Value, error) {
	if raw == nil || len(raw.Raw) == 0 {
		return Value{}, fmt.Errorf("the fleet has no state")
	}
	var v Value
	if err := json.Unmarshal(raw.Raw, &v); err != nil {
		return Value{}, fmt.Errorf("reading the fleet's state: %w", err)
	}
	if v.Format != valueFormat {
		return Value{}, fmt.Errorf("the fleet's state has form %d, and this operator knows %d: run the version that wrote it, or a newer one", v.Format, valueFormat)
	}
	if _, ok := v.State.Views[v.State.Default]; !ok {
		return Value{}, fmt.Errorf("the fleet's state has no view %q, which it says ordinary requests get", v.State.Default)
	}
	return v, nil
}
