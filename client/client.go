// Package client speaks greenroom's API: the types of the wire, and a Client
// that calls every operation over the server's unix socket or over TCP with
// an API token.
//
// It imports nothing of greenroom, so that programs can use it as it is.
//
// Start at Socket, Remote or Through; operations.go has what a Client can be
// asked for, stream.go what it follows. The types of the wire are in files by
// their noun: status.go, release.go and so on, gono.go for what stands between a
// release and its promotion, asked.go for what every change has.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
)

// ErrUnreachable is returned when no server answers. Start one with greenroom
// up, or name the right one.
var ErrUnreachable = errors.New("no greenroom answers")

// Error returns what happened, and what to do about it.
func (e *Error) Error() string {
	text := e.Detail
	if text == "" {
		text = e.Title
	}
	for _, one := range e.Errors {
		text += "\n" + one.String()
	}
	if e.Remedy != "" {
		text += "; " + e.Remedy
	}
	return text
}

// String returns the complaint as a terminal shows it.
func (e DocumentError) String() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Problem)
	if e.Excerpt != "" {
		b.WriteString("\n" + e.Excerpt)
	}
	if e.Hint != "" {
		b.WriteString("\n  " + e.Hint)
	}
	return b.String()
}

// Client calls one server. It is safe for concurrent use.
type Client struct {
	base  string
	token string
	where string
	http  *http.Client
}

// Socket returns a Client of the server that listens at a unix socket.
func Socket(path string) *Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}
	return newClient("http://greenroom", "", path, transport)
}

// Remote returns a Client of the server at a URL, with an API token. base is
// nil for http.DefaultTransport; it is where a private certificate authority
// is set. Off this machine the URL must be https, since a token that anybody
// on the way can read is nobody's.
func Remote(server, token string, base http.RoundTripper) (*Client, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("the server %q is no URL such as https://greenroom.example.com:9090", server)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("the API token would cross the network readable to all; use https://%s, or a tunnel to this machine", u.Host)
	}
	return newClient(strings.TrimSuffix(u.String(), "/"), token, u.Host, base), nil
}

// Through returns a Client of the server that a transport leads to, wherever
// that is. The transport brings along who the caller is, and keeps it from
// others on the way. base is the URL that requests name, below which the paths
// of the API are; where names the server in errors.
func Through(transport http.RoundTripper, base, where string) *Client {
	return newClient(strings.TrimSuffix(base, "/"), "", where, transport)
}

func newClient(base, token, where string, transport http.RoundTripper) *Client {
	return &Client{base: base, token: token, where: where, http: &http.Client{
		Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a token is for this server alone
		},
	}}
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (c *Client) do(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w at %s: %w", ErrUnreachable, c.where, bare(err))
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode < 300 && slices.Contains(taken, media) {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, c.problemOf(resp)
}

// taken are the media types of what the API answers, but for problems.
var taken = []string{"application/json", "text/event-stream", "application/jsonl", "text/csv"}

// bare returns what is behind errors whose texts repeat the address.
func bare(err error) error {
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		var call *os.SyscallError
		if errors.As(dial.Err, &call) {
			return call.Err
		}
		return dial.Err
	}
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// ErrNotGreenroom is returned when something else answers. Is the address the
// API's, and not the edge's or a proxy's?
var ErrNotGreenroom = errors.New("this is not greenroom's API")

func (c *Client) problemOf(resp *http.Response) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	p := &Error{}
	if json.Unmarshal(data, p) != nil || p.Code == "" {
		return fmt.Errorf("%w: %s answers %s", ErrNotGreenroom, c.where, resp.Status)
	}
	return p
}

func call[T any](ctx context.Context, c *Client, method, path string, in any) (T, error) {
	var out T
	resp, err := c.do(ctx, method, path, in)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return out, fmt.Errorf("read the answer: %w", err)
	}
	return out, nil
}

func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	return call[T](ctx, c, http.MethodGet, path, nil)
}

func post[T any](ctx context.Context, c *Client, path string, in any) (T, error) {
	return call[T](ctx, c, http.MethodPost, path, in)
}
