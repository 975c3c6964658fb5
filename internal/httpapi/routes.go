package httpapi

import (
	"context"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/greenroom-dev/greenroom/client"
)

// none is the input of operations that need nothing.
type none struct{}

type named struct {
	Name string `path:"name" maxLength:"100" doc:"Of the release"`
}

type with[T any] struct {
	Body T
}

type namedWith[T any] struct {
	Name string `path:"name" maxLength:"100" doc:"Of the release"`
	Body T
}

type notified struct {
	Name string `path:"notification" maxLength:"100"`
	Body client.Asked
}

type identifiedWith[T any] struct {
	ID   string `path:"id" maxLength:"100"`
	Body T
}

type output[T any] struct {
	Body T
}

// routes is the list of operations.
func (s *Server) routes() {
	o := s.o.Operations
	get(s, Look, "/v1/whoami", "Who the server takes you for", func(ctx context.Context, _ *none) (client.Whoami, error) {
		who := caller(ctx)
		return client.Whoami{Name: who.Name, Role: who.Role.String(), Via: who.Via}, nil
	})
	get(s, Look, "/v1/status", "Everything a status screen shows", func(ctx context.Context, _ *none) (client.Status, error) {
		return o.Status(ctx)
	})
	get(s, Diagnose, "/v1/doctor", "What goes wrong, or soon will", func(ctx context.Context, _ *none) ([]client.Finding, error) {
		return o.Doctor(ctx)
	})
	post(s, ShutDown, "/v1/shutdown", "End the server", func(ctx context.Context, in *with[client.Shutdown]) (client.Whoami, error) {
		who := caller(ctx)
		return client.Whoami{Name: who.Name, Role: who.Role.String(), Via: who.Via}, o.Shutdown(ctx, who.Name, in.Body)
	})
	s.fleetRoutes(o)
	s.releaseRoutes(o)
	s.holdRoutes(o)
	s.accessRoutes(o)
	s.streamRoutes(o)
}

func (s *Server) fleetRoutes(o Operations) {
	get(s, Look, "/v1/fleet", "The fleet, as a document that would start what serves now", func(ctx context.Context, _ *none) (client.Fleet, error) {
		return o.Fleet(ctx)
	})
	post(s, ApplyFleet, "/v1/fleet", "Apply a Fleet document, or with dryRun say what it changes", func(ctx context.Context, in *with[client.FleetApply]) (client.FleetChange, error) {
		return o.ApplyFleet(ctx, caller(ctx).Name, in.Body)
	})
	post(s, Lock, "/v1/fleet/lock", "Keep others from promoting", func(ctx context.Context, in *with[client.LockFleet]) (client.Changed, error) {
		return o.LockFleet(ctx, caller(ctx).Name, in.Body)
	})
	post(s, Lock, "/v1/fleet/unlock", "End a lock", func(ctx context.Context, in *with[client.UnlockFleet]) (client.Changed, error) {
		if in.Body.Override {
			if err := s.may(ctx, Override); err != nil {
				return client.Changed{}, err
			}
		}
		return o.UnlockFleet(ctx, caller(ctx).Name, in.Body)
	})
	get(s, Look, "/v1/notifications", "Who is told of events, and how that goes", func(ctx context.Context, _ *none) ([]client.Notification, error) {
		return o.Notifications(ctx)
	})
	post(s, Notify, "/v1/notifications/{notification}/test", "Tell one of them that this is a trial", func(ctx context.Context, in *notified) (client.Told, error) {
		return o.TestNotification(ctx, caller(ctx).Name, in.Name, in.Body)
	})
}

// may asks about an action that a request needs besides its own.
func (s *Server) may(ctx context.Context, action Action) error {
	what, _ := ctx.Value(requestKey{}).(Request)
	return s.o.Access.Allowed(ctx, caller(ctx), Request{Action: action, Release: what.Release})
}

