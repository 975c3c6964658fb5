package load

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// client sends HTTP/1.1 requests over one connection of its own. net/http's
// transport would send some again by itself when a connection breaks, and hide
// what the load is there to find; it also costs two goroutines a connection.
type client struct {
	host    string
	pass    string
	timeout time.Duration

	conn net.Conn
	in   *bufio.Reader
	out  *bufio.Writer
}

// do sends req and hands the answer to read, which need not read the body to its
// end. A connection is used again only after an answer that was whole.
func (c *client) do(req *http.Request, read func(*http.Response) error) (err error) {
	if err := c.connect(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if c.pass != "" {
		req.Header.Set("Greenroom-Pass", c.pass)
	}
	if err := c.conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	if err := req.Write(c.out); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	if err := c.out.Flush(); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	res, err := http.ReadResponse(c.in, req)
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if err := read(res); err != nil {
		return err
	}
	if res.Close {
		c.close()
		return nil
	}
	if n, err := io.Copy(io.Discard, res.Body); err != nil {
		return fmt.Errorf("reading the answer, after %d bytes: %w", n, err)
	}
	return nil
}

func (c *client) connect() error {
	if c.conn != nil {
		return nil
	}
	conn, err := net.DialTimeout("tcp", c.host, c.timeout)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	c.conn = conn
	if c.in == nil {
		c.in, c.out = bufio.NewReader(conn), bufio.NewWriter(conn)
		return nil
	}
	c.in.Reset(conn)
	c.out.Reset(conn)
	return nil
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}
