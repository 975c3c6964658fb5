package pass

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"
)

// CallbackPath is where the addresses lie that outside systems can call: behind
// it stand a token, and the path that a service gets.
const CallbackPath = Own + "/cb/"

// CallbackHeader tells the services of a preview what their callback addresses
// begin with.
const CallbackHeader = "X-Greenroom-Callback-Base"

// UsualCallback is how long a callback address holds where nobody says.
const UsualCallback = time.Hour

// MaxCount is the most calls that a callback address can be limited to.
const MaxCount = 100_000

// Callback is what a callback address is limited to.
type Callback struct {
	Token   string   `json:"token"` // stands in the address
	Paths   []string `json:"paths"`
	Methods []string `json:"methods"`
	Count   int      `json:"count,omitempty"` // calls; 0: any number
}

// NewCallback returns a callback address with a new token. Its errors say what
// of it cannot be asked for.
func NewCallback(paths, methods []string, count int) (Callback, error) {
	paths, err := Paths(paths)
	if err != nil {
		return Callback{}, err
	}
	if len(paths) == 0 {
		return Callback{}, fmt.Errorf("a callback address needs a path")
	}
	if len(methods) == 0 {
		methods = []string{"GET", "POST"}
	}
	for _, m := range methods {
		if !slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, m) {
			return Callback{}, fmt.Errorf("the method %q is none of GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS", m)
		}
	}
	if count < 0 || count > MaxCount {
		return Callback{}, fmt.Errorf("%d calls are none, or more than %d", count, MaxCount)
	}
	methods = slices.Compact(slices.Sorted(slices.Values(methods)))
	return Callback{Token: rand.Text(), Paths: paths, Methods: methods, Count: count}, nil
}

// Base is what the addresses of a callback begin with.
func (c Callback) Base(publicURL string) string {
	return strings.TrimRight(publicURL, "/") + CallbackPath + c.Token
}

// Addresses are those of a callback, one for each path.
func (c Callback) Addresses(publicURL string) []string {
	out := make([]string, 0, len(c.Paths))
	for _, p := range c.Paths {
		out = append(out, c.Base(publicURL)+p)
	}
	return out
}

// Takes reports whether a request may come in by the callback: path is in the
// form that routes are compared with.
func (c Callback) Takes(method, path string) bool {
	return slices.Contains(c.Methods, method) && Under(c.Paths, path)
}

// CallbackLife reads how long a callback address is asked to hold, as Life does
// for passes.
func CallbackLife(asked string) (time.Duration, bool) {
	if asked == "" {
		return UsualCallback, true
	}
	return Life(asked)
}
