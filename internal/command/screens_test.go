package command

import (
	"bytes"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/golden"
)

var (
	noon    = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	morning = noon.Add(-3 * time.Hour)
)

func someVersion(service, name string, serving bool, releases ...string) client.Version {
	return client.Version{
		ID: service + "@" + name, Service: service, Name: name, Serving: serving, Releases: releases,
		State: "ready", Ready: 1, Wanted: 1,
	}
}

// previewing is a fleet on its first versions with one release to look at.
func previewing() client.Status {
	broken := someVersion("wallet", "v2", false, "r42")
	broken.State, broken.Ready = "unready", 0
	broken.Message = "GET /healthz: dial tcp 127.0.0.1:29765: connect: connection refused, and a long story about it"
	return client.Status{
		Fleet: "live", Now: noon, EdgeURL: "http://127.0.0.1:8080",
		Serving: client.Serving{Release: "baseline", Named: "baseline (web 2.4.0, api v1, chat v1, 2 more)", Stamp: "baseline", Since: morning},
		Services: []client.Service{
			{Name: "web", Versions: []client.Version{someVersion("web", "2.4.0", true)}},
			{Name: "api", Versions: []client.Version{someVersion("api", "v1", true), someVersion("api", "v2", false, "r42")}},
			{Name: "chat", Versions: []client.Version{someVersion("chat", "v1", true)}},
			{Name: "gift", Versions: []client.Version{someVersion("gift", "v1", true)}},
			{Name: "wallet", Versions: []client.Version{someVersion("wallet", "v1", true), broken}},
		},
		Releases: []client.Release{r42()},
		Dropped:  []client.Drop{{Caller: "api@v2", Callee: "gift", Release: "r42", Reason: "source", Count: 7, LastSeen: noon}},
	}
}

func r42() client.Release {
	return client.Release{
		Name: "r42", Description: "Gifts can be sent twice", Phase: "Previewing", Since: noon.Add(-90 * time.Second),
		Generation: 2, OpenedAt: morning, OpenedBy: "kim",
		Changes: []client.ReleaseChange{
			{Service: "api", From: "v1", To: "v2", Serving: "v1", Fields: []client.FieldDiff{{Field: "run.command", From: "bin/api", To: "bin/api-v2"}, {Field: "run.env.LEVEL"}}},
			{Service: "wallet", From: "v1", To: "v2", Serving: "v1", Fields: []client.FieldDiff{{Field: "run.command"}}},
		},
		Checks: []client.Check{
			{Rule: "phase", OK: true, Detail: "r42 is Previewing"},
			{Rule: "ready", Detail: "wallet@v2 has 0 of 1 instances ready", Remedy: "greenroom logs wallet --release r42"},
		},
		Hooks: []client.Hook{
			{Moment: "prepare", Name: "expand-schema", State: "passed"},
			{Moment: "verify", Name: "smoke", State: "failed", Detail: "exit code 1", Output: "GET /\n500\n"},
		},
		Rolled: &client.RolledBack{At: noon.Add(-time.Hour), Who: "lee", Why: "gifts were sent thrice"}, KeepUntil: noon.Add(time.Hour),
	}
}

// promoted is a fleet after a promotion.
func promoted() client.Status {
	s := previewing()
	s.Serving = client.Serving{Release: "r42", Stamp: "r42", Since: noon.Add(-time.Minute), Until: noon.Add(13 * time.Hour), Before: "baseline", NamedBefore: "baseline (web 2.4.0, api v1)"}
	s.Services = []client.Service{
		{Name: "web", Versions: []client.Version{someVersion("web", "2.4.0", true)}},
		{Name: "api", Versions: []client.Version{someVersion("api", "v2", true, "r42"), someVersion("api", "v1", false)}},
	}
	r := r42()
	// It was rolled back once, and its checks go on being looked at.
	r.Phase, r.WindowEnds, r.Hooks, r.KeepUntil = "Live", s.Serving.Until, nil, time.Time{}
	r.Changes[0].Serving, r.Changes[1].Serving = "v2", "v2"
	r.Checks = []client.Check{{Rule: "phase", Detail: "r42 is Live", Remedy: "only a release that holders of a pass see is promoted"}}
	s.Releases = []client.Release{r, {Name: "r41", Phase: "Settled", Since: noon.Add(-50 * time.Hour)}}
	s.Dropped = nil
	return s
}

