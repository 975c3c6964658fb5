package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

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

// FollowFlow calls each with what goes through the fleet, the last points first
// and then one point of every service and release whenever it was taken, until
// ctx is done or each fails.
func (c *Client) FollowFlow(ctx context.Context, points int, each func(Flow) error) error {
	return follow(ctx, c, "/v1/flow/stream?points="+strconv.Itoa(points), "flow", each)
}

// LogQuery chooses log lines.
type LogQuery struct {
	Service string
	Release string // the version that this release brings; "" for all that run
	Tail    int    // lines of each version to begin with; on Kubernetes of each pod
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
