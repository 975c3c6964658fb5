//go:build !unix

package fast

// idler needs nothing here: an idle connection holds its buffer.
type idler struct{}

func (idler) begin(*conn) {}

// readFirst reads the beginning of a request into in.
func (c *conn) readFirst() (int, error) {
	c.takeRoom()
	return c.nc.Read(c.in)
}
