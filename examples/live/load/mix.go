package load

import "math/rand/v2"

// Kind is one way of asking the fleet something.
type Kind int

// The kinds, by the services that one request of theirs crosses.
const (
	Path      Kind = iota // GET /path: web, api, gift, wallet
	Page                  // GET /: the same, and the page
	PostSmall             // POST /path with 256 bytes: the same
	PostLarge             // POST /path with 1 MiB: the same
	API                   // GET /api/path: api, gift, wallet
	Gift                  // POST /api/gift: the same, and a payout for the worker
	Upload                // POST /api/upload with 1 MiB: api
	Events                // GET /api/events, up to the first event: api
	Unary                 // gRPC Balance: wallet
	Watch                 // gRPC server stream of 3 messages: wallet
	Converse              // gRPC stream both ways of 3 messages: wallet
	Socket                // WebSocket opened, 3 pings, closed: chat
	kinds
)

// Kinds returns all kinds.
func Kinds() []Kind {
	all := make([]Kind, kinds)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// String names a kind in reports.
func (k Kind) String() string {
	if k < 0 || k >= kinds {
		return "unknown"
	}
	return [kinds]string{
		"GET /path", "GET /", "POST /path 256 B", "POST /path 1 MiB", "GET /api/path", "POST /api/gift",
		"POST /api/upload 1 MiB", "SSE /api/events", "gRPC unary", "gRPC server stream", "gRPC bidi stream", "WebSocket",
	}[k]
}

// Mix says how often each kind is sent, in parts of the sum of all.
type Mix [kinds]int

// DefaultMix sends mostly what is small, and every kind often enough to count.
func DefaultMix() Mix {
	return Mix{
		Path: 200, Page: 20, PostSmall: 100, PostLarge: 2, API: 100, Gift: 20,
		Upload: 2, Events: 10, Unary: 450, Watch: 30, Converse: 30, Socket: 20,
	}
}

func (m Mix) total() int {
	sum := 0
	for _, parts := range m {
		sum += parts
	}
	return sum
}

func (m Mix) pick(r *rand.Rand) Kind {
	n := r.IntN(m.total())
	for kind, parts := range m {
		if n -= parts; n < 0 {
			return Kind(kind)
		}
	}
	return Path // not reached: n is below the sum of all parts
}
