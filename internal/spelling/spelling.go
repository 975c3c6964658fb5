// Package spelling finds the word that somebody meant.
//
// It imports nothing of greenroom. Start at Nearest.
package spelling

import "strings"

// Nearest returns the known word that was probably meant, empty if none was: a
// third of it may be wrong, two characters at most, and case does not matter.
func Nearest(wrote string, known []string) string {
	best, least := "", min(max(len(wrote)/3, 1), 2)+1
	for _, k := range known {
		if d := distance(strings.ToLower(wrote), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of single-character edits, a swap of neighbours being
// one, that turn a into b (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 64 || len(y) > 64 {
		return max(len(x), len(y))
	}
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			change := 1
			if x[i-1] == y[j-1] {
				change = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(x)][len(y)]
}
