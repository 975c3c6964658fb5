package gateway

import (
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// MaxHeaderFields bounds how many header fields a request may have, each value
// counted.
const MaxHeaderFields = 200

// Refusal returns the code under which a request is refused whatever it asks
// for, "" for one that may go on: methods and upgrades that would make the
// gateway a tunnel or an echo, and too many header fields.
func Refusal(r *Request) Code {
	switch r.Method {
	case http.MethodConnect, http.MethodTrace:
		return CodeMethodRefused
	}
	if !httpguts.ValidHeaderFieldName(r.Method) { // a token too; HTTP/2 does not check it
		return CodeMethodRefused
	}
	if upgrade := r.Header.Values("Upgrade"); len(upgrade) > 0 && httpguts.HeaderValuesContainsToken(upgrade, "h2c") ||
		len(r.Header.Values("Http2-Settings")) > 0 {
		return CodeUpgradeRefused
	}
	if r.Fields > MaxHeaderFields {
		return CodeTooManyFields
	}
	return ""
}

// ValidHost reports whether a Host is a name or an address, with or without a
// port, and nothing that another server could read as something else.
func ValidHost(host string) bool {
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	return host != "" && len(host) <= 261 && !strings.ContainsAny(host, "@/\\?#,;!$&'()*+=%\"<>`{}|^") && !strings.ContainsFunc(host, odd)
}

// BoundBody gives the rest of a body that nobody reads so long to come. It is for
// requests that are refused, before they are answered: net/http reads what is
// left before it sends the answer, and before it takes the connection's next
// request, however long that takes.
func BoundBody(w http.ResponseWriter, r *http.Request, within time.Duration) {
	if r.ProtoMajor == 1 && r.Body != nil && r.Body != http.NoBody {
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(within))
	}
}
