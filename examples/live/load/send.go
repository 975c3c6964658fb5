package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/greenroom-dev/greenroom/examples/live/internal/trail"
	"github.com/greenroom-dev/greenroom/examples/live/wallet/walletpb"
)

// errMixed is part of the error when the fleet itself says that it met two
// releases.
var errMixed = errors.New("two releases answered one request")

// send makes one request and returns the trail that came back. The error says
// why the answer is not the one that was asked for.
func (w *worker) send(ctx context.Context, kind Kind) (trail.Trail, error) {
	switch kind {
	case Page:
		return w.page()
	case PostSmall:
		return w.ask(http.MethodPost, "/path", nil, &w.small)
	case PostLarge:
		return w.ask(http.MethodPost, "/path", nil, &w.large)
	case API:
		return w.ask(http.MethodGet, "/api/path", nil, nil)
	case Gift:
		id := fmt.Sprintf("load-%08x-%d-%d", w.run, w.id, w.report.Sent)
		query := url.Values{"from": {id}, "to": {"mika"}, "coins": {"1"}}
		return w.ask(http.MethodPost, "/api/gift", query, &w.small)
	case Upload:
		return w.ask(http.MethodPost, "/api/upload", nil, &w.large)
	case Events:
		return w.events()
	case Unary, Watch, Converse:
		return w.call(ctx, kind)
	case Socket:
		return w.socket(ctx)
	default:
		return w.ask(http.MethodGet, "/path", nil, nil)
	}
}

func (w *worker) request(method, path string, query url.Values, b *body) *http.Request {
	req := &http.Request{
		Method: method, Host: w.edge.Host, Header: http.Header{},
		URL: &url.URL{Scheme: "http", Host: w.edge.Host, Path: path, RawQuery: query.Encode()},
	}
	if b != nil {
		req.Body = io.NopCloser(bytes.NewReader(b.bytes))
		req.ContentLength = int64(len(b.bytes))
		req.Header.Set("Content-Digest", b.header)
	}
	return req
}

// ask sends a request whose answer is JSON, and compares the digest of what
// arrived with what was sent.
func (w *worker) ask(method, path string, query url.Values, b *body) (t trail.Trail, err error) {
	err = w.http.do(w.request(method, path, query, b), func(res *http.Response) error {
		t = trail.Of(res.Header)
		raw, err := check(res)
		if err != nil || b == nil {
			return err
		}
		var answer struct{ Digest string }
		if err := json.Unmarshal(raw, &answer); err != nil {
			return fmt.Errorf("reading the answer %q: %w", raw, err)
		}
		if answer.Digest != b.digest {
			return fmt.Errorf("the body arrived with digest %s, it was sent with %s", answer.Digest, b.digest)
		}
		return nil
	})
	return t, err
}

// check returns the body of an answer of status 200 that has a trail; what has
// none was not answered by the fleet.
func check(res *http.Response) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the answer, after %d bytes: %w", len(raw), err)
	case res.Header.Get(trail.MixedHeader) != "":
		return nil, fmt.Errorf("%w: %s: %.300s", errMixed, res.Status, raw)
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s (X-Greenroom-Error: %s): %.300s", res.Status, res.Header.Get("X-Greenroom-Error"), raw)
	case res.Header.Get(trail.Header) == "":
		return nil, fmt.Errorf("the answer has no %s: %.300s", trail.Header, raw)
	}
	return raw, nil
}

// page loads the page, which must be the one of the version that answers.
func (w *worker) page() (t trail.Trail, err error) {
	err = w.http.do(w.request(http.MethodGet, "/", nil, nil), func(res *http.Response) error {
		t = trail.Of(res.Header)
		raw, err := check(res)
		if err != nil {
			return err
		}
		if mark := `data-version="` + t[0].Version + `"`; !bytes.Contains(raw, []byte(mark)) {
			return fmt.Errorf("%w: the page is not of %s", errMixed, t[0].Version)
		}
		return nil
	})
	return t, err
}

// events waits for the first event and hangs up.
func (w *worker) events() (t trail.Trail, err error) {
	err = w.http.do(w.request(http.MethodGet, "/api/events", nil, nil), func(res *http.Response) error {
		t = trail.Of(res.Header)
		if res.StatusCode != http.StatusOK {
			_, err := check(res)
			return err
		}
		first := make([]byte, len("event: viewers\n"))
		if _, err := io.ReadFull(res.Body, first); err != nil {
			return fmt.Errorf("waiting for the first event: %w", err)
		}
		if string(first) != "event: viewers\n" {
			return fmt.Errorf("the first event begins with %q", first)
		}
		res.Close = true // the stream has no end to read to
		return nil
	})
	return t, err
}