func (s *Server) releaseRoutes(o Operations) {
	get(s, Look, "/v1/releases", "Releases, the latest first", func(ctx context.Context, _ *none) ([]client.Release, error) {
		return o.Releases(ctx)
	})
	post(s, Open, "/v1/releases", "Open a release from a document, or update it", func(ctx context.Context, in *with[client.Open]) (client.Changed, error) {
		return o.OpenRelease(ctx, caller(ctx).Name, in.Body)
	})
	get(s, Look, "/v1/releases/{name}", "One release", func(ctx context.Context, in *named) (client.Release, error) {
		return o.Release(ctx, in.Name)
	})
	post(s, Rebase, "/v1/releases/{name}/rebase", "Build a release upon what serves now", func(ctx context.Context, in *namedWith[client.Asked]) (client.Changed, error) {
		return o.Rebase(ctx, caller(ctx).Name, in.Name, in.Body)
	})
	post(s, Verify, "/v1/releases/{name}/verify", "Run hooks again", func(ctx context.Context, in *namedWith[client.Verify]) (client.Changed, error) {
		return o.Verify(ctx, caller(ctx).Name, in.Name, in.Body)
	})
	post(s, Promote, "/v1/releases/{name}/promote", "Make a release what ordinary requests get", func(ctx context.Context, in *namedWith[client.Promote]) (client.Changed, error) {
		if in.Body.OverrideChecklist || len(in.Body.OverrideFreezes) > 0 {
			if err := s.may(ctx, Override); err != nil {
				return client.Changed{}, err
			}
		}
		return o.Promote(ctx, caller(ctx).Name, in.Name, in.Body)
	})
	post(s, Promote, "/v1/releases/{name}/cancel-promotion", "Take back that a release is promoted at some time", func(ctx context.Context, in *namedWith[client.Asked]) (client.Changed, error) {
		return o.CancelPromotion(ctx, caller(ctx).Name, in.Name, in.Body)
	})
	post(s, SignOff, "/v1/releases/{name}/sign-off", "Say go or no-go of an item of a release's checklist", func(ctx context.Context, in *namedWith[client.Say]) (client.Changed, error) {
		return o.SignOff(ctx, caller(ctx).Name, in.Name, in.Body)
	})
	post(s, Approve, "/v1/releases/{name}/approve", "Say that a release may go live", func(ctx context.Context, in *namedWith[client.Approve]) (client.Changed, error) {
		return o.Approve(ctx, caller(ctx).Name, in.Name, in.Body)
	})
	post(s, Rollback, "/v1/releases/{name}/rollback", "Put back what served before a release", func(ctx context.Context, in *namedWith[client.Asked]) (client.Changed, error) {
		return o.Rollback(ctx, caller(ctx).Name, in.Name, in.Body)
	})
	post(s, Revert, "/v1/releases/{name}/revert", "Open a release of the versions that a settled one replaced", func(ctx context.Context, in *namedWith[client.Revert]) (client.Changed, error) {
		return o.Revert(ctx, caller(ctx).Name, in.Name, in.Body)
	})
	post(s, Settle, "/v1/releases/{name}/settle", "End a release's rollback window", func(ctx context.Context, in *namedWith[client.Asked]) (client.Changed, error) {
		return o.Settle(ctx, caller(ctx).Name, in.Name, in.Body)
	})
	post(s, Abort, "/v1/releases/{name}/abort", "End a release", func(ctx context.Context, in *namedWith[client.Asked]) (client.Changed, error) {
		return o.Abort(ctx, caller(ctx).Name, in.Name, in.Body)
	})
}

func (s *Server) holdRoutes(o Operations) {
	get(s, Look, "/v1/hold", "What the edge keeps waiting or turns away", func(ctx context.Context, _ *none) (client.Hold, error) {
		return o.Hold(ctx)
	})
	post(s, Hold, "/v1/hold", "Begin a hold, or change the one that is on", func(ctx context.Context, in *with[client.HoldOn]) (client.HoldChanged, error) {
		return o.HoldOn(ctx, caller(ctx).Name, in.Body)
	})
	post(s, Hold, "/v1/hold/off", "End the hold; requests that waited are resumed, the oldest first", func(ctx context.Context, in *with[client.Asked]) (client.HoldChanged, error) {
		return o.HoldOff(ctx, caller(ctx).Name, in.Body)
	})
}

