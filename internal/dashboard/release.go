package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
)

func (d *Dashboard) showReleases(v *visit) {
	list, err := v.api.Releases(v.r.Context())
	if err != nil {
		v.failed(err)
		return
	}
	v.show("releases.page", v.t("nav.releases"), "releases", subject{kind: "releases"}, releasesPage{list, v.grants("")})
}

// releasesPage is the list, with what can be opened.
type releasesPage struct {
	List   []client.Release
	Grants grants
}

// releasePage is one release, part by part.
type releasePage struct {
	Release client.Release
	Parts   map[string]any
	Charts  []chartRow
	Note    string // why nothing is measured here
}

// chartRow is the charts of one service.
type chartRow struct{ Service, Candidate, Baseline string }

func (d *Dashboard) showRelease(v *visit) {
	r, err := v.api.Release(v.r.Context(), v.r.PathValue("name"))
	if err != nil {
		v.failed(err)
		return
	}
	m, err := d.hub.look(v.r.Context())
	if err != nil {
		v.failed(err)
		return
	}
	out := releasePage{Release: r, Parts: map[string]any{}, Note: m.flow.Note}
	for _, p := range v.releaseParts(r.Name) {
		data, err := p.data(m)
		if err != nil {
			v.failed(err)
			return
		}
		out.Parts[p.name] = data
	}
	beside := besideOf(m, r)
	for _, c := range r.Changes {
		out.Charts = append(out.Charts, chartRow{c.Service, r.Name, beside})
	}
	v.show("release", r.Name, "releases", subject{"release", r.Name}, out)
}

// besideOf is the release that one is compared with: what serves, or what it
// took the place of.
func besideOf(m *moment, r client.Release) string {
	if r.Before != "" {
		return r.Before
	}
	return m.status.Serving.Release
}

// releaseParts are the parts of a release's page.
func (v *visit) releaseParts(name string) []part {
	of := func(then func(*moment, client.Release) (any, error)) func(*moment) (any, error) {
		return func(m *moment) (any, error) {
			r, ok := m.releaseOf(name)
			if !ok {
				var err error
				if r, err = v.api.Release(v.r.Context(), name); err != nil {
					return nil, err
				}
			}
			return then(m, r)
		}
	}
	return []part{
		{"train", of(func(m *moment, r client.Release) (any, error) { return v.trainOf(m, r), nil })},
		{"gono", of(func(m *moment, r client.Release) (any, error) { return v.gonoOf(r), nil })},
		{"changes", of(func(_ *moment, r client.Release) (any, error) { return r, nil })},
		{"running", of(func(m *moment, r client.Release) (any, error) { return runningOf(m, r), nil })},
		{"history", of(func(_ *moment, r client.Release) (any, error) { return v.historyOf(r) })},
	}
}

// stop is one stop of a release's train.
type stop struct {
	Phase      string
	Done, Here bool
}

// train is how far a release has come, and what can be done about it.
type train struct {
	Release client.Release
	Stops   []stop
	Ended   string // Aborted or Failed, which is no stop
	Serving client.Serving
	Actions []string // that fit the phase and may be done
	Grants  grants
	Blocked bool // something speaks against a promotion
}

func (v *visit) trainOf(m *moment, r client.Release) train {
	out := train{Release: r, Serving: m.status.Serving, Grants: v.grants(r.Name)}
	stops := []string{"Preparing", "Previewing", "Live", "Settling", "Settled"}
	if r.Phase == "Canary" {
		stops = slices.Insert(stops, 2, "Canary")
	}
	here := slices.Index(stops, r.Phase)
	if here < 0 {
		out.Ended = r.Phase
	}
	for i, s := range stops {
		out.Stops = append(out.Stops, stop{s, i < here || s == "Settled" && i == here, i == here})
	}
	for _, c := range r.Checks {
		out.Blocked = out.Blocked || !c.OK
	}
	for _, name := range fitting(r) {
		if out.Grants[acts()[name].action] {
			out.Actions = append(out.Actions, name)
		}
	}
	return out
}

