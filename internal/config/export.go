package config

import (
	"cmp"
	"slices"
	"strings"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// Export writes a Fleet document that would start what serves now: the fleet
// with, for each service, the version that serves, or its first where none
// does. Paths in it are absolute and nothing is left to defaults. Executables
// are named by where they were when they were read: where a build has replaced
// one since, the caller sets Run.Executable to the copy that is kept. It
// fails if the document would be too large to be read back.
func Export(f fleet.Fleet, serving Serving) ([]byte, error) {
	doc := v1alpha1.Fleet{
		APIVersion: v1alpha1.APIVersion,
		Kind:       v1alpha1.KindFleet,
		Metadata:   v1alpha1.Metadata{Name: f.Name},
		Spec: v1alpha1.FleetSpec{
			Edge:    exportEdge(f.Edge),
			API:     exportAPI(f.API),
			Stamp:   v1alpha1.Stamp{Header: f.StampHeader},
			Quiet:   v1alpha1.DurationOf(f.Quiet),
			History: &f.History,
			Release: ExportRules(f.Rules),
			Notify:  exportNotifications(f.Notifications),
		},
	}
	for _, s := range f.Services {
		v, ok := serving(s.Name)
		if !ok {
			v = s.First
		}
		doc.Spec.Services = append(doc.Spec.Services, exportService(s, v))
	}
	return document(doc, "the fleet "+f.Name)
}

func exportEdge(e fleet.Edge) v1alpha1.Edge {
	out := v1alpha1.Edge{
		Listen:    e.Listen,
		PublicURL: e.PublicURL,
		AccessLog: v1alpha1.AccessLog{
			Format: e.AccessLog.Format,
			Errors: e.AccessLog.Errors,
			Sample: v1alpha1.PercentOf(e.AccessLog.Sample),
		},
		SessionPinning: v1alpha1.DurationOf(e.SessionPinning),
		ShowRelease:    e.ShowRelease,
		Badge:          e.Badge,
		Hold:           exportHold(e.Hold),
		HTTP1:          string(cmp.Or(e.HTTP1, fleet.HTTP1Std)),
	}
	if e.TLS != nil {
		out.TLS = &v1alpha1.TLS{Listen: e.TLS.Listen, Certificates: exportCertificates(e.TLS.Certificates)}
	}
	for _, n := range e.TrustedProxies {
		out.TrustedProxies = append(out.TrustedProxies, n.String())
	}
	for _, r := range e.Routes {
		one := v1alpha1.Route{Host: r.Host, Path: r.Path, Methods: slices.Clone(r.Methods), Service: r.Service}
		if r.Timeout > 0 {
			one.Timeout = v1alpha1.DurationOf(r.Timeout)
		}
		out.Routes = append(out.Routes, one)
	}
	return out
}

func exportAPI(a fleet.API) v1alpha1.API {
	out := v1alpha1.API{Listen: a.Listen, OIDC: exportOIDC(a.OIDC)}
	if a.TLS != nil {
		out.TLS = &v1alpha1.APITLS{Certificates: exportCertificates(a.TLS.Certificates)}
	}
	return out
}

func exportCertificates(list []fleet.Certificate) []v1alpha1.Certificate {
	var out []v1alpha1.Certificate
	for _, c := range list {
		out = append(out, v1alpha1.Certificate(c))
	}
	return out
}

func exportService(s fleet.Service, v fleet.Version) v1alpha1.Service {
	h := s.Health
	out := v1alpha1.Service{
		Name:      s.Name,
		Protocol:  string(s.Protocol),
		Source:    v1alpha1.Source(v.Source),
		Endpoints: slices.Clone(v.Endpoints),
		Health: v1alpha1.Health{
			Path:        h.Path,
			TCP:         h.Kind == fleet.HealthTCP,
			Interval:    v1alpha1.DurationOf(h.Interval),
			Timeout:     v1alpha1.DurationOf(h.Timeout),
			Failures:    &h.Failures,
			StartWithin: v1alpha1.DurationOf(h.StartWithin),
			MaxRestarts: &h.MaxRestarts,
		},
		Drain:      v1alpha1.DurationOf(s.Drain),
		Calls:      slices.Clone(s.Calls),
		Background: s.Background,
	}
	if h.Kind == fleet.HealthGRPC {
		out.Health.GRPC = &v1alpha1.GRPCHealth{Service: h.GRPCService}
	}
	if !unnamed(v) {
		out.Version = v.Name // otherwise it follows from the content
	}
	if v.Run != nil {
		out.Run = exportRun(*v.Run)
	}
	return out
}

func exportRun(r fleet.Run) *v1alpha1.Run {
	out := &v1alpha1.Run{
		Command:  slices.Clone(r.Command),
		InPlace:  &r.InPlace,
		Dir:      r.Dir,
		EnvFile:  r.EnvFile,
		Replicas: &r.Replicas,
	}
	if len(out.Command) > 0 && strings.Contains(out.Command[0], "/") {
		out.Command[0] = r.Executable
	}
	for key, value := range r.Env {
		if out.Env == nil {
			out.Env = map[string]*string{}
		}
		out.Env[key] = &value
	}
	return out
}
