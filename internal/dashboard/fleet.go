package dashboard

import (
	"slices"

	"github.com/greenroom-dev/greenroom/client"
)

// fleetPage is the picture and what stands below it.
type fleetPage struct {
	Candidates, Picture, Services any
	Grants                        grants
}

func (d *Dashboard) showFleet(v *visit) {
	if _, err := v.api.Whoami(v.r.Context()); err != nil {
		v.failed(err)
		return
	}
	m, err := d.hub.look(v.r.Context())
	if err != nil {
		v.failed(err)
		return
	}
	v.show("fleet", v.t("nav.fleet"), "fleet", subject{kind: "fleet"},
		fleetPage{d.candidates(m), d.picture(m), d.services(m), v.grants("")})
}

// candidates are the releases that are on their way.
func (d *Dashboard) candidates(m *moment) []client.Release {
	var out []client.Release
	for _, r := range m.status.Releases {
		if !slices.Contains([]string{"Settled", "Aborted"}, r.Phase) {
			out = append(out, r)
		}
	}
	return out
}

// versionRow is one version in the table of services.
type versionRow struct {
	Service  string // "" where the row above has the same
	Of       string // the service
	Protocol string
	client.Version
	Whose    whose // the view that it is measured in
	Restarts int
	Measure  measure
}

type servicesPart struct {
	Rows []versionRow
	Note string // why nothing is measured
}

func (d *Dashboard) services(m *moment) servicesPart {
	out := servicesPart{Note: m.flow.Note}
	for _, s := range m.status.Services {
		for i, version := range s.Versions {
			row := versionRow{Of: s.Name, Protocol: s.Protocol, Version: version, Whose: whoseOf(m, version)}
			if i == 0 {
				row.Service = s.Name
			}
			for _, in := range version.Instances {
				row.Restarts += in.Restarts
			}
			row.Measure = m.measured(s.Name, row.Whose.View)
			out.Rows = append(out.Rows, row)
		}
	}
	return out
}

// baseline is what served before the first release, as the API names it.
const baseline = "baseline"

// whose is what a version belongs to, as a tag beside it says.
type whose struct {
	View    string // as viewOf has it
	Serving bool
	Over    string // the release that took its place
}

func whoseOf(m *moment, version client.Version) whose {
	return whose{View: viewOf(m, version), Serving: version.Serving, Over: m.status.Serving.Release}
}

// say words the tag: a release's name. The baseline's says nothing to anybody;
// that it serves does, or what took its place.
func (w whose) say(words words, lang string) string {
	switch {
	case w.View != baseline:
		return w.View
	case w.Serving:
		return words.say(lang, "tag.serving")
	}
	return words.say(lang, "tag.before", w.Over)
}

// viewOf is the release in whose view a version is measured: what serves, or
// the first that brings it; what it served in before, where nothing does.
func viewOf(m *moment, version client.Version) string {
	switch {
	case version.Serving:
		return m.status.Serving.Release
	case len(version.Releases) > 0:
		return version.Releases[0]
	}
	return m.status.Serving.Before
}
