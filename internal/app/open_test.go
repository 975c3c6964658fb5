package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/app"
)

// TestOpenWithoutAFolder has what is typed without a folder, as in a browser,
// begin at that of the Fleet's document, and the status say what serves as it
// would be typed.
func TestOpenWithoutAFolder(t *testing.T) {
	state, err := os.MkdirTemp("", "gr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(state) })
	serving := answering(t, "v1")
	p := &place{t: t, state: state, now: time.Now, document: `
apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: small}
spec:
  edge: {listen: "127.0.0.1:8080", routes: [{service: web}]}
  services: [{name: web, version: v1, endpoints: ["` + serving + `"]}]
`}
	if err := os.WriteFile(filepath.Join(state, "web-v2"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.start()
	defer p.stop()
	c := client.Socket(app.SocketPath(state))
	status, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if runs := status.Services[0].Versions[0].Runs; runs != serving {
		t.Errorf("what serves is %q, not %q", runs, serving)
	}
	would, err := c.OpenRelease(t.Context(), client.Open{
		Asked: client.Asked{DryRun: true}, Document: client.Document{Name: "r1", Sets: []string{"web=./web-v2 --fast"}},
	})
	if err != nil || would.Changed || would.Release == nil || would.Release.Name != "r1" || len(would.Release.Changes) != 1 {
		t.Fatalf("%+v, %v", would, err)
	}
	if list, err := c.Releases(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("a look ahead opens %+v, %v", list, err)
	}
	elsewhere := client.Document{Name: "r1", Dir: t.TempDir(), Sets: []string{"web=./web-v2"}}
	if _, err := c.OpenRelease(t.Context(), client.Open{Document: elsewhere}); err == nil || !strings.Contains(err.Error(), "web-v2") {
		t.Errorf("the folder that is named does not count: %v", err)
	}
}
