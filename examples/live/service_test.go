package live_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/greenroom-dev/greenroom/examples/live/internal/livetest"
	"github.com/greenroom-dev/greenroom/examples/live/internal/trail"
	"github.com/greenroom-dev/greenroom/examples/live/wallet/walletpb"
)

func dialWallet(t *testing.T, url string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(strings.TrimPrefix(url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestWallet(t *testing.T) {
	for own, version := range map[int32]string{1: "v1", 2: "v2"} {
		t.Run(version, func(t *testing.T) {
			f := livetest.New(t, t.TempDir())
			f.Run("wallet", version, nil)
			conn := dialWallet(t, f.URL["wallet"])
			c, ctx := walletpb.NewWalletClient(conn), t.Context()

			if h, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}); err != nil || h.Status != healthpb.HealthCheckResponse_SERVING {
				t.Errorf("health: %v %v", h, err)
			}
			for contract, want := range map[int32]codes.Code{0: codes.OK, own: codes.OK, 3 - own: codes.FailedPrecondition} {
				var header metadata.MD
				reply, err := c.Balance(ctx, &walletpb.BalanceRequest{Contract: contract, Viewer: "a"}, grpc.Header(&header))
				if status.Code(err) != want {
					t.Errorf("balance in contract %d: %v, want %s", contract, err, want)
				}
				if err == nil && (reply.Coins != 1000 || reply.Version != version) {
					t.Errorf("balance: %v", reply)
				}
				if got := header.Get(trail.Header); len(got) != 1 || got[0] != "wallet="+version {
					t.Errorf("contract %d: trail %v, with error %v", contract, got, err)
				}
			}
			send := func(contract int32, coins int64, gift *walletpb.Gift) (*walletpb.TransferReply, codes.Code) {
				reply, err := c.Transfer(ctx, &walletpb.TransferRequest{Contract: contract, Id: "one", From: "a", To: "b", Coins: coins, Gift: gift})
				return reply, status.Code(err)
			}
			first, second := int64(30), &walletpb.Gift{Coins: 15, Times: 2}
			if own == 2 {
				if _, code := send(2, first, nil); code != codes.FailedPrecondition {
					t.Errorf("the fields of contract 1 in contract 2: %s", code)
				}
				first = 0
			} else {
				if _, code := send(1, 0, second); code != codes.FailedPrecondition {
					t.Errorf("the fields of contract 2 in contract 1: %s", code)
				}
				second = nil
			}
			if _, code := send(3-own, first, second); code != codes.FailedPrecondition {
				t.Errorf("a transfer in the other contract: %s", code)
			}
			for range 2 { // the same id moves coins once
				if reply, code := send(own, first, second); code != codes.OK || reply.Balance != 970 {
					t.Errorf("transfer: %v %s, want a balance of 970", reply, code)
				}
			}
		})
	}
}

func TestWalletStreams(t *testing.T) {
	f := livetest.New(t, t.TempDir())
	f.Run("wallet", "v2", nil)
	c := walletpb.NewWalletClient(dialWallet(t, f.URL["wallet"]))

	watch, err := c.Watch(t.Context(), &walletpb.WatchRequest{Viewer: "a", Times: 3})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if reply, err := watch.Recv(); err != nil || reply.Coins != 1000 {
			t.Fatalf("watch: %v %v", reply, err)
		}
	}
	if _, err := watch.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("watch ended with %v", err)
	}

	// Streams that are open when the wallet has to leave are told so.
	watch, err = c.Watch(t.Context(), &walletpb.WatchRequest{Viewer: "a", Times: 100, IntervalMillis: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	talk, err := c.Converse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	if err := talk.Send(&walletpb.Note{Number: 7}); err != nil {
		t.Fatal(err)
	}
	if note, err := talk.Recv(); err != nil || note.Number != 7 || note.Version != "v2" {
		t.Fatalf("converse: %v %v", note, err)
	}
	f.Stop("wallet")
	for name, recv := range map[string]func() error{
		"watch":    func() error { _, err := watch.Recv(); return err },
		"converse": func() error { _, err := talk.Recv(); return err },
	} {
		if err := recv(); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "is leaving") {
			t.Errorf("%s ended with %v", name, err)
		}
	}
}

// join opens a WebSocket and waits for the greeting.
func join(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), url+"/chat/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	if got := hear(t, conn); !strings.Contains(got, `"kind":"hello"`) {
		t.Fatalf("greeted with %s", got)
	}
	return conn
}

