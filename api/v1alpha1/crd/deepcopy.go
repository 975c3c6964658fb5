package crd

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
)

// What a client's cache hands out must never be changed; every reader that
// wants to changes a copy. A test fills every field and finds what a copy
// shares.

// DeepCopy returns a copy that shares nothing with f.
func (f *Fleet) DeepCopy() *Fleet {
	if f == nil {
		return nil
	}
	out := *f
	f.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Spec = f.Spec.deepCopy()
	out.Status = f.Status.deepCopy()
	return &out
}

// DeepCopyObject returns DeepCopy.
func (f *Fleet) DeepCopyObject() runtime.Object { return f.DeepCopy() }

// DeepCopyObject returns a copy that shares nothing with l.
func (l *FleetList) DeepCopyObject() runtime.Object {
	out := *l
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	out.Items = copied(l.Items, func(f Fleet) Fleet { return *f.DeepCopy() })
	return &out
}

func (s FleetSpec) deepCopy() FleetSpec {
	s.Edge = s.Edge.deepCopy()
	s.Services = copied(s.Services, func(one Service) Service {
		one.Calls = slices.Clone(one.Calls)
		one.Retries = pointed(one.Retries)
		return one
	})
	s.History = pointed(s.History)
	s.Release.Checklist = slices.Clone(s.Release.Checklist)
	s.Release.Freezes = copied(s.Release.Freezes, func(f v1alpha1.Freeze) v1alpha1.Freeze {
		f.Weekly = pointed(f.Weekly)
		return f
	})
	s.Notify = copied(s.Notify, func(n Notification) Notification {
		n.Events, n.Tags = slices.Clone(n.Events), slices.Clone(n.Tags)
		return n
	})
	return s
}

func (e Edge) deepCopy() Edge {
	e.Gateways = copied(e.Gateways, func(g Gateway) Gateway {
		g.Hosts = slices.Clone(g.Hosts)
		g.Selector = maps.Clone(g.Selector)
		g.Ports = slices.Clone(g.Ports)
		return g
	})
	if e.AccessLog = pointed(e.AccessLog); e.AccessLog != nil {
		e.AccessLog.Providers = slices.Clone(e.AccessLog.Providers)
	}
	e.Routes = copied(e.Routes, func(r Route) Route {
		r.Methods = slices.Clone(r.Methods)
		r.Retries = pointed(r.Retries)
		if r.CORS != nil {
			r.CORS = r.CORS.deepCopy()
		}
		return r
	})
	return e
}

func (c *CORS) deepCopy() *CORS {
	out := *c
	out.AllowOrigins = slices.Clone(c.AllowOrigins)
	out.AllowMethods = slices.Clone(c.AllowMethods)
	out.AllowHeaders = slices.Clone(c.AllowHeaders)
	out.ExposeHeaders = slices.Clone(c.ExposeHeaders)
	out.AllowCredentials = pointed(c.AllowCredentials)
	return &out
}

func (s FleetStatus) deepCopy() FleetStatus {
	s.Serving.Since = s.Serving.Since.DeepCopy()
	s.Serving.Until = s.Serving.Until.DeepCopy()
	s.State = s.State.DeepCopy()
	s.Events = slices.Clone(s.Events)
	s.Conditions = slices.Clone(s.Conditions)
	return s
}

// DeepCopy returns a copy that shares nothing with r.
func (r *Release) DeepCopy() *Release {
	if r == nil {
		return nil
	}
	out := *r
	r.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Spec.Services = slices.Clone(r.Spec.Services)
	out.Spec.Checklist = slices.Clone(r.Spec.Checklist)
	out.Spec.Hooks = r.Spec.Hooks.deepCopy()
	out.Status.Since = r.Status.Since.DeepCopy()
	out.Status.Until = r.Status.Until.DeepCopy()
	out.Status.Versions = slices.Clone(r.Status.Versions)
	out.Status.Conditions = slices.Clone(r.Status.Conditions)
	return &out
}

// DeepCopyObject returns DeepCopy.
func (r *Release) DeepCopyObject() runtime.Object { return r.DeepCopy() }

// DeepCopyObject returns a copy that shares nothing with l.
func (l *ReleaseList) DeepCopyObject() runtime.Object {
	out := *l
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	out.Items = copied(l.Items, func(r Release) Release { return *r.DeepCopy() })
	return &out
}

func (h Hooks) deepCopy() Hooks {
	for _, list := range []*[]Hook{&h.Prepare, &h.Verify, &h.Settle, &h.Rollback, &h.Abort} {
		*list = copied(*list, func(one Hook) Hook {
			if one.HTTP != nil {
				check := v1alpha1.HTTPCheck{Path: one.HTTP.Path, Method: one.HTTP.Method, Status: pointed(one.HTTP.Status)}
				one.HTTP = &check
			}
			return one
		})
	}
	return h
}

// pointed returns a pointer to a copy of what p points to.
func pointed[T any](p *T) *T {
	if p == nil {
		return nil
	}
	out := *p
	return &out
}

// copied applies deep to each entry of a list; nil stays nil.
func copied[T any](list []T, deep func(T) T) []T {
	if list == nil {
		return nil
	}
	out := make([]T, len(list))
	for i, one := range list {
		out[i] = deep(one)
	}
	return out
}
