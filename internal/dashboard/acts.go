package dashboard

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
)

// act is something that is done about a release.
type act struct {
	action  httpapi.Action
	confirm bool // by the release's name, or by holding the button
	grave   bool // it can not be taken back, or throws something away
	do      func(ctx context.Context, api *client.Client, name string, in asking) (client.Changed, error)
}

// asking is what a form said.
type asking struct {
	client.Asked
	generation uint64
	serving    string
	unstamped  bool
	checklist  bool
	freezes    []string
	at         time.Time
	item       string
	verdict    string
	withdraw   bool
}

// acts are what can be done about a release, by the name in the address.
func acts() map[string]act {
	promote := func(ctx context.Context, api *client.Client, name string, in asking) (client.Changed, error) {
		return api.Promote(ctx, name, client.Promote{
			Asked: in.Asked, Generation: in.generation, Serving: in.serving, AllowUnstamped: in.unstamped,
			OverrideChecklist: in.checklist, OverrideFreezes: in.freezes, At: in.at,
		})
	}
	plain := func(do func(*client.Client, context.Context, string, client.Asked) (client.Changed, error)) func(context.Context, *client.Client, string, asking) (client.Changed, error) {
		return func(ctx context.Context, api *client.Client, name string, in asking) (client.Changed, error) {
			return do(api, ctx, name, in.Asked)
		}
	}
	return map[string]act{
		"promote":          {httpapi.Promote, true, false, promote},
		"plan":             {httpapi.Promote, false, false, promote},
		"cancel-promotion": {httpapi.Promote, false, false, plain((*client.Client).CancelPromotion)},
		"rollback":         {httpapi.Rollback, true, false, plain((*client.Client).Rollback)},
		"settle":           {httpapi.Settle, true, true, plain((*client.Client).Settle)},
		"abort":            {httpapi.Abort, true, true, plain((*client.Client).Abort)},
		"rebase":           {httpapi.Rebase, false, false, plain((*client.Client).Rebase)},
		"verify": {httpapi.Verify, false, false, func(ctx context.Context, api *client.Client, name string, in asking) (client.Changed, error) {
			return api.Verify(ctx, name, client.Verify{Asked: in.Asked})
		}},
		"revert": {httpapi.Revert, false, false, func(ctx context.Context, api *client.Client, name string, in asking) (client.Changed, error) {
			return api.Revert(ctx, name, client.Revert{Asked: in.Asked})
		}},
		"approve": {httpapi.Approve, false, false, func(ctx context.Context, api *client.Client, name string, in asking) (client.Changed, error) {
			return api.Approve(ctx, name, client.Approve{Asked: in.Asked, Generation: in.generation, Withdraw: in.withdraw})
		}},
		"sign-off": {httpapi.SignOff, false, false, func(ctx context.Context, api *client.Client, name string, in asking) (client.Changed, error) {
			return api.SignOff(ctx, name, client.Say{Asked: in.Asked, Item: in.item, Verdict: in.verdict, Generation: in.generation})
		}},
	}
}

// confirmation asks whether something is meant, and shows what it would do.
type confirmation struct {
	Act      string
	Name     string // of the release
	Confirm  bool
	Grave    bool
	Release  client.Release
	Serving  client.Serving
	Named    string // what serves, as people are told it
	Would    string // what would happen, as the API says
	Notes    []string
	Problem  *problem // what speaks against it, or went wrong
	Blocked  []client.Check
	Freezes  []client.Freeze
	Override bool   // whoever asks may override what speaks against it
	Item     string // of a checklist
	Verdict  string
	Reason   string
	At       string
	Withdraw bool
}

// askAct shows what something would do, with a form that does it.
func (d *Dashboard) askAct(v *visit) {
	name, kind := v.r.PathValue("name"), v.r.PathValue("act")
	a, ok := acts()[kind]
	if !ok {
		v.fail(http.StatusNotFound, v.t("error.nopage"), "")
		return
	}
	r, err := v.api.Release(v.r.Context(), name)
	if err != nil {
		v.failed(err)
		return
	}
	q := v.r.URL.Query()
	c := confirmation{Item: q.Get("item"), Verdict: q.Get("verdict"), Withdraw: q.Get("withdraw") != ""}
	v.confirm(http.StatusOK, a, kind, r, c)
}