var screens = map[string]func(io.Writer){
	"status":           func(w io.Writer) { printStatus(w, previewing()) },
	"status-live":      func(w io.Writer) { printStatus(w, promoted()) },
	"status-starting":  func(w io.Writer) { printStatus(w, starting()) },
	"release-list":     func(w io.Writer) { printServing(w, promoted()); printReleases(w, promoted()) },
	"release-unopened": func(w io.Writer) { printServing(w, asked()); printReleases(w, asked()) },
	"status-unopened":  func(w io.Writer) { printStatus(w, asked()) },
	"release-none":     func(w io.Writer) { printServing(w, starting()); printReleases(w, starting()) },
	"release-show":     func(w io.Writer) { printShown(w, previewing(), r42()) },
	"release-live":     func(w io.Writer) { printShown(w, promoted(), promoted().Releases[0]) },
	"status-frozen":    func(w io.Writer) { printStatus(w, frozen()) },
	"release-gono":     func(w io.Writer) { printServing(w, frozen()); printRelease(w, frozen().Releases[0], noon) },
	"checklist":        func(w io.Writer) { printServing(w, frozen()); printChecklist(w, frozen().Releases[0], noon) },
	"notify-list":      func(w io.Writer) { printServing(w, frozen()); printNotifications(w, frozen()) },
	"notify-none":      func(w io.Writer) { printServing(w, previewing()); printNotifications(w, previewing()) },
	"release-diff":     func(w io.Writer) { printServing(w, previewing()); printDiff(w, r42()) },
	"promote-question": func(w io.Writer) { io.WriteString(w, printPromotion(w, previewing(), r42())+"\n") },
	"fleet-show": func(w io.Writer) {
		printFleet(w, client.Fleet{Name: "live", Routes: []client.Route{
			{Path: "/api", Methods: []string{"GET", "POST"}, Service: "api"}, {Host: "*.example.com", Service: "web"},
		}}, promoted())
	},
	"fleet-diff": func(w io.Writer) {
		PrintFleetChange(w, client.FleetChange{
			Applied:  []string{"edge.routes: 2 → 3", "service pay joins"},
			Versions: []client.ReleaseChange{{Service: "api", From: "v1", To: "v3", Fields: []client.FieldDiff{{Field: "run.env.LEVEL", To: "debug"}}}},
			Behind:   []string{"web: the file still has 2.3.0, and 2.4.0 serves since a release brought it"},
			Message:  "2 changes, 1 changed versions",
		})
	},
	"passes": func(w io.Writer) {
		printPasses(w, []client.Pass{
			{ID: "MGNZW7Y4WBQ744BCRSP7RCTQ2Z", Release: "r42", Subject: "kim", By: "kim", Expires: noon.Add(2 * time.Hour), LastUse: noon.Add(-time.Minute), State: "valid"},
			{ID: "QXQ4UQL1DWL4XPTYNUZG32XGCA", Release: "r41", Subject: "the press", By: "lee", Expires: morning.Add(-30 * time.Hour), State: "expired"},
		}, noon)
	},
	"approved-unasked": func(w io.Writer) {
		printGoNoGo(w, client.Release{Approvals: []client.Approval{{Who: "lee", At: noon}}}, noon)
	},
	"pass-made": func(w io.Writer) {
		(&App{Env: &Env{}}).printPass(w, client.MintedPass{
			Pass:  client.Pass{ID: "MGNZW7Y4WBQ744BCRSP7RCTQ2Z", Release: "r42", Expires: noon.Add(2 * time.Hour), Paths: []string{"/shop", "/api"}},
			Token: "secret", Link: "http://shop.test/.greenroom/pass#secret", Header: "Greenroom-Pass: secret",
		}, previewing())
	},
	"holds": func(w io.Writer) {
		for _, mode := range []string{"wait", "writes-only", "page"} {
			h := client.Hold{On: true, Mode: mode, By: "kim", Reason: "the database moves", Until: noon.Add(time.Minute)}
			printHold(w, h, noon)
			h.Routes, h.Until = []string{"/shop", "/api/orders"}, time.Time{}
			printHold(w, h, noon)
		}
	},
	"events-none": func(w io.Writer) {
		io.WriteString(w, noEvents(client.EventQuery{Kinds: []string{"nope"}, Who: "ann"})+"\n"+noEvents(client.EventQuery{Who: "ann"})+"\n")
	},
	"passes-none": func(w io.Writer) { printPasses(w, nil, noon) },
	"tokens": func(w io.Writer) {
		PrintTokens(w, []client.Token{{Name: "ci", Role: "operator", Created: morning, By: "kim", LastUse: noon.Add(-49 * time.Hour)}}, noon)
	},
	"tokens-none": func(w io.Writer) { PrintTokens(w, nil, noon) },
	"doctor": func(w io.Writer) {
		printFindings(w, []client.Finding{
			{Level: "ok", Message: "the clock goes forward"}, {Level: "note", Subject: "worker@v1", Message: "calls gift outside any request"},
			{Level: "warning", Message: "greenroom may open 256 files", Remedy: "raise it: ulimit -n 65536"},
			{Level: "problem", Subject: "web@v1", Message: "0 of 1 instances are ready", Remedy: "make it listen on PORT"},
		})
	},
	"events": func(w io.Writer) {
		for _, e := range []client.Event{
			{Time: morning, Type: "FleetStarted", Who: "kim", Message: "the fleet begins with 5 services"},
			{Time: noon, Type: "ReleaseRolledBack", Release: "r42", Who: "lee", Why: "gifts were sent thrice", Message: "ordinary requests get r41 again"},
		} {
			io.WriteString(w, eventLine(e)+"\n")
		}
	},
}