// fitting are the acts that a release's phase has, the first one first.
func fitting(r client.Release) []string {
	switch r.Phase {
	case "Preparing":
		return []string{"abort"}
	case "Previewing":
		out := []string{"promote", "plan"}
		if r.Planned != nil {
			out[1] = "cancel-promotion"
		}
		if r.ApprovalsNeeded > 0 {
			out = append(out, "approve")
		}
		if slices.ContainsFunc(r.Hooks, func(h client.Hook) bool { return h.Moment == "verify" }) {
			out = append(out, "verify")
		}
		if slices.ContainsFunc(r.Checks, func(c client.Check) bool { return c.Rule == "base" && !c.OK }) {
			out = append(out, "rebase")
		}
		return append(out, "abort")
	case "Canary":
		return []string{"promote", "rollback", "abort"}
	case "Live":
		return []string{"rollback", "settle"}
	case "Settling", "Settled":
		return []string{"revert"}
	case "Failed":
		return []string{"abort"}
	}
	return nil
}

// gono is whether a release may go live.
type gono struct {
	Release client.Release
	Who     string
	Grants  grants
	Blocked bool
	Shown   bool // it has not gone live yet
}

func (v *visit) gonoOf(r client.Release) gono {
	out := gono{Release: r, Who: v.who.Name, Grants: v.grants(r.Name)}
	out.Shown = slices.Contains([]string{"Preparing", "Previewing", "Canary", "Failed"}, r.Phase)
	for _, c := range r.Checks {
		out.Blocked = out.Blocked || !c.OK
	}
	return out
}

// running is the versions of a release's services.
type running struct {
	Release string
	Rows    []runningRow
	Note    string // why nothing is measured here
}

type runningRow struct {
	client.Version
	Restarts int
	Measure  measure
	Whose    whose
}

func runningOf(m *moment, r client.Release) running {
	out := running{Release: r.Name, Note: m.flow.Note}
	for _, c := range r.Changes {
		for _, s := range m.status.Services {
			if s.Name != c.Service {
				continue
			}
			for _, version := range s.Versions {
				row := runningRow{Version: version, Whose: whoseOf(m, version)}
				for _, in := range version.Instances {
					row.Restarts += in.Restarts
				}
				row.Measure = m.measured(s.Name, row.Whose.View)
				out.Rows = append(out.Rows, row)
			}
		}
	}
	return out
}

// historyShown is how many of a release's events its page shows.
const historyShown = 40

func (v *visit) historyOf(r client.Release) ([]client.Event, error) {
	events, err := v.d.o.Look.Events(v.r.Context(), httpapi.EventQuery{Tail: true, Limit: historyShown, Release: r.Name})
	if err != nil {
		return nil, fmt.Errorf("look at what happened: %w", err)
	}
	slices.Reverse(events)
	return events, nil
}

// logLines is how many lines of each instance are shown.
const logLines = 50

// logsPart is the end of what a service's instances printed.
type logsPart struct {
	Service, Release string
	Lines            []client.LogLine
}

func (d *Dashboard) showLogs(v *visit) {
	out := logsPart{Service: v.r.PathValue("service"), Release: v.r.URL.Query().Get("release")}
	ctx, cancel := context.WithTimeout(v.r.Context(), 10*time.Second)
	defer cancel()
	err := v.api.Logs(ctx, client.LogQuery{Service: out.Service, Release: out.Release, Tail: logLines}, func(l client.LogLine) error {
		out.Lines = append(out.Lines, l)
		return nil
	})
	if err != nil {
		v.failed(err)
		return
	}
	slices.SortStableFunc(out.Lines, func(a, b client.LogLine) int { return a.Time.Compare(b.Time) })
	if v.partial() {
		v.write(http.StatusOK, "logs", out)
		return
	}
	v.show("logs.page", v.t("logs.title", out.Service), "releases", subject{}, out)
}
