package operator

import (
	"context"

	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/verbs"
)

// Hold shows what the gateways turn away.
func (e *Engine) Hold(context.Context) (api.Hold, error) {
	return verbs.Hold(e.controller.Record().State), nil
}

// HoldOn begins a hold, or changes the one that is on. Requests cannot wait at
// a gateway, which is refused.
func (e *Engine) HoldOn(ctx context.Context, who string, in api.HoldOn) (api.HoldChanged, error) {
	out, err := e.Verbs.HoldOn(ctx, who, in, 0)
	return onItsWay(out), err
}

// HoldOff ends the hold.
func (e *Engine) HoldOff(ctx context.Context, who string, in api.Asked) (api.HoldChanged, error) {
	out, err := e.Verbs.HoldOff(ctx, who, in)
	return onItsWay(out), err
}

func onItsWay(out api.HoldChanged) api.HoldChanged {
	if out.Changed {
		out.Notes = append(out.Notes, "The gateways follow as soon as istiod has told them, which takes a moment.")
	}
	return out
}
