//go:build !unix

package socket

import "net"

// kernel is nothing here: a Conn is what it is over.
type kernel struct{}

func (kernel) open(net.Conn) {}

// ReadWith reads into what take returns. give is called where that has brought
// nothing.
func (c *Conn) ReadWith(take func() []byte, give func()) (int, error) {
	n, err := c.Read(take())
	if n == 0 {
		give()
	}
	return n, err
}

// Ask writes out, and reads the beginning of what comes back into in. The
// deadline for reading must be set.
func (c *Conn) Ask(out, in []byte, _ bool) (wrote, n int, refused bool, err error) {
	if wrote, err = c.Write(out); err != nil {
		return wrote, 0, true, err
	}
	n, err = c.Read(in)
	return wrote, n, false, err
}

func look(net.Conn) (closed, spoke bool) { return false, false }
