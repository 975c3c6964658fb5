package access

import (
	"context"
	"crypto/sha256"

	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/greenroom-dev/greenroom/internal/httpapi"
)

// grantKey is a question about which the answer is remembered, be it yes or no.
type grantKey struct {
	user  [sha256.Size]byte
	asked authorizationv1.ResourceAttributes
}

// Grants returns the access to a fleet in a namespace as pages need it that show
// what somebody may: it is remembered for a short while for all actions, and a
// no as well. It may decide what is shown, and nothing else.
func (r *Reviews) Grants(namespace string) httpapi.Access { return shown{fleetAccess{r, namespace}} }

type shown struct{ fleetAccess }

// Allowed asks whether who may do it. Whoever may do it with every release is
// not asked about each of them.
func (s shown) Allowed(ctx context.Context, who httpapi.Identity, what httpapi.Request) error {
	caller, known := who.Detail.(subject)
	if !known {
		return errNoToken()
	}
	asked, possible := attributes(s.namespace, what)
	if !possible {
		return s.fleetAccess.Allowed(ctx, who, what) // which says why
	}
	for _, one := range needed(asked, what.Action) {
		if err := s.allowing(ctx, caller, one); err != nil {
			return err
		}
	}
	return nil
}

// allowing asks whether who may do one thing.
func (s shown) allowing(ctx context.Context, caller subject, asked authorizationv1.ResourceAttributes) error {
	all := asked
	all.Name = ""
	for _, one := range []authorizationv1.ResourceAttributes{all, asked} {
		yes, err := s.granting(ctx, caller, one)
		if err != nil || yes {
			return err
		}
		if one == asked {
			break
		}
	}
	return mayNot(caller, asked)
}

func (s shown) granting(ctx context.Context, caller subject, asked authorizationv1.ResourceAttributes) (bool, error) {
	key := grantKey{caller.digest, asked}
	if yes, known := s.granted.get(key); known {
		return yes, nil
	}
	yes, err := s.ask(ctx, caller, asked)
	if err != nil {
		return false, err
	}
	s.granted.keep(key, yes)
	return yes, nil
}
