package edge

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/greenroom-dev/greenroom/internal/gateway"
)

// The fields by which proxies say whom they speak for.
const (
	forwardedFor   = "X-Forwarded-For"
	forwardedProto = "X-Forwarded-Proto"
	forwardedHost  = "X-Forwarded-Host"
)

// origin is where a request comes from.
type origin struct {
	peer    netip.Addr // of the connection; invalid where it has none
	trusted bool       // the peer is a proxy whose word is believed
	https   bool       // the client spoke TLS, to us or to a trusted proxy
	client  string     // address of the client, for the access log
}

func originOf(s *gateway.Snapshot, r *http.Request) origin {
	o := origin{https: r.TLS != nil}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		o.peer = peer.Addr().Unmap()
		o.client = o.peer.String()
		o.trusted = s.Trusts(o.peer)
	}
	if o.trusted {
		if proto := r.Header.Get(forwardedProto); proto != "" {
			o.https = strings.EqualFold(proto, "https")
		}
		o.client = clientBehind(s, r.Header[forwardedFor], o.client)
	}
	return o
}

// clientBehind returns the last address that no trusted proxy stands at.
func clientBehind(s *gateway.Snapshot, lines []string, peer string) string {
	chain := strings.Split(strings.Join(lines, ","), ",")
	for i := len(chain) - 1; i >= 0; i-- {
		addr, err := netip.ParseAddr(strings.TrimSpace(chain[i]))
		if err != nil {
			return peer
		}
		if peer = addr.Unmap().String(); !s.Trusts(addr) {
			return peer
		}
	}
	return peer
}

// rewrite says to the service whom the edge speaks for. What an untrusted peer
// says about that is taken out, and so is Forwarded: keeping two accounts in
// step is nobody's job here.
func (o origin) rewrite(h http.Header, r *http.Request) {
	for key := range h {
		if strings.EqualFold(key, "Forwarded") || claimsOrigin(key) && (!o.trusted || strings.Contains(key, "_")) {
			delete(h, key)
		}
	}
	if o.peer.IsValid() {
		chain := o.peer.String()
		if before := strings.Join(h[forwardedFor], ", "); before != "" {
			chain = before + ", " + chain
		}
		h[forwardedFor] = []string{chain}
	}
	if h.Get(forwardedProto) == "" {
		h[forwardedProto] = []string{"http"}
		if o.https {
			h[forwardedProto] = []string{"https"}
		}
	}
	if h.Get(forwardedHost) == "" && r.Host != "" {
		h[forwardedHost] = []string{r.Host}
	}
}

// claimsOrigin reports whether a field says where a request comes from, with
// underscores for hyphens too.
func claimsOrigin(key string) bool {
	key = strings.ReplaceAll(strings.ToLower(key), "_", "-")
	return strings.HasPrefix(key, "x-forwarded-") || key == "x-real-ip"
}
