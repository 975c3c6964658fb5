package release_test

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/greenroom-dev/greenroom/internal/release"
)

func zone(t reporter, name string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return l
}

func TestWeeklyFreeze(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	at := func(day, hour, minute int, month time.Month) time.Time {
		return time.Date(2026, month, day, hour, minute, 0, 0, berlin)
	}
	weekend := release.Freeze{Name: "weekend", Zone: release.ZoneOf(berlin), Weekly: &release.Weekly{
		From: release.WeekTime{Day: time.Friday, Minute: 16 * 60}, To: release.WeekTime{Day: time.Monday, Minute: 8 * 60}}}
	lunch := release.Freeze{Name: "lunch", Zone: release.ZoneOf(berlin), Weekly: &release.Weekly{
		From: release.WeekTime{Day: time.Wednesday, Minute: 12 * 60}, To: release.WeekTime{Day: time.Wednesday, Minute: 13 * 60}}}
	almost := release.Freeze{Name: "almost", Zone: release.ZoneOf(berlin), Weekly: &release.Weekly{
		From: release.WeekTime{Day: time.Tuesday, Minute: 9 * 60}, To: release.WeekTime{Day: time.Tuesday, Minute: 8 * 60}}}
	gap := release.Freeze{Name: "gap", Zone: release.ZoneOf(berlin), Weekly: &release.Weekly{ // 2:10 to 2:50 are not on 29 March
		From: release.WeekTime{Day: time.Sunday, Minute: 130}, To: release.WeekTime{Day: time.Sunday, Minute: 170}}}
	for _, c := range []struct {
		f        release.Freeze
		now      time.Time
		holds    bool
		from, to time.Time
	}{
		{weekend, at(6, 15, 59, time.March), false, at(6, 16, 0, time.March), at(9, 8, 0, time.March)},
		{weekend, at(6, 16, 0, time.March), true, at(6, 16, 0, time.March), at(9, 8, 0, time.March)},
		{weekend, at(9, 7, 59, time.March), true, at(6, 16, 0, time.March), at(9, 8, 0, time.March)},
		{weekend, at(9, 8, 0, time.March), false, at(13, 16, 0, time.March), at(16, 8, 0, time.March)},
		{weekend, at(28, 12, 0, time.March), true, at(27, 16, 0, time.March), at(30, 8, 0, time.March)}, // an hour shorter
		{weekend, at(6, 15, 59, time.March).UTC(), false, at(6, 16, 0, time.March), at(9, 8, 0, time.March)},
		{lunch, at(4, 12, 30, time.March), true, at(4, 12, 0, time.March), at(4, 13, 0, time.March)},
		{lunch, at(4, 13, 0, time.March), false, at(11, 12, 0, time.March), at(11, 13, 0, time.March)},
		{almost, at(3, 8, 30, time.March), false, at(3, 9, 0, time.March), at(10, 8, 0, time.March)},
		{almost, at(3, 7, 59, time.March), true, at(24, 9, 0, time.February), at(3, 8, 0, time.March)},
		{gap, at(28, 12, 0, time.March), false, at(29, 3, 10, time.March), at(29, 3, 50, time.March)},
	} {
		from, to, ok := c.f.Next(c.now)
		if holds := ok && !c.now.Before(from); !ok || holds != c.holds || !from.Equal(c.from) || !to.Equal(c.to) {
			t.Errorf("%s at %v: holds %v, %v to %v, %v; want %v, %v to %v", c.f.Name, c.now, holds, from, to, ok, c.holds, c.from, c.to)
		}
	}
}

func TestFreezeOnce(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	f := release.Freeze{Name: "sale", From: now.Add(time.Hour), To: now.Add(2 * time.Hour)}
	if _, _, ok := f.Next(now.Add(2 * time.Hour)); ok {
		t.Error("it is not over")
	}
	if from, to, ok := f.Next(now); !ok || !from.Equal(f.From) || !to.Equal(f.To) {
		t.Errorf("next: %v to %v, %v", from, to, ok)
	}
}

// TestFreezeIsKept checks that a freeze means the same after a restart.
func TestFreezeIsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFreeze(t)
		data, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var back release.Freeze
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		now := time.Unix(rapid.Int64Range(1_700_000_000, 1_900_000_000).Draw(t, "now"), 0)
		from, to, ok := f.Next(now)
		from2, to2, ok2 := back.Next(now)
		if !from.Equal(from2) || !to.Equal(to2) || ok != ok2 {
			t.Fatalf("%s: %v to %v, %v; then %v to %v, %v", data, from, to, ok, from2, to2, ok2)
		}
		if ok && (!now.Before(to) || !from.Before(to)) {
			t.Fatalf("at %v: %v to %v", now, from, to)
		}
		if f.Weekly == nil || !ok {
			return
		}
		// By the clock on the wall it begins and ends when it says, but for hours
		// that are not on a day.
		for _, c := range []struct {
			at   time.Time
			want release.WeekTime
		}{{from, f.Weekly.From}, {to, f.Weekly.To}} {
			local := c.at.In(f.Zone.Location())
			off := local.Hour()*60 + local.Minute() - c.want.Minute
			if local.Weekday() != c.want.Day || off != 0 && off != 60 && off != -60 {
				t.Fatalf("%s: %v, want %v %d", data, local, c.want.Day, c.want.Minute)
			}
		}
		// Next is the one that holds, or none did since the last ended.
		if now.Before(from) {
			for d := time.Duration(0); d < 7*24*time.Hour && now.Add(d).Before(from); d += 97 * time.Minute {
				if again, _, _ := f.Next(now.Add(d)); !again.Equal(from) {
					t.Fatalf("%s: at %v the next is %v, at %v %v", data, now, from, now.Add(d), again)
				}
			}
		}
	})
}

func drawFreeze(t *rapid.T) release.Freeze {
	f := release.Freeze{Name: "f", Zone: release.ZoneOf(zone(t, rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "Asia/Tokyo", "America/New_York"}).Draw(t, "zone")))}
	if rapid.Bool().Draw(t, "once") {
		f.From = time.Unix(rapid.Int64Range(1_700_000_000, 1_900_000_000).Draw(t, "from"), 0).UTC()
		f.To = f.From.Add(time.Duration(rapid.Int64Range(1, 1_000_000).Draw(t, "long")) * time.Second)
		return f
	}
	draw := func(what string) release.WeekTime {
		return release.WeekTime{Day: time.Weekday(rapid.IntRange(0, 6).Draw(t, what)), Minute: rapid.IntRange(0, 1439).Draw(t, what+" minute")}
	}
	f.Weekly = &release.Weekly{From: draw("from"), To: draw("to")}
	if f.Weekly.From == f.Weekly.To {
		f.Weekly.To.Minute = (f.Weekly.To.Minute + 1) % 1440
		if f.Weekly.To.Minute == 0 {
			f.Weekly.To.Minute, f.Weekly.From.Minute = 1, 0
		}
	}
	return f
}

func TestUnknownZone(t *testing.T) {
	var f release.Freeze
	if err := json.Unmarshal([]byte(`{"name":"f","zone":"Mars/Olympus"}`), &f); err == nil {
		t.Error("read")
	}
}
