package propagategrpc

import (
	"context"
	"strings"

	"google.golang.org/grpc/metadata"
)

// incoming is a propagate.Carrier over the metadata of a call that came in.
type incoming struct{ ctx context.Context }

func (i incoming) Get(key string) string {
	switch values := metadata.ValueFromIncomingContext(i.ctx, key); len(values) {
	case 0:
		return ""
	case 1:
		return values[0]
	default:
		return strings.Join(values, ",")
	}
}

// Set does nothing: what came in is only read.
func (incoming) Set(string, string) {}

// outgoing is a propagate.Carrier over a copy of the metadata of a call to be
// made.
type outgoing struct{ metadata.MD }

func outgoingFrom(ctx context.Context) outgoing {
	if md, ok := metadata.FromOutgoingContext(ctx); ok {
		return outgoing{md} // a copy already
	}
	return outgoing{make(metadata.MD, 2)}
}

func (o outgoing) into(ctx context.Context) context.Context {
	return metadata.NewOutgoingContext(ctx, o.MD)
}

func (o outgoing) Get(key string) string { return strings.Join(o.MD.Get(key), ",") }

// Set replaces tabs, which separate like blanks in HTTP but which gRPC refuses.
func (o outgoing) Set(key, value string) {
	if value == "" {
		o.MD.Delete(key)
		return
	}
	o.MD.Set(key, strings.ReplaceAll(value, "\t", " "))
}