func (s *Server) accessRoutes(o Operations) {
	get(s, ListPasses, "/v1/passes", "Passes and callback addresses that were made; never their tokens", func(ctx context.Context, _ *none) ([]client.Pass, error) {
		return o.Passes(ctx)
	})
	post(s, MintPass, "/v1/passes", "Make a pass; its token is shown this once", func(ctx context.Context, in *with[client.MintPass]) (client.MintedPass, error) {
		return o.MintPass(ctx, caller(ctx).Name, in.Body)
	})
	post(s, MintPass, "/v1/callbacks", "Make an address that outside systems can call and that leads to a release; it is shown this once", func(ctx context.Context, in *with[client.MintCallback]) (client.MintedCallback, error) {
		return o.MintCallback(ctx, caller(ctx).Name, in.Body)
	})
	post(s, RevokePass, "/v1/passes/{id}/revoke", "Make a pass or a callback address worthless", func(ctx context.Context, in *identifiedWith[client.Asked]) (client.Pass, error) {
		return o.RevokePass(ctx, caller(ctx).Name, in.ID, in.Body)
	})
	post(s, MakeLogin, "/v1/logins", "Make a link that logs somebody in to the dashboard, once; it is shown this once", func(ctx context.Context, in *with[client.MakeLogin]) (client.MadeLogin, error) {
		return o.MakeLogin(ctx, caller(ctx).Name, in.Body)
	})
	get(s, ListTokens, "/v1/tokens", "API tokens; never their secrets", func(ctx context.Context, _ *none) ([]client.Token, error) {
		return o.Tokens(ctx)
	})
	post(s, MakeToken, "/v1/tokens", "Make an API token; its secret is shown this once", func(ctx context.Context, in *with[client.MakeToken]) (client.MadeToken, error) {
		return o.MakeToken(ctx, caller(ctx).Name, in.Body)
	})
	post(s, RevokeToken, "/v1/tokens/{id}/revoke", "Make an API token worthless", func(ctx context.Context, in *identifiedWith[client.Asked]) (client.Token, error) {
		return o.RevokeToken(ctx, caller(ctx).Name, in.ID, in.Body)
	})
}

func get[I, O any](s *Server, action Action, path, summary string, do func(context.Context, *I) (O, error)) {
	register(s, action, http.MethodGet, path, summary, do)
}

func post[I, O any](s *Server, action Action, path, summary string, do func(context.Context, *I) (O, error)) {
	register(s, action, http.MethodPost, path, summary, do)
}

func register[I, O any](s *Server, action Action, method, path, summary string, do func(context.Context, *I) (O, error)) {
	huma.Register(s.api, s.operation(action, method, path, summary), func(ctx context.Context, in *I) (*output[O], error) {
		out, err := do(ctx, in)
		if err != nil {
			return nil, s.problem(err)
		}
		return &output[O]{Body: out}, nil
	})
}

func (s *Server) operation(action Action, method, path, summary string) huma.Operation {
	id := strings.ToLower(method) + strings.NewReplacer("/v1", "", "/", "-", "{", "", "}", "").Replace(path)
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[client.Error](), true, "Error")
	return huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary,
		Description:  "Role: " + action.Role().String() + ".",
		Metadata:     map[string]any{actionKey: action},
		Extensions:   map[string]any{"x-greenroom-role": action.Role().String()},
		MaxBodyBytes: maxBody, BodyReadTimeout: -1, // receive sees to the time
		Responses: map[string]*huma.Response{"default": {
			Description: "A problem",
			Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: schema}},
		}},
	}
}