func hear(t *testing.T, conn *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	_, raw, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestChatIsOneRoomForBothVersions(t *testing.T) {
	data := t.TempDir()
	v1, v2 := livetest.New(t, data), livetest.New(t, data)
	v1.Run("chat", "v1", nil)
	v2.Run("chat", "v2", nil)
	one, two := join(t, v1.URL["chat"]), join(t, v2.URL["chat"])
	if err := one.Write(t.Context(), websocket.MessageText, []byte(`{"kind":"message","name":"ann","text":"hello"}`)); err != nil {
		t.Fatal(err)
	}
	for name, conn := range map[string]*websocket.Conn{"v1": one, "v2": two} {
		if got, want := hear(t, conn), `{"kind":"message","name":"ann","text":"hello","version":"v1"}`; got != want {
			t.Errorf("%s hears %s, want %s", name, got, want)
		}
	}
	if _, raw := send(t, "GET", v2.URL["chat"]+"/chat/history", nil); !strings.Contains(raw, `"text":"hello"`) {
		t.Errorf("history of v2: %s", raw)
	}

	// The leaving version says so, the other stays.
	closed := make(chan error, 1)
	go func() { _, _, err := one.Read(context.WithoutCancel(t.Context())); closed <- err }()
	v1.Stop("chat")
	if err := <-closed; websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("closed with %v, want 1001", err)
	}
	if err := two.Write(t.Context(), websocket.MessageText, []byte(`{"kind":"ping","text":"x"}`)); err != nil {
		t.Fatal(err)
	}
	if got, want := hear(t, two), `{"kind":"pong","text":"x","version":"v2","path":"chat=v2"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEventsSayGoodbye(t *testing.T) {
	f := livetest.New(t, t.TempDir())
	f.Run("api", "v1", map[string]string{"GREENROOM_URL_GIFT": "http://127.0.0.1:1"})
	req, err := http.NewRequestWithContext(t.Context(), "GET", f.URL["api"]+"/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	if !lines.Scan() || lines.Text() != "event: viewers" {
		t.Fatalf("began with %q", lines.Text())
	}
	f.Stop("api")
	var last string
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			last = name
		}
	}
	if lines.Err() != nil || last != "bye" {
		t.Errorf("the last event was %q, and then %v", last, lines.Err())
	}
}

func TestUpload(t *testing.T) {
	f := livetest.New(t, t.TempDir())
	f.Run("api", "v1", map[string]string{"GREENROOM_URL_GIFT": "http://127.0.0.1:1"})
	_, raw := send(t, "POST", f.URL["api"]+"/api/upload", strings.NewReader("hello"))
	var got struct {
		Bytes  int
		Digest string
	}
	if err := json.Unmarshal([]byte(raw), &got); err != nil || got.Bytes != 5 || !strings.HasPrefix(got.Digest, "2cf24dba") {
		t.Errorf("got %s, %v", raw, err)
	}
}

// Each service passes the stamp on in its own way, and the api stops doing so by
// OpenTelemetry's own variable.
func TestStampIsPassedOn(t *testing.T) {
	const baggage = "greenroom.release=r2"
	seen := make(chan http.Header, 1)
	callee := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen <- r.Header.Clone() }))
	defer callee.Close()
	for name, c := range map[string]struct {
		service, path   string
		env             map[string]string
		header, baggage string
	}{
		"web":          {"web", "/path", map[string]string{"GREENROOM_URL_API": callee.URL}, "r2", baggage},
		"api":          {"api", "/api/path", map[string]string{"GREENROOM_URL_GIFT": callee.URL}, "", baggage},
		"api, traces":  {"api", "/api/path", map[string]string{"GREENROOM_URL_GIFT": callee.URL, "OTEL_PROPAGATORS": "tracecontext"}, "", ""},
		"api, silent":  {"api", "/api/path", map[string]string{"GREENROOM_URL_GIFT": callee.URL, "OTEL_PROPAGATORS": "none"}, "", ""},
		"api, by name": {"api", "/api/path", map[string]string{"GREENROOM_URL_GIFT": callee.URL, "OTEL_PROPAGATORS": "baggage"}, "", baggage},
	} {
		t.Run(name, func(t *testing.T) {
			f := livetest.New(t, t.TempDir())
			f.Run(c.service, "v1", c.env)
			send(t, "GET", f.URL[c.service]+c.path, nil, "X-Greenroom-Release", "r2", "Baggage", baggage)
			got := <-seen
			if got.Get("X-Greenroom-Release") != c.header || got.Get("Baggage") != c.baggage {
				t.Errorf("passed on header %q and baggage %q, want %q and %q",
					got.Get("X-Greenroom-Release"), got.Get("Baggage"), c.header, c.baggage)
			}
		})
	}
}

func TestGiftStampsGRPC(t *testing.T) {
	seen := make(chan metadata.MD, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
		md, _ := metadata.FromIncomingContext(s.Context())
		seen <- md
		return status.Error(codes.Unimplemented, "this is no wallet")
	}))
	defer srv.Stop()
	go func() { _ = srv.Serve(l) }()
	f := livetest.New(t, t.TempDir())
	f.Run("gift", "v2", map[string]string{"GREENROOM_URL_WALLET": "http://" + l.Addr().String()})
	send(t, "GET", f.URL["gift"]+"/path", nil, "X-Greenroom-Release", "r2")
	if got := (<-seen).Get("x-greenroom-release"); len(got) != 1 || got[0] != "r2" {
		t.Errorf("the wallet got stamps %v, want r2", got)
	}
}
