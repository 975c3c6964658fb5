package passpage

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/greenroom-dev/greenroom/internal/pass"
)

// MaxForm bounds what is read of a form, in bytes: a pass and some.
const MaxForm = pass.MaxToken + 4<<10

// FormValue reads one field of a form in the body. A query never counts: it
// would be in logs.
func FormValue(w http.ResponseWriter, r *http.Request, name string) (string, error) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	if err := r.ParseForm(); err != nil {
		return "", fmt.Errorf("reading the form: %w", err)
	}
	if len(r.PostForm[name]) > 1 {
		return "", errors.New("the field stands there twice")
	}
	return r.PostForm.Get(name), nil
}

// SameSite reports whether a form was sent by the fleet's own pages: else another
// site could put people into a preview, or take them out of one, unasked.
// publicURL may be empty.
func SameSite(r *http.Request, publicURL string) bool {
	protection := http.NewCrossOriginProtection()
	if publicURL != "" {
		// A malformed one trusts nobody, which is what it should do.
		_ = protection.AddTrustedOrigin(strings.TrimRight(publicURL, "/"))
	}
	return protection.Check(r) == nil
}

// LocalPath reports whether a browser that is sent there stays on this site.
func LocalPath(to string) bool {
	return strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//") && !strings.ContainsAny(to, "\\\r\n\t")
}

// WantsHTML reports whether a page is wanted, rather than an answer for a
// program.
func WantsHTML(r *http.Request) bool { return AcceptsHTML(r.Header["Accept"]) }

// AcceptsHTML does what WantsHTML does, for the values of Accept.
func AcceptsHTML(lines []string) bool {
	for _, accept := range lines {
		if strings.Contains(accept, "text/html") {
			return true
		}
	}
	return false
}
