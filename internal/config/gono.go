package config

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// releaseRules checks what every release needs before it goes live.
func (p *problems) releaseRules(at path, r v1alpha1.ReleaseRules) fleet.Rules {
	out := fleet.Rules{Checklist: p.checklist(at.field("checklist"), r.Checklist)}
	out.Approvals = p.whole(at.field("approvals"), &r.Approvals, 0, 0, 10)
	for i, f := range r.Freezes {
		where := at.field("freezes").index(i)
		if p.name(where.field("name"), f.Name) && slices.ContainsFunc(r.Freezes[:i], func(o v1alpha1.Freeze) bool { return o.Name == f.Name }) {
			p.at(where.field("name"), "give it another name", "there are two freezes called `%s`", f.Name)
		}
		out.Freezes = append(out.Freezes, p.freeze(where, f))
	}
	return out
}

func (p *problems) checklist(at path, list []v1alpha1.ChecklistItem) []fleet.Item {
	var out []fleet.Item
	for i, item := range list {
		where := at.index(i)
		if p.name(where.field("name"), item.Name) && slices.ContainsFunc(list[:i], func(o v1alpha1.ChecklistItem) bool { return o.Name == item.Name }) {
			p.at(where.field("name"), "give it another name", "there are two items called `%s` in the checklist", item.Name)
		}
		out = append(out, fleet.Item{Name: item.Name, Text: item.Text})
	}
	return out
}

func (p *problems) freeze(at path, f v1alpha1.Freeze) fleet.Freeze {
	zone, err := f.Location()
	if err != nil {
		p.at(at.field("zone"), "write one such as Europe/Berlin or Asia/Tokyo", "%s", err)
		zone = time.UTC
	}
	out := fleet.Freeze{Name: f.Name, Why: f.Why, Zone: zone.String(), From: f.From, To: f.To}
	switch w := f.Weekly; {
	case w != nil && (f.From != "" || f.To != ""):
		p.at(at, "make two freezes of it", "a freeze is once, with `from` and `to`, or `weekly`, not both")
	case w != nil:
		out.From, out.To, out.Weekly = w.From, w.To, true
		_, _, err1 := v1alpha1.ParseWeekMinute(w.From)
		_, _, err2 := v1alpha1.ParseWeekMinute(w.To)
		for _, one := range []struct {
			field string
			err   error
		}{{"from", err1}, {"to", err2}} {
			if one.err != nil {
				p.at(at.field("weekly").field(one.field), "write a day and a time, such as Fri 16:00", "%s", one.err)
			}
		}
		if w.From == w.To {
			p.at(at.field("weekly"), "let it end at another time", "the freeze ends when it begins")
		}
	case f.From == "" || f.To == "":
		p.at(at, "write from: and to:, or weekly: {from: Fri 16:00, to: Mon 08:00}", "this does not say when the freeze is")
	default:
		from, err1 := v1alpha1.ParseMinute(f.From, zone)
		to, err2 := v1alpha1.ParseMinute(f.To, zone)
		const hint = "write a day and a time, such as 2026-12-20 18:00"
		if err1 != nil {
			p.at(at.field("from"), hint, "%s", err1)
		}
		if err2 != nil {
			p.at(at.field("to"), hint, "%s", err2)
		}
		if err1 == nil && err2 == nil && !from.Before(to) {
			p.at(at.field("to"), "let it end later", "the freeze ends before it has begun")
		}
	}
	return out
}

// The kinds of notifications.
const (
	Webhook = "webhook"
	Slack   = "slack"
	Grafana = "grafana"
)

func (p *problems) notifications(at path, list []v1alpha1.Notification) []fleet.Notification {
	var out []fleet.Notification
	for i, n := range list {
		where := at.index(i)
		if p.name(where.field("name"), n.Name) && slices.ContainsFunc(list[:i], func(o v1alpha1.Notification) bool { return o.Name == n.Name }) {
			p.at(where.field("name"), "give it another name", "there are two notifications called `%s`", n.Name)
		}
		out = append(out, p.notification(where, n))
	}
	return out
}

