package pass

import (
	"strings"
	"testing"

	"github.com/boombuler/barcode/qr"
)

func TestLinkKeepsTheTokenInTheFragment(t *testing.T) {
	const want = "https://live.example.com/.greenroom/pass#a.b.c"
	for _, public := range []string{"https://live.example.com", "https://live.example.com/"} {
		if got := Link(public, "a.b.c"); got != want {
			t.Errorf("Link(%q) = %s, want %s", public, got, want)
		}
	}
}

// modules reads a drawn code back: true is dark.
func modules(t *testing.T, code string, columns int) [][]bool {
	t.Helper()
	var rows [][]bool
	for line := range strings.Lines(code) {
		line, ok := strings.CutPrefix(line, blackOnWhite)
		line, ends := strings.CutSuffix(line, plain+"\n")
		if !ok || !ends {
			t.Fatalf("a line does not set and reset its colours: %q", line)
		}
		var upper, lower []bool
		for _, r := range line {
			upper = append(upper, r == '▀' || r == '█')
			lower = append(lower, r == '▄' || r == '█')
		}
		if len(upper) != columns {
			t.Fatalf("a line of %d columns, want %d", len(upper), columns)
		}
		rows = append(rows, upper, lower)
	}
	return rows
}

func TestQRDrawsEveryModule(t *testing.T) {
	k := openKeys(t)
	link := Link("https://live.example.com", mint(t, k, testClaims()))
	code, columns, err := QR(link)
	if err != nil {
		t.Fatal(err)
	}
	if columns > 80 {
		t.Errorf("the code of a common link takes %d columns, want at most 80", columns)
	}
	want, err := qr.Encode(link, qr.L, qr.Unicode)
	if err != nil {
		t.Fatal(err)
	}
	rows := modules(t, code, columns)
	size := want.Bounds().Dx()
	if columns != size+2*quiet || len(rows) < size+2*quiet {
		t.Fatalf("%d columns, %d rows for %d modules", columns, len(rows), size)
	}
	for y, row := range rows {
		for x, dark := range row {
			x, y := x-quiet, y-quiet
			inside := x >= 0 && y >= 0 && x < size && y < size
			expected := false
			if inside {
				r, _, _, _ := want.At(x, y).RGBA()
				expected = r == 0
			}
			if dark != expected {
				t.Fatalf("module %d,%d is dark: %v, want %v", x, y, dark, expected)
			}
		}
	}
}

func TestQRRefusesWhatDoesNotFit(t *testing.T) {
	if _, _, err := QR(strings.Repeat("a", 2953)); err != nil {
		t.Errorf("2953 bytes: %v", err)
	}
	if _, _, err := QR(strings.Repeat("a", 2954)); err == nil {
		t.Error("2954 bytes: no error")
	}
}
