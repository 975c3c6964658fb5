// Package client speaks greenroom's API: the types of the wire, and a Client
// that calls every operation over the server's unix socket or over TCP with
// an API token.
//
// It imports nothing of greenroom, so that programs can use it as it is.
//
// Start at Socket or Remote.
package client

import (
	"bufio"
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
	"strconv"
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
	if resp.StatusCode < 300 && (media == "application/json" || media == "text/event-stream") {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, c.problemOf(resp)
}

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

// Whoami returns who the server takes the caller for.
func (c *Client) Whoami(ctx context.Context) (Whoami, error) {
	return get[Whoami](ctx, c, "/v1/whoami")
}

// Status returns everything that a status screen shows.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return get[Status](ctx, c, "/v1/status")
}

// Doctor returns what goes wrong, or soon will.
func (c *Client) Doctor(ctx context.Context) ([]Finding, error) {
	return get[[]Finding](ctx, c, "/v1/doctor")
}

// Shutdown ends the server.
func (c *Client) Shutdown(ctx context.Context, in Shutdown) error {
	_, err := post[Whoami](ctx, c, "/v1/shutdown", in)
	return err
}

// Fleet returns the fleet as last applied.
func (c *Client) Fleet(ctx context.Context) (Fleet, error) { return get[Fleet](ctx, c, "/v1/fleet") }

// ApplyFleet applies a Fleet document.
func (c *Client) ApplyFleet(ctx context.Context, in FleetApply) (FleetChange, error) {
	return post[FleetChange](ctx, c, "/v1/fleet", in)
}

// Releases returns the releases that are kept, the latest first.
func (c *Client) Releases(ctx context.Context) ([]Release, error) {
	return get[[]Release](ctx, c, "/v1/releases")
}

// Release returns one release.
func (c *Client) Release(ctx context.Context, name string) (Release, error) {
	return get[Release](ctx, c, release(name, ""))
}

// OpenRelease opens a release, or updates it.
func (c *Client) OpenRelease(ctx context.Context, in Open) (Changed, error) {
	return post[Changed](ctx, c, "/v1/releases", in)
}

// Rebase builds a release upon what serves now.
func (c *Client) Rebase(ctx context.Context, name string, in Asked) (Changed, error) {
	return post[Changed](ctx, c, release(name, "/rebase"), in)
}

// Verify runs hooks again.
func (c *Client) Verify(ctx context.Context, name string, in Verify) (Changed, error) {
	return post[Changed](ctx, c, release(name, "/verify"), in)
}

// Promote makes a release what ordinary requests get. When it returns, the
// edge has switched.
func (c *Client) Promote(ctx context.Context, name string, in Promote) (Changed, error) {
	return post[Changed](ctx, c, release(name, "/promote"), in)
}

// Rollback puts back what served before a release. When it returns, the edge
// has switched.
func (c *Client) Rollback(ctx context.Context, name string, in Asked) (Changed, error) {
	return post[Changed](ctx, c, release(name, "/rollback"), in)
}

// Revert opens a release of the versions that another one replaced.
func (c *Client) Revert(ctx context.Context, name string, in Revert) (Changed, error) {
	return post[Changed](ctx, c, release(name, "/revert"), in)
}

// Settle ends a release's rollback window.
func (c *Client) Settle(ctx context.Context, name string, in Asked) (Changed, error) {
	return post[Changed](ctx, c, release(name, "/settle"), in)
}

// Abort ends a release.
func (c *Client) Abort(ctx context.Context, name string, in Asked) (Changed, error) {
	return post[Changed](ctx, c, release(name, "/abort"), in)
}

func release(name, verb string) string { return "/v1/releases/" + url.PathEscape(name) + verb }

// MintPass makes a pass.
func (c *Client) MintPass(ctx context.Context, in MintPass) (MintedPass, error) {
	return post[MintedPass](ctx, c, "/v1/passes", in)
}

// Passes returns the passes that were made.
func (c *Client) Passes(ctx context.Context) ([]Pass, error) {
	return get[[]Pass](ctx, c, "/v1/passes")
}

