package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/platform/local"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// The levels of findings.
const (
	levelOK      = "ok"
	levelNote    = "note"
	levelWarning = "warning"
	levelProblem = "problem"
)

// Doctor looks for what goes wrong, most of it in the first hour.
func (a *App) Doctor(ctx context.Context) ([]client.Finding, error) {
	rec := a.controller.Record()
	var out []client.Finding
	for _, look := range []func() []client.Finding{
		func() []client.Finding { return a.examineVersions(rec) },
		func() []client.Finding { return examineReleases(rec) },
		func() []client.Finding { return a.examineStamps(rec) },
		a.examineNotifications,
		func() []client.Finding { return a.examineBackground(rec) },
		func() []client.Finding { return examineExecutables(ctx, rec) },
		func() []client.Finding { return a.examineClock(ctx) },
		func() []client.Finding { return examineDisk(a.o.State) },
		examineLimits,
	} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		out = append(out, look()...)
	}
	return out, nil
}

// examineVersions looks at versions that should be ready and are not.
func (a *App) examineVersions(rec Record) []client.Finding {
	var out []client.Finding
	seen := a.local.Observe()
	troubles := a.controller.Observe().Versions
	for _, id := range rec.State.Desired() {
		status := seen[id]
		for _, w := range status.Warnings {
			out = append(out, client.Finding{Check: "version", Level: levelWarning, Subject: id, Message: w,
				Remedy: "a release brings a new version: greenroom release open"})
		}
		if why := troubles[id].Failed; why != "" {
			out = append(out, client.Finding{Check: "version", Level: levelProblem, Subject: id, Message: why, Remedy: remedyFor(why, rec.Catalog[id])})
			continue
		}
		if want := max(rec.State.Versions[id].Replicas, 1); status.Ready < want {
			why := fmt.Sprintf("%d of %d instances are ready", status.Ready, want)
			health := lastHealth(status)
			if health != "" {
				why += "; the last check: " + health
			}
			out = append(out, client.Finding{Check: "version", Level: levelProblem, Subject: id, Message: why, Remedy: remedyFor(health, rec.Catalog[id])})
		}
	}
	if len(out) == 0 {
		out = append(out, client.Finding{Check: "version", Level: levelOK, Message: "every version is ready"})
	}
	return out
}

func lastHealth(s local.Status) string {
	for _, i := range s.Instances {
		if i.State != local.Ready && i.Health != "" {
			return i.Health
		}
		if i.State == local.Backoff && i.LastExit != nil {
			return i.LastExit.String()
		}
	}
	return ""
}

// remedyFor says what usually helps against a health check's complaint.
func remedyFor(why string, v fleet.Version) string {
	service := v.Service
	switch {
	case strings.Contains(why, "not on PORT"):
		return "make it listen on the port in its environment variable PORT"
	case strings.Contains(why, "404"), strings.Contains(why, "answered"):
		return "give health.path of " + service + " a path that answers 2xx when it is ready"
	case v.Run == nil:
		return "look at it where it runs: greenroom does not run it"
	case strings.Contains(why, "refused"):
		return "does it listen on PORT, at 127.0.0.1? greenroom logs " + service
	}
	return "greenroom logs " + service + " shows what it prints"
}

// examineReleases looks at releases that wait for a person.
func examineReleases(rec Record) []client.Finding {
	var out []client.Finding
	for _, name := range slices.Sorted(maps.Keys(rec.State.Releases)) {
		r := rec.State.Releases[name]
		switch {
		case r.Phase == release.Failed:
			out = append(out, client.Finding{Check: "release", Level: levelProblem, Subject: name, Message: "has failed: " + r.Reason,
				Remedy: "mend it and open it again, or greenroom release abort " + name})
		case r.Phase == release.Settled && r.Progress[release.OnSettle].Failed != "":
			out = append(out, client.Finding{Check: "release", Level: levelProblem, Subject: name, Message: r.Reason})
		}
	}
	return out
}

// examineStamps names who calls without the stamp.
func (a *App) examineStamps(rec Record) []client.Finding {
	var out []client.Finding
	for _, d := range a.showDrops(rec) {
		f := client.Finding{Check: "stamp", Level: levelWarning, Subject: d.Caller, Remedy: "pass on the header X-Greenroom-Release or the baggage of the request it works for (docs/propagation.md)"}
		f.Message = fmt.Sprintf("calls %s without the stamp of the request it works for: %d calls, the last at %s", d.Callee, d.Count, d.LastSeen.Local().Format(time.TimeOnly))
		if d.Release == "" && d.Reason == "source" {
			f.Level, f.Remedy = levelNote, "nothing to do: calls outside a request go to the view of who makes them"
			f.Message = fmt.Sprintf("calls %s outside any request: %d calls", d.Callee, d.Count)
		} else if d.Release == "" {
			f.Level, f.Remedy = levelNote, "background work in a release should wait for the stage (docs/propagation.md)"
			f.Message = fmt.Sprintf("calls %s outside any request: %d calls, which got what serves", d.Callee, d.Count)
		}
		out = append(out, f)
	}
	if len(out) == 0 {
		out = append(out, client.Finding{Check: "stamp", Level: levelOK, Message: "no call has lost the stamp"})
	}
	return out
}

