//go:build unix

package forward

import (
	"io"
	"net"
	"os"
	"syscall"
)

// ask is a request on its way over a Lane, and the beginning of its answer.
//
// Go tries to read before it waits, and the answer to what was just written is
// never there yet. Waiting at once would lose what came before: Go forgets that
// when a read begins. So all of it is one read in Go's eyes: it begins, the
// connection is looked at, the request is written, and only then is waited. The
// look is a read that should find nothing, which costs a used Lane what Go's
// try did.
type ask struct {
	raw  syscall.RawConn // nil: the connection is none of the kernel's
	step func(fd uintptr) (done bool)

	used     bool
	sent     bool
	refused  bool // writing has failed
	out, in  []byte
	wrote, n int
	err      error
}

func (a *ask) begin(l *Lane) {
	if c, ok := l.Conn.(syscall.Conn); ok {
		a.raw, _ = c.SyscallConn()
	}
	a.step = a.next
}

// Ask writes out, and reads the beginning of what comes back into in. A Lane
// that was used before is looked at right before, as by Spoilt; the error is
// ErrSpoilt then, and nothing was written. What was written is less than out
// only with an error, or if the instance takes no more for now: the rest is for
// Write, and nothing was read. The deadline for reading must be set; when it is
// over before, nothing was written.
func (l *Lane) Ask(out, in []byte) (wrote, n int, err error) {
	a := &l.ask
	if a.raw == nil {
		if l.Used && l.Spoilt() {
			return 0, 0, ErrSpoilt
		}
		if wrote, err = l.Write(out); err == nil {
			n, err = l.Read(in)
		}
		return wrote, n, err
	}
	a.used, a.sent, a.refused, a.out, a.in, a.wrote, a.n, a.err = l.Used, false, false, out, in, 0, 0, nil
	err = a.raw.Read(a.step)
	a.out, a.in = nil, nil
	l.spent = l.spent || a.refused
	if a.err != nil {
		err = a.err
	}
	return a.wrote, a.n, err
}

// next goes one step, and reports whether there is nothing to wait for.
func (a *ask) next(fd uintptr) bool {
	if !a.sent {
		a.sent = true
		return a.send(int(fd))
	}
	n, err := read(int(fd), a.in)
	switch {
	case err == syscall.EAGAIN:
		return false
	case err != nil:
		a.err = failed("read", err)
	case n == 0:
		a.err = io.EOF
	}
	a.n = max(n, 0)
	return true
}

func (a *ask) send(fd int) (done bool) {
	if a.used {
		var b [1]byte
		if _, err := read(fd, b[:]); err != syscall.EAGAIN {
			a.err = ErrSpoilt
			return true
		}
	}
	for {
		n, err := syscall.Write(fd, a.out)
		if err == syscall.EINTR {
			continue
		}
		a.wrote = max(n, 0)
		if err == syscall.EAGAIN {
			return true
		}
		if err != nil {
			a.refused, a.err = true, failed("write", err)
		}
		return err != nil || a.wrote < len(a.out)
	}
}

func read(fd int, b []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, b)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// failed is an error as a net.Conn has it.
func failed(what string, err error) error {
	return &net.OpError{Op: what, Net: "tcp", Err: os.NewSyscallError(what, err)}
}
