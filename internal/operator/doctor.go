package operator

import (
	"context"
	"fmt"

	api "github.com/greenroom-dev/greenroom/client"
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
				out = append(out, api.Finding{Check: "version", Level: "problem", Subject: v.ID,
					Message: fmt.Sprintf("%d of %d pods are ready: %s", v.Ready, v.Wanted, v.Message), Remedy: "kubectl greenroom logs " + s.Name})
			}
		}
	}
	gates, err := e.gates(ctx, w.fleet)
	switch {
	case err != nil:
		out = append(out, api.Finding{Check: "gateway", Level: "problem", Message: err.Error(), Remedy: "check spec.edge.gateways of the Fleet: name, selector, hosts"})
	default:
		serving := e.controller.Record().State.Default
		short, cancel := context.WithTimeout(ctx, answerWithin)
		defer cancel()
		if err := e.awaitGates(short, gates, serving); err != nil {
			out = append(out, api.Finding{Check: "gateway", Level: "problem", Message: err.Error(), Remedy: "look at istiod and at these pods"})
		} else {
			out = append(out, api.Finding{Check: "gateway", Level: "ok", Message: fmt.Sprintf("%d gateway pods give ordinary requests %s", len(gates), serving)})
		}
	}
	out = append(out, verbs.ExamineNotifications(e.telling.States())...)
	return append(out, e.examineBackground()...), nil
}
