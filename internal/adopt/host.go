package adopt

import "strings"

// named is a Service by namespace and name.
type named struct{ namespace, name string }

// serviceOf reads a host as Istio does: a short one stands for a Service in the
// namespace of the object that it stands in. False for what is no Service.
func serviceOf(host, namespace string) (named, bool) {
	if host == "" || strings.Contains(host, "*") {
		return named{}, false
	}
	name, rest, dotted := strings.Cut(host, ".")
	if !dotted {
		return named{namespace, host}, true
	}
	in, rest, _ := strings.Cut(rest, ".")
	if rest != "svc" && !strings.HasPrefix(rest, "svc.") {
		return named{}, false
	}
	return named{in, name}, true
}
