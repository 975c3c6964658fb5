package edge

import (
	"net/netip"
	"strings"

	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/field"
)

// The fields by which proxies say whom they speak for.
const (
	forwardedFor   = "X-Forwarded-For"
	forwardedProto = "X-Forwarded-Proto"
	forwardedHost  = "X-Forwarded-Host"
)

// peer is the other end of a connection.
type peer struct {
	addr  netip.Addr // invalid where it has none
	text  string     // of addr
	https bool       // it spoke TLS to us
}

// peerOf is the peer at an address and port.
func peerOf(remote string, https bool) peer {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return peer{https: https}
	}
	return peerAt(at.Addr(), https)
}

func peerAt(addr netip.Addr, https bool) peer {
	addr = addr.Unmap()
	return peer{addr: addr, text: addr.String(), https: https}
}

// origin is where a request comes from.
type origin struct {
	peer
	trusted bool   // the peer is a proxy whose word is believed
	https   bool   // the client spoke TLS, to us or to a trusted proxy
	client  string // address of the client, for the access log
}

func originOf(s *gateway.Snapshot, p peer, h field.Header) origin {
	o := origin{peer: p, https: p.https, client: p.text}
	if p.addr.IsValid() {
		o.trusted = s.Trusts(p.addr)
	}
	if o.trusted {
		if proto := field.First(h, forwardedProto); proto != "" {
			o.https = strings.EqualFold(proto, "https")
		}
		o.client = clientBehind(s, h.Values(forwardedFor), o.client)
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
func (o *origin) rewrite(h field.Header, host string) {
	h.DeleteAll(o)
	if o.addr.IsValid() {
		chain := o.text
		if before := strings.Join(h.Values(forwardedFor), ", "); before != "" {
			chain = before + ", " + chain
		}
		h.Set(forwardedFor, chain)
	}
	if field.First(h, forwardedProto) == "" {
		proto := "http"
		if o.https {
			proto = "https"
		}
		h.Set(forwardedProto, proto)
	}
	if field.First(h, forwardedHost) == "" && host != "" {
		h.Set(forwardedHost, host)
	}
}

// Has reports whether a field of the request says what o does not believe.
func (o *origin) Has(key string) bool {
	return strings.EqualFold(key, "Forwarded") || claimsOrigin(key) && (!o.trusted || strings.Contains(key, "_"))
}

// claimsOrigin reports whether a field says where a request comes from, with
// underscores for hyphens too.
func claimsOrigin(key string) bool {
	return field.FoldsToPrefix(key, "X-Forwarded-") || field.FoldsTo(key, "X-Real-Ip")
}
