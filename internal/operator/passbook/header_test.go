package passbook

import (
	"encoding/base64"
	"strings"
	"testing"
)

// header returns the JOSE header of a token.
func header(t *testing.T, token string) string {
	t.Helper()
	first, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
