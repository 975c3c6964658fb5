package main

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// rules are what a type must meet beyond the bounds of its fields, for the API
// server to check. They say less than the operator's own checks, and never
// refuse what those accept. Those about one of many say which it is: what the
// API server adds by itself is a place by number. The message without a name is
// for an API server that cannot make the other one.
func rules(t reflect.Type) apiextensions.ValidationRules {
	named := apiextensions.ValidationRule{
		Rule:    "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 40",
		Message: "the name must be lower-case letters, digits and dashes, at most 40 characters",
	}
	switch t {
	case reflect.TypeFor[crd.Fleet]():
		return apiextensions.ValidationRules{named}
	case reflect.TypeFor[crd.Release]():
		return apiextensions.ValidationRules{named, {
			Rule: "self.metadata.name != 'baseline'", Message: "baseline is what served before the first release; give it another name",
		}}
	case reflect.TypeFor[crd.FleetSpec]():
		return apiextensions.ValidationRules{{
			Rule:    "size(self.services) == 1 || has(self.edge.routes) && size(self.edge.routes) > 0",
			Message: "a fleet of several services needs edge.routes, such as [{service: web}]",
		}, {
			Rule:              "!has(self.edge.routes) || [self.services.map(s, s.name)].all(names, self.edge.routes.all(r, r.service in names))",
			Message:           "edge.routes names a service that the fleet does not have",
			MessageExpression: unknownRoute(),
		}}
	case reflect.TypeFor[crd.Service]():
		return apiextensions.ValidationRules{{
			Rule:              "!has(self.fixed) || !self.fixed || !has(self.rollout)",
			Message:           "a fixed service has no Rollout; remove one of the two",
			MessageExpression: "self.name + ' is a fixed service, and has the Rollout ' + self.rollout + '; remove one of the two'",
		}, {
			Rule:              "!has(self.calls) || !(self.name in self.calls)",
			Message:           "the service calls itself; remove it from calls",
			MessageExpression: "self.name + ' calls itself; remove it from calls'",
		}}
	case reflect.TypeFor[crd.ReleaseSpec]():
		return apiextensions.ValidationRules{{
			Rule:              "!has(oldSelf.fleet) || has(self.fleet) && self.fleet == oldSelf.fleet",
			Message:           "a release stays in its fleet; open another one",
			MessageExpression: "'the release stays in the fleet ' + oldSelf.fleet + '; open another one'",
		}}
	case reflect.TypeFor[crd.ReleaseService]():
		return apiextensions.ValidationRules{{
			Rule:              "!has(self.apply) || !self.apply || has(self.image)",
			Message:           "with apply, image says what to run",
			MessageExpression: "'with apply, image says what to run: ' + self.name + ' has none'",
		}}
	case reflect.TypeFor[v1alpha1.Freeze]():
		return apiextensions.ValidationRules{{
			Rule:              "has(self.weekly) ? !has(self.from) && !has(self.to) : has(self.from) && has(self.to)",
			Message:           "a freeze is once, with from and to, or weekly",
			MessageExpression: "'the freeze ' + self.name + ' is once, with from and to, or weekly'",
		}, {
			Rule:              "!has(self.weekly) || self.weekly.from != self.weekly.to",
			Message:           "the freeze ends when it begins",
			MessageExpression: "'the freeze ' + self.name + ' ends when it begins: ' + self.weekly.to",
		}}
	case reflect.TypeFor[crd.Notification]():
		return apiextensions.ValidationRules{{
			Rule:              "has(self.url) || has(self.secret)",
			Message:           "a notification needs its address: url, or a secret that has it",
			MessageExpression: "'the notification ' + self.name + ' needs its address: url, or a secret that has it'",
		}}
	case reflect.TypeFor[v1alpha1.Stamp]():
		return apiextensions.ValidationRules{{
			Rule: "!has(self.header) || !(self.header.lowerAscii() in ['authorization', 'baggage', 'connection', 'content-length', " +
				"'content-type', 'cookie', 'greenroom-pass', 'host', 'te', 'trailer', 'transfer-encoding', 'upgrade']) && " +
				"!self.header.lowerAscii().startsWith('x-forwarded-')",
			Message:           "the header has another meaning; write a name such as X-Greenroom-Release",
			MessageExpression: "'the header ' + self.header + ' has another meaning; write a name such as X-Greenroom-Release'",
		}}
	case reflect.TypeFor[crd.Hook]():
		return apiextensions.ValidationRules{{
			Rule:              "[has(self.job), has(self.http), has(self.analysis)].filter(one, one).size() == 1",
			Message:           "a hook has one of job, http and analysis",
			MessageExpression: "'the hook ' + self.name + ' has one of job, http and analysis'",
		}}
	}
	return nil
}

// unknownRoute is the expression that says of a Fleet's first route to a service
// that there is not, which it is and what it names. The names of the services
// are made once, as the only member of a list, and texts are joined outside of
// the loops: the API server takes an expression by what it may cost with as many
// services and routes as a Fleet can have.
func unknownRoute() string {
	first := func(what string) string {
		return "self.edge.routes.map(r, !(r.service in names), " + what + ")[0]"
	}
	return "[self.services.map(s, s.name)].map(names, 'edge.routes: the route of ' + " + first("has(r.host) ? r.host : ''") + " + " +
		first("has(r.path) && r.path != '' ? r.path : '/'") + " + ' names the service ' + " + first("r.service") + " + ', which the fleet does not have')[0]"
}

// between is the rule for a duration with bounds, given as the least and the
// most. CEL knows no days.
func between(bounds string) apiextensions.ValidationRules {
	least, most, _ := strings.Cut(bounds, ",")
	parse := func(d string) time.Duration {
		t, err := v1alpha1.Duration(d).Parse()
		if err != nil {
			panic("gen: bounds " + bounds + ": " + err.Error())
		}
		return t
	}
	const days = "double(self.substring(0, self.indexOf('d'))) * 86400.0 + double(duration('0s' + self.substring(self.indexOf('d') + 1)).getSeconds())"
	return apiextensions.ValidationRules{{
		Rule: fmt.Sprintf("self == '' || (self.contains('d') ? %[1]s >= %.3[2]f && %[1]s <= %.3[3]f : duration(self) >= duration('%.3[2]fs') && duration(self) <= duration('%.3[3]fs'))",
			days, parse(least).Seconds(), parse(most).Seconds()),
		Message: fmt.Sprintf("it must be from %s to %s", least, most),
	}}
}
