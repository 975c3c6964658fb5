package v1alpha1

import (
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[Duration]time.Duration{
		"0": 0, "0s": 0, "250ms": 250 * time.Millisecond, "1m30s": 90 * time.Second,
		"1d": day, "2d": 2 * day, "1.5d": 36 * time.Hour, "1d12h": 36 * time.Hour, "36500d": 36500 * day,
	} {
		if got, err := text.Parse(); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []Duration{
		"", "30", "soon", "-1s", "-1d", "1d-1h", "d", ".d", "1e9d", "1h1d", "NaNd", "infd", "36501d", "1000000h", "1x",
	} {
		if got, err := text.Parse(); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func TestDurationOfIsReadBack(t *testing.T) {
	for want, d := range map[Duration]time.Duration{
		"0s": 0, "30s": 30 * time.Second, "1m": time.Minute, "1h": time.Hour, "1h30m": 90 * time.Minute,
		"1h0m1s": time.Hour + time.Second, "24h": 24 * time.Hour, "2d": 48 * time.Hour, "250ms": 250 * time.Millisecond,
	} {
		got := DurationOf(d)
		if back, err := got.Parse(); got != want || err != nil || back != d {
			t.Errorf("%v: %s, want %s; read back %v, %v", d, got, want, back, err)
		}
	}
}

func TestPercent(t *testing.T) {
	for text, want := range map[Percent]float64{"0%": 0, "1%": 0.01, "12.5%": 0.125, "100%": 1} {
		got, err := text.Parse()
		if err != nil || got != want || PercentOf(got) != text {
			t.Errorf("%s: %v, %v, %s", text, got, err, PercentOf(got))
		}
	}
	for _, text := range []Percent{"", "1", "%", "-1%", "101%", "1e1%", "NaN%", "1.1.1%", " 1%"} {
		if got, err := text.Parse(); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}