// call makes one gRPC call of the wallet.
func (w *worker) call(ctx context.Context, kind Kind) (trail.Trail, error) {
	ctx, cancel := context.WithTimeout(ctx, w.options.Timeout)
	defer cancel()
	if w.options.Pass != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "greenroom-pass", w.options.Pass)
	}
	var header metadata.MD
	var answered []string // the version in each message
	var err error
	switch kind {
	case Watch:
		header, answered, err = w.watch(ctx)
	case Converse:
		header, answered, err = w.converse(ctx)
	default:
		var reply *walletpb.BalanceReply
		reply, err = w.wallet.Balance(ctx, &walletpb.BalanceRequest{Viewer: "load"}, grpc.Header(&header))
		answered = []string{reply.GetVersion()}
	}
	t := trail.Parse(strings.Join(header.Get(trail.Header), ","))
	switch {
	case status.Code(err) == codes.FailedPrecondition:
		return t, fmt.Errorf("%w: %w", errMixed, err)
	case err != nil:
		return t, err
	case len(t) == 0:
		return t, fmt.Errorf("the answer has no %s", strings.ToLower(trail.Header))
	}
	for _, version := range answered {
		t = append(t, trail.Hop{Service: "wallet", Version: version})
	}
	if t.Mixed() {
		return t, fmt.Errorf("%w: %s", errMixed, t)
	}
	return t[:1], nil
}

func (w *worker) watch(ctx context.Context) (header metadata.MD, answered []string, err error) {
	stream, err := w.wallet.Watch(ctx, &walletpb.WatchRequest{Viewer: "load", Times: 3})
	if err != nil {
		return nil, nil, err
	}
	for {
		reply, err := stream.Recv()
		if err != nil {
			header, _ = stream.Header()
			if errors.Is(err, io.EOF) && len(answered) == 3 {
				err = nil
			}
			return header, answered, err
		}
		answered = append(answered, reply.Version)
	}
}

func (w *worker) converse(ctx context.Context) (header metadata.MD, answered []string, err error) {
	stream, err := w.wallet.Converse(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() { header, _ = stream.Header() }()
	for i := range int32(3) {
		if err := stream.Send(&walletpb.Note{Number: i, Text: "hello"}); err != nil && !errors.Is(err, io.EOF) {
			return nil, answered, err // of io.EOF, Recv knows the reason
		}
		note, err := stream.Recv()
		if err != nil {
			return nil, answered, err
		}
		if note.Number != i {
			return nil, answered, fmt.Errorf("note %d was answered by note %d", i, note.Number)
		}
		answered = append(answered, note.Version)
	}
	if err := stream.CloseSend(); err != nil {
		return nil, answered, err
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return nil, answered, fmt.Errorf("after the last note, instead of the end: %w", err)
	}
	return nil, answered, nil
}

// socket opens a WebSocket, is greeted, pings three times and closes.
func (w *worker) socket(ctx context.Context) (t trail.Trail, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.options.Timeout)
	defer cancel()
	header := http.Header{}
	if w.options.Pass != "" {
		header.Set("Greenroom-Pass", w.options.Pass)
	}
	conn, res, err := websocket.Dial(ctx, "ws://"+w.edge.Host+"/chat/ws", &websocket.DialOptions{HTTPClient: w.sockets, HTTPHeader: header})
	if err != nil {
		return nil, err
	}
	defer conn.CloseNow()
	t = trail.Of(res.Header)
	for i := range 4 {
		expect := "hello"
		if i > 0 {
			expect = "pong"
			ping := `{"kind":"ping","text":"` + strconv.Itoa(i) + `"}`
			if err := conn.Write(ctx, websocket.MessageText, []byte(ping)); err != nil {
				return t, err
			}
		}
		path, err := hear(ctx, conn, expect)
		if err != nil {
			return t, err
		}
		if len(t) == 0 {
			t = path
		}
		if path.String() != t.String() {
			return t, fmt.Errorf("%w: %s, then %s", errMixed, t, path)
		}
	}
	return t, conn.Close(websocket.StatusNormalClosure, "")
}

// hear reads frames up to the next of that kind: others may talk in between.
func hear(ctx context.Context, conn *websocket.Conn, kind string) (trail.Trail, error) {
	for {
		_, raw, err := conn.Read(ctx)
		if err != nil {
			return nil, err
		}
		var frame struct{ Kind, Path string }
		if err := json.Unmarshal(raw, &frame); err != nil {
			return nil, fmt.Errorf("reading the frame %q: %w", raw, err)
		}
		if frame.Kind == kind {
			return trail.Parse(frame.Path), nil
		}
	}
}
