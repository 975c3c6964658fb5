package pass

import (
	"fmt"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// Own is the folder of greenroom's own paths. No service ever sees it.
const Own = "/.greenroom"

// LinkPath is where the edge turns a link's token into a cookie.
const LinkPath = Own + "/pass"

// Link returns the address that carries a token to a browser. The token
// stands in the fragment, which no browser sends to a server, so it comes into
// no log on the way.
func Link(publicURL, token string) string {
	return strings.TrimRight(publicURL, "/") + LinkPath + "#" + token
}

// quiet is the bright margin around a code, in modules. The standard asks for
// four; readers make do with two, and a pass's link then fits into 80 columns.
const quiet = 2

// Colours beyond the sixteen that a terminal's theme may change, so that a
// code is black on white whether the terminal is dark or light.
const (
	blackOnWhite = "\x1b[38;5;16;48;5;231m"
	plain        = "\x1b[0m"
)

// QR draws a link for a terminal, two modules to a character cell, each line
// ended by a newline. Its lines are all of the same width, the second result:
// broken lines cannot be scanned, so show the code only where the terminal is
// as wide. It fails when the link is too long for a code (2,953 bytes).
func QR(link string) (code string, columns int, err error) {
	drawn, err := qr.Encode(link, qr.L, qr.Unicode)
	if err != nil {
		return "", 0, fmt.Errorf("drawing a link of %d bytes as a QR code: %w", len(link), err)
	}
	size := drawn.Bounds().Dx()
	dark := func(x, y int) bool {
		if x < 0 || y < 0 || x >= size || y >= size {
			return false
		}
		r, _, _, _ := drawn.At(x, y).RGBA()
		return r == 0
	}
	var b strings.Builder
	for y := -quiet; y < size+quiet; y += 2 {
		b.WriteString(blackOnWhite)
		for x := -quiet; x < size+quiet; x++ {
			b.WriteRune(cell(dark(x, y), dark(x, y+1)))
		}
		b.WriteString(plain + "\n")
	}
	return b.String(), size + 2*quiet, nil
}

// cell is the character of two modules, one above the other.
func cell(upper, lower bool) rune {
	switch {
	case upper && lower:
		return '█'
	case upper:
		return '▀'
	case lower:
		return '▄'
	}
	return ' '
}
