package httpapi

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/user"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
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

// withPeer notes who is at the other end of a unix socket.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	name := "unknown"
	if u, ok := c.(*net.UnixConn); ok {
		if uid, err := peerUID(u); err == nil {
			name = "uid " + strconv.Itoa(uid)
			if known, err := user.LookupId(strconv.Itoa(uid)); err == nil {
				name = known.Username
			}
		}
	}
	return context.WithValue(ctx, peerKey{}, name)
}

// identify finds out who a request comes from: the user at the other end of
// the unix socket, whom the socket's mode has let in, or the owner of a token.
func (s *Server) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var who Identity
		secret, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		peer, onSocket := r.Context().Value(peerKey{}).(string)
		switch {
		case bearer:
			name, role, ok, err := s.o.Authenticator.Token(r.Context(), strings.TrimSpace(secret))
			if err != nil {
				writeProblem(w, s.problem(fmt.Errorf("look up the token: %w", err)))
				return
			}
			known, valid := ParseRole(role)
			if !ok || !valid {
				writeProblem(w, unauthorized("the API token is not known, or revoked"))
				return
			}
			who = Identity{Name: name, Role: known, Via: "token"}
		case onSocket:
			who = Identity{Name: peer, Role: Admin, Via: "socket"}
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, who)))
	})
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
		ctx.SetHeader("Content-Type", "application/problem+json")
		if p.Status == http.StatusUnauthorized {
			ctx.SetHeader("WWW-Authenticate", "Bearer")
		}
		ctx.SetStatus(p.Status)
		_, _ = ctx.BodyWriter().Write(p.json())
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
	case who.Role == 0:
		return unauthorized("this needs an API token")
	case who.Role < need:
		return forbidden(fmt.Sprintf("%s is %s, and this needs %s", who.Name, who.Role, need))
	}
	return nil
}
