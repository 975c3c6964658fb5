package v1alpha1

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ReleaseRules are what every release of the fleet needs before it goes live,
// beyond what greenroom always asks.
type ReleaseRules struct {
	// What testers sign off of every release, item by item.
	Checklist []ChecklistItem `json:"checklist,omitempty" listMapKey:"name" jsonschema:"maxItems=50"`
	// How many people have to approve a release, besides who promotes it.
	Approvals int `json:"approvals,omitempty" jsonschema:"default=0,minimum=0,maximum=10"`
	// When nothing is promoted. A rollback is never kept from anybody.
	Freezes []Freeze `json:"freezes,omitempty" listMapKey:"name" jsonschema:"maxItems=50"`
}

// ChecklistItem is something that a tester looks at, and signs off.
type ChecklistItem struct {
	// Unique in its list: lower-case letters, digits and dashes, at most 40
	// characters.
	Name string `json:"name" jsonschema:"pattern=^[a-z0-9]([-a-z0-9]*[a-z0-9])?$,maxLength=40"`
	// What to look at.
	Text string `json:"text,omitempty" jsonschema:"maxLength=1000"`
}

// Freeze is a time during which nothing is promoted, unless somebody overrides
// it by name: once (from and to), or every week (weekly).
type Freeze struct {
	// Unique among the freezes: lower-case letters, digits and dashes, at most
	// 40 characters.
	Name string `json:"name" jsonschema:"pattern=^[a-z0-9]([-a-z0-9]*[a-z0-9])?$,maxLength=40"`
	// Why, for those whom it stops.
	Why string `json:"why,omitempty" jsonschema:"maxLength=1000"`
	// The time zone of what the freeze says, such as Europe/Berlin.
	Zone string `json:"zone,omitempty" jsonschema:"maxLength=64,default=UTC"`
	// The first minute, such as "2026-12-20 18:00", or a day's first:
	// "2026-12-20".
	From string `json:"from,omitempty" jsonschema:"pattern=^([0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2})?)?$,maxLength=16"`
	// The first minute that is free again.
	To string `json:"to,omitempty" jsonschema:"pattern=^([0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2})?)?$,maxLength=16"`
	// Every week.
	Weekly *WeeklyFreeze `json:"weekly,omitempty"`
}

// WeeklyFreeze is a part of each week, by the clock on the wall. It may go over
// the week's end.
type WeeklyFreeze struct {
	// The first minute, such as "Fri 16:00".
	From string `json:"from" jsonschema:"pattern=^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [0-9]{2}:[0-9]{2}$,maxLength=9"`
	// The first minute that is free again.
	To string `json:"to" jsonschema:"pattern=^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [0-9]{2}:[0-9]{2}$,maxLength=9"`
}

// Location returns the freeze's time zone. Its error is meant to be read by
// the author.
func (f Freeze) Location() (*time.Location, error) {
	switch f.Zone {
	case "", "UTC":
		return time.UTC, nil
	case "Local":
		return nil, fmt.Errorf("%q is another time zone on each machine", f.Zone)
	}
	l, err := time.LoadLocation(f.Zone)
	if err != nil {
		return nil, fmt.Errorf("%q is no time zone", f.Zone)
	}
	return l, nil
}

// ParseMinute reads a minute of a time zone: "2026-12-20 18:00", or a day's
// first as "2026-12-20". One that is not on the clock there, since the clock is
// put forward, is an error.
func ParseMinute(text string, zone *time.Location) (time.Time, error) {
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly} {
		t, err := time.ParseInLocation(layout, text, zone)
		if err != nil {
			continue
		}
		if t.Format(layout) != text {
			return t, fmt.Errorf("%q is not on the clock of %s, which is put forward then", text, zone)
		}
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 2026-12-20 18:00", text)
}

// weekdays are in the order of time.Weekday.
var weekdays = [...]string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// ParseWeekMinute reads a minute of a week, as "Fri 16:00": the day, and the
// minute of the day from 0.
func ParseWeekMinute(text string) (time.Weekday, int, error) {
	day, clock, _ := strings.Cut(text, " ")
	hour, minute, ok := strings.Cut(clock, ":")
	h, err1 := strconv.Atoi(hour)
	m, err2 := strconv.Atoi(minute)
	if ok && err1 == nil && err2 == nil && len(hour) == 2 && len(minute) == 2 && h >= 0 && h < 24 && m >= 0 && m < 60 {
		for i, name := range weekdays {
			if name == day {
				return time.Weekday(i), h*60 + m, nil
			}
		}
	}
	return 0, 0, fmt.Errorf("%q is not a time of the week such as Fri 16:00", text)
}
