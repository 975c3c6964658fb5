package propagate

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

const (
	urlVariable   = "GREENROOM_URL_"
	hostsVariable = "GREENROOM_FLEET_HOSTS"
)

// Hosts are the addresses at which services of the fleet are called, and so the
// only ones that ever see a stamp. The zero value has none.
type Hosts struct {
	endpoints map[string]struct{} // host:port
	names     map[string]struct{} // host, at any port
	suffixes  []string            // with the leading dot
}

// ParseHosts reads patterns of hosts:
//
//	wallet               that host at any port
//	127.1.2.3:20001      that host at that port
//	*.svc.cluster.local  every host below that domain, at any port
//
// A lone "*" is refused, as it would show the stamp to third parties. The error
// names every pattern that is none of these; the hosts hold the others.
func ParseHosts(patterns ...string) (Hosts, error) {
	var h Hosts
	var errs []error
	for _, p := range patterns {
		if err := h.add(p); err != nil {
			errs = append(errs, err)
		}
	}
	return h, errors.Join(errs...)
}

// HostsFromEnviron collects the hosts that greenroom tells a service of, from
// entries of the form "key=value" as [os.Environ] returns them:
//
//   - GREENROOM_URL_<SERVICE>, the URL of each service;
//   - <SERVICE>_SERVICE_HOST and <SERVICE>_SERVICE_PORT, where the URL of the
//     same service is there too: by themselves such names prove nothing, as
//     anybody may call a variable STRIPE_SERVICE_HOST;
//   - GREENROOM_FLEET_HOSTS, patterns as for [ParseHosts] separated by commas.
//
// The error names every value that could not be read; the hosts hold the others.
func HostsFromEnviron(environ []string) (Hosts, error) {
	var h Hosts
	var errs []error
	env := make(map[string]string, len(environ))
	for _, entry := range environ {
		if key, value, ok := strings.Cut(entry, "="); ok {
			env[key] = value
		}
	}
	for key, value := range env {
		service, ok := strings.CutPrefix(key, urlVariable)
		if !ok || service == "" {
			continue
		}
		if err := h.addURL(value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
		host, port := env[service+"_SERVICE_HOST"], env[service+"_SERVICE_PORT"]
		if host != "" && port != "" {
			h.addEndpoint(host, port)
		}
	}
	for pattern := range strings.SplitSeq(env[hostsVariable], ",") {
		if pattern = strings.TrimSpace(pattern); pattern == "" {
			continue
		}
		if err := h.add(pattern); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", hostsVariable, err))
		}
	}
	return h, errors.Join(errs...)
}

// Contains reports whether a call to hostport, as in [url.URL.Host], stays in
// the fleet. Where hostport has no port it is that of the scheme: 80 for http,
// else 443.
func (h Hosts) Contains(scheme, hostport string) bool {
	if _, ok := h.endpoints[hostport]; ok {
		return true
	}
	if len(h.endpoints) == 0 && len(h.names) == 0 && len(h.suffixes) == 0 {
		return false
	}
	host, port := splitHostPort(hostport)
	if port == "" {
		port = defaultPort(scheme)
	}
	host = normalHost(host)
	if _, ok := h.names[host]; ok {
		return true
	}
	for _, s := range h.suffixes {
		if len(host) > len(s) && strings.HasSuffix(host, s) {
			return true
		}
	}
	_, ok := h.endpoints[net.JoinHostPort(host, port)]
	return ok
}

func (h *Hosts) add(pattern string) error {
	if strings.ContainsAny(pattern, "/ \t@") {
		return fmt.Errorf("host pattern %q: want a host, host:port or *.domain, without a scheme or path", pattern)
	}
	if domain, ok := strings.CutPrefix(pattern, "*."); ok && domain != "" && !strings.ContainsAny(domain, "*:") {
		h.suffixes = append(h.suffixes, "."+normalHost(domain))
		return nil
	}
	if pattern == "" || strings.Contains(pattern, "*") {
		return fmt.Errorf("host pattern %q: a star stands only in front of a domain, as in *.svc.cluster.local", pattern)
	}
	host, port := splitHostPort(pattern)
	if host == "" {
		return fmt.Errorf("host pattern %q: the host is missing", pattern)
	}
	if port != "" {
		h.addEndpoint(host, port)
		return nil
	}
	if h.names == nil {
		h.names = make(map[string]struct{})
	}
	h.names[normalHost(host)] = struct{}{}
	return nil
}

func (h *Hosts) addURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return fmt.Errorf("reading the URL of a service: %w", err)
	}
	if u.Hostname() == "" {
		return fmt.Errorf("%q is no URL with a host, such as http://127.1.2.3:20001", raw)
	}
	port := u.Port()
	if port == "" {
		port = defaultPort(u.Scheme)
	}
	h.addEndpoint(u.Hostname(), port)
	return nil
}

func (h *Hosts) addEndpoint(host, port string) {
	if h.endpoints == nil {
		h.endpoints = make(map[string]struct{})
	}
	h.endpoints[net.JoinHostPort(normalHost(host), port)] = struct{}{}
}

// join returns the hosts of both.
func (h Hosts) join(other Hosts) Hosts {
	out := Hosts{
		endpoints: make(map[string]struct{}, len(h.endpoints)+len(other.endpoints)),
		names:     make(map[string]struct{}, len(h.names)+len(other.names)),
		suffixes:  slices.Concat(h.suffixes, other.suffixes),
	}
	for _, one := range []Hosts{h, other} {
		for k := range one.endpoints {
			out.endpoints[k] = struct{}{}
		}
		for k := range one.names {
			out.names[k] = struct{}{}
		}
	}
	return out
}

// splitHostPort is net.SplitHostPort for what may have no port; the host comes
// without brackets.
func splitHostPort(hostport string) (host, port string) {
	if strings.HasPrefix(hostport, "[") {
		end := strings.IndexByte(hostport, ']')
		if end < 0 {
			return "", ""
		}
		return hostport[1:end], strings.TrimPrefix(hostport[end+1:], ":")
	}
	colon := strings.LastIndexByte(hostport, ':')
	if colon < 0 || strings.IndexByte(hostport, ':') != colon {
		return hostport, "" // a name, or an IPv6 address without brackets
	}
	return hostport[:colon], hostport[colon+1:]
}

func normalHost(host string) string {
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func defaultPort(scheme string) string {
	if scheme == "http" {
		return "80"
	}
	return "443"
}
