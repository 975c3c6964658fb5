package kubernetes

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// What Istio refuses in a VirtualService it refuses with every route in it, and a
// switch could not be written any more. So a Fleet that comes to it is not
// followed, and the one before it holds.

// An Istio name is one label, of hosts as of Gateways that VirtualServices name.
var label = regexp.MustCompile(`^[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$`)

// headerName is a token of HTTP (RFC 9110, 5.6.2).
var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// longestPattern is how long a regular expression may be, in bytes.
const longestPattern = 1024

// retryWords are the conditions that a retry may name, besides statuses.
var retryWords = []string{
	"5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx", "refused-stream",
	"retriable-status-codes", "retriable-headers", "envoy-ratelimited", "http3-post-connect-failure",
	"cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
}

// corsMethods are the methods that CORS may allow.
var corsMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"}

// gateway checks how a Gateway and its hosts are called.
func (c *checker) gateway(at string, g crd.Gateway) {
	if namespace, name := splitName(g.Name); !label.MatchString(namespace) || !label.MatchString(name) {
		c.say(at+".name", "Istio takes no routes for a Gateway called "+g.Name+".", "Name one by namespace and name, each of at most 63 letters, digits and dashes.")
	}
	for _, h := range g.Hosts {
		if h != "*" && !isHost(h) {
			c.say(at+".hosts", h+" is no host.", "Write a name such as live.example.com or *.example.com, without a port.")
		}
	}
}

// isHost reports whether Istio takes a host: a name, a wildcard for what lies
// below one, or an IP address.
func isHost(h string) bool {
	if _, err := netip.ParseAddr(h); err == nil {
		return true
	}
	if len(h) > 255 {
		return false
	}
	labels := strings.Split(strings.TrimSuffix(strings.TrimPrefix(h, "*."), "."), ".")
	_, err := strconv.Atoi(labels[len(labels)-1])
	return err != nil && !slices.ContainsFunc(labels, func(l string) bool { return !label.MatchString(l) })
}

// route checks what else a route says to proxies.
func (c *checker) route(at string, r crd.Route) {
	if length := len(strings.Join(r.Methods, "|")); length > longestPattern/2 { // each may take a second byte for every one
		c.say(at+".methods", fmt.Sprintf("they have %d bytes together, more than the %d that fit.", length, longestPattern/2), "Name fewer, or none: then any is taken.")
	}
	if r.CORS == nil {
		return
	}
	if slices.Contains(r.CORS.AllowOrigins, "") {
		c.say(at+".cors.allowOrigins", "one is empty.", "Write an origin such as https://app.example.com, or *.")
	}
	for _, m := range r.CORS.AllowMethods {
		if !slices.Contains(corsMethods, m) {
			c.say(at+".cors.allowMethods", strconv.Quote(m)+" is no method that CORS can allow.", "Write one of "+strings.Join(corsMethods, ", ")+".")
		}
	}
	for _, name := range slices.Concat(r.CORS.AllowHeaders, r.CORS.ExposeHeaders) {
		if !headerName.MatchString(name) {
			c.say(at+".cors", strconv.Quote(name)+" is no name of a header.", "Write one name an item, such as X-Request-Id, or *.")
		}
	}
}

// retryOn checks the words for when to try again.
func (c *checker) retryOn(at string, r *crd.Retries) {
	if r == nil || r.RetryOn == "" || r.Attempts == 0 {
		return
	}
	for word := range strings.SplitSeq(strings.ReplaceAll(r.RetryOn, " ", ""), ",") {
		if status, err := strconv.Atoi(word); !slices.Contains(retryWords, word) && (err != nil || !isStatus(status)) {
			c.say(at+".retryOn", strconv.Quote(word)+" is nothing that Istio tries again on.", "Write some of "+strings.Join(retryWords, ", ")+" and statuses such as 503, with commas between.")
		}
	}
}

// isStatus reports whether a status of HTTP is registered; Istio takes no other.
func isStatus(n int) bool {
	for _, span := range [][2]int{{100, 103}, {200, 208}, {226, 226}, {300, 305}, {307, 308}, {400, 418}, {421, 426}, {428, 429}, {431, 431}, {451, 451}, {500, 508}, {510, 511}} {
		if n >= span[0] && n <= span[1] {
			return true
		}
	}
	return false
}
