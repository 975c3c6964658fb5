package operator

import (
	"cmp"
	"context"
	"fmt"

	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/verbs"
)

// Doctor says what goes wrong, and what could.
func (e *Engine) Doctor(ctx context.Context) ([]api.Finding, error) {
	out := []api.Finding{}
	for _, c := range e.status.told() {
		level := "warning"
		if c.Blocks {
			level = "problem"
		}
		out = append(out, api.Finding{Check: c.Type, Level: level, Subject: c.Object, Message: c.Message, Remedy: c.Remedy})
	}
	w := e.world.Load()
	status, err := e.Status(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range status.Services {
		for _, v := range s.Versions {
			if (v.Serving || len(v.Releases) > 0) && v.Ready < v.Wanted {
				out = append(out, e.examineVersion(v, w))
			}
		}
	}
	out = append(out, e.examineGateways(ctx, w)...)
	out = append(out, verbs.ExamineNotifications(e.telling.States())...)
	return append(out, e.examineBackground()...), nil
}

// examineVersion tells of a version that is wanted and not ready.
func (e *Engine) examineVersion(v api.Version, w *world) api.Finding {
	remedy := "kubectl greenroom logs " + v.Service
	hash := e.controller.Record().Templates[v.ID].Hash
	if trouble := w.seen[v.Service].Pods[hash].Trouble; trouble.Reason != "" {
		release := ""
		if !v.Serving && len(v.Releases) > 0 {
			release = v.Releases[0]
		}
		remedy = trouble.SaysMore(e.key.Namespace, v.Service, release)
	}
	return api.Finding{Check: "version", Level: "problem", Subject: v.ID,
		Message: fmt.Sprintf("%d of %d pods are ready: %s", v.Ready, v.Wanted, cmp.Or(v.Message, v.State)), Remedy: remedy}
}

// examineGateways looks whether the gateways' pods give ordinary requests what
// serves. Where somebody else routes the fleet's hosts, the condition that says so
// is the finding: what else is seen there follows from it.
func (e *Engine) examineGateways(ctx context.Context, w *world) []api.Finding {
	v := e.controller.Record()
	fleet := w.fleet.DeepCopy()
	fleet.Spec.Edge.Gateways = kubernetes.Undisputed(e.input(v, w))
	if len(fleet.Spec.Edge.Gateways) == 0 {
		return nil
	}
	gates, err := e.gates(ctx, fleet)
	if err != nil {
		return []api.Finding{{Check: "gateway", Level: "problem", Message: err.Error(), Remedy: "check spec.edge.gateways of the Fleet: name, selector, hosts"}}
	}
	short, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if err := e.awaitGates(short, gates, v.State.Default); err != nil {
		return []api.Finding{{Check: "gateway", Level: "problem", Message: err.Error(), Remedy: "look at istiod and at " + oneOrMore(len(gates), "this pod", "these pods")}}
	}
	return []api.Finding{{Check: "gateway", Level: "ok", Message: oneOrMore(len(gates), "the gateway pod gives", fmt.Sprintf("all %d gateway pods give", len(gates))) + " ordinary requests " + v.State.Default}}
}