// examineBackground names services that should ask for the stage and do not.
func (a *App) examineBackground(rec Record) []client.Finding {
	asked := map[string]bool{}
	for _, h := range a.hops.stage.Holders(a.now()) {
		asked[h.Service] = true
	}
	var out []client.Finding
	for _, s := range rec.Fleet.Services {
		if s.Background && !asked[s.Name] {
			out = append(out, client.Finding{Check: "stage", Level: levelWarning, Subject: s.Name,
				Message: "is declared to work in the background, and has never asked for the stage",
				Remedy:  "ask propagate.OnStage before taking work, or a preview works on what belongs to production"})
		}
	}
	return out
}

// examineExecutables compares what serves with the files it was taken from.
func examineExecutables(ctx context.Context, rec Record) []client.Finding {
	sums := map[string]string{}
	var out []client.Finding
	for _, s := range rec.Fleet.Services {
		v, ok := servingOf(rec)(s.Name)
		if !ok || v.Run == nil || v.Run.InPlace || ctx.Err() != nil {
			continue
		}
		sum, known := sums[v.Run.Executable]
		if !known {
			sum, _ = local.SHA256(v.Run.Executable) // what can not be read has not changed
			sums[v.Run.Executable] = sum
		}
		if sum != "" && sum != v.Run.SHA256 {
			out = append(out, client.Finding{Check: "executable", Level: levelNote, Subject: v.ID(),
				Message: v.Run.Executable + " has changed on disk since; what serves is the copy that was kept",
				Remedy:  "bring it with a release: greenroom release open NAME --set " + s.Name + "=" + v.Run.Executable})
		}
	}
	return out
}

// examineClock compares the clock with the event log, which only goes forward.
func (a *App) examineClock(ctx context.Context) []client.Finding {
	events, err := a.Events(ctx, httpapi.EventQuery{Tail: true, Limit: 1})
	if err != nil {
		return []client.Finding{{Check: "state", Level: levelProblem, Message: err.Error(), Remedy: "look at the disk that holds the state folder"}}
	}
	const slack = 2 * time.Second
	for _, e := range events {
		if ahead := e.Time.Sub(a.now()); ahead > slack {
			return []client.Finding{{Check: "clock", Level: levelProblem,
				Message: fmt.Sprintf("the clock is %s behind the last event: it was set back, so passes and rollback windows end late", ahead.Round(time.Second)),
				Remedy:  "let the machine's clock be kept by NTP"}}
		}
	}
	return []client.Finding{{Check: "clock", Level: levelOK, Message: "the clock goes forward"}}
}

// What should be free on the disk of the state folder, in bytes: below little,
// the next copies of executables or logs may fill it; below least, it is as good
// as full.
const (
	littleDisk = 256 << 20
	leastDisk  = 1 << 20
)

// examineDisk looks at how much room the state has left: without any, nothing
// of the fleet can be changed.
func examineDisk(state string) []client.Finding {
	var disk unix.Statfs_t
	if err := unix.Statfs(state, &disk); err != nil {
		return []client.Finding{{Check: "disk", Level: levelProblem, Subject: state, Message: fmt.Sprintf("can not be looked at: %v", err), Remedy: "look at the disk that holds the state folder"}}
	}
	free := uint64(disk.Bavail) * uint64(disk.Bsize)
	f := client.Finding{Check: "disk", Level: levelOK, Subject: state, Message: fmt.Sprintf("has %d MiB left", free>>20)}
	noFiles := disk.Files > 0 && disk.Ffree == 0
	switch {
	case free < leastDisk, noFiles:
		f.Level = levelProblem
		f.Message = "is on a full disk: what serves goes on serving, and nothing can be changed, neither promoted nor rolled back"
		if noFiles {
			f.Message = "is on a disk that can hold no more files: what serves goes on serving, and little can be changed"
		}
		f.Remedy = "make room on that disk; greenroom goes on by itself"
	case free < littleDisk:
		f.Level = levelWarning
		f.Remedy = "make room on that disk before it is full: nothing could be changed then"
	}
	return []client.Finding{f}
}

// comfortableFiles is how many open files a small fleet under load needs.
const comfortableFiles = 4096

// examineLimits looks at how many files greenroom may open: each connection is
// two.
func examineLimits() []client.Finding {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return nil
	}
	used, err := openFiles()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		used = 0
	}
	f := client.Finding{Check: "ulimit", Level: levelOK, Message: fmt.Sprintf("greenroom may open %d files and has %d open", limit.Cur, used)}
	if limit.Cur < comfortableFiles || uint64(used)*5 > uint64(limit.Cur)*4 {
		f.Level = levelWarning
		f.Remedy = "raise it: ulimit -n 65536 before greenroom up, or LimitNOFILE=65536 in the systemd unit"
	}
	return []client.Finding{f}
}

// openFiles counts this process's open files where the system tells.
func openFiles() (int, error) {
	entries, err := os.ReadDir("/dev/fd")
	return len(entries), err
}
