package main

import (
	"reflect"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// rules are what a type must meet beyond the bounds of its fields, for the API
// server to check. They say less than the operator's own checks, and never
// refuse what those accept.
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
			Rule:    "!has(self.edge.routes) || self.edge.routes.all(r, self.services.exists(s, s.name == r.service))",
			Message: "edge.routes names a service that the fleet does not have",
		}}
	case reflect.TypeFor[crd.Service]():
		return apiextensions.ValidationRules{{
			Rule:    "!has(self.fixed) || !self.fixed || !has(self.rollout)",
			Message: "a fixed service has no Rollout; remove one of the two",
		}, {
			Rule:    "!has(self.calls) || !(self.name in self.calls)",
			Message: "the service calls itself; remove it from calls",
		}}
	case reflect.TypeFor[crd.ReleaseSpec]():
		return apiextensions.ValidationRules{{
			Rule:    "!has(oldSelf.fleet) || has(self.fleet) && self.fleet == oldSelf.fleet",
			Message: "a release stays in its fleet; open another one",
		}}
	case reflect.TypeFor[crd.ReleaseService]():
		return apiextensions.ValidationRules{{
			Rule:    "!has(self.apply) || !self.apply || has(self.image)",
			Message: "with apply, image says what to run",
		}}
	case reflect.TypeFor[crd.Hook]():
		return apiextensions.ValidationRules{{
			Rule:    "has(self.job) != has(self.http)",
			Message: "a hook has either job or http",
		}}
	}
	return nil
}
