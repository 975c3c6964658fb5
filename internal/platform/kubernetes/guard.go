package kubernetes

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	securityapi "istio.io/api/security/v1beta1"
	typeapi "istio.io/api/type/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// opens is what passes for a release open.
type opens int

const (
	nothingOpens  opens = iota // they are refused
	previewOpens               // the release's view
	ordinaryOpens              // what everybody gets
)

// passOpens says what passes for a release open, as the embedded edge does.
func passOpens(s release.State, r release.Release) opens {
	switch r.Phase {
	case release.Settling, release.Settled:
		return ordinaryOpens
	case release.Aborted, release.Failed:
		return nothingOpens
	}
	if _, there := s.Views[r.View]; !there {
		return nothingOpens
	}
	return previewOpens
}

// workload is the pods that do the work of one or several Gateways.
type workload struct {
	namespace string
	selector  map[string]string
	name      string   // of the first of the Gateways, as part of objects' names
	ports     []string // where requests arrive; nil: everywhere
}

// workloads are the fleet's, each once.
func (t *translation) workloads() []workload {
	var out []workload
	for _, g := range t.Fleet.Spec.Edge.Gateways {
		namespace, name := gatewayPods(g)
		same := func(w workload) bool { return w.namespace == namespace && maps.Equal(w.selector, g.Selector) }
		i := slices.IndexFunc(out, same)
		if i < 0 {
			i = len(out)
			if slices.ContainsFunc(out, func(w workload) bool { return w.namespace == namespace && w.name == name }) {
				of, _ := splitName(g.Name)
				name = of + "." + name // no Gateway is called so: Istio takes none with a dot
			}
			out = append(out, workload{namespace: namespace, selector: g.Selector, name: name, ports: []string{}})
		}
		out[i].add(g.Ports)
	}
	return out
}

// add takes in where one more Gateway of the pods is asked.
func (w *workload) add(ports []int) {
	if len(ports) == 0 {
		w.ports = nil
	}
	for _, p := range ports {
		if one := strconv.Itoa(p); w.ports != nil && !slices.Contains(w.ports, one) {
			w.ports = append(w.ports, one)
		}
	}
}

// guard makes what checks passes where traffic enters. A pass that opens
// nothing is refused there: without it, such a request would get what
// everybody gets, and its sender would believe to have seen the release.
func (t *translation) guard(out *Objects) {
	if t.Passes.JWKS == "" {
		return
	}
	for _, w := range t.workloads() {
		t.foreignRules(w)
		meta := t.meta(w.namespace, t.Fleet.Namespace, "passes", w.name)
		selector := &typeapi.WorkloadSelector{MatchLabels: maps.Clone(w.selector)}
		out.RequestAuthentications = append(out.RequestAuthentications, &securityv1.RequestAuthentication{
			TypeMeta:   metav1.TypeMeta{APIVersion: "security.istio.io/v1", Kind: "RequestAuthentication"},
			ObjectMeta: meta,
			Spec: securityapi.RequestAuthentication{Selector: selector, JwtRules: []*securityapi.JWTRule{{
				Issuer: t.Passes.Issuer, Audiences: []string{t.Passes.Audience}, Jwks: t.Passes.JWKS,
				FromHeaders: []*securityapi.JWTHeader{{Name: passHeader}}, FromCookies: []string{passCookie},
			}}},
		})
		out.AuthorizationPolicies = append(out.AuthorizationPolicies, &securityv1.AuthorizationPolicy{
			TypeMeta:   metav1.TypeMeta{APIVersion: "security.istio.io/v1", Kind: "AuthorizationPolicy"},
			ObjectMeta: meta,
			Spec: securityapi.AuthorizationPolicy{
				Selector: selector, Action: securityapi.AuthorizationPolicy_DENY, Rules: t.denials(w.ports),
			},
		})
	}
}

