package propagategrpc

import (
	"context"
	"strings"

	"google.golang.org/grpc"

	"github.com/greenroom-dev/greenroom/propagate"
)

// Server is the receiving side. It is immutable and safe for concurrent use.
type Server struct {
	p    *propagate.Propagator
	safe map[string]struct{}
}

// NewServer returns a receiving side. All methods count as writes, since gRPC
// does not say which are, but for those of gRPC's own services such as health
// and reflection, whose streams would hold up a graceful stop. The context of a
// call goes on after its client has left or the client's deadline is over, for
// as long as [propagate.WithDeadline] says; see [propagate.Middleware].
//
// A gRPC server has no context whose end would be its shutdown. Name one by
// [propagate.WithBase] and cancel it when the time for draining is over, before
// [grpc.Server.Stop]; without it a stopped server's writes end by their deadline.
func NewServer(opts ...propagate.Option) *Server {
	return &Server{p: propagate.New(opts...)}
}

// WithSafe returns a copy of s for which these methods are safe, named in full
// as in "/live.Wallet/Balance": they are cancelled with their client.
func (s *Server) WithSafe(fullMethods ...string) *Server {
	safe := make(map[string]struct{}, len(s.safe)+len(fullMethods))
	for m := range s.safe {
		safe[m] = struct{}{}
	}
	for _, m := range fullMethods {
		safe[m] = struct{}{}
	}
	return &Server{p: s.p, safe: safe}
}

// Options returns both interceptors as options for grpc.NewServer.
func (s *Server) Options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(s.Unary),
		grpc.ChainStreamInterceptor(s.Stream),
	}
}

// ServerOptions returns options for grpc.NewServer where all methods are writes.
func ServerOptions(opts ...propagate.Option) []grpc.ServerOption {
	return NewServer(opts...).Options()
}

// Unary is a [grpc.UnaryServerInterceptor].
func (s *Server) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, cancel := s.p.Receive(ctx, incoming{ctx}, s.isWrite(info.FullMethod))
	defer cancel()
	return handler(ctx, req)
}

// Stream is a [grpc.StreamServerInterceptor]. Only the context of the stream
// outlives the client: RecvMsg and SendMsg say at once that the client has left,
// and so does [propagate.Disconnected] to a handler that waits for something
// else.
func (s *Server) Stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, cancel := s.p.Receive(ss.Context(), incoming{ss.Context()}, s.isWrite(info.FullMethod))
	defer cancel()
	return handler(srv, &stream{ServerStream: ss, ctx: ctx})
}

func (s *Server) isWrite(fullMethod string) bool {
	if strings.HasPrefix(fullMethod, "/grpc.") {
		return false
	}
	_, safe := s.safe[fullMethod]
	return !safe
}

type stream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *stream) Context() context.Context { return s.ctx }
