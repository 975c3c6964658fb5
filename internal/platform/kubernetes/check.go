package kubernetes

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// Check finds what is wrong with a Fleet that the API server lets pass: bounds
// of durations, and what speaks of two things at once. Its conditions are of
// type Invalid.
func Check(f *crd.Fleet) []Condition {
	c := &checker{}
	names := make([]string, len(f.Spec.Services))
	for i, s := range f.Spec.Services {
		names[i] = s.Name
	}
	if len(names) == 0 {
		c.say("spec.services", "a fleet has at least one service.", "Write services: [{name: web}].")
	}
	called := make(map[string]string, len(names)) // by Kubernetes Service
	for i, s := range f.Spec.Services {
		at := fmt.Sprintf("spec.services[%d]", i)
		if slices.Contains(names[:i], s.Name) {
			c.say(at, "there are two services called "+s.Name+".", "Give one another name.")
		}
		if o, taken := called[serviceName(s)]; taken && o != s.Name {
			c.say(at, o+" and "+s.Name+" are both the Kubernetes Service "+serviceName(s)+", and Istio routes calls to it for one of them alone.", "Name another one in service:, or leave one of the two out.")
		}
		called[serviceName(s)] = s.Name
		for _, callee := range s.Calls {
			if !slices.Contains(names, callee) {
				c.say(at+".calls", "no service is called "+callee+".", "Name one of the fleet's: "+strings.Join(names, ", ")+".")
			}
		}
		c.duration(at+".drain", s.Drain, 0, day)
		c.duration(at+".timeout", s.Timeout, 0, day)
		c.retries(at+".retries", s.Retries)
	}
	c.edge(f.Spec.Edge, names)
	c.duration("spec.quiet", f.Spec.Quiet, time.Second, time.Hour)
	c.rules("spec.release", f.Spec.Release)
	c.notifications("spec.notify", f.Spec.Notify)
	return c.found
}

const day = 24 * time.Hour

type checker struct{ found []Condition }

func (c *checker) say(at, message, remedy string) {
	c.found = append(c.found, Condition{Type: Invalid, Object: at, Message: message, Remedy: remedy, Blocks: true})
}

func (c *checker) edge(e crd.Edge, services []string) {
	if len(e.Gateways) == 0 {
		c.say("spec.edge.gateways", "a fleet has at least one gateway.", "Write gateways: [{name: istio-ingress/public, hosts: [...], selector: {istio: ingress}}].")
	}
	for i, g := range e.Gateways {
		at := fmt.Sprintf("spec.edge.gateways[%d]", i)
		if len(g.Selector) == 0 {
			c.say(at+".selector", "it is empty.", "Write the labels of the gateway's pods, as in the Gateway's spec.selector.")
		}
		if len(g.Hosts) == 0 {
			c.say(at+".hosts", "it is empty.", "Write the fleet's hosts there.")
		}
		c.gateway(at, g)
		for _, h := range g.Hosts {
			if h == "*" {
				c.say(at+".hosts", "* takes every host, and passes would be sent to all of them.", "Name the fleet's own hosts.")
			}
		}
	}
	if len(e.Routes) == 0 && len(services) > 1 {
		c.say("spec.edge.routes", "a fleet of several services needs routes.", "Write edge: {routes: [{service: "+services[0]+"}]}.")
	}
	for i, r := range e.Routes {
		at := fmt.Sprintf("spec.edge.routes[%d]", i)
		if !slices.Contains(services, r.Service) {
			c.say(at+".service", "no service is called "+r.Service+".", "Name one of the fleet's: "+strings.Join(services, ", ")+".")
		}
		if n := slices.IndexFunc(e.Routes[:i], func(earlier crd.Route) bool { return takesAll(earlier, r) }); n >= 0 {
			c.say(at, fmt.Sprintf("it is never reached: route %d matches all of its requests.", n), "Move it up, or remove one of the two.")
		}
		c.duration(at+".timeout", r.Timeout, 0, day)
		c.retries(at+".retries", r.Retries)
		c.route(at, r)
		if r.CORS != nil {
			c.duration(at+".cors.maxAge", r.CORS.MaxAge, 0, 30*day)
		}
	}
	c.duration("spec.edge.sessionPinning", e.SessionPinning, 0, day)
	if e.AccessLog != nil && e.AccessLog.Sample != "" {
		if _, err := e.AccessLog.Sample.Parse(); err != nil {
			c.say("spec.edge.accessLog.sample", err.Error()+".", "Write a share such as 1%.")
		}
	}
	if e.PublicURL != "" {
		u, err := url.Parse(e.PublicURL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
			c.say("spec.edge.publicURL", "it is not scheme, host and port.", "Write it such as https://live.example.com.")
		}
	}
}

// takesAll reports whether every request of b matches a.
func takesAll(a, b crd.Route) bool {
	hostA, hostB := strings.ToLower(strings.TrimSuffix(a.Host, ".")), strings.ToLower(strings.TrimSuffix(b.Host, "."))
	pathA, pathB := strings.TrimSuffix(a.Path, "/"), strings.TrimSuffix(b.Path, "/")
	host := hostA == "" || hostA == hostB || strings.HasPrefix(hostA, "*.") && strings.HasSuffix(hostB, hostA[1:])
	path := pathA == pathB || strings.HasPrefix(pathB, pathA+"/")
	methods := len(a.Methods) == 0 || len(b.Methods) > 0 &&
		!slices.ContainsFunc(b.Methods, func(m string) bool { return !slices.Contains(a.Methods, m) })
	return host && path && methods
}

// CheckRelease finds what is wrong between a Release and its Fleet, which the
// API server does not compare. Its conditions are of type Invalid.
func CheckRelease(r *crd.Release, f *crd.Fleet) []Condition {
	c := &checker{}
	if r.Spec.Fleet != "" && r.Spec.Fleet != f.Name {
		c.say("spec.fleet", "it names "+r.Spec.Fleet+", and the Fleet here is "+f.Name+".", "Leave it out, or name that one.")
	}
	for i, s := range r.Spec.Services {
		at := fmt.Sprintf("spec.services[%d].name", i)
		switch known, ok := serviceOf(f, s.Name); {
		case !ok:
			c.say(at, "fleet "+f.Name+" has no service "+s.Name+".", "Name one of the fleet's.")
		case known.Fixed:
			c.say(at, s.Name+" is fixed: it has no Rollout, and no release can name it.", "Leave it out, or give it a Rollout.")
		case slices.ContainsFunc(r.Spec.Services[:i], func(o crd.ReleaseService) bool { return o.Name == s.Name }):
			c.say(at, s.Name+" is given twice.", "Remove one of the two.")
		}
	}
	c.duration("spec.rollbackWindow", r.Spec.RollbackWindow, 0, 30*day)
	c.duration("spec.keep", r.Spec.Keep, time.Minute, 30*day)
	return c.found
}

func (c *checker) retries(at string, r *crd.Retries) {
	if r != nil {
		c.duration(at+".perTryTimeout", r.PerTryTimeout, time.Millisecond, day)
	}
	c.retryOn(at, r)
}

// duration checks a length of time that may be left out.
func (c *checker) duration(at string, d v1alpha1.Duration, least, most time.Duration) {
	if d == "" {
		return
	}
	switch t, err := d.Parse(); {
	case err != nil:
		c.say(at, err.Error()+".", "Write a number and a unit: ms, s, m, h or d, such as 30s.")
	case t < least || t > most:
		c.say(at, fmt.Sprintf("it must be from %s to %s, not %s.", v1alpha1.DurationOf(least), v1alpha1.DurationOf(most), d), "")
	}
}
