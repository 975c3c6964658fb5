package release

import (
	"slices"
	"strings"
	"time"
)

// Item is something that somebody has to look at before a promotion.
type Item struct {
	Name string `json:"name"`           // unique in its list
	Text string `json:"text,omitempty"` // what to look at, for people
}

// Verdict is what somebody says of an item.
type Verdict string

// The verdicts. Withdraw takes back what one has said.
const (
	Go       Verdict = "go"
	NoGo     Verdict = "no-go"
	Withdraw Verdict = "withdraw"
)

// SignOff is one person's verdict on an item. The latest of each person is
// kept.
type SignOff struct {
	Item string `json:"item"`
	Go   bool   `json:"go"`
	Word
}

// Approval is one person's word that a release may go live.
type Approval struct{ Word }

// Word is something that somebody said of a release that they looked at.
type Word struct {
	Generation uint64 `json:"generation"`     // of the release, as it was then
	Void       bool   `json:"void,omitempty"` // it was rolled back since
	Note
}

// Counts reports whether a word is about what r is now: it did not change
// since, nor was it rolled back.
func (r Release) Counts(w Word) bool { return !w.Void && w.Generation == r.Generation }

// voided is r with words that do not count any more.
func (r Release) voided() Release {
	r.SignOffs, r.Approvals = slices.Clone(r.SignOffs), slices.Clone(r.Approvals)
	for i := range r.SignOffs {
		r.SignOffs[i].Void = true
	}
	for i := range r.Approvals {
		r.Approvals[i].Void = true
	}
	return r
}

// Checklist is what has to be signed off before a release goes live: the items
// of every release of the fleet, then its own. Where both have an item of one
// name the release says what it is.
func (s State) Checklist(r Release) []Item {
	out := slices.Clone(s.Settings.Rules.Checklist)
	for _, item := range r.Checklist {
		if i := indexOf(out, item.Name); i >= 0 {
			out[i] = item
			continue
		}
		out = append(out, item)
	}
	return out
}

func indexOf(items []Item, name string) int {
	return slices.IndexFunc(items, func(i Item) bool { return i.Name == name })
}

// Verdict returns what an item of r's checklist comes to: NoGo as long as
// anybody says so, else Go when somebody does, else "".
func (r Release) Verdict(item string) Verdict {
	var out Verdict
	for _, one := range r.SignOffs {
		switch {
		case one.Item != item || !r.Counts(one.Word):
		case !one.Go:
			return NoGo
		default:
			out = Go
		}
	}
	return out
}

func (s State) checkList(r Release) Check {
	var open, against []string
	items := s.Checklist(r)
	for _, item := range items {
		switch r.Verdict(item.Name) {
		case NoGo:
			against = append(against, item.Name)
		case "":
			open = append(open, item.Name)
		}
	}
	c := Check{Rule: "checklist", OK: true, Detail: "its checklist is signed off: " + countOf(len(items), "item")}
	var what []string
	if len(against) > 0 {
		what = append(what, "its checklist says no-go: "+strings.Join(against, ", "))
	}
	if len(open) > 0 {
		what = append(what, "its checklist is open: "+strings.Join(open, ", "))
	}
	if len(what) > 0 {
		c.OK, c.Detail = false, strings.Join(what, "; ")
		c.Remedy = "testers sign it off (greenroom release check " + r.Name + "), or --override-checklist with a --reason"
	}
	return c
}

// Saying is a person's word on a release: which one, and what was looked at.
type Saying struct {
	Name       string // of the release
	Generation uint64 // as the person was shown it; 0: as it is
}