func (p *problems) notification(at path, n v1alpha1.Notification) fleet.Notification {
	out := fleet.Notification{
		Name: n.Name, URL: n.URL, Events: slices.Clone(n.Events), Tags: slices.Clone(n.Tags),
		Kind:    p.oneOf(at.field("kind"), n.Kind, "", Webhook, Slack, Grafana),
		URLFrom: p.secretSource(at.field("urlFrom"), n.URLFrom), Secret: p.secretSource(at.field("secretFrom"), n.SecretFrom),
		Timeout: p.duration(at.field("timeout"), n.Timeout, 10*time.Second, limits{time.Second, time.Minute}),
	}
	if n.CAFile != "" {
		out.CAFile = absolute(n.CAFile, p.src.dir)
	}
	switch {
	case n.URL != "" && n.URLFrom != nil:
		p.at(at, "keep one of them", "the address is given by `url` or by `urlFrom`, not both")
	case n.URL == "" && n.URLFrom == nil:
		p.at(at, "write url: https://..., or urlFrom: {file: ...}", "this does not say where to")
	case n.URL != "":
		u, err := url.Parse(n.URL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			p.at(at.field("url"), "write http:// or https:// and a host", "`%s` is not an address", cut(n.URL))
		} else if u.User != nil {
			p.at(at.field("url"), "keep it elsewhere, and name that: urlFrom", "the address holds a password, for all to read")
		} else if n.Kind == Slack && strings.HasSuffix(u.Hostname(), "slack.com") {
			p.at(at.field("url"), "keep it in a file, and name that: urlFrom: {file: slack.url}", "whoever reads this address can write to the channel")
		} else if u.Scheme == "http" && n.Kind == Grafana && !loopback(u.Host) && !loopback(u.Host+":80") {
			p.at(at.field("url"), "write https://", "the token would cross the network readable to all")
		}
	}
	if n.Kind == Grafana && n.SecretFrom == nil {
		p.at(at, "write secretFrom: {file: grafana.token}", "a Grafana needs a token")
	}
	for i, e := range n.Events {
		if e == "" || e[0] < 'A' || e[0] > 'Z' || strings.ContainsFunc(e, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }) {
			p.at(at.field("events").index(i), "write one such as ReleasePromoted", "`%s` is not a type of event", cut(e))
		}
	}
	return out
}

func (p *problems) secretSource(at path, s *v1alpha1.SecretSource) fleet.SecretSource {
	switch {
	case s == nil:
		return fleet.SecretSource{}
	case (s.File == "") == (s.Env == ""):
		p.at(at, "write file: or env:", "a secret is in a `file` or in `env`: one of them")
		return fleet.SecretSource{}
	case s.File != "":
		return fleet.SecretSource{File: absolute(s.File, p.src.dir)}
	}
	return fleet.SecretSource{Env: s.Env}
}

// ExportRules writes a fleet's rules as a document has them.
func ExportRules(r fleet.Rules) v1alpha1.ReleaseRules {
	out := v1alpha1.ReleaseRules{Checklist: exportChecklist(r.Checklist), Approvals: r.Approvals}
	for _, f := range r.Freezes {
		one := v1alpha1.Freeze{Name: f.Name, Why: f.Why, Zone: f.Zone, From: f.From, To: f.To}
		if f.Weekly {
			one.From, one.To, one.Weekly = "", "", &v1alpha1.WeeklyFreeze{From: f.From, To: f.To}
		}
		out.Freezes = append(out.Freezes, one)
	}
	return out
}

func exportChecklist(items []fleet.Item) []v1alpha1.ChecklistItem {
	var out []v1alpha1.ChecklistItem
	for _, i := range items {
		out = append(out, v1alpha1.ChecklistItem{Name: i.Name, Text: i.Text})
	}
	return out
}

func exportNotifications(list []fleet.Notification) []v1alpha1.Notification {
	var out []v1alpha1.Notification
	for _, n := range list {
		out = append(out, v1alpha1.Notification{
			Name: n.Name, Kind: n.Kind, URL: n.URL, URLFrom: exportSource(n.URLFrom), SecretFrom: exportSource(n.Secret), CAFile: n.CAFile,
			Events: n.Events, Tags: n.Tags, Timeout: v1alpha1.DurationOf(n.Timeout),
		})
	}
	return out
}

func exportSource(s fleet.SecretSource) *v1alpha1.SecretSource {
	if s == (fleet.SecretSource{}) {
		return nil
	}
	return &v1alpha1.SecretSource{File: s.File, Env: s.Env}
}
