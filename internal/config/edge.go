package config

import (
	"crypto/tls"
	"net"
	"net/netip"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// The addresses and names that are taken when a document leaves them out.
const (
	defaultListen = "127.0.0.1:8080"
	defaultHeader = "X-Greenroom-Release"
	defaultSample = 0.01
)

const day = 24 * time.Hour

// edge completes and checks where outside traffic enters.
func (p *problems) edge(at path, e v1alpha1.Edge, services []string) fleet.Edge {
	out := fleet.Edge{
		Listen: defaultListen,
		AccessLog: fleet.AccessLog{
			Format: p.oneOf(at.field("accessLog").field("format"), e.AccessLog.Format, "json", "json", "text"),
			Errors: p.oneOf(at.field("accessLog").field("errors"), e.AccessLog.Errors, "all", "all", "none"),
			Sample: defaultSample,
		},
		SessionPinning: p.duration(at.field("sessionPinning"), e.SessionPinning, 0, limits{0, day}),
		ShowRelease:    e.ShowRelease,
		Badge:          e.Badge,
		TrustedProxies: p.networks(at.field("trustedProxies"), e.TrustedProxies),
		HTTP1:          fleet.HTTP1(p.oneOf(at.field("http1"), e.HTTP1, string(fleet.HTTP1Std), string(fleet.HTTP1Std), string(fleet.HTTP1Fast))),
	}
	if s := e.AccessLog.Sample; s != "" {
		share, err := s.Parse()
		if err != nil {
			p.at(at.field("accessLog").field("sample"), "write a share such as 1%", "%s", err)
		}
		out.AccessLog.Sample = share
	}
	if e.Listen != "" && p.hostPort(at.field("listen"), e.Listen, true) {
		out.Listen = e.Listen
	}
	if e.TLS != nil {
		tlsAt := at.field("tls")
		p.hostPort(tlsAt.field("listen"), e.TLS.Listen, true)
		out.TLS = &fleet.TLS{
			Listen:       e.TLS.Listen,
			Certificates: p.certificates(tlsAt.field("certificates"), e.TLS.Certificates),
		}
	}
	out.PublicURL = p.publicURL(at.field("publicURL"), e.PublicURL, out)
	out.Routes = p.routes(at.field("routes"), e.Routes, services)
	out.Hold = p.hold(at.field("hold"), e.Hold)
	return out
}

// api completes and checks where the API listens.
func (p *problems) api(at path, a v1alpha1.API) fleet.API {
	if a.Listen == "" {
		if a.TLS != nil {
			p.atKey(at.field("tls"), "write listen: host:port beside it", "`tls` without `listen`")
		}
		if a.OIDC != nil {
			p.atKey(at.field("oidc"), "write listen: host:port beside it", "`oidc` without `listen`: no browser would get to the dashboard")
		}
		return fleet.API{}
	}
	out := fleet.API{Listen: a.Listen, OIDC: p.oidc(at.field("oidc"), a.OIDC)}
	if !p.hostPort(at.field("listen"), a.Listen, true) {
		return out
	}
	if a.TLS != nil {
		out.TLS = &fleet.TLS{
			Listen:       a.Listen,
			Certificates: p.certificates(at.field("tls").field("certificates"), a.TLS.Certificates),
		}
	} else if !loopback(a.Listen) {
		p.at(at.field("listen"), "listen on 127.0.0.1, or give tls: {certificates: [...]}",
			"the API would send tokens in cleartext over the network")
	}
	return out
}

// apart checks that no two listeners want the same address.
func (p *problems) apart(f fleet.Fleet) {
	type listener struct {
		at   path
		addr string
	}
	all := []listener{{"spec.edge.listen", f.Edge.Listen}}
	if f.Edge.TLS != nil {
		all = append(all, listener{"spec.edge.tls.listen", f.Edge.TLS.Listen})
	}
	if f.API.Listen != "" {
		all = append(all, listener{"spec.api.listen", f.API.Listen})
	}
	for i, a := range all {
		for _, b := range all[:i] {
			if overlap(a.addr, b.addr) {
				p.at(a.at, "give it another port", "%s and %s both listen on %s", b.at[len("spec."):], a.at[len("spec."):], cut(a.addr))
			}
		}
		for n, s := range f.Services {
			at := path("spec.services").index(n).field("endpoints")
			for m, e := range s.First.Endpoints {
				if e == a.addr {
					p.at(at.index(m), "name where the service itself listens", "the endpoint `%s` is greenroom's own %s: requests would go in a circle", e, a.at[len("spec."):])
				}
			}
		}
	}
}

// overlap tells whether two listeners want the same port of the same host.
func overlap(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || wildcard(hostA) || wildcard(hostB) || loopback(a) && loopback(b) && (hostA == "localhost" || hostB == "localhost")
}

func wildcard(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "" || err == nil && a.IsUnspecified()
}

// certificates checks that certificates and keys are there and belong together.
func (p *problems) certificates(at path, list []v1alpha1.Certificate) []fleet.Certificate {
	if len(list) == 0 {
		p.at(at, "write certificates: [{certFile: ..., keyFile: ...}]", "there is no certificate")
	}
	var out []fleet.Certificate
	for i, c := range list {
		one := fleet.Certificate{
			CertFile: regular(p, at.index(i).field("certFile"), c.CertFile, p.src.dir),
			KeyFile:  regular(p, at.index(i).field("keyFile"), c.KeyFile, p.src.dir),
		}
		out = append(out, one)
		if one.CertFile == "" || one.KeyFile == "" {
			continue
		}
		if _, err := tls.LoadX509KeyPair(one.CertFile, one.KeyFile); err != nil {
			p.at(at.index(i), "both are PEM files, readable for greenroom, and the key is the certificate's",
				"the certificate cannot be used: %v", reason(err))
		}
	}
	return out
}

// networks reads CIDR prefixes and single addresses.
func (p *problems) networks(at path, list []string) []netip.Prefix {
	var out []netip.Prefix
	for i, s := range list {
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		n, err := netip.ParsePrefix(s)
		switch {
		case err != nil:
			p.at(at.index(i), "write a network such as 10.0.0.0/8, or an address", "`%s` is not a network", cut(s))
		case n != n.Masked():
			p.at(at.index(i), "did you mean `"+n.Masked().String()+"`?", "`%s` is an address within a network", s)
		default:
			out = append(out, n)
		}
	}
	return out
}

// publicURL checks what people type, or derives it from the listeners.
func (p *problems) publicURL(at path, s string, e fleet.Edge) string {
	if s == "" {
		if e.TLS != nil {
			return "https://" + reachable(e.TLS.Listen, "443")
		}
		return "http://" + reachable(e.Listen, "80")
	}
	u, err := url.Parse(s)
	hint := "write it such as https://live.example.com"
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		p.at(at, hint, "`%s` is not an http or https address", cut(s))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		p.at(at, hint, "`%s` is more than scheme, host and port", cut(u.Redacted()))
	default:
		return u.Scheme + "://" + u.Host
	}
	return ""
}

// reachable is the address under which a listener is reached from the same
// machine, without the port that its scheme has anyway.
func reachable(listen, usual string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if wildcard(host) {
		host = "localhost"
	}
	if port == usual {
		if strings.Contains(host, ":") {
			return "[" + host + "]"
		}
		return host
	}
	return net.JoinHostPort(host, port)
}

// stampHeader checks the header's name and writes it in canonical form.
func (p *problems) stampHeader(at path, s string) string {
	if s == "" {
		return defaultHeader
	}
	canon := textproto.CanonicalMIMEHeaderKey(s)
	taken := []string{"Authorization", "Baggage", "Connection", "Content-Length", "Content-Type", "Cookie", "Greenroom-Pass", "Host", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}
	switch {
	case !httpguts.ValidHeaderFieldName(s):
		p.at(at, "write a name such as "+defaultHeader, "`%s` is not a header's name", cut(s))
	case slices.Contains(taken, canon) || strings.HasPrefix(canon, "X-Forwarded-"):
		p.at(at, "write a name such as "+defaultHeader, "the header `%s` has another meaning", canon)
	default:
		return canon
	}
	return defaultHeader
}