// denials are the passes that are refused: for a release that is unknown or
// has ended, made by somebody else, or taken back. The fleet's own pages
// answer all the same, so that people can be told and get rid of the cookie.
func (t *translation) denials(ports []string) []*securityapi.Rule {
	s := t.Value.State
	var known []string
	for _, r := range s.Releases {
		if passOpens(s, r) != nothingOpens {
			known = append(known, r.UID)
		}
	}
	slices.Sort(known)
	elsewhere := []*securityapi.Rule_To{{Operation: &securityapi.Operation{NotPaths: []string{ownPath + "*"}, Ports: ports}}}
	isPass := &securityapi.Condition{Key: "request.auth.claims[greenroom_release]", Values: []string{"*"}}
	deny := func(when ...*securityapi.Condition) *securityapi.Rule {
		return &securityapi.Rule{To: elsewhere, When: append([]*securityapi.Condition{isPass}, when...)}
	}
	out := []*securityapi.Rule{deny(&securityapi.Condition{Key: "request.auth.claims[iss]", NotValues: []string{t.Passes.Issuer}})}
	revoked := slices.Compact(slices.Sorted(slices.Values(t.Passes.Revoked)))
	takenBack := &securityapi.Condition{Key: "request.auth.claims[jti]", Values: revoked}
	switch {
	case len(known) == 0:
		out = []*securityapi.Rule{deny()}
	default:
		out = append(out, deny(&securityapi.Condition{Key: "request.auth.claims[greenroom_uid]", NotValues: known}))
		if len(revoked) > 0 {
			out = append(out, deny(takenBack))
		}
	}
	if t.Passes.Live {
		isPass = &securityapi.Condition{Key: "request.auth.claims[greenroom_live]", Values: []string{"*"}}
		out = append(out, deny(&securityapi.Condition{Key: "request.auth.claims[iss]", NotValues: []string{t.Passes.Issuer}}))
		if len(revoked) > 0 {
			out = append(out, deny(takenBack))
		}
	}
	return out
}

// foreignRules finds JWT rules of others at a gateway's pods. A request is let
// in by any of them and each shadows the others' claims, so that a pass could
// be displaced by a user's own token, and a token of theirs taken for a pass.
func (t *translation) foreignRules(w workload) {
	for _, r := range t.RequestAuthentications {
		if Owns(t.Fleet, r) || r.Namespace != w.namespace && r.Namespace != t.RootNamespace {
			continue
		}
		if len(r.Spec.JwtRules) == 0 || !t.mayTake(r, w) {
			continue
		}
		t.say(Condition{Type: PassesBlocked, Object: "RequestAuthentication " + r.Namespace + "/" + r.Name, Blocks: false,
			Message: fmt.Sprintf("it checks other tokens at the gateway pods of %s, and may take the place of passes or be taken for them.", t.Fleet.Name),
			Remedy:  "Move it to the services' own pods, or give previews gateway pods of their own. Until then no passes are made."})
	}
}

// GatewayPods are the labels of the pods that a Gateway's selector takes in.
type GatewayPods struct {
	Namespace string
	Selector  map[string]string
	Labels    []map[string]string // of each pod, equal ones once
}

// apiGateway is the label by which rules for a Gateway of the Gateway API take in
// its pods.
const apiGateway = "gateway.networking.k8s.io/gateway-name"

// mayTake reports whether a rule takes in a gateway's pods. While none of them
// has been seen it may be so, unless both name a label with different values.
func (t *translation) mayTake(r *securityv1.RequestAuthentication, w workload) bool {
	var selectors []map[string]string
	for _, ref := range append(slices.Clone(r.Spec.TargetRefs), r.Spec.TargetRef) {
		if ref.GetKind() == "Gateway" {
			selectors = append(selectors, map[string]string{apiGateway: ref.GetName()})
		}
	}
	if len(r.Spec.TargetRefs) == 0 && r.Spec.TargetRef == nil {
		selectors = append(selectors, r.Spec.Selector.GetMatchLabels())
	}
	at := slices.IndexFunc(t.GatewayPods, func(p GatewayPods) bool {
		return p.Namespace == w.namespace && maps.Equal(p.Selector, w.selector) && len(p.Labels) > 0
	})
	return slices.ContainsFunc(selectors, func(selector map[string]string) bool {
		if at < 0 {
			return compatible(selector, w.selector)
		}
		return slices.ContainsFunc(t.GatewayPods[at].Labels, func(labels map[string]string) bool { return Within(selector, labels) })
	})
}

// compatible reports whether no label is named with two values.
func compatible(selector, known map[string]string) bool {
	for key, value := range selector {
		if have, ok := known[key]; ok && have != value {
			return false
		}
	}
	return true
}

// ForeignRules reports whether there are JWT rules of others that may hold at
// the fleet's gateways: then the labels of their pods decide.
func (in Input) ForeignRules() bool {
	return slices.ContainsFunc(in.RequestAuthentications, func(r *securityv1.RequestAuthentication) bool {
		return !Owns(in.Fleet, r) && len(r.Spec.JwtRules) > 0
	})
}

// gatewayPods says where a Gateway's pods are, and what objects for them are
// called after.
func gatewayPods(g crd.Gateway) (namespace, name string) {
	own, short := splitName(g.Name)
	if g.Namespace != "" {
		own = g.Namespace
	}
	return own, short
}
