package system

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/client"
)

// kills is how often greenroom is killed.
const kills = 100

// TestKilledAtRandomMoments kills greenroom in the middle of promotions,
// rollbacks, openings and settlings, and starts it again by the same command.
// Each time it must come back in the old state or in the new one, and with it
// the edge, the status and the event log; services must not notice.
func TestKilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	s := newSystem(t, strings.Replace(path4, "quiet: 1s", "quiet: 1s\n  history: 1000", 1)).start()
	l := startLoad(s, 2, anyWhole)
	k := &killer{system: s, load: l}
	for k.n = 1; k.n <= kills && !t.Failed(); k.n++ {
		k.round()
	}
	t.Logf("killed %d times: the change was lost %d times, kept %d times, %d of them answered; %d requests",
		k.n-1, k.lost, k.kept, k.answered, l.count())
	if k.lost == 0 || k.kept == k.answered {
		t.Error("the kills were never in the middle: nothing was tried")
	}
	l.end()
	k.noLineIsLost()
	k.noOrphanAndNoTwin()
	s.must("down", "--yes")
	s.gone()
}

// killer kills one greenroom over and over.
type killer struct {
	*system
	load     *load
	n        int // of the round
	opened   int
	lost     int // changes that were not made when it came back
	kept     int
	answered int // of those kept: the caller had heard of it
}

// round begins a change, kills greenroom while it goes on, and looks at what
// comes back.
func (k *killer) round() {
	before := k.status()
	pids := k.instances()
	what, change := k.choose(before)
	result := make(chan error, 1)
	ctx, cancel := context.WithTimeout(k.t.Context(), patience)
	defer cancel()
	k.load.lenient.Store(true)
	go func() { result <- change(ctx) }()
	timer := time.NewTimer(time.Duration(rand.Int64N(int64(12 * time.Millisecond))))
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	k.kill()
	err := <-result
	k.start()
	k.load.lenient.Store(false)
	k.check(what, before, err)
	k.samePIDs(pids)
	k.consistent()
}

// choose picks what is going on when greenroom is killed.
func (k *killer) choose(now client.Status) (what string, change func(context.Context) error) {
	preview, live := "", ""
	for _, r := range now.Releases {
		switch r.Phase {
		case "Previewing":
			preview = r.Name
		case "Preparing":
			k.awaitPhase(r.Name, "Previewing")
			preview = r.Name
		case "Live":
			live = r.Name
		}
	}
	switch dice := rand.IntN(10); {
	case preview == "" && live == "", preview == "" && dice < 2:
		k.opened++
		name := fmt.Sprintf("r%d", k.opened)
		document := client.Document{Name: name + ".yaml", Dir: k.dir, Data: releaseText(name, three(fmt.Sprintf("v%d", k.opened+1)))}
		return "open " + name, func(ctx context.Context) error {
			_, err := k.api.OpenRelease(ctx, client.Open{Document: document})
			return err
		}
	case live != "" && (preview == "" || dice < 3):
		if k.n%10 == 0 {
			return "settle " + live, func(ctx context.Context) error {
				_, err := k.api.Settle(ctx, live, client.Asked{})
				return err
			}
		}
		return "rollback " + live, func(ctx context.Context) error {
			_, err := k.api.Rollback(ctx, live, client.Asked{})
			return err
		}
	}
	if live != "" {
		k.must("release", "rebase", preview)
	}
	return "promote " + preview, func(ctx context.Context) error {
		_, err := k.api.Promote(ctx, preview, client.Promote{})
		return err
	}
}

// check asserts that greenroom came back in the state from before the change or
// in the one after it, and in the latter if its caller was answered.
func (k *killer) check(what string, before client.Status, result error) {
	k.t.Helper()
	verb, name, _ := strings.Cut(what, " ")
	var refused *client.Error
	if errors.As(result, &refused) {
		k.t.Fatalf("%s was refused: %v", what, result)
	}
	now := k.status()
	made := false
	switch verb {
	case "open":
		made = slices.ContainsFunc(now.Releases, func(r client.Release) bool { return r.Name == name })
	case "settle":
		phase := k.release(name).Phase
		made = phase == "Settling" || phase == "Settled"
	case "promote":
		made = now.Serving.Release == name
	case "rollback":
		made = now.Serving.Release != name
	}
	old := now.Serving.Release == before.Serving.Release
	switch {
	case result == nil && !made:
		k.t.Fatalf("round %d: %s was answered, and it came back without it: %+v", k.n, what, now.Serving)
	case !made && !old, made && (verb == "open" || verb == "settle") && !old:
		k.t.Fatalf("round %d: %s: it came back serving %s, which is neither old nor new", k.n, what, now.Serving.Release)
	case !made:
		k.lost++
	case result == nil:
		k.answered++
		k.kept++
	default:
		k.kept++
	}
}

