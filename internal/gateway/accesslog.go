package gateway

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/route"
)

// Line is what the access log says of one request at one hop. It holds no
// query, no cookie and no token.
type Line struct {
	Time     time.Time
	Took     time.Duration
	Hop      Hop
	Method   string
	Host     string
	Path     string
	Service  string
	Release  string // stamp
	Version  string // ID
	Instance string
	Caller   string // version ID
	Reason   string // why the call got its view, where no stamp decided
	Status   int    // 0: the answer was broken off
	GRPC     codes.Code
	Sent     int64 // bytes of the answer's body
	Client   string
	ID       string
	Error    Code

	budget fleet.AccessLog
}

// startLine begins the line of a call.
func (f *Flight) startLine(r *Request) {
	f.line = NewLine(r, f.Snapshot, f.hop(), f.Began)
	l := &f.line
	l.Service, l.Release, l.Version, l.Caller = f.Service, f.to.Stamp, f.to.Version, f.Caller
	l.Client, l.ID = f.Client, f.ID
	if f.to.Reason != route.Honoured {
		l.Reason = f.to.Reason.String()
	}
}

// NewLine begins the line of a request that goes to no service. s may be nil.
func NewLine(r *Request, s *Snapshot, hop Hop, began time.Time) Line {
	l := Line{Time: began, Hop: hop, Method: r.Method, Host: r.Host, Path: loggedPath(r.URL.Path)}
	if s != nil {
		l.budget = s.Edge.AccessLog
	}
	return l
}

// loggedPath is a path without what in it opens something: whoever knows a
// callback address can call it.
func loggedPath(path string) string {
	if strings.Contains(path, ".greenroom") && strings.Contains(path, "cb") {
		return pass.CallbackPath + "…"
	}
	return path
}

func (l *Line) ended(res forward.Result, err error, now time.Time) {
	l.Took = now.Sub(l.Time)
	l.Instance, l.Sent = res.Instance, res.Sent
	if l.Status = statusOf(res, err); l.Status == 0 && !res.Ended && l.Error == "" {
		l.Error = codeBroken
	}
	if errors.Is(err, forward.ErrClientGone) && l.Error == "" {
		l.Error = CodeClientGone
	}
}

// failed reports whether the line is one of an error: greenroom's own, or a
// service's.
func (l *Line) failed() bool {
	return l.Error != "" && l.Error != CodeClientGone || l.Status >= http.StatusInternalServerError ||
		statusOfGRPC(l.GRPC) >= http.StatusInternalServerError
}

// wanted reports whether the line is within the budget. The sample is chosen by
// the request's id, so that all hops of a request are in it or none.
func (l *Line) wanted() bool {
	if l.failed() {
		return l.budget.Errors != "none"
	}
	return sampled(l.ID, l.budget.Sample)
}

func sampled(id string, share float64) bool {
	switch {
	case share <= 0:
		return false
	case share >= 1:
		return true
	}
	// FNV-1a (Fowler, Noll, Vo), which spreads short inputs badly over its high
	// bits.
	x := uint64(14695981039346656037)
	for i := range len(id) {
		x = (x ^ uint64(id[i])) * 1099511628211
	}
	x ^= x >> 32
	x *= 0x9e3779b97f4a7c15
	return float64(x) < share*math.MaxUint64
}

func (l *Line) encode() []byte {
	if l.budget.Format == "text" {
		return l.text()
	}
	b, err := json.Marshal(struct {
		Time     string  `json:"time"`
		Hop      Hop     `json:"hop"`
		Method   string  `json:"method"`
		Host     string  `json:"host"`
		Path     string  `json:"path"`
		Status   int     `json:"status"`
		GRPC     uint32  `json:"grpc,omitempty"`
		MS       float64 `json:"ms"`
		Sent     int64   `json:"sent"`
		Service  string  `json:"service,omitempty"`
		Release  string  `json:"release,omitempty"`
		Version  string  `json:"version,omitempty"`
		Instance string  `json:"instance,omitempty"`
		Caller   string  `json:"caller,omitempty"`
		Reason   string  `json:"reason,omitempty"`
		Client   string  `json:"client,omitempty"`
		ID       string  `json:"id,omitempty"`
		Error    Code    `json:"error,omitempty"`
	}{
		l.Time.UTC().Format(time.RFC3339Nano), l.Hop, l.Method, l.Host, l.Path, l.Status, uint32(l.GRPC), millis(l.Took), l.Sent,
		l.Service, l.Release, l.Version, l.Instance, l.Caller, l.Reason, l.Client, l.ID, l.Error,
	})
	if err != nil {
		return nil
	}
	return append(b, '\n')
}

func (l *Line) text() []byte {
	return fmt.Appendf(nil, "%s %s %s %s%s %d %.3fms %dB service=%s release=%s version=%s caller=%s reason=%s client=%s id=%s error=%s\n",
		l.Time.UTC().Format(time.RFC3339Nano), l.Hop, l.Method, quoted(l.Host), quoted(l.Path), l.Status, millis(l.Took), l.Sent,
		dash(l.Service), dash(l.Release), dash(l.Version), dash(l.Caller), dash(l.Reason), dash(l.Client), dash(l.ID), dash(string(l.Error)))
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// quoted keeps what clients chose from making a second line or field.
func quoted(s string) string {
	q := strconv.QuoteToASCII(s)
	if plain := q[1 : len(q)-1]; plain == s {
		for i := range len(s) {
			if s[i] == ' ' {
				return q
			}
		}
		return s
	}
	return q
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// maxLines is how many lines wait for a slow writer.
const maxLines = 4096

// accessLog writes lines in the background. A request never waits for it:
// lines that find the queue full are dropped and counted.
type accessLog struct {
	lines   chan []byte
	quit    chan struct{}
	done    chan struct{}
	once    sync.Once
	dropped atomic.Int64
}

func newAccessLog(w io.Writer, log *slog.Logger) *accessLog {
	a := new(accessLog)
	if w == nil {
		return a
	}
	a.lines = make(chan []byte, maxLines)
	a.quit, a.done = make(chan struct{}), make(chan struct{})
	go a.run(w, log)
	return a
}

func (a *accessLog) write(l *Line) {
	if a.lines == nil || !l.wanted() {
		return
	}
	select {
	case a.lines <- l.encode():
	default:
		a.dropped.Add(1)
	}
}

// run writes until quit, and says once in a row of failures that it cannot.
func (a *accessLog) run(w io.Writer, log *slog.Logger) {
	defer close(a.done)
	out := bufio.NewWriter(w)
	failing := false
	put := func(b []byte) {
		_, err := out.Write(b)
		if err == nil && len(a.lines) > 0 {
			return
		}
		if err == nil {
			err = out.Flush()
		}
		if err != nil {
			out.Reset(w)
		}
		if err != nil && !failing {
			log.Error("the access log cannot be written; its lines are lost until it can", "error", err)
		}
		failing = err != nil
	}
	for {
		select {
		case b := <-a.lines:
			put(b)
		case <-a.quit:
			for len(a.lines) > 0 {
				put(<-a.lines)
			}
			return
		}
	}
}

func (a *accessLog) close() {
	if a.lines == nil {
		return
	}
	a.once.Do(func() { close(a.quit) })
	<-a.done
}

// DroppedLines returns how many lines of the access log were dropped since
// writing them was too slow.
func (g *Gateway) DroppedLines() int64 { return g.access.dropped.Load() }

// Written completes the line of a request that was answered without the
// gateway's core, and writes it.
func (g *Gateway) Written(l *Line) {
	l.Took = g.now().Sub(l.Time)
	g.access.write(l)
}
