package pass

import "time"

// The bounds of a pass's life, and how long it is where nobody says.
const (
	Shortest = time.Minute
	Longest  = 30 * 24 * time.Hour
	Usual    = 2 * time.Hour
)

// LifeRemedy says what Life takes, to whoever asked for something else.
const LifeRemedy = "name a duration from 1m to 720h, such as 2h"

// Life reads how long a pass is asked to hold: Usual for "". It is false for
// what is no duration from Shortest to Longest.
func Life(asked string) (time.Duration, bool) {
	if asked == "" {
		return Usual, true
	}
	life, err := time.ParseDuration(asked)
	return life, err == nil && life >= Shortest && life <= Longest
}
