package propagate

import (
	"context"
	"strings"
)

const (
	// Header carries the stamp between services unless the fleet names another
	// header, which its services learn from GREENROOM_STAMP_HEADER.
	Header = "X-Greenroom-Release"

	// Member is the key of the W3C baggage member that carries the stamp too, so
	// that services which only know OpenTelemetry pass it on.
	Member = "greenroom.release"

	// BaggageKey is the key of W3C baggage in carriers, spelled as OpenTelemetry
	// spells it, since the keys of a message need not be the same for both cases.
	BaggageKey = "baggage"

	baggageHeader = "Baggage" // the same in the form of http.Header

	maxStamp = 128
)

// StampFrom returns the stamp that ctx carries, such as "r42", or "" when it
// carries none.
func StampFrom(ctx context.Context) string {
	if c := carriedFrom(ctx); c != nil {
		return c.stamp
	}
	return ""
}

// WithStamp returns a copy of ctx that carries stamp and, beside it, the baggage
// that ctx carried. What is not a stamp counts as none: a stamp has 1 to 128
// letters, digits, dots, hyphens and underscores. An empty stamp makes the calls
// under the context unstamped.
//
// A service seldom needs it: the middleware sets the stamp. It is for work that
// got its stamp by a way of its own.
func WithStamp(ctx context.Context, stamp string) context.Context {
	if !validStamp(stamp) {
		stamp = ""
	}
	var baggage string
	if c := carriedFrom(ctx); c != nil {
		baggage = c.baggage
	}
	return &carryingContext{Context: ctx, carried: carry(stamp, baggage)}
}

// carried is what travels with a request: its stamp and the whole baggage with
// the stamp's member in it, ready to be sent.
type carried struct {
	stamp   string
	baggage string
}

func carry(stamp, baggage string) carried {
	return carried{stamp: stamp, baggage: rewriteBaggage(baggage, stamp)}
}

type carriedKey struct{}

// carryingContext is a context.WithValue that holds its value by itself, which
// saves an allocation on each request.
type carryingContext struct {
	context.Context
	carried carried
}

func (c *carryingContext) Value(key any) any {
	if key == (carriedKey{}) {
		return &c.carried
	}
	return c.Context.Value(key)
}

// carriedFrom returns nil when nothing was put into ctx.
func carriedFrom(ctx context.Context) *carried {
	c, _ := ctx.Value(carriedKey{}).(*carried)
	return c
}

// readStamp returns the stamp in a header's value, or "". Of a list, which
// arises when a service adds the header where it should have set it, the first
// counts.
func readStamp(value string) string {
	if value == "" {
		return ""
	}
	first, _, _ := strings.Cut(value, ",")
	if first = trimOWS(first); validStamp(first) {
		return first
	}
	return ""
}

// validStamp keeps stamps to characters that need no escaping in a header, in
// baggage or in gRPC metadata.
func validStamp(s string) bool {
	if s == "" || len(s) > maxStamp {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
