package v1alpha1

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time as text: Go's syntax ("1m30s", "250ms") and d
// for 24 hours ("2d", "1d12h"). The empty text means: left out.
type Duration string

// longest bounds what a Duration can say, far from overflow: 100 years.
const longest = 36500 * 24 * time.Hour

// Parse returns the length of time, which is never negative. Its error says
// what is wrong with the text and is meant to be read by its author. The empty
// text is an error: only who knows the field knows what is taken instead.
func (d Duration) Parse() (time.Duration, error) {
	s := string(d)
	if strings.HasPrefix(s, "-") {
		return 0, fmt.Errorf("duration %q is negative", s)
	}
	var days time.Duration
	rest := s
	if number, after, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseFloat(number, 64)
		if err != nil || strings.Trim(number, "0123456789.") != "" {
			return 0, fmt.Errorf("%q is not a duration", s)
		}
		if n > longest.Hours()/24 {
			return 0, fmt.Errorf("duration %q is too long", s)
		}
		days, rest = time.Duration(n*float64(24*time.Hour)), after
		if rest == "" {
			return days, nil
		}
	}
	t, err := time.ParseDuration(rest)
	if err != nil || t < 0 {
		return 0, fmt.Errorf("%q is not a duration", s)
	}
	if t > longest {
		return 0, fmt.Errorf("duration %q is too long", s)
	}
	return days + t, nil
}

// DurationOf writes t the short way: "1h" rather than "1h0m0s", and whole days
// from two on as such.
func DurationOf(t time.Duration) Duration {
	const day = 24 * time.Hour
	if t >= 2*day && t%day == 0 {
		return Duration(fmt.Sprintf("%dd", t/day))
	}
	s := t.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return Duration(s)
}

// Percent is a share as text, from "0%" to "100%". The empty text means: left
// out.
type Percent string

// Parse returns the share as a number from 0 to 1.
func (p Percent) Parse() (float64, error) {
	digits, ok := strings.CutSuffix(string(p), "%")
	if !ok {
		return 0, fmt.Errorf("%q is not a percentage", string(p))
	}
	if strings.Trim(digits, "0123456789.") != "" {
		return 0, fmt.Errorf("%q is not a percentage from 0%% to 100%%", string(p))
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a percentage", string(p))
	}
	if n > 100 {
		return 0, fmt.Errorf("%q is more than 100%%", string(p))
	}
	return n / 100, nil
}

// PercentOf writes a share from 0 to 1 as a percentage.
func PercentOf(share float64) Percent {
	return Percent(strconv.FormatFloat(share*100, 'g', 12, 64) + "%")
}
