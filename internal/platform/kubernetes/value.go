package kubernetes

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/greenroom-dev/greenroom/internal/release"
)

// The numbers of the present forms of a Value: as it is, and packed.
const (
	valueFormat  = 1
	packedFormat = 2
)

// packFrom is from how many bytes on a Value is packed. The API server takes
// every write of a status apart, compares it field by field with the former one,
// checks it and keeps who owns which field, so that a large value is written
// slowly, and a switch waits for that. People can read a small one.
const packFrom = 16 << 10

// maxValue bounds a Value in bytes: an object of the API server may have about
// 1.5 MB, and status holds events and conditions beside it.
const maxValue = 1 << 20

// spare is what a Value leaves free of that while releases are opened. What comes
// after says a little more than was there before (who, when, why), and a rollback
// must not be refused for it.
const spare = 64 << 10

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

// Opens reports, by a *release.Refused, that a Value is larger than the one before,
// and leaves too little free.
func (v Value) Opens(before Value) error {
	size := v.size()
	if size <= maxValue-spare || size <= before.size() {
		return nil
	}
	return &release.Refused{Rule: "state", Remedy: "end releases that are open, set spec.history of the Fleet lower, or split the fleet",
		Reason: fmt.Sprintf("the fleet's state would take %d bytes, more than the %d up to which releases are opened", size, maxValue-spare)}
}

func (v Value) size() int {
	data, err := json.Marshal(v.With(v.State))
	if err != nil {
		return maxValue + 1 // EncodeValue says why
	}
	return len(data)
}

// Template is what makes a version in a cluster.
type Template struct {
	Hash   string            `json:"hash"`             // of the pods' template, as Argo labels them
	Images map[string]string `json:"images,omitempty"` // container → image by digest, as its pods run it; but for the sidecar
}

// packed is a Value that was packed: JSON, compressed by gzip (RFC 1952).
type packed struct {
	Format int    `json:"format"`
	Gzip   []byte `json:"gzip"`
}

// EncodeValue writes a Value for Fleet.status, packed where it is large. It fails
// when the Value would not fit the API server: fewer services, or a shorter
// history, help.
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
	if len(data) >= packFrom {
		if data, err = pack(data); err != nil {
			return nil, fmt.Errorf("writing down the fleet's state: %w", err)
		}
	}
	return &runtime.RawExtension{Raw: data}, nil
}

func pack(data []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return json.Marshal(packed{Format: packedFormat, Gzip: out.Bytes()})
}

// unpack is what was packed; what was not is returned as it is.
func unpack(data []byte) ([]byte, error) {
	var p packed
	if err := json.Unmarshal(data, &p); err != nil || p.Format != packedFormat {
		return data, err
	}
	r, err := gzip.NewReader(bytes.NewReader(p.Gzip))
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(r, maxValue+1))
	if err == nil && len(out) > maxValue {
		err = fmt.Errorf("it is larger than %d bytes", maxValue)
	}
	return out, err
}

// DecodeValue reads a Value. A state that is missing, damaged or of a newer
// form is an error: nothing is assumed about what serves.
func DecodeValue(raw *runtime.RawExtension) (Value, error) {
	if raw == nil || len(raw.Raw) == 0 {
		return Value{}, fmt.Errorf("the fleet has no state")
	}
	data, err := unpack(raw.Raw)
	if err != nil {
		return Value{}, fmt.Errorf("reading the fleet's state: %w", err)
	}
	var v Value
	if err := json.Unmarshal(data, &v); err != nil {
		return Value{}, fmt.Errorf("reading the fleet's state: %w", err)
	}
	if v.Format != valueFormat {
		return Value{}, fmt.Errorf("the fleet's state has form %d, and this operator knows %d and %d: run the version that wrote it, or a newer one", v.Format, valueFormat, packedFormat)
	}
	if _, ok := v.State.Views[v.State.Default]; !ok {
		return Value{}, fmt.Errorf("the fleet's state has no view %q, which it says ordinary requests get", v.State.Default)
	}
	return v, nil
}
