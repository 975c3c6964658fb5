package propagategrpc

import (
	"context"
	"strings"

	"google.golang.org/grpc"

	"github.com/greenroom-dev/greenroom/propagate"
)

// Client is the calling side. It is immutable and safe for concurrent use.
type Client struct {
	p *propagate.Propagator
}

// NewClient returns a calling side. It stamps calls over connections whose
// target is in the fleet, and takes out of others what a handler that copied its
// metadata would show to a third party.
func NewClient(opts ...propagate.Option) *Client {
	return &Client{p: propagate.New(opts...)}
}

// Options returns both interceptors as options for grpc.NewClient.
func (c *Client) Options() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(c.Unary),
		grpc.WithChainStreamInterceptor(c.Stream),
	}
}

// DialOptions returns options for grpc.NewClient.
func DialOptions(opts ...propagate.Option) []grpc.DialOption {
	return NewClient(opts...).Options()
}

// Unary is a [grpc.UnaryClientInterceptor].
func (c *Client) Unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoker(c.outgoing(ctx, cc.Target()), method, req, reply, cc, opts...)
}

// Stream is a [grpc.StreamClientInterceptor].
func (c *Client) Stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return streamer(c.outgoing(ctx, cc.Target()), desc, cc, method, opts...)
}

func (c *Client) outgoing(ctx context.Context, target string) context.Context {
	if c.inFleet(target) {
		if propagate.StampFrom(ctx) == "" {
			return ctx
		}
		md := outgoingFrom(ctx)
		c.p.Inject(ctx, md)
		return md.into(ctx)
	}
	md := outgoingFrom(ctx)
	if len(md.MD) == 0 {
		return ctx
	}
	c.p.Remove(md)
	return md.into(ctx)
}

// inFleet reads a target as grpc-go does (doc/naming.md of grpc): scheme, an
// authority that is the name server's and not the host's, endpoints. Of several
// endpoints each must be of the fleet. Sockets in the file system never are, and
// with any other scheme the endpoint is taken for a name.
func (c *Client) inFleet(target string) bool {
	scheme, rest, ok := strings.Cut(target, "://")
	if ok {
		_, rest, ok = strings.Cut(rest, "/")
		if !ok {
			return false
		}
	} else {
		scheme, rest = "dns", target
		for _, s := range []string{"dns", "ipv4", "ipv6", "passthrough", "unix", "unix-abstract", "xds"} {
			if endpoint, ok := strings.CutPrefix(target, s+":"); ok && !isPort(endpoint) {
				scheme, rest = s, endpoint
			}
		}
	}
	if scheme == "unix" || scheme == "unix-abstract" || rest == "" {
		return false
	}
	for endpoint := range strings.SplitSeq(rest, ",") {
		if !c.p.Contains("https", endpoint) {
			return false
		}
	}
	return true
}

// isPort tells a service named dns, at a port, from the scheme.
func isPort(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
