package command

import (
	"strings"
	"testing"
	"time"
)

func TestHour(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 27, 14, 0, 0, 0, time.UTC) // 15:00 there, on the last Friday of winter time
	for _, c := range []struct{ text, want, problem string }{
		{"15:01", "2026-03-27T15:01:00+01:00", ""},
		{"15:00", "2026-03-28T15:00:00+01:00", ""}, // this one is over
		{"00:30", "2026-03-28T00:30:00+01:00", ""},
		{"2026-03-30 15:00", "2026-03-30T15:00:00+02:00", ""},
		{"2026-03-30T15:00", "2026-03-30T15:00:00+02:00", ""},
		{"2026-03-30T15:00:00+09:00", "2026-03-30T15:00:00+09:00", ""},
		{"2026-03-29 02:30", "", "not on the clock of Europe/Berlin on 29 Mar"},
		{"2026-10-25 02:30", "", "2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"},
		{"2026-10-25T02:30:00+01:00", "2026-10-25T02:30:00+01:00", ""},
		{"3pm", "", `"3pm" is not a time`}, {"25:00", "", "is not a time"}, {"", "", "is not a time"},
	} {
		got, err := hourOf(c.text, berlin, now)
		switch {
		case c.problem == "" && (err != nil || got.Format(time.RFC3339) != c.want):
			t.Errorf("%s: %v, %v", c.text, got.Format(time.RFC3339), err)
		case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)):
			t.Errorf("%s: %v, %v", c.text, got, err)
		}
	}
}

func TestSince(t *testing.T) {
	now := time.Date(2026, 3, 27, 14, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"2h": "2026-03-27T12:00:00Z", "7d": "2026-03-20T14:00:00Z", "2026-03-01": "2026-03-01T00:00:00Z", "2026-03-01 15:04": "2026-03-01T15:04:00Z",
	} {
		if got, err := since(text, time.UTC, now); err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "yesterday", "-2h", "d"} {
		if got, err := since(text, time.UTC, now); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}
