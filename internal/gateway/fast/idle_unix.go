//go:build unix

package fast

import (
	"io"
	"net"
	"os"
	"syscall"
)

// idler waits for a client's next request without holding a buffer for it. Go
// tries to read before it waits, and takes a try of ours for its own: it is made
// with a buffer that is given back when nothing is there. So an idle connection
// costs no buffer, and a busy one no further system call.
type idler struct {
	raw  syscall.RawConn // nil: the connection is none of the kernel's, such as one over TLS
	step func(fd uintptr) (done bool)
	n    int
	err  error
}

func (i *idler) begin(c *conn) {
	if sys, ok := c.nc.(syscall.Conn); ok {
		i.raw, _ = sys.SyscallConn()
	}
	i.step = c.tryRead
}

// readFirst reads the beginning of a request into in, which has a buffer then
// unless nothing came.
func (c *conn) readFirst() (int, error) {
	i := &c.idler
	if i.raw == nil {
		c.takeRoom()
		return c.nc.Read(c.in)
	}
	i.n, i.err = 0, nil
	err := i.raw.Read(i.step)
	if i.err != nil {
		err = i.err
	}
	return i.n, err
}

// tryRead reports whether there is nothing to wait for.
func (c *conn) tryRead(fd uintptr) bool {
	c.takeRoom()
	n, err := syscall.Read(int(fd), c.in)
	for err == syscall.EINTR {
		n, err = syscall.Read(int(fd), c.in)
	}
	if n <= 0 {
		c.giveRoom()
	}
	switch {
	case err == syscall.EAGAIN:
		return false
	case err != nil:
		c.idler.err = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", err)}
	case n == 0:
		c.idler.err = io.EOF
	default:
		c.idler.n = n
	}
	return true
}
