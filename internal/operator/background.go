package operator

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/operator/stagedoor"
	"github.com/greenroom-dev/greenroom/internal/stage"
)

// Stage is who may do the fleet's background work.
func (e *Engine) Stage() *stage.Keeper { return e.stage }

// Version is the version that a template makes of a service.
func (e *Engine) Version(service, hash string) (string, bool) {
	v := e.controller.Record()
	for id, template := range v.Templates {
		if template.Hash == hash && v.State.Versions[id].Service == service {
			return id, true
		}
	}
	return "", false
}

// doorFleets are the fleets whose versions may ask for the stage.
type doorFleets struct{ *Fleets }

func (f doorFleets) Fleet(name types.NamespacedName) (stagedoor.Fleet, bool) {
	e, ok := f.Engine(name)
	return e, ok
}

// examineBackground names services that have work without requests, and whose
// version that serves has not asked since the operator's start whether it is
// its to do: a preview does not ask either, and works beside it.
func (e *Engine) examineBackground() []api.Finding {
	var out []api.Finding
	for _, s := range e.world.Load().fleet.Spec.Services {
		id := e.controller.Record().State.DefaultVersion(s.Name)
		if _, asked := e.d.Asked(e.key, id); s.Background && !asked {
			out = append(out, api.Finding{Check: "stage", Level: "warning", Subject: s.Name,
				Message: fmt.Sprintf("it has background work, and %s has not asked for the stage: a preview may do the work as well", id),
				Remedy:  "let it ask propagate.OnStage, and give its pods GREENROOM_STATUS_URL (the kustomize component does)"})
		}
	}
	return out
}
