package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// maxName is how long names of fleets, services, releases and hooks may be:
// with a prefix and a suffix they still fit a DNS label.
const maxName = 40

// name checks the name of a fleet, a service, a release or a hook.
func (p *problems) name(where path, s string) bool {
	hint := "use lower-case letters, digits and dashes, at most " + strconv.Itoa(maxName)
	switch {
	case s == "":
		p.at(where, hint, "%s is empty", shown(where))
	case len(s) > maxName:
		p.at(where, hint, "the name `%s` is too long: %d characters", cut(s), len(s))
	case s[0] == '-' || s[len(s)-1] == '-' || strings.ContainsFunc(s, notLabel):
		p.at(where, hint, "`%s` is not a name", s)
	default:
		return true
	}
	return false
}

func notLabel(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
}

// cut shortens a text for a complaint.
func cut(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

// limits are what a duration may be, both included.
type limits struct{ least, most time.Duration }

// duration reads a duration, or takes what stands for one that is left out.
func (p *problems) duration(where path, d v1alpha1.Duration, left time.Duration, l limits) time.Duration {
	if d == "" {
		return left
	}
	t, err := d.Parse()
	if err != nil {
		p.at(where, durationHint(string(d)), "%s", err)
		return left
	}
	if t < l.least || t > l.most {
		p.at(where, "", "%s must be from %s to %s, not %s", shown(where),
			v1alpha1.DurationOf(l.least), v1alpha1.DurationOf(l.most), d)
		return left
	}
	return t
}

func durationHint(s string) string {
	s = strings.TrimSpace(s)
	for _, u := range []struct{ word, unit string }{
		{"milliseconds", "ms"}, {"seconds", "s"}, {"second", "s"}, {"secs", "s"}, {"sec", "s"},
		{"minutes", "m"}, {"minute", "m"}, {"mins", "m"}, {"min", "m"},
		{"hours", "h"}, {"hour", "h"}, {"days", "d"}, {"day", "d"}, {"", "s"},
	} {
		number, ok := strings.CutSuffix(s, u.word)
		number = strings.TrimSpace(number)
		if _, err := strconv.Atoi(number); ok && err == nil && !strings.HasPrefix(number, "-") {
			return fmt.Sprintf("did you mean `%s%s`?", number, u.unit)
		}
	}
	return "write a number and a unit: ms, s, m, h or d, such as 30s"
}

// whole reads a whole number, or takes what stands for one that is left out.
func (p *problems) whole(where path, n *int, left, least, most int) int {
	if n == nil {
		return left
	}
	if *n < least || *n > most {
		p.at(where, "", "%s must be from %d to %d, not %d", shown(where), least, most, *n)
		return left
	}
	return *n
}

// oneOf reads a word, or takes what stands for one that is left out.
func (p *problems) oneOf(where path, s, left string, words ...string) string {
	if s == "" {
		return left
	}
	if !slices.Contains(words, s) {
		p.at(where, did(s, words), "%s cannot be `%s`", shown(where), cut(s))
		return left
	}
	return s
}

// hostPort checks host:port; a listener may leave the host out and take port 0.
func (p *problems) hostPort(where path, s string, listener bool) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		hint := "write host:port, such as 127.0.0.1:8080"
		if _, err := strconv.ParseUint(s, 10, 16); err == nil {
			hint = fmt.Sprintf("did you mean `127.0.0.1:%s`?", s)
		} else if strings.Contains(s, "://") {
			hint = "leave out " + s[:strings.Index(s, "://")+3] + " and any path"
		}
		p.at(where, hint, "`%s` is not host:port", cut(s))
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 && !listener {
		p.at(where, "ports are 1 to 65535", "`%s` has no usable port", cut(s))
		return false
	}
	if host == "" && listener {
		return true
	}
	if _, err := netip.ParseAddr(host); err != nil && !hostName(host) {
		p.at(where, "write a host name or an address", "`%s` has no usable host", cut(s))
		return false
	}
	return true
}

// hostName tells whether s can be a host's name.
func hostName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.ToLower(strings.TrimSuffix(s, ".")), ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.ContainsFunc(label, func(r rune) bool { return notLabel(r) && r != '_' }) {
			return false
		}
	}
	return true
}

// loopback tells whether a listener at host:port is for this machine alone.
func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback() || host == "localhost"
}

// env checks names and values of environment variables and drops removed ones.
func (p *problems) env(where path, env map[string]*string, reserved map[string]bool) {
	for key, value := range env {
		at := where.field(key)
		switch {
		case key == "" || strings.ContainsAny(key, "=\x00 \t\n"):
			p.atKey(at, "use letters, digits and _", "`%s` is not a name of an environment variable", cut(key))
		case key == "PORT":
			p.atKey(at, "greenroom sets it to the port to listen on", "PORT is reserved")
		case strings.HasPrefix(key, "GREENROOM_"):
			p.atKey(at, "use another prefix", "names that begin with GREENROOM_ are reserved")
		case reserved[key]:
			p.atKey(at, "greenroom sets it to where the service is reached", "%s is reserved", key)
		case value != nil && strings.ContainsRune(*value, 0):
			p.at(at, "", "`%s` holds a zero byte", key)
		}
	}
}

// addressNames are the environment variables that tell services where the
// others are.
func addressNames(services []string) map[string]bool {
	out := map[string]bool{}
	for _, s := range services {
		upper := strings.ToUpper(strings.ReplaceAll(s, "-", "_"))
		out[upper+"_SERVICE_HOST"] = true
		out[upper+"_SERVICE_PORT"] = true
	}
	return out
}

// serviceNames lists a fleet's services for suggestions.
func serviceNames(f fleet.Fleet) []string {
	out := make([]string, len(f.Services))
	for i, s := range f.Services {
		out[i] = s.Name
	}
	return out
}