// samePIDs asserts that no service was restarted.
func (k *killer) samePIDs(before map[int]string) {
	k.t.Helper()
	now := k.instances()
	names := slices.Collect(maps.Values(now))
	for pid, name := range before {
		if now[pid] != name && slices.Contains(names, name) {
			k.t.Fatalf("round %d: %s had pid %d and has another now: %v", k.n, name, pid, now)
		}
	}
	for _, one := range k.status().Services {
		for _, v := range one.Versions {
			for _, i := range v.Instances {
				if i.Restarts > 0 {
					k.t.Fatalf("round %d: %s was restarted: %+v", k.n, v.ID, i)
				}
			}
		}
	}
}

// consistent asserts that the edge, the status and the event log say the same.
func (k *killer) consistent() {
	k.t.Helper()
	now := k.status()
	serving := map[string]string{}
	for _, one := range now.Services {
		for _, v := range one.Versions {
			if v.Serving {
				serving[v.Service] = v.Name
			}
		}
	}
	for range 10 {
		got := k.get("/")
		if met := path(got.body); got.status != 200 || !maps.Equal(met, serving) {
			k.t.Fatalf("round %d: the edge answers %d %q, and the status says %v", k.n, got.status, got.body, serving)
		}
	}
	events, err := k.api.Events(k.t.Context(), client.EventQuery{Limit: 1000})
	if err != nil {
		k.t.Fatal(err)
	}
	said := replay(k.t, events)
	if said != now.Serving.Release {
		k.t.Fatalf("round %d: by the event log %s serves, by the status %s", k.n, said, now.Serving.Release)
	}
}

// replay says what serves by an event log, which must have no gap.
func replay(t *testing.T, events []client.Event) string {
	t.Helper()
	serving, former := "baseline", map[string]string{}
	for i, e := range events {
		if i > 0 && e.Seq != events[i-1].Seq+1 {
			t.Fatalf("the event log goes from %d to %d", events[i-1].Seq, e.Seq)
		}
		switch e.Type {
		case "ReleasePromoted":
			former[e.Release], serving = serving, e.Release
		case "ReleaseRolledBack":
			serving = former[e.Release]
		}
	}
	return serving
}

// noLineIsLost asserts that every service of a request that was answered wrote
// its line, once.
func (k *killer) noLineIsLost() {
	k.t.Helper()
	for _, name := range []string{"web", "api", "gift", "wallet"} {
		lines := map[string]int{}
		err := k.api.Logs(k.t.Context(), client.LogQuery{Service: name, Tail: 100_000}, func(l client.LogLine) error {
			if id, ok := strings.CutPrefix(l.Line, "request "); ok {
				lines[id]++
			}
			return nil
		})
		if err != nil {
			k.t.Fatal(err)
		}
		missing := 0
		for _, id := range k.load.answered {
			if lines[id] != 1 {
				missing++
				if missing < 5 {
					k.t.Errorf("%s has %d lines of request %s", name, lines[id], id)
				}
			}
		}
		if missing > 0 {
			k.t.Errorf("%s: the lines of %d of %d requests are lost or doubled", name, missing, len(k.load.answered))
		}
	}
}

// noOrphanAndNoTwin asserts that the processes that live are those that
// greenroom knows.
func (k *killer) noOrphanAndNoTwin() {
	k.t.Helper()
	k.eventually("the processes are those that greenroom knows", func() error {
		known, alive := k.instances(), k.services()
		for pid, args := range alive {
			if known[pid] == "" {
				return fmt.Errorf("an orphan: %d %s", pid, args)
			}
		}
		for pid, name := range known {
			if alive[pid] == "" {
				return fmt.Errorf("%s is said to live as %d", name, pid)
			}
		}
		versions := map[string]int{}
		for _, name := range known {
			version, _, _ := strings.Cut(name, " ")
			if versions[version]++; versions[version] > 1 {
				return fmt.Errorf("%s runs twice: %v", version, known)
			}
		}
		return nil
	})
}
