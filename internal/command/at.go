package command

import (
	"time"
)

// hourOf reads when something is to happen: 15:00, which is the next one on
// the clock of a zone; 2026-11-27 15:00 there; or a time with its own zone, as
// RFC 3339 has it. A time that is not on the clock, or twice, is an error.
func hourOf(text string, zone *time.Location, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return once(t, text, layout)
		}
	}
	clock, err := time.ParseInLocation("15:04", text, zone)
	if err != nil {
		return time.Time{}, BadInputf("%q is not a time: write 15:00, or 2026-11-27 15:00, or 2026-11-27T15:00:00+01:00", text)
	}
	y, m, d := now.In(zone).Date()
	for {
		t := time.Date(y, m, d, clock.Hour(), clock.Minute(), 0, 0, zone)
		if t.After(now) {
			return once(t, text, "15:04")
		}
		d++
	}
}

// once refuses what the clock of a zone does not show, or shows twice, since it
// is put forward or back then.
func once(t time.Time, text, layout string) (time.Time, error) {
	if t.Format(layout) != text {
		return t, BadInputf("%s is not on the clock of %s on %s, which is put forward then; name another time", text, t.Location(), t.Format("2 Jan"))
	}
	for _, other := range []time.Time{t.Add(-time.Hour), t.Add(time.Hour)} {
		if other.Format("2006-01-02 15:04") == t.Format("2006-01-02 15:04") {
			return t, BadInputf("%s comes twice on the clock of %s on %s; name one of the two: %s or %s", text, t.Location(), t.Format("2 Jan"),
				earlier(t, other).Format(time.RFC3339), earlier(t, other).Add(time.Hour).Format(time.RFC3339))
		}
	}
	return t, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// since reads from when on something is wanted: a span before now, as 2h or
// 7d, or what hourOf reads of a day.
func since(text string, zone *time.Location, now time.Time) (time.Time, error) {
	if d, ok := span(text); ok {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly, "2006-01-02 15:04", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, BadInputf("%q is not a time: write 2h or 7d before now, 2026-11-27, 2026-11-27 15:00, or 2026-11-27T15:00:00+01:00", text)
}

// span reads 2h, 30m or 7d.
func span(text string) (time.Duration, bool) {
	if n := len(text); n > 1 && text[n-1] == 'd' {
		d, err := time.ParseDuration(text[:n-1] + "h")
		return d * 24, err == nil && d >= 0
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d >= 0
}
