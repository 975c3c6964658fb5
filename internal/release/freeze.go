package release

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Freeze is a time during which nothing is promoted, unless by name in spite of
// it. Nothing else waits for it, and least of all a rollback.
type Freeze struct {
	Name   string    `json:"name"`
	Why    string    `json:"why,omitempty"` // for people
	Zone   Zone      `json:"zone"`          // of Weekly, and of what people read
	From   time.Time `json:"from,omitzero"` // once, until To; or Weekly
	To     time.Time `json:"to,omitzero"`
	Weekly *Weekly   `json:"weekly,omitempty"`
}

// Weekly is a part of each week, by the clock on the wall of a zone. It is less
// than a week long, and may go over the week's end.
type Weekly struct {
	From WeekTime `json:"from"`
	To   WeekTime `json:"to"`
}

// WeekTime is a minute of a week.
type WeekTime struct {
	Day    time.Weekday `json:"day"`
	Minute int          `json:"minute"` // of the day, 0..1439
}

// Zone is a time zone that is kept by its name.
type Zone struct{ location *time.Location }

// ZoneOf returns the Zone of a location.
func ZoneOf(l *time.Location) Zone { return Zone{l} }

// Location returns the location; UTC for the zero Zone.
func (z Zone) Location() *time.Location {
	if z.location == nil {
		return time.UTC
	}
	return z.location
}

// MarshalJSON writes the name.
func (z Zone) MarshalJSON() ([]byte, error) { return json.Marshal(z.Location().String()) }

// UnmarshalJSON finds the location of a name. A name that the machine does not
// know is an error.
func (z *Zone) UnmarshalJSON(data []byte) error {
	var name string
	if err := json.Unmarshal(data, &name); err != nil {
		return err
	}
	l, err := time.LoadLocation(name)
	if err != nil {
		return fmt.Errorf("read the time zone of a freeze: %w", err)
	}
	z.location = l
	return nil
}

func (f Freeze) equal(other Freeze) bool {
	same := f.Name == other.Name && f.Why == other.Why && f.Zone.Location().String() == other.Zone.Location().String() &&
		f.From.Equal(other.From) && f.To.Equal(other.To) && (f.Weekly == nil) == (other.Weekly == nil)
	return same && (f.Weekly == nil || *f.Weekly == *other.Weekly)
}

// Next returns the time of the freeze that is now, or else the next one; false
// when it is over for good.
func (f Freeze) Next(now time.Time) (from, to time.Time, ok bool) {
	if f.Weekly == nil {
		return f.From, f.To, now.Before(f.To)
	}
	local := now.In(f.Zone.Location())
	back := int(local.Weekday()-f.Weekly.From.Day+7) % 7
	for _, days := range []int{-back - 7, -back, 7 - back, 14 - back} {
		from = f.Weekly.From.on(local, days)
		long := int(f.Weekly.To.Day-f.Weekly.From.Day+7) % 7
		if long == 0 && f.Weekly.To.Minute <= f.Weekly.From.Minute {
			long = 7
		}
		if to = f.Weekly.To.on(local, days+long); now.Before(to) && from.Before(to) {
			return from, to, true
		}
	}
	return from, to, false
}

// on is the time on the day that is so many days from another.
func (w WeekTime) on(day time.Time, days int) time.Time {
	y, m, d := day.Date()
	return time.Date(y, m, d+days, w.Minute/60, w.Minute%60, 0, 0, day.Location())
}

// Frozen is a freeze as it is now, or will be.
type Frozen struct {
	Name string
	Why  string
	From time.Time
	To   time.Time
}

// Frozen returns the freezes that hold, in the order in which they were
// declared.
func (s State) Frozen(now time.Time) []Frozen {
	var out []Frozen
	for _, f := range s.Freezes(now) {
		if !now.Before(f.From) {
			out = append(out, f)
		}
	}
	return out
}

// Freezes returns for every freeze that is not over when it holds, or will
// hold next.
func (s State) Freezes(now time.Time) []Frozen {
	var out []Frozen
	for _, f := range s.Settings.Rules.Freezes {
		if from, to, ok := f.Next(now); ok {
			out = append(out, Frozen{Name: f.Name, Why: f.Why, From: from.In(f.Zone.Location()), To: to.In(f.Zone.Location())})
		}
	}
	return out
}

func (s State) checkFreeze(now time.Time) Check {
	frozen := s.Frozen(now)
	if len(frozen) == 0 {
		return Check{Rule: "freeze", OK: true, Detail: "no freeze holds"}
	}
	var what, names []string
	for _, f := range frozen {
		text := "the freeze " + f.Name + " holds until " + moment(f.To, f.To.Location())
		if f.Why != "" {
			text += " (" + f.Why + ")"
		}
		what, names = append(what, text), append(names, "--override-freeze "+f.Name)
	}
	return Check{Rule: "freeze", Detail: strings.Join(what, ", "), Remedy: "wait, or " + strings.Join(names, " ") + " with a --reason"}
}
