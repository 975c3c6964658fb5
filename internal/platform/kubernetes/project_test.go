package kubernetes

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
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

// TestPreparingReason: while a release waits for versions whose pods do not
// start, it is told why, and what tells more; any other reason stands.
func TestPreparingReason(t *testing.T) {
	v := Value{Templates: map[string]Template{"api@1": {Hash: "1"}, "chat@1": {Hash: "2"}}}
	r := release.Release{Name: "r42", Phase: release.Preparing, Versions: map[string]string{"api": "api@1", "chat": "chat@1"}}
	place := &Rollout{}
	place.Metadata.Namespace = "shop"
	seen := map[string]Seen{
		"api":  {Rollout: place, Pods: map[string]Pods{"1": {Total: 1, Trouble: Trouble{"api-1-x", "CrashLoopBackOff", "back-off 10s", true}}}},
		"chat": {Rollout: place, Pods: map[string]Pods{"2": {Total: 1, Trouble: Trouble{"chat-2-x", "ImagePullBackOff", "no such tag", false}}}},
	}
	const crash = "api does not start: CrashLoopBackOff (pod api-1-x); kubectl greenroom logs api --release r42 says more"
	const pull = "chat does not start: ImagePullBackOff (pod chat-2-x); kubectl -n shop describe pod chat-2-x says more"
	live := r
	live.Phase = release.Live
	for _, c := range []struct {
		r            release.Release
		seen         map[string]Seen
		reason, want string
	}{
		{r, seen, "waiting for api@1 (0 of 1 ready)", crash},
		{r, seen, "waiting for api@1 (0 of 1 ready), chat@1 (0 of 1 ready)", crash + "; " + pull},
		{r, nil, "waiting for api@1 (0 of 1 ready)", "waiting for api@1 (0 of 1 ready)"},
		{r, seen, "waiting for its prepare hooks", "waiting for its prepare hooks"},
		{live, seen, "", ""},
	} {
		if got := PreparingReason(c.r, v, c.seen, c.reason); got != c.want {
			t.Errorf("%s with %q tells %q, want %q", c.r.Phase, c.reason, got, c.want)
		}
	}
}

// A reason comes from an annotation, as long as that may be. The status of a Fleet
// has to be written all the same.
func TestEventsOfManyWordsFitAStatus(t *testing.T) {
	w := newWorld(t, "web")
	var status crd.FleetStatus
	for i := range maxEvents + 1 {
		v := w.in.Value
		v.State.Pending = []release.Event{{Time: noon, Type: "ReleaseOpened", Release: "r42", Who: "ada", Why: fmt.Sprint(i, strings.Repeat("あ", 80<<10)), Message: "opened"}}
		var err error
		if status, err = ProjectFleet(status, v, nil, 1, noon); err != nil {
			t.Fatal(err)
		}
	}
	data, err := json.Marshal(status)
	if err != nil || len(data) > maxValue || len(status.Events) != maxEvents || !strings.HasPrefix(status.Events[maxEvents-1].Why, fmt.Sprint(maxEvents, "ああ")) {
		t.Errorf("%d events take %d bytes, %v", len(status.Events), len(data), err)
	}
}
