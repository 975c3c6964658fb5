package config

import (
	"slices"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// ResolveFleet checks a Fleet, fills in what it leaves out, makes its paths
// absolute, and finds and hashes its executables. Complaints come as *Errors.
func ResolveFleet(d FleetDocument) (fleet.Fleet, error) {
	p := &problems{src: d.src}
	p.name("metadata.name", d.Metadata.Name)
	declared := make([]string, len(d.Spec.Services))
	for i, s := range d.Spec.Services {
		declared[i] = s.Name
	}
	f := fleet.Fleet{
		Name:        d.Metadata.Name,
		Dir:         d.src.dir,
		Edge:        p.edge("spec.edge", d.Spec.Edge, declared),
		API:         p.api("spec.api", d.Spec.API),
		StampHeader: p.stampHeader("spec.stamp.header", d.Spec.Stamp.Header),
		Quiet:       p.duration("spec.quiet", d.Spec.Quiet, time.Minute, limits{time.Second, time.Hour}),
		History:     p.whole("spec.history", d.Spec.History, 10, 0, 1000),

		Rules:         p.releaseRules("spec.release", d.Spec.Release),
		Notifications: p.notifications("spec.notify", d.Spec.Notify),
	}
	if len(declared) == 0 {
		p.at("spec.services", "write services: [{name: web, run: {command: [bin/web]}}]", "a fleet has at least one service")
	}
	c := &versions{problems: p, programs: newExecutables(), reserved: addressNames(declared)}
	for i, s := range d.Spec.Services {
		at := path("spec.services").index(i)
		if p.name(at.field("name"), s.Name) && slices.Contains(declared[:i], s.Name) {
			p.at(at.field("name"), "give it another name", "there are two services called `%s`", s.Name)
		}
		f.Services = append(f.Services, c.service(at, s, declared))
	}
	p.apart(f)
	if err := p.err(); err != nil {
		return fleet.Fleet{}, err
	}
	return f, nil
}

// service completes and checks one service of a fleet.
func (c *versions) service(at path, s v1alpha1.Service, declared []string) fleet.Service {
	out := fleet.Service{
		Name:       s.Name,
		Protocol:   fleet.Protocol(c.oneOf(at.field("protocol"), s.Protocol, string(fleet.HTTP), string(fleet.HTTP), string(fleet.GRPC))),
		Drain:      c.duration(at.field("drain"), s.Drain, 30*time.Second, limits{0, day}),
		Background: s.Background,
		First: c.complete(written{
			at: at, service: s.Name, version: s.Version, source: s.Source,
			run: s.Run, endpoints: s.Endpoints, image: s.Image,
		}, nil),
	}
	out.Health = c.health(at.field("health"), s.Health, out.Protocol, s.Endpoints != nil)
	if s.Calls != nil {
		out.Calls = []string{}
	}
	for i, callee := range s.Calls {
		where := at.field("calls").index(i)
		switch {
		case !c.declared(where, callee, declared):
		case callee == s.Name:
			c.at(where, "remove it", "the service `%s` calls itself", callee)
		case slices.Contains(out.Calls, callee):
			c.at(where, "remove one of the two", "`%s` is given twice", callee)
		}
		out.Calls = append(out.Calls, callee)
	}
	return out
}

// health completes and checks when an instance is ready.
func (p *problems) health(at path, h v1alpha1.Health, protocol fleet.Protocol, elsewhere bool) fleet.Health {
	out := fleet.Health{
		Kind:        fleet.HealthHTTP,
		Path:        "/healthz",
		Interval:    p.duration(at.field("interval"), h.Interval, 2*time.Second, limits{100 * time.Millisecond, time.Hour}),
		Timeout:     p.duration(at.field("timeout"), h.Timeout, time.Second, limits{10 * time.Millisecond, 10 * time.Minute}),
		Failures:    p.whole(at.field("failures"), h.Failures, 3, 1, 100),
		StartWithin: p.duration(at.field("startWithin"), h.StartWithin, time.Minute, limits{time.Second, day}),
		MaxRestarts: p.whole(at.field("maxRestarts"), h.MaxRestarts, 5, 0, 1000),
	}
	ways := 0
	for _, given := range []bool{h.Path != "", h.GRPC != nil, h.TCP} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		p.at(at, "keep one of them", "only one of `path`, `grpc` and `tcp` can be asked")
	}
	switch {
	case h.Path != "":
		out.Path = h.Path
		if !requestPath(h.Path) {
			p.at(at.field("path"), "write it such as /healthz", "`%s` is not a path", cut(h.Path))
		}
		if protocol == fleet.GRPC {
			p.at(at.field("path"), "write grpc: {} or tcp: true", "a service that speaks grpc is not asked for a path")
		}
	case h.GRPC != nil:
		out.Kind, out.Path, out.GRPCService = fleet.HealthGRPC, "", h.GRPC.Service
		if protocol != fleet.GRPC {
			p.at(at.field("grpc"), "write protocol: grpc, or path or tcp", "a service that speaks http is not asked by grpc")
		}
	case h.TCP || elsewhere:
		out.Kind, out.Path = fleet.HealthTCP, ""
	case protocol == fleet.GRPC:
		out.Kind, out.Path = fleet.HealthGRPC, ""
	}
	return out
}

// requestPath tells whether s can be asked for, with a query or without.
func requestPath(s string) bool {
	return strings.HasPrefix(s, "/") && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '#' })
}