// confirm writes the question.
func (v *visit) confirm(status int, a act, kind string, r client.Release, c confirmation) {
	m, err := v.d.hub.look(v.r.Context())
	if err != nil {
		v.failed(err)
		return
	}
	c.Act, c.Name, c.Confirm, c.Grave, c.Release, c.Serving = kind, r.Name, a.confirm, a.grave, r, m.status.Serving
	c.Named = m.status.Named(m.status.Serving.Release)
	c.Override = v.may(httpapi.Override, r.Name)
	if kind == "promote" || kind == "plan" {
		for _, check := range r.Checks {
			if !check.OK {
				c.Blocked = append(c.Blocked, check)
			}
		}
		c.Freezes = slices.DeleteFunc(slices.Clone(m.status.Freezes), func(f client.Freeze) bool { return !f.Holds })
	}
	if kind == "rollback" || kind == "settle" || kind == "abort" || kind == "rebase" || kind == "revert" {
		if would, err := a.do(v.r.Context(), v.api, r.Name, asking{Asked: client.Asked{DryRun: true}}); err == nil {
			c.Would, c.Notes = would.Message, would.Notes
		} else if c.Problem == nil {
			_, p := v.problemOf(err)
			c.Problem = &p
		}
	}
	if v.partial() {
		v.write(status, "confirm", c)
		return
	}
	v.answer(status, "confirm.page", v.t("act."+kind)+" "+r.Name, "releases", subject{kind: "settings"}, c)
}

// doAct does what was confirmed.
func (d *Dashboard) doAct(v *visit) {
	name, kind := v.r.PathValue("name"), v.r.PathValue("act")
	a, ok := acts()[kind]
	if !ok {
		v.fail(http.StatusNotFound, v.t("error.nopage"), "")
		return
	}
	if !v.readForm() {
		return
	}
	in, p := v.asking()
	if p == nil && a.confirm && v.form("confirm") != name && v.form("held") == "" {
		p = &problem{Title: v.t("confirm.missing", name)}
	}
	status := http.StatusUnprocessableEntity
	if p == nil {
		done, err := a.do(v.r.Context(), v.api, name, in)
		if err == nil {
			v.done(name, done)
			return
		}
		var bad problem
		status, bad = v.problemOf(err)
		p = &bad
	}
	r, err := v.api.Release(v.r.Context(), name)
	if err != nil {
		v.failed(err)
		return
	}
	v.confirm(status, a, kind, r, confirmation{
		Problem: p, Item: in.item, Verdict: in.verdict, Reason: in.Reason, At: v.form("at"), Withdraw: in.withdraw,
	})
}

func (v *visit) asking() (asking, *problem) {
	in := asking{
		Asked: client.Asked{Reason: v.form("reason")}, generation: number(v.form("generation")), serving: v.form("serving"),
		unstamped: v.form("unstamped") != "", checklist: v.form("checklist") != "", freezes: v.r.PostForm["freeze"],
		item: v.form("item"), verdict: v.form("verdict"), withdraw: v.form("withdraw") != "",
	}
	if text := v.form("at"); text != "" {
		minutes, err := strconv.Atoi(v.form("zone"))      // of the browser's zone behind UTC; none without a script
		if err != nil || max(minutes, -minutes) > 18*60 { // no zone is further away
			minutes = 0
		}
		zone := time.FixedZone("", -minutes*int(time.Minute/time.Second)) // in which the API says it again
		at, err := time.ParseInLocation("2006-01-02T15:04", text, zone)
		if err != nil {
			return in, &problem{Title: v.t("plan.badtime", text)}
		}
		in.at = at
	} else if v.r.PathValue("act") == "plan" {
		return in, &problem{Title: v.t("plan.notime")}
	}
	return in, nil
}

// said is what a script shows of something that was done.
type said struct {
	Message string
	Notes   []string
}

// done says what was done: to a script as a sentence, to others as the page of
// what it was done to.
func (v *visit) done(name string, done client.Changed) {
	if v.partial() {
		v.w.Header().Set("HX-Trigger", "done")
		v.write(http.StatusOK, "said", said{done.Message, done.Notes})
		return
	}
	v.see("/releases/" + name)
}
