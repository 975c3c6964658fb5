package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"
)

// exchangeWithin bounds one request, so that a proxy that hangs is a failure
// rather than the end of the run.
const exchangeWithin = 10 * time.Second

// client connects as the load's kind demands.
func (l load) client() (exchanger, error) {
	switch l.Kind {
	case http2, grpc:
		return l.streams()
	case churn:
		return &churner{load: l}, nil
	}
	conn, err := net.DialTimeout("tcp", l.Address, exchangeWithin)
	if err != nil {
		return nil, err
	}
	c := &rawClient{conn: conn, r: bufio.NewReaderSize(conn, 32<<10), request: l.bytes(), want: l.answer()}
	if l.Kind == websocket {
		return newFrames(c)
	}
	return c, nil
}

// bytes is the load's request as it goes over the wire.
func (l load) bytes() []byte {
	method := l.Method
	if method == "" {
		method = http.MethodGet
	}
	b := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench\r\nAccept: */*\r\n", method, l.Path)
	names := make([]string, 0, len(l.Header))
	for name := range l.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b = fmt.Appendf(b, "%s: %s\r\n", name, l.Header[name])
	}
	switch {
	case l.Kind == websocket:
		b = append(b, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "+websocketKey+"\r\n"...)
	case l.Kind == churn:
		b = append(b, "Connection: close\r\n"...)
	}
	if l.Body > 0 {
		b = fmt.Appendf(b, "Content-Length: %d\r\n", l.Body)
	}
	b = append(b, "\r\n"...)
	return append(b, bytes.Repeat([]byte("x"), l.Body)...)
}

// answer is how long the backend's answer is.
func (l load) answer() int {
	switch l.Path {
	case "/16k":
		return medium
	case "/1m":
		return large
	}
	return small
}

// rawClient makes HTTP/1.1 requests with as little work as can be, since it
// shares its core with the backend.
type rawClient struct {
	conn    net.Conn
	r       *bufio.Reader
	request []byte
	want    int // bytes of the answer's body
}

func (c *rawClient) close() { _ = c.conn.Close() }

func (c *rawClient) exchange() error {
	if err := c.conn.SetDeadline(time.Now().Add(exchangeWithin)); err != nil {
		return err
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	return c.answer()
}

func (c *rawClient) answer() error {
	length, chunked, err := c.header(http.StatusOK)
	if err != nil {
		return err
	}
	got, err := discard(c.r, length, chunked)
	if err == nil && got != c.want {
		err = fmt.Errorf("answered %d bytes instead of the backend's %d", got, c.want)
	}
	return err
}

func (c *rawClient) header(want int) (length int, chunked bool, err error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return 0, false, err
	}
	if len(line) < 12 || string(line[9:12]) != strconv.Itoa(want) {
		return 0, false, fmt.Errorf("answered %q", bytes.TrimSpace(line))
	}
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		if len(line) <= 2 {
			return length, chunked, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
}

// churner opens a connection for each request.
type churner struct{ load load }

func (c *churner) close() {}

func (c *churner) exchange() error {
	conn, err := net.DialTimeout("tcp", c.load.Address, exchangeWithin)
	if err != nil {
		return err
	}
	one := &rawClient{conn: conn, r: bufio.NewReaderSize(conn, 4<<10), request: c.load.bytes(), want: small}
	defer one.close()
	return one.exchange()
}

// frames sends WebSocket messages and reads their echo.
type frames struct {
	*rawClient
	frame []byte
}

const frameSize = 64

func newFrames(c *rawClient) (exchanger, error) {
	if _, err := c.conn.Write(c.request); err != nil {
		return nil, err
	}
	if _, _, err := c.header(http.StatusSwitchingProtocols); err != nil {
		return nil, err
	}
	frame := append([]byte{0x82, 0x80 | frameSize, 0, 0, 0, 0}, bytes.Repeat([]byte("x"), frameSize)...)
	return &frames{rawClient: c, frame: frame}, nil
}

func (c *frames) exchange() error {
	if err := c.conn.SetDeadline(time.Now().Add(exchangeWithin)); err != nil {
		return err
	}
	if _, err := c.conn.Write(c.frame); err != nil {
		return err
	}
	_, err := c.r.Discard(2 + frameSize)
	return err
}

// streams makes requests on an HTTP/2 connection of its own.
type streams struct {
	load      load
	transport *http.Transport
	body      []byte
}

func (l load) streams() (exchanger, error) {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	s := &streams{load: l, transport: &http.Transport{Protocols: protocols}}
	if l.Kind == grpc {
		s.body = append([]byte{0, 0, 0, 0, small}, bytes.Repeat([]byte("x"), small)...)
	}
	return s, nil
}

func (s *streams) close() { s.transport.CloseIdleConnections() }

func (s *streams) exchange() error {
	ctx, cancel := context.WithTimeout(context.Background(), exchangeWithin)
	defer cancel()
	method, body := http.MethodGet, io.Reader(nil)
	if s.load.Kind == grpc {
		method, body = http.MethodPost, bytes.NewReader(s.body)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+s.load.Address+s.load.Path, body)
	if err != nil {
		return err
	}
	for name, value := range s.load.Header {
		r.Header.Set(name, value)
	}
	if s.load.Kind == grpc {
		r.Header.Set("Content-Type", "application/grpc")
		r.Header.Set("Te", "trailers")
	}
	resp, err := s.transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		return err
	}
	switch {
	case got < small:
		return fmt.Errorf("answered %d bytes", got)
	case resp.StatusCode != http.StatusOK:
		return errors.New(resp.Status)
	case s.load.Kind == grpc && resp.Trailer.Get("Grpc-Status") != "0":
		return fmt.Errorf("grpc-status %q", resp.Trailer.Get("Grpc-Status"))
	}
	return nil
}

// loadProcess starts this program as a load on the other core.
func loadProcess(self, dir string) (*exec.Cmd, io.WriteCloser, *bufio.Scanner, error) {
	cmd := exec.Command(self, roleLoad)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	log, err := os.Create(loadLog(dir))
	if err != nil {
		return nil, nil, nil, err
	}
	defer func() { _ = log.Close() }()
	cmd.Stderr = log
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, nil, nil, err
	}
	return cmd, in, bufio.NewScanner(out), onCore(otherCore, cmd.Start)
}
