package fast

import (
	"context"
	"net"
	"sync/atomic"

	"github.com/greenroom-dev/greenroom/internal/gateway/http1"
)

// guard is a connection of which net/http reads only what http1 takes for well
// formed. Something else is replaced by what net/http, too, refuses, so that it
// answers 400 in its own time, and nothing behind that is read.
type guard struct {
	net.Conn
	https     bool
	maxHeader int

	buf []byte // read from Conn and not yet by net/http
	ok  int    // how much of buf may be read
	err error  // of Conn, once buf is read

	open    bool  // nothing is looked at any more
	dead    bool  // something malformed came
	blank   bool  // an empty line was left out before this head
	chunked bool  // within a body in chunks
	left    int64 // of a body with a length
	chunks  http1.Chunks
	trailer http1.List // behind chunks
	request http1.Request
	done    atomic.Bool // the client sends nothing more
}

// badHead is no request, and long enough not to be waited on for more.
const badHead = "malformed request, refused\r\n\r\n"

// badChunk is refused wherever it stands around the data of chunks: within a size
// and behind one, in an extension, at the end of data and among trailers. None of
// these may hold a CR that ends no line, and nothing is waited for behind it.
const badChunk = "\r\x00\r\n\r\n"

// guardRoom is how much a guard reads at a time.
const guardRoom = 4 << 10

// lingerRoom is how much is read at a time that nobody wants.
const lingerRoom = 1 << 10

// NetConn returns the connection beneath.
func (g *guard) NetConn() net.Conn { return g.Conn }

// CloseWrite closes the sending half, for upgraded connections.
func (g *guard) CloseWrite() error { return closeWrite(g.Conn) }

// Close closes the connection, such that what was written arrives. net/http
// closes it at once behind an answer that began before its request had ended,
// behind a request that it refuses, and behind the last that it wants: what the
// client still sends would reset it.
func (g *guard) Close() error {
	if g.done.Load() || closeWrite(g.Conn) != nil {
		return g.Conn.Close()
	}
	go func() {
		defer g.Conn.Close()
		lingerOn(g.Conn, make([]byte, lingerRoom))
	}()
	return nil
}

// Read reads what may be read.
func (g *guard) Read(p []byte) (int, error) {
	n, err := g.read(p)
	if err != nil && !timeout(err) {
		g.done.Store(true)
	}
	return n, err
}

func (g *guard) read(p []byte) (int, error) {
	for len(p) > 0 {
		if g.open {
			g.ok = len(g.buf)
		}
		if g.ok > 0 {
			n := copy(p, g.buf[:g.ok])
			g.buf = g.buf[n:]
			if g.ok -= n; len(g.buf) == 0 {
				g.buf = nil
			}
			return n, nil
		}
		if g.err != nil {
			return 0, g.err
		}
		if g.dead {
			return 0, g.drop()
		}
		if len(g.buf) == 0 && (g.open || g.left > 0) {
			return g.direct(p)
		}
		room := make([]byte, guardRoom)
		n, err := g.Conn.Read(room)
		g.buf = append(g.buf, room[:n]...)
		g.look()
		if err != nil && n == 0 {
			if timeout(err) { // the reader may come again, and gets nothing that was not looked at
				return 0, err
			}
			g.ok, g.err = len(g.buf), err
		}
	}
	return 0, nil
}

// drop reads on without a use, until the connection ends or its reader does not
// want to wait any more: an end at this place would tell net/http that the
// client left, while it still answers what came before.
func (g *guard) drop() error {
	room := make([]byte, guardRoom)
	for {
		if _, err := g.Conn.Read(room); err != nil {
			return err
		}
	}
}

// direct reads what need not be looked at.
func (g *guard) direct(p []byte) (int, error) {
	if !g.open && int64(len(p)) > g.left {
		p = p[:g.left]
	}
	n, err := g.Conn.Read(p)
	if !g.open {
		g.left -= int64(n)
	}
	return n, err
}

// look finds out how much of buf may be read.
func (g *guard) look() {
	for !g.open && g.ok < len(g.buf) {
		switch {
		case g.left > 0:
			take := min(int64(len(g.buf)-g.ok), g.left)
			g.ok += int(take)
			g.left -= take
		case g.chunked:
			g.lookAtChunks()
		case !g.lookAtHead():
			return
		}
	}
}

// lookAtHead is false when more of it must come.
func (g *guard) lookAtHead() bool {
	b := g.buf[g.ok:]
	end, err := http1.HeadEnd(b, 0)
	switch {
	case err != nil:
		g.refuse(badHead)
		return true
	case end == 0 && len(b) > g.maxHeader+2*guardRoom:
		g.open = true // net/http says that it is too large
		return true
	case end == 0:
		return false
	case end == 2 && !g.blank:
		g.blank = true
		g.buf = append(g.buf[:g.ok:g.ok], b[2:]...)
		return true
	}
	g.blank = false
	r := &g.request
	if err := r.Parse(string(b[:end])); err != nil {
		g.refuse(badHead)
		return true
	}
	g.ok += end
	switch {
	case r.Minor < 0, r.Upgrade, r.Method == "CONNECT":
		g.open = true
	case r.Length == http1.Chunked:
		g.chunked = true
		g.chunks.Reset()
	default:
		g.left = r.Length
	}
	return true
}

// lookAtChunks finds out how much of a body in chunks may be read.
func (g *guard) lookAtChunks() {
	for b := g.buf[g.ok:]; len(b) > 0 && !g.chunks.Over(); b = g.buf[g.ok:] {
		_, n, err := g.chunks.Next(b)
		if err == nil && g.chunks.Over() {
			err = g.chunks.Trailers(&g.trailer)
		}
		if err != nil {
			g.refuse(badChunk)
			return
		}
		g.ok += n
	}
	if g.chunks.Over() {
		g.chunked = false
	}
}

// refuse puts what net/http refuses in the place of all that may not be read.
func (g *guard) refuse(with string) {
	g.buf = append(g.buf[:g.ok:g.ok], with...)
	g.ok, g.dead = len(g.buf), true
}

// guardKey is where a connection's context has its guard.
type guardKey struct{}

// ConnContext is for http.Server.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if g, ok := c.(*guard); ok {
		return context.WithValue(ctx, guardKey{}, g)
	}
	return ctx
}

// Encrypted reports whether the connection of a request that net/http read is
// encrypted, although it cannot see that.
func Encrypted(ctx context.Context) bool {
	g, ok := ctx.Value(guardKey{}).(*guard)
	return ok && g.https
}

// Guarded reports whether the requests of a connection that net/http reads are
// read strictly before.
func Guarded(ctx context.Context) bool {
	_, ok := ctx.Value(guardKey{}).(*guard)
	return ok
}