// RevokePass makes a pass worthless.
func (c *Client) RevokePass(ctx context.Context, id string, in Asked) (Pass, error) {
	return post[Pass](ctx, c, "/v1/passes/"+url.PathEscape(id)+"/revoke", in)
}

// MakeToken makes an API token.
func (c *Client) MakeToken(ctx context.Context, in MakeToken) (MadeToken, error) {
	return post[MadeToken](ctx, c, "/v1/tokens", in)
}

// Tokens returns the API tokens.
func (c *Client) Tokens(ctx context.Context) ([]Token, error) {
	return get[[]Token](ctx, c, "/v1/tokens")
}

// RevokeToken makes an API token worthless.
func (c *Client) RevokeToken(ctx context.Context, idOrName string, in Asked) (Token, error) {
	return post[Token](ctx, c, "/v1/tokens/"+url.PathEscape(idOrName)+"/revoke", in)
}

// EventQuery chooses events.
type EventQuery struct {
	After   uint64 // only events with a higher number
	Last    int    // begin with so many of the last ones instead
	Limit   int    // 1..1000; 100 when 0
	Release string // only those of this release
}

func (q EventQuery) values() string {
	v := url.Values{}
	if q.After > 0 {
		v.Set("after", strconv.FormatUint(q.After, 10))
	}
	if q.Last > 0 {
		v.Set("last", strconv.Itoa(q.Last))
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.Release != "" {
		v.Set("release", q.Release)
	}
	return "?" + v.Encode()
}

// Events returns what happened, in order.
func (c *Client) Events(ctx context.Context, q EventQuery) ([]Event, error) {
	return get[[]Event](ctx, c, "/v1/events"+q.values())
}

// FollowEvents calls each with events as they happen, until ctx is done or
// each fails.
func (c *Client) FollowEvents(ctx context.Context, q EventQuery, each func(Event) error) error {
	return follow(ctx, c, "/v1/events/stream"+q.values(), "event", each)
}

// FollowStatus calls each with the status, now and whenever it changes, until
// ctx is done or each fails.
func (c *Client) FollowStatus(ctx context.Context, each func(Status) error) error {
	return follow(ctx, c, "/v1/status/stream", "status", each)
}

// LogQuery chooses log lines.
type LogQuery struct {
	Service string
	Release string // the version that this release brings; "" for all that run
	Tail    int    // lines of each instance to begin with
	Follow  bool
}

// Logs calls each with what a service's instances printed and, when it
// follows, print, until ctx is done or each fails.
func (c *Client) Logs(ctx context.Context, q LogQuery, each func(LogLine) error) error {
	v := url.Values{"tail": {strconv.Itoa(q.Tail)}, "follow": {strconv.FormatBool(q.Follow)}}
	if q.Release != "" {
		v.Set("release", q.Release)
	}
	return follow(ctx, c, "/v1/services/"+url.PathEscape(q.Service)+"/logs?"+v.Encode(), "line", each)
}

// ErrCut is returned when a stream ended without its end: the server went away
// or the connection did.
var ErrCut = errors.New("the connection to greenroom was cut")

// follow reads a stream of server-sent events.
func follow[T any](ctx context.Context, c *Client, path, kind string, each func(T) error) error {
	resp, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	var event string
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return ErrCut
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "event":
			event = value
		case "data":
			if done, err := received(event, kind, value, each); done || err != nil {
				return err
			}
		}
	}
}

func received[T any](event, kind, data string, each func(T) error) (done bool, err error) {
	switch event {
	case kind:
		var one T
		if err := json.Unmarshal([]byte(data), &one); err != nil {
			return true, fmt.Errorf("read an event: %w", err)
		}
		return false, each(one)
	case "problem":
		p := &Error{}
		if err := json.Unmarshal([]byte(data), p); err != nil {
			return true, fmt.Errorf("read a problem: %w", err)
		}
		return true, p
	case "end":
		return true, nil
	}
	return false, nil
}
