// Command gen writes what is generated from the document types: the JSON
// Schema for editors and the configuration reference. It runs in the folder of
// the types (go generate); its test fails when a checked-in file is stale.
//
// Start at generate.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	files, err := generate(".")
	for name, data := range files {
		if err == nil {
			err = os.MkdirAll(filepath.Dir(name), 0o755)
		}
		if err == nil {
			err = os.WriteFile(name, data, 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// generate returns the generated files by their path relative to dir, the
// folder of the types.
func generate(dir string) (map[string][]byte, error) {
	c, err := readComments(dir)
	if err != nil {
		return nil, fmt.Errorf("read the types' comments: %w", err)
	}
	fleet, release := schemaOf(c, fleetDocument), schemaOf(c, releaseDocument)
	out := map[string][]byte{"../../docs/configuration.md": reference(c)}
	for name, schema := range map[string]any{
		"schema/fleet.json":     fleet,
		"schema/release.json":   release,
		"schema/greenroom.json": either("fleet.json", "release.json"),
	} {
		data, err := encode(schema)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
		out[name] = data
	}
	return out, nil
}