// frozen is a fleet with everything that can keep a release from going live.
func frozen() client.Status {
	s := previewing()
	s.Lock = &client.Lock{Who: "lee", Why: "the database moves", Since: noon, Until: noon.Add(time.Hour)}
	s.Freezes = []client.Freeze{
		{Name: "weekend", From: noon.Add(-time.Hour), To: noon.Add(60 * time.Hour), Holds: true},
		{Name: "sale", From: noon.Add(80 * time.Hour), To: noon.Add(90 * time.Hour)},
	}
	s.Notifications = []client.Notification{
		{Name: "chat", Kind: "slack", To: "hooks.slack.com", LastTold: noon.Add(-time.Minute)},
		{Name: "audit", Kind: "webhook", To: "audit.example.com", Waiting: 3, Failing: "503 Service Unavailable", Since: noon.Add(-time.Minute), Attempts: 4, NextTry: noon.Add(time.Minute)},
	}
	r := &s.Releases[0]
	r.Rolled, r.KeepUntil, r.Checks, r.Hooks = nil, time.Time{}, []client.Check{{Rule: "checklist", Detail: "its checklist says no-go: gifts; its checklist is open: mail", Remedy: "testers sign it off (greenroom release check r42), or --override-checklist with a --reason"}}, nil
	said := func(who, verdict, note string, void bool) client.SignOff {
		return client.SignOff{Who: who, At: noon.Add(-time.Minute), Verdict: verdict, Note: note, Generation: 2, Void: void}
	}
	r.Checklist = []client.ChecklistItem{
		{Name: "smoke", Text: "log in", State: "go", SignOffs: []client.SignOff{said("tina", "go", "", false), said("tom", "no-go", "slow", true)}},
		{Name: "gifts", Text: "send one twice", State: "no-go", SignOffs: []client.SignOff{said("tina", "no-go", "only one arrives", false)}},
		{Name: "mail", Text: "write to oneself", State: "open"},
	}
	r.Approvals, r.ApprovalsNeeded = []client.Approval{{Who: "lee", At: noon, Note: "fine by me"}, {Who: "max", At: morning, Void: true}}, 1
	r.Planned = &client.Planned{For: noon.Add(-time.Minute), Until: noon.Add(4 * time.Minute), Who: "kim", Why: "the quiet hour", At: morning, Trouble: "its checklist is open: mail"}
	return s
}

func starting() client.Status {
	s := previewing()
	s.Services, s.Releases, s.Dropped = s.Services[:1], nil, nil
	s.Serving.Named = "baseline (web 2.4.0)"
	s.Services[0].Versions[0].State, s.Services[0].Versions[0].Ready = "starting", 0
	s.Warnings = []string{"web@2.4.0 serves with 0 of 1 instances ready: starting", "chat@v1: its executable changed"}
	return s
}

// asked is a fleet without releases for which two were made that are not open.
func asked() client.Status {
	s := starting()
	s.Warnings = nil
	s.Unopened = []client.Unopened{
		{Name: "r43", Since: noon.Add(-3 * time.Minute), Services: []string{"api", "chat"}, Rule: "NoPreview", Reason: "Rollout api: it has no preview.\nRollout chat: it has no preview."},
		{Name: "r44", Since: noon, Services: []string{"web"}, Reason: "it has not been looked at yet"},
	}
	return s
}

func TestScreens(t *testing.T) {
	for name, show := range screens {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			show(screen{&b, 80})
			golden.Check(t, filepath.Join("testdata", name+".txt"), b.Bytes())
		})
	}
}

// TestWordsOnScreens holds screens to what people are told: what serves comes
// first, and the engine's own words never stand without a name.
func TestWordsOnScreens(t *testing.T) {
	inner := regexp.MustCompile(`\b(view|default|baseline)\b`)
	named := regexp.MustCompile(`\b(r4[0-9]|v[0-9]|2\.4\.0)\b`)
	for name, show := range screens {
		var b bytes.Buffer
		show(&b)
		if strings.HasPrefix(name, "status") || strings.HasPrefix(name, "release") || strings.HasPrefix(name, "promote") || name == "fleet-show" {
			if !strings.HasPrefix(b.String(), "Serving ") {
				t.Errorf("%s does not begin with what serves", name)
			}
		}
		for line := range strings.Lines(b.String()) {
			if inner.MatchString(line) && !named.MatchString(line) {
				t.Errorf("%s: %q names no release and no version", name, line)
			}
		}
	}
}

// TestTablesFit looks that tables keep to a terminal.
func TestTablesFit(t *testing.T) {
	var b bytes.Buffer
	printServices(screen{&b, 60}, previewing())
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n >= 60 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	b.Reset()
	printServices(&b, previewing())
	if !strings.Contains(b.String(), "connection refused") {
		t.Errorf("elsewhere nothing is cut: %s", b.String())
	}
}
