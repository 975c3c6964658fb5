package httpapi

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// ParseRole returns the role of that name.
func ParseRole(name string) (Role, bool) {
	for r := Viewer; r <= Admin; r++ {
		if r.String() == name {
			return r, true
		}
	}
	return 0, false
}

// String returns the role's name.
func (r Role) String() string {
	switch r {
	case Viewer:
		return "viewer"
	case Tester:
		return "tester"
	case Operator:
		return "operator"
	case Admin:
		return "admin"
	}
	return "none"
}

type identityKey struct{}
type peerKey struct{}
type secretKey struct{}
type requestKey struct{}

// withPeer notes who is at the other end of a unix socket.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	who := Identity{Name: "unknown", Via: "socket"}
	if u, ok := c.(*net.UnixConn); ok {
		if uid, err := peerUID(u); err == nil {
			who = peer(uid, os.Geteuid())
		}
	}
	return context.WithValue(ctx, peerKey{}, who)
}

// peer is the user at the other end of the socket of a server that runs as
// owner. The socket's mode keeps others out, where the system heeds it; they
// get no role where it does not.
func peer(uid, owner int) Identity {
	who := Identity{Name: "uid " + strconv.Itoa(uid), Via: "socket"}
	if known, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		who.Name = known.Username
	}
	if uid == owner || uid == 0 {
		who.Role = Admin
	}
	return who
}

// identify finds out who a request comes from: the owner of a token, or the
// user at the other end of the unix socket.
func (s *Server) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		who, _ := ctx.Value(peerKey{}).(Identity)
		if secret, given := bearer(r.Header.Get("Authorization")); given {
			var err error
			if who, err = s.o.Access.Holder(ctx, secret); err != nil {
				writeProblem(w, s.problem(err))
				return
			}
			ctx = context.WithValue(ctx, secretKey{}, secret)
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, identityKey{}, who)))
	})
}

func bearer(authorization string) (secret string, given bool) {
	scheme, secret, _ := strings.Cut(authorization, " ")
	return strings.TrimSpace(secret), strings.EqualFold(scheme, "Bearer")
}

// stillAllowed returns an error when the token of a request that lasts is not
// good any more, or no longer good for what was asked for.
func (s *Server) stillAllowed(ctx context.Context) error {
	secret, byToken := ctx.Value(secretKey{}).(string)
	if !byToken {
		return nil
	}
	who, err := s.o.Access.Holder(ctx, secret)
	if err != nil {
		return err
	}
	what, _ := ctx.Value(requestKey{}).(Request)
	return s.o.Access.Allowed(ctx, who, what)
}

// Bearer returns the token that a request came with whose context an operation
// is given; false for one that came without.
func Bearer(ctx context.Context) (token string, ok bool) {
	token, ok = ctx.Value(secretKey{}).(string)
	return token, ok
}

func caller(ctx context.Context) Identity {
	who, _ := ctx.Value(identityKey{}).(Identity)
	return who
}

const actionKey = "action"

// allow lets a request pass whose caller may do what the operation does.
func (s *Server) allow(ctx huma.Context, next func(huma.Context)) {
	action, _ := ctx.Operation().Metadata[actionKey].(Action) // none: for admins, or nobody
	what := Request{Action: action, Release: ctx.Param("name")}
	if err := s.o.Access.Allowed(ctx.Context(), caller(ctx.Context()), what); err != nil {
		_, w := humago.Unwrap(ctx)
		writeProblem(w, s.problem(err))
		return
	}
	next(huma.WithValue(ctx, requestKey{}, what))
}

func (s *Server) viewersOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.o.Access.Allowed(r.Context(), caller(r.Context()), Request{Action: Look}); err != nil {
			writeProblem(w, s.problem(err))
			return
		}
		next.ServeHTTP(w, r)
	})
}
