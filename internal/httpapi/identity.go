package httpapi

import (
	"context"
	"fmt"
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
			if who, err = s.holder(ctx, secret); err != nil {
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

// holder is who has a token.
func (s *Server) holder(ctx context.Context, secret string) (Identity, error) {
	name, role, ok, err := s.o.Authenticator.Token(ctx, secret)
	if err != nil {
		return Identity{}, fmt.Errorf("look up the token: %w", err)
	}
	known, valid := ParseRole(role)
	if !ok || !valid {
		return Identity{}, unauthorized("the API token is not known, or revoked")
	}
	return Identity{Name: name, Role: known, Via: "token"}, nil
}

// stillAllowed reports whether the token of a request that lasts is still
// good.
func (s *Server) stillAllowed(ctx context.Context) error {
	secret, byToken := ctx.Value(secretKey{}).(string)
	if !byToken {
		return nil
	}
	_, err := s.holder(ctx, secret)
	return err
}

func caller(ctx context.Context) Identity {
	who, _ := ctx.Value(identityKey{}).(Identity)
	return who
}

const roleKey = "role"

// allow lets a request pass whose caller has the operation's role.
func (s *Server) allow(ctx huma.Context, next func(huma.Context)) {
	need, ok := ctx.Operation().Metadata[roleKey].(Role)
	if !ok {
		need = Admin
	}
	if p := lacks(caller(ctx.Context()), need); p != nil {
		_, w := humago.Unwrap(ctx)
		writeProblem(w, p)
		return
	}
	next(ctx)
}

func (s *Server) viewersOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := lacks(caller(r.Context()), Viewer); p != nil {
			writeProblem(w, p)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// lacks says what a caller lacks for a role, nil for nothing.
func lacks(who Identity, need Role) *problem {
	switch {
	case who.Role == 0 && who.Via == "socket":
		return forbidden(who.Name+" is not the user that greenroom runs as", "run the command as that user, with sudo -u, or use an API token")
	case who.Role == 0:
		return unauthorized("this needs an API token")
	case who.Role < need:
		return forbidden(fmt.Sprintf("%s is %s, and this needs %s", who.Name, who.Role, need), "ask an admin for a token of that role")
	}
	return nil
}
