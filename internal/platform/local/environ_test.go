package local

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestEnvFileErrorsNameTheLineAndNoValue(t *testing.T) {
	const secret = "hunter2"
	cases := map[string]string{
		"A=1\n" + secret:               ":2: want NAME=VALUE, but the line has no =",
		"A B=" + secret:                ":1: the name before = may hold letters, digits and _ only, and begins with no digit",
		"\n\n1A=" + secret:             ":3: the name before =",
		"=" + secret:                   ":1: the name before =",
		`A="` + secret:                 ":1: the value's double quotes are not closed, or hold an unknown escape",
		`A="` + secret + `" x`:         ":1: the value's double quotes",
		`A='` + secret:                 ":1: the value's single quotes are not closed, or more follows them",
		`A='` + secret + `' '`:         ":1: the value's single quotes",
		"A=" + secret + "\x00":         ":1: the value holds a NUL byte",
		`A="` + secret + `\x00"`:       ":1: the value's double quotes",
		strings.Repeat(secret, 200000): ":1: bufio.Scanner: token too long",
	}
	for text, want := range cases {
		path := filepath.Join(t.TempDir(), "secrets.env")
		writeFile(t, path, text)
		_, err := readEnvFile(path)
		if err == nil || !strings.Contains(err.Error(), "envFile secrets.env"+want) {
			t.Errorf("%.40q: got %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%.40q: the error holds the value: %v", text, err)
		}
	}
}
