package config

import (
	"slices"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// baseline is what the default is called before the first release; no release
// may take its name.
const baseline = "baseline"

// Serving tells which version of a service ordinary requests get now; false if
// none does.
type Serving func(service string) (fleet.Version, bool)

// ResolveRelease checks a Release against a fleet and completes its versions
// from those it replaces: what serves now, else the fleet's first. Replicas
// come from there too. Where nothing but the replicas differs from what serves,
// the version is that one: same digest, and the same name unless the document
// gives another. Complaints come as *Errors.
func ResolveRelease(d ReleaseDocument, f fleet.Fleet, serving Serving) (fleet.Release, error) {
	return resolveRelease(d, serviceNames(f), func(service string) fleet.Version {
		if from, ok := serving(service); ok {
			return from
		}
		declared, _ := f.Service(service)
		return declared.First
	})
}

// checkAlone checks a Release without the fleet that it is for: it may name any
// service, and leave out what a version that is run may leave out.
func checkAlone(d ReleaseDocument) error {
	_, err := resolveRelease(d, nil, func(service string) fleet.Version {
		return fleet.Version{Service: service, Run: &fleet.Run{Command: []string{service}, Dir: d.src.dir, Replicas: 1}}
	})
	return err
}

// resolveRelease is ResolveRelease for services of these names (nil: of any),
// and with the versions that the document's replace.
func resolveRelease(d ReleaseDocument, services []string, replaced func(service string) fleet.Version) (fleet.Release, error) {
	p := &problems{src: d.src}
	if p.name("metadata.name", d.Metadata.Name) && d.Metadata.Name == baseline {
		p.at("metadata.name", "give it another name", "`%s` is what served before the first release", baseline)
	}
	r := fleet.Release{
		Name:           d.Metadata.Name,
		Description:    d.Spec.Description,
		RollbackWindow: p.duration("spec.rollbackWindow", d.Spec.RollbackWindow, time.Hour, limits{0, 30 * day}),
		Hooks:          p.hooks("spec.hooks", d.Spec.Hooks),
		Checklist:      p.checklist("spec.checklist", d.Spec.Checklist),
	}
	r.Keep = p.duration("spec.keep", d.Spec.Keep, max(r.RollbackWindow, time.Minute), limits{time.Minute, 30 * day})
	if len(d.Spec.Services) == 0 {
		p.at("spec.services", "write services: [{name: web, run: {command: [bin/web-v2]}}]", "a release has at least one service")
	}
	c := &versions{problems: p, programs: newExecutables(), reserved: addressNames(services)}
	for i, s := range d.Spec.Services {
		at := path("spec.services").index(i)
		known := services == nil && p.name(at.field("name"), s.Name) || services != nil && p.declared(at.field("name"), s.Name, services)
		if !known {
			continue
		}
		if slices.ContainsFunc(d.Spec.Services[:i], func(o v1alpha1.ReleaseService) bool { return o.Name == s.Name }) {
			p.at(at.field("name"), "remove one of the two", "the service `%s` is given twice", s.Name)
			continue
		}
		from := replaced(s.Name)
		r.Versions = append(r.Versions, c.complete(written{
			at: at, service: s.Name, version: s.Version, source: s.Source,
			run: s.Run, endpoints: s.Endpoints, image: s.Image,
		}, &from))
	}
	if err := p.err(); err != nil {
		return fleet.Release{}, err
	}
	return r, nil
}

// hooks completes and checks a release's hooks.
func (p *problems) hooks(at path, h v1alpha1.Hooks) fleet.Hooks {
	return fleet.Hooks{
		Prepare:  p.hookList(at.field("prepare"), h.Prepare),
		Verify:   p.hookList(at.field("verify"), h.Verify),
		Settle:   p.hookList(at.field("settle"), h.Settle),
		Rollback: p.hookList(at.field("rollback"), h.Rollback),
		Abort:    p.hookList(at.field("abort"), h.Abort),
	}
}

func (p *problems) hookList(at path, list []v1alpha1.Hook) []fleet.Hook {
	var out []fleet.Hook
	for i, h := range list {
		where := at.index(i)
		if p.name(where.field("name"), h.Name) && slices.ContainsFunc(list[:i], func(o v1alpha1.Hook) bool { return o.Name == h.Name }) {
			p.at(where.field("name"), "give it another name", "there are two hooks called `%s` in %s", h.Name, shown(at))
		}
		out = append(out, p.hook(where, h))
	}
	return out
}

func (p *problems) hook(at path, h v1alpha1.Hook) fleet.Hook {
	out := fleet.Hook{
		Name:    h.Name,
		Timeout: p.duration(at.field("timeout"), h.Timeout, time.Minute, limits{time.Second, day}),
	}
	switch {
	case h.Run != nil && h.HTTP != nil:
		p.at(at, "make two hooks of it", "a hook has either `run` or `http`, not both")
	case h.HTTP != nil:
		out.HTTP = p.httpCheck(at.field("http"), *h.HTTP)
		if h.Dir != "" || len(h.Env) > 0 {
			p.at(at, "remove them", "`dir` and `env` are for hooks with `run`")
		}
	case h.Run != nil:
		p.hookCommand(at, h, &out)
	default:
		p.at(at, "write run: [bin/check] or http: {path: /healthz}", "a hook has either `run` or `http`, this has neither")
	}
	return out
}

func (p *problems) hookCommand(at path, h v1alpha1.Hook, out *fleet.Hook) {
	out.Dir = p.src.dir
	if h.Dir != "" {
		out.Dir = directory(p, at.field("dir"), h.Dir, p.src.dir)
	}
	env := make(map[string]*string, len(h.Env))
	for key, value := range h.Env {
		env[key] = &value
	}
	p.env(at.field("env"), env, nil)
	out.Env = h.Env
	if len(h.Run) == 0 {
		p.at(at.field("run"), "write run: [path/to/executable, argument, ...]", "there is no command to run")
		return
	}
	out.Run = slices.Clone(h.Run)
	found, ok := locate(p, at.field("run").index(0), h.Run[0], p.src.dir)
	if ok && !found.byName {
		out.Run[0] = found.path
	}
	for i, word := range h.Run[1:] {
		if strings.ContainsRune(word, 0) {
			p.at(at.field("run").index(i+1), "", "the command holds a zero byte")
		}
	}
}

func (p *problems) httpCheck(at path, h v1alpha1.HTTPCheck) *fleet.HTTPCheck {
	if !requestPath(h.Path) {
		p.at(at.field("path"), "write it such as /healthz", "`%s` is not a path", cut(h.Path))
	}
	method := "GET"
	if h.Method != "" {
		p.methods(at.field("method"), []string{h.Method})
		method = h.Method
	}
	status := 0
	if h.Status != nil {
		status = p.whole(at.field("status"), h.Status, 0, 100, 599)
	}
	return &fleet.HTTPCheck{Path: h.Path, Method: method, Status: status}
}

// Check resolves all documents of a text: its Fleet, and its Releases against
// the Fleet's first versions. Releases without a Fleet are checked for all that
// does not hang on the fleet.
func Check(d Documents) error {
	if d.Fleet == nil {
		all := &problems{}
		for _, r := range d.Releases {
			all.take(checkAlone(r))
		}
		return all.err()
	}
	f, err := ResolveFleet(*d.Fleet)
	if err != nil {
		return err
	}
	first := func(service string) (fleet.Version, bool) {
		s, ok := f.Service(service)
		return s.First, ok
	}
	all := &problems{src: d.Fleet.src}
	for _, r := range d.Releases {
		p := &problems{src: r.src}
		_, err := ResolveRelease(r, f, first)
		p.take(err)
		all.list = append(all.list, p.list...)
	}
	return all.err()
}

// take adds the complaints of an error of this package.
func (p *problems) take(err error) {
	if e, ok := err.(*Errors); ok {
		p.list = append(p.list, e.List...)
	}
}
