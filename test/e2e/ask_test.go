//go:build e2e

package e2e

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/greenroom-dev/greenroom/test/e2e/hop"
)

// requestTimeout is when a request of a story counts as failed.
const requestTimeout = 15 * time.Second

// reply is what came back through the gateway.
type reply struct {
	status int
	header http.Header
	body   string
	hop.Answer
}

// asker sends requests over one connection of its own, one after the other.
// net/http's client would send some again by itself when a connection breaks,
// and hide what a story is there to find.
type asker struct {
	address  string        // host:port of the gateway
	patience time.Duration // until it hangs up; requestTimeout if zero
	method   string        // GET if empty
	conn     net.Conn
	in       *bufio.Reader
}

// ask sends one request with a host and headers of its own. Whatever status comes
// back is no error, but a body of status 200 that is not a fleet's.
func (a *asker) ask(host, path string, header http.Header) (r reply, err error) {
	if a.conn == nil {
		if a.conn, err = net.DialTimeout("tcp", a.address, requestTimeout); err != nil {
			return r, err
		}
		a.in = bufio.NewReader(a.conn)
	}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	if err := a.conn.SetDeadline(time.Now().Add(cmp.Or(a.patience, requestTimeout))); err != nil {
		return r, err
	}
	req, err := http.NewRequest(cmp.Or(a.method, http.MethodGet), "http://"+host+path, nil)
	if err != nil {
		return r, err
	}
	if header != nil {
		req.Header = header.Clone()
	}
	if err := req.Write(a.conn); err != nil {
		return r, fmt.Errorf("sending: %w", err)
	}
	resp, err := http.ReadResponse(a.in, req)
	if err != nil {
		return r, fmt.Errorf("reading the answer: %w", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return r, fmt.Errorf("reading the answer after %d bytes: %w", len(body), err)
	}
	resp.Body.Close()
	if resp.Close {
		a.close()
	}
	r.status, r.header, r.body = resp.StatusCode, resp.Header, string(body)
	if r.status == http.StatusOK && resp.Header.Get("Content-Type") == "application/json" {
		if err := json.Unmarshal(body, &r.Answer); err != nil {
			return r, fmt.Errorf("reading the answer %.100q: %w", body, err)
		}
	}
	return r, nil
}

func (a *asker) close() {
	if a.conn != nil {
		a.conn.Close()
		a.conn = nil
	}
}

// ask sends one request to a fleet, over a connection of its own.
func (s *stage) ask(f *fleet, path string, header http.Header) (reply, error) {
	return s.askAt(f, f.Host, path, header)
}

// askAt does so by another of the hosts at the fleet's gateway.
func (s *stage) askAt(f *fleet, host, path string, header http.Header) (reply, error) {
	a := asker{address: f.address()}
	defer a.close()
	return a.ask(host, path, header)
}
