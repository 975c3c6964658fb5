package socket

import (
	"errors"
	"net"
)

// ErrSpoilt is returned by Conn.Ask for a connection that must not be used
// again.
var ErrSpoilt = errors.New("the other side had closed the idle connection, or had sent what nobody asked for")

// Conn is a connection. One goroutine may read while another one writes, and no
// more. It must not be copied once it is open.
type Conn struct {
	net.Conn
	kernel
}

// Open has c be a connection over nc.
func (c *Conn) Open(nc net.Conn) {
	c.Conn = nc
	c.kernel.open(nc)
}

// Closed reports whether the other side has closed a connection and nothing is
// left to read. It does not wait, nor take what is there from the reader.
func Closed(c net.Conn) bool {
	closed, _ := look(c)
	return closed
}

// Spoilt reports whether an idle connection must not be used again: the other
// side has closed it, or has sent what nobody asked for, such as a body behind
// an answer that has none, which the next reader would take for its own answer.
// It does not wait.
func Spoilt(c net.Conn) bool {
	closed, spoke := look(c)
	return closed || spoke
}