// SignOff notes what somebody says of an item of a release's checklist, in the
// place of what they said before. A no-go stands until who said it says
// otherwise, or the release changes.
func (s State) SignOff(of Saying, item string, v Verdict, by Actor, now time.Time) (State, error) {
	r, err := s.lookedAt(of)
	if err != nil {
		return s, err
	}
	items := s.Checklist(r)
	if indexOf(items, item) < 0 {
		var names []string
		for _, i := range items {
			names = append(names, i.Name)
		}
		remedy := "its checklist is: " + strings.Join(names, ", ")
		if len(names) == 0 {
			remedy = "it has none; spec.checklist of a Release, or spec.release.checklist of the Fleet, would name them"
		}
		return s, refuse("checklist", remedy, "the checklist of %s has no item %q", r.Name, item)
	}
	if v == NoGo && strings.TrimSpace(by.Why) == "" {
		return s, refuse("reason", "say what is wrong: --note", "a no-go needs a note, for those who mend it")
	}
	mine := func(o SignOff) bool { return o.Item == item && o.Who == by.Who }
	next := SignOff{Item: item, Go: v == Go, Word: Word{Generation: r.Generation, Note: Note{At: now, Actor: by}}}
	i := slices.IndexFunc(r.SignOffs, mine)
	if i < 0 && v == Withdraw || i >= 0 && v != Withdraw && r.same(r.SignOffs[i], next) {
		return s, nil
	}
	r.SignOffs = slices.DeleteFunc(slices.Clone(r.SignOffs), mine)
	kind, message := "ChecklistSigned", item+": "+string(v)
	if v == Withdraw {
		kind, message = "ChecklistWithdrawn", item+": "+by.Who+" takes back what was said"
	} else {
		r.SignOffs = append(r.SignOffs, next)
	}
	d := s.edit(by, now)
	d.put(r)
	d.event(kind, r.Name, message)
	return d.done(), nil
}

// same reports whether saying next adds nothing to what was said.
func (r Release) same(said, next SignOff) bool {
	return r.Counts(said.Word) && said.Go == next.Go && (next.Why == "" || said.Why == next.Why)
}

// Approve notes that somebody says a release may go live, or with withdraw
// that they do not say so any more. Who has said so already says nothing new.
func (s State) Approve(of Saying, withdraw bool, by Actor, now time.Time) (State, error) {
	r, err := s.lookedAt(of)
	if err != nil {
		return s, err
	}
	mine := func(a Approval) bool { return a.Who == by.Who }
	i := slices.IndexFunc(r.Approvals, mine)
	counts := i >= 0 && r.Counts(r.Approvals[i].Word)
	if counts != withdraw {
		return s, nil
	}
	r.Approvals = slices.DeleteFunc(slices.Clone(r.Approvals), mine)
	d := s.edit(by, now)
	if withdraw {
		d.put(r)
		d.event("ApprovalWithdrawn", r.Name, by.Who+" does not approve it any more")
		return d.done(), nil
	}
	r.Approvals = append(r.Approvals, Approval{Word{Generation: r.Generation, Note: Note{At: now, Actor: by}}})
	d.put(r)
	d.event("ReleaseApproved", r.Name, by.Who+" approves it")
	return d.done(), nil
}

// lookedAt is the release that somebody has a word on.
func (s State) lookedAt(of Saying) (Release, error) {
	r, err := s.find(of.Name)
	if err != nil {
		return r, err
	}
	if of.Generation != 0 && of.Generation != r.Generation {
		return r, ErrStale
	}
	if r.Phase != Previewing && r.Phase != Canary {
		remedy := "only what holders of a pass see, and can be promoted, is signed off"
		if r.Phase == Preparing {
			remedy = "wait until it is Previewing"
		}
		return r, refuse("phase", remedy, "%s is %s", r.Name, r.Phase)
	}
	return r, nil
}

// tellVoid says that words on what a release was do not count for what it is
// now.
func (d *draft) tellVoid(was, now Release) {
	signed, approved := was.words()
	still, yet := now.words()
	var what []string
	if n := signed - still; n > 0 {
		what = append(what, countOf(n, "sign-off"))
	}
	if n := approved - yet; n > 0 {
		what = append(what, countOf(n, "approval"))
	}
	if len(what) > 0 {
		d.event("SignOffsVoid", now.Name, strings.Join(what, " and ")+" of what it was before do not count any more")
	}
}

// words is how many sign-offs and approvals count.
func (r Release) words() (signed, approved int) {
	for _, one := range r.SignOffs {
		if r.Counts(one.Word) {
			signed++
		}
	}
	for _, one := range r.Approvals {
		if r.Counts(one.Word) {
			approved++
		}
	}
	return signed, approved
}
