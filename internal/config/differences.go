package config

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// Difference is one field that differs.
type Difference struct {
	Field  string `json:"field"` // such as services[api].drain
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Differences lists what differs between two versions of a service, replicas
// included; what environment variables hold is not shown.
func Differences(before, after fleet.Version) []Difference {
	out := differ(nil, "version", before.Name, after.Name)
	out = differ(out, "endpoints", before.Endpoints, after.Endpoints)
	var a, b fleet.Run
	if before.Run != nil {
		a = *before.Run
	}
	if after.Run != nil {
		b = *after.Run
	}
	out = differ(out, "run.command", a.Command, b.Command)
	if !a.InPlace || !b.InPlace {
		out = differ(out, "run.executable (SHA-256)", short(a.SHA256), short(b.SHA256))
	}
	if a.Executable != b.Executable && a.InPlace && b.InPlace {
		out = differ(out, "run.executable", a.Executable, b.Executable)
	}
	out = differ(out, "run.inPlace", a.InPlace, b.InPlace)
	out = differ(out, "run.dir", a.Dir, b.Dir)
	out = differ(out, "run.envFile", a.EnvFile, b.EnvFile)
	out = differ(out, "run.replicas", a.Replicas, b.Replicas)
	keys := maps.Clone(a.Env)
	if keys == nil {
		keys = map[string]string{}
	}
	maps.Copy(keys, b.Env)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		x, had := a.Env[key]
		y, has := b.Env[key]
		if had != has || x != y {
			out = append(out, Difference{"run.env." + key, presence(had, "set"), presence(has, "set anew")})
		}
	}
	return out
}

// presence says whether an environment variable is there, not what it holds.
func presence(there bool, word string) string {
	if there {
		return word
	}
	return ""
}

func short(sum string) string { return sum[:min(12, len(sum))] }

// differ appends a Difference if two values are not the same. Values are
// compared and shown as JSON, in which nil and empty lists differ as they do
// in documents.
func differ(list []Difference, field string, before, after any) []Difference {
	x, y := text(before), text(after)
	if x == y {
		return list
	}
	return append(list, Difference{field, x, y})
}

func text(v any) string {
	switch t := v.(type) {
	case string:
		return t
	case v1alpha1.Duration:
		return string(t)
	}
	data, err := json.Marshal(v)
	if err != nil {
		panic("config: a value cannot be encoded: " + err.Error())
	}
	if string(data) == "null" {
		return ""
	}
	return string(data)
}
