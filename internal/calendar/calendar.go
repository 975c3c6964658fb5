// Package calendar reads a fleet's rules for its releases as documents write
// them: checklists, approvals, and the freezes of a calendar in a time zone.
//
// It owns the way from the documents' texts to the state machine's values, the
// same for both engines, and knows nothing else. Whether a text is right is
// said where documents are checked; here what is not right has no effect but
// an error.
//
// Start at Rules.
package calendar

import (
	"fmt"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// Rules returns what a document's rules mean. Its error names the freeze that
// cannot be understood.
func Rules(r v1alpha1.ReleaseRules) (release.Rules, error) {
	out := release.Rules{Checklist: Items(r.Checklist), Approvals: r.Approvals}
	for _, f := range r.Freezes {
		one, err := freeze(f)
		if err != nil {
			return out, fmt.Errorf("the freeze %s: %w", f.Name, err)
		}
		out.Freezes = append(out.Freezes, one)
	}
	return out, nil
}

// Items returns a checklist.
func Items(list []v1alpha1.ChecklistItem) []release.Item {
	var out []release.Item
	for _, item := range list {
		out = append(out, release.Item{Name: item.Name, Text: item.Text})
	}
	return out
}

func freeze(f v1alpha1.Freeze) (release.Freeze, error) {
	out := release.Freeze{Name: f.Name, Why: f.Why}
	zone, err := f.Location()
	if err != nil {
		return out, err
	}
	out.Zone = release.ZoneOf(zone)
	if w := f.Weekly; w != nil {
		if f.From != "" || f.To != "" {
			return out, fmt.Errorf("it is once and weekly")
		}
		var weekly release.Weekly
		if weekly.From.Day, weekly.From.Minute, err = v1alpha1.ParseWeekMinute(w.From); err != nil {
			return out, err
		}
		if weekly.To.Day, weekly.To.Minute, err = v1alpha1.ParseWeekMinute(w.To); err != nil {
			return out, err
		}
		if weekly.From == weekly.To {
			return out, fmt.Errorf("it ends when it begins")
		}
		out.Weekly = &weekly
		return out, nil
	}
	if out.From, err = v1alpha1.ParseMinute(f.From, zone); err != nil {
		return out, err
	}
	if out.To, err = v1alpha1.ParseMinute(f.To, zone); err != nil {
		return out, err
	}
	if !out.From.Before(out.To) {
		return out, fmt.Errorf("it ends before it has begun")
	}
	return out, nil
}
