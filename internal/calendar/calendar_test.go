package calendar_test

import (
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/internal/calendar"
)

func TestRules(t *testing.T) {
	got, err := calendar.Rules(v1alpha1.ReleaseRules{
		Approvals: 2, Checklist: []v1alpha1.ChecklistItem{{Name: "smoke", Text: "log in"}},
		Freezes: []v1alpha1.Freeze{
			{Name: "weekend", Zone: "Europe/Berlin", Weekly: &v1alpha1.WeeklyFreeze{From: "Fri 16:00", To: "Mon 08:00"}},
			{Name: "new-year", Zone: "Asia/Tokyo", From: "2026-12-28 18:00", To: "2027-01-04"},
		},
	})
	if err != nil || got.Approvals != 2 || len(got.Checklist) != 1 || got.Checklist[0].Text != "log in" {
		t.Fatalf("%+v, %v", got, err)
	}
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) // a Wednesday, in summer time
	for i, want := range []struct{ from, to string }{
		{"2026-07-03T14:00:00Z", "2026-07-06T06:00:00Z"}, {"2026-12-28T09:00:00Z", "2027-01-03T15:00:00Z"},
	} {
		from, to, ok := got.Freezes[i].Next(now)
		if f, u := from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339); !ok || f != want.from || u != want.to {
			t.Errorf("%s: %s to %s, %v", got.Freezes[i].Name, f, u, ok)
		}
	}
}

func TestWhatIsNotRight(t *testing.T) {
	for want, f := range map[string]v1alpha1.Freeze{
		"is no time zone":           {Zone: "Mars/Olympus", From: "2026-12-20", To: "2026-12-21"},
		"another time zone on each": {Zone: "Local", From: "2026-12-20", To: "2026-12-21"},
		"is not a time such as":     {From: "20.12.2026", To: "2026-12-21"},
		"ends before it has begun":  {From: "2026-12-21", To: "2026-12-20"},
		"put forward then":          {Zone: "Europe/Berlin", From: "2026-03-29 02:30", To: "2026-03-30"},
		"not a time of the week":    {Weekly: &v1alpha1.WeeklyFreeze{From: "Fri 4pm", To: "Mon 08:00"}},
		"it ends when it begins":    {Weekly: &v1alpha1.WeeklyFreeze{From: "Fri 16:00", To: "Fri 16:00"}},
		"it is once and weekly":     {From: "2026-12-20", Weekly: &v1alpha1.WeeklyFreeze{From: "Fri 16:00", To: "Mon 08:00"}},
	} {
		f.Name = "f"
		if _, err := calendar.Rules(v1alpha1.ReleaseRules{Freezes: []v1alpha1.Freeze{f}}); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "the freeze f: ") {
			t.Errorf("%+v: %v, want %s", f, err, want)
		}
	}
}
