//go:build unix

package socket

import (
	"io"
	"net"
	"os"
	"syscall"
)

// kernel is the descriptor beneath a Conn.
type kernel struct {
	raw syscall.RawConn // nil: the connection is none of the kernel's
	in  reading
	out writing
}

// reading is a read under way: of what comes, into a buffer that take returns
// if there is none; or, if ask is set, of the answer to what is written before.
type reading struct {
	step func(fd uintptr) (done bool)
	b    []byte
	take func() []byte
	give func()
	n    int
	err  error

	ask, used bool
	refused   bool // writing has failed
	out       []byte
	wrote     int
}

type writing struct {
	step func(fd uintptr) (done bool)
	b    []byte
	n    int
	err  error
}

func (k *kernel) open(nc net.Conn) {
	*k = kernel{}
	sys, ok := nc.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return
	}
	k.raw, k.in.step, k.out.step = raw, k.in.next, k.out.next
}

// Read reads what is there, or comes first.
func (c *Conn) Read(b []byte) (int, error) {
	if c.raw == nil || len(b) == 0 {
		return c.Conn.Read(b)
	}
	r := &c.in
	r.b, r.n, r.err = b, 0, nil
	return c.read()
}

// ReadWith reads into what take returns. It is called for each try; give is
// called after one that has brought nothing. So nothing is held while nothing
// comes.
func (c *Conn) ReadWith(take func() []byte, give func()) (int, error) {
	if c.raw == nil {
		return c.Conn.Read(take())
	}
	r := &c.in
	r.take, r.give, r.n, r.err = take, give, 0, nil
	return c.read()
}

func (c *Conn) read() (int, error) {
	r := &c.in
	err := c.raw.Read(r.step)
	if r.err != nil {
		err = r.err
	}
	r.b, r.take, r.give = nil, nil, nil
	return r.n, err
}

// Ask writes out, and reads the beginning of what comes back into in. A
// connection that was used before is looked at right before, as by Spoilt; the
// error is ErrSpoilt then, and nothing was written. What was written is less
// than out only with an error, or if the other side takes no more for now: the
// rest is for Write, and nothing was read. Refused says that writing has failed.
// The deadline for reading must be set; when it is over before, nothing was
// written.
//
// The answer to what was just written is never there yet, so Go's try to read
// before it waits would find nothing. Waiting at once would lose what came
// before: Go forgets that when a read begins. So all of it is one read in Go's
// eyes: it begins, the connection is looked at, out is written, and only then is
// waited. The look is a read that should find nothing, which costs a used
// connection what Go's try did.
func (c *Conn) Ask(out, in []byte, used bool) (wrote, n int, refused bool, err error) {
	if c.raw == nil {
		if used && Spoilt(c.Conn) {
			return 0, 0, false, ErrSpoilt
		}
		if wrote, err = c.Write(out); err != nil {
			return wrote, 0, true, err
		}
		n, err = c.Conn.Read(in)
		return wrote, n, false, err
	}
	r := &c.in
	r.b, r.n, r.err = in, 0, nil
	r.ask, r.used, r.refused, r.out, r.wrote = true, used, false, out, 0
	n, err = c.read()
	r.ask, r.out = false, nil
	return r.wrote, n, r.refused, err
}

// next goes one step, and reports whether there is nothing to wait for.
func (r *reading) next(fd uintptr) bool {
	if r.ask {
		r.ask = false
		return r.send(fd)
	}
	b := r.b
	if r.take != nil {
		b = r.take()
	}
	n, err := try(read, fd, b)
	r.n = n
	if n == 0 && r.give != nil {
		r.give()
	}
	switch {
	case err == syscall.EAGAIN:
		return false
	case err != nil:
		r.err = failed("read", err)
	case n == 0:
		r.err = io.EOF
	}
	return true
}

func (r *reading) send(fd uintptr) (done bool) {
	if r.used {
		var b [1]byte
		if _, err := try(read, fd, b[:]); err != syscall.EAGAIN {
			r.err = ErrSpoilt
			return true
		}
	}
	n, err := try(write, fd, r.out)
	r.wrote = n
	if err == syscall.EAGAIN {
		return true
	}
	if err != nil {
		r.refused, r.err = true, failed("write", err)
	}
	return err != nil || n < len(r.out)
}

// Write writes all of b, or fails.
func (c *Conn) Write(b []byte) (int, error) {
	if c.raw == nil {
		return c.Conn.Write(b)
	}
	w := &c.out
	w.b, w.n, w.err = b, 0, nil
	err := c.raw.Write(w.step)
	if w.err != nil {
		err = w.err
	}
	w.b = nil
	return w.n, err
}

func (w *writing) next(fd uintptr) bool {
	for w.n < len(w.b) {
		n, err := try(write, fd, w.b[w.n:])
		w.n += n
		if err == syscall.EAGAIN {
			return false
		}
		if err != nil {
			w.err = failed("write", err)
			return true
		}
	}
	return true
}

// look says what there is to be read: the end, or anything at all.
func look(c net.Conn) (closed, spoke bool) {
	raw, ok := c.(syscall.Conn)
	if !ok {
		return false, false
	}
	// Control, unlike Read, does not wait for a reader that is under way.
	control, err := raw.SyscallConn()
	if err != nil {
		return false, false
	}
	err = control.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		spoke = n > 0
		closed = n == 0 && err == nil || err == syscall.ECONNRESET || err == syscall.EPIPE
	})
	return closed && err == nil, spoke && err == nil
}

// failed is an error as a net.Conn has it.
func failed(what string, err error) error {
	return &net.OpError{Op: what, Net: "tcp", Err: os.NewSyscallError(what, err)}
}
