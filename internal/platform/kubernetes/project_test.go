package kubernetes

import (
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/release"
)

// TestSettlingReason: while a release waits for versions that only Argo stops,
// it is told until when; any other reason stands.
func TestSettlingReason(t *testing.T) {
	at := time.Date(2026, 5, 6, 13, 0, 0, 0, time.UTC)
	v := Value{Templates: map[string]Template{"api@1": {Hash: "1"}}}
	seen := map[string]Seen{"api": {Pods: map[string]Pods{"1": {Total: 2}}, Deadline: at}}
	const argo = "it waits until Argo ends the former pods of api, at 2026-05-06T13:00:00Z (scaleDownDelaySeconds)"
	for _, c := range []struct {
		phase        release.Phase
		seen         map[string]Seen
		reason, want string
	}{
		{release.Settling, seen, "", argo},
		{release.Settling, seen, release.WaitsToStop("api@1"), argo},
		{release.Settling, seen, release.WaitsToStop("chat@1"), release.WaitsToStop("chat@1")},
		{release.Settling, seen, "waiting for its settle hooks", "waiting for its settle hooks"},
		{release.Settling, nil, release.WaitsToStop("api@1"), release.WaitsToStop("api@1")},
		{release.Live, seen, "", ""},
	} {
		r := release.Release{Phase: c.phase, Replaces: map[string]string{"api": "api@1"}}
		if got := SettlingReason(r, v, c.seen, c.reason); got != c.want {
			t.Errorf("%s with %q tells %q, want %q", c.phase, c.reason, got, c.want)
		}
	}
}
