package forward_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
)

// calls is a gRPC service.
type calls struct {
	pb.UnimplementedTestServiceServer
	unary   func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error)
	running atomic.Int64
}

func (s *calls) UnaryCall(ctx context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	s.running.Add(1)
	defer s.running.Add(-1)
	if s.unary != nil {
		return s.unary(ctx, r)
	}
	return &pb.SimpleResponse{Payload: r.Payload}, nil
}

// FullDuplexCall sends back what it gets, and the client's metadata as trailer.
func (s *calls) FullDuplexCall(stream grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error {
	s.running.Add(1)
	defer s.running.Add(-1)
	md, _ := metadata.FromIncomingContext(stream.Context())
	stream.SetTrailer(metadata.MD{"x-seen": md["x-sent"]})
	for {
		r, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: r.Payload}); err != nil {
			return err
		}
	}
}

// countingListener counts connections.
type countingListener struct {
	net.Listener
	accepted atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.accepted.Add(1)
	}
	return c, err
}

func startGRPC(t *testing.T, s *calls, opts ...grpc.ServerOption) (forward.Instance, *grpc.Server, *countingListener) {
	t.Helper()
	l := &countingListener{Listener: listen(t)}
	server := grpc.NewServer(opts...)
	pb.RegisterTestServiceServer(server, s)
	go server.Serve(l)
	t.Cleanup(server.Stop)
	return forward.Instance{ID: "grpc-" + l.Addr().String(), Addr: l.Addr().String()}, server, l
}

func dialGRPC(t *testing.T, g *gateway) pb.TestServiceClient {
	t.Helper()
	c, err := grpc.NewClient("passthrough:///"+g.addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return pb.NewTestServiceClient(c)
}

func payload(s string) *pb.Payload { return &pb.Payload{Body: []byte(s)} }

// TestTrailersOnly looks at the frames of 1,000 answers that consist of trailers
// only: each must stay one HEADERS frame that ends its stream.
func TestTrailersOnly(t *testing.T) {
	checkLeaks(t)
	instance, _, _ := startGRPC(t, &calls{unary: func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) {
		return nil, status.Error(codes.NotFound, "no such gift")
	}})
	g := startGateway(t, newPool(t, forward.GRPC, instance), func(_ *http.Request, x *forward.Exchange) { x.End = make(chan struct{}) })
	c, r := dialRaw(t, g.addr)
	say(t, c, http2.ClientPreface)
	framer := http2.NewFramer(c, r)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(framer.WriteSettings())
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	begin := func(n int) {
		block.Reset()
		for _, f := range [][2]string{
			{":method", "POST"}, {":scheme", "http"}, {":path", "/grpc.testing.TestService/UnaryCall"},
			{":authority", "h"}, {"content-type", "application/grpc"}, {"te", "trailers"},
		} {
			must(enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
		}
		id := uint32(2*n + 1)
		must(framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true}))
		must(framer.WriteData(id, true, []byte{0, 0, 0, 0, 0}))
	}
	const total, window = 1000, 20
	begun := 0
	for ; begun < window; begun++ {
		begin(begun)
	}
	for done := 0; done < total; {
		f, err := framer.ReadFrame()
		must(err)
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				must(framer.WriteSettingsAck())
			}
		case *http2.DataFrame:
			t.Fatalf("stream %d has a DATA frame", f.StreamID)
		case *http2.RSTStreamFrame:
			t.Fatalf("stream %d was reset: %v", f.StreamID, f.ErrCode)
		case *http2.MetaHeadersFrame:
			fields := map[string]string{}
			for _, field := range f.Fields {
				fields[field.Name] = field.Value
			}
			if !f.StreamEnded() || fields[":status"] != "200" || fields["grpc-status"] != "5" || fields["grpc-message"] != "no such gift" || fields["content-length"] != "" {
				t.Fatalf("stream %d: ended %v, %v", f.StreamID, f.StreamEnded(), f.Fields)
			}
			done++
			if begun < total {
				begin(begun)
				begun++
			}
		}
	}
}

// TestBidi runs many streams at once over few connections.
func TestBidi(t *testing.T) {
	checkLeaks(t)
	service := &calls{}
	instance, _, l := startGRPC(t, service)
	g := startGateway(t, newPool(t, forward.GRPC, instance), nil)
	client := dialGRPC(t, g)
	var open sync.WaitGroup
	open.Add(100)
	var all sync.WaitGroup
	for n := range 100 {
		all.Go(func() {
			ctx := metadata.AppendToOutgoingContext(t.Context(), "x-sent", fmt.Sprint(n))
			stream, err := client.FullDuplexCall(ctx)
			if err != nil {
				t.Error(err)
				open.Done()
				return
			}
			for i := range 10 {
				want := strings.Repeat(fmt.Sprint(n, ",", i, ";"), 1+i*100)
				if err := stream.Send(&pb.StreamingOutputCallRequest{Payload: payload(want)}); err != nil {
					t.Error(err)
				}
				if r, err := stream.Recv(); err != nil || string(r.Payload.Body) != want {
					t.Errorf("stream %d: %v", n, err)
				}
				if i == 0 {
					open.Done()
					open.Wait() // all are under way together
				}
			}
			stream.CloseSend()
			if _, err := stream.Recv(); err != io.EOF {
				t.Errorf("stream %d: %v", n, err)
			}
			if seen := stream.Trailer()["x-seen"]; len(seen) != 1 || seen[0] != fmt.Sprint(n) {
				t.Errorf("stream %d: trailer %v", n, stream.Trailer())
			}
		})
	}
	all.Wait()
	if n := l.accepted.Load(); n > 10 {
		t.Errorf("%d connections for 100 streams", n)
	}
}

// TestMaxConcurrentStreams: connections are added, none is overloaded.
func TestMaxConcurrentStreams(t *testing.T) {
	checkLeaks(t)
	const limit, n = 10, 60
	goOn := make(chan struct{})
	service := &calls{unary: func(_ context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
		<-goOn
		return &pb.SimpleResponse{}, nil
	}}
	instance, _, l := startGRPC(t, service, grpc.MaxConcurrentStreams(limit))
	g := startGateway(t, newPool(t, forward.GRPC, instance), nil)
	client := dialGRPC(t, g)
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			if _, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{Payload: payload("x")}); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "all calls run", func() bool { return service.running.Load() == n })
	close(goOn)
	all.Wait()
	if c := l.accepted.Load(); c < n/limit || c >= n {
		t.Errorf("%d connections", c)
	}
}

// TestGracefulShutdownFailsNoCall: an instance says GOAWAY under load, while the
// pool still holds it.
func TestGracefulShutdownFailsNoCall(t *testing.T) {
	checkLeaks(t)
	for range 5 {
		a, leaving, _ := startGRPC(t, &calls{})
		b, _, _ := startGRPC(t, &calls{})
		g := startGateway(t, newPool(t, forward.GRPC, a, b), nil)
		client := dialGRPC(t, g)
		var count atomic.Int64
		stop := make(chan struct{})
		var all sync.WaitGroup
		for n := range 8 {
			all.Go(func() {
				body := payload(strings.Repeat("x", n*2000))
				for {
					select {
					case <-stop:
						return
					default:
					}
					if r, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{Payload: body}); err != nil || len(r.Payload.GetBody()) != n*2000 {
						t.Error(err)
						return
					}
					count.Add(1)
				}
			})
		}
		eventually(t, "load", func() bool { return count.Load() > 200 })
		leaving.GracefulStop()
		after := count.Load()
		eventually(t, "load after the shutdown", func() bool { return count.Load() > after+200 || t.Failed() })
		close(stop)
		all.Wait()
	}
}

// TestUnprocessedCallIsSentAgain: the service reads a call and says GOAWAY with
// an earlier stream, which vouches that nothing was done.
func TestUnprocessedCallIsSentAgain(t *testing.T) {
	checkLeaks(t)
	b, _, _ := startGRPC(t, &calls{})
	a := listen(t)
	go func() {
		c, err := a.Accept()
		if err != nil {
			return
		}
		a.Close() // from here on it refuses
		defer c.Close()
		io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
		framer := http2.NewFramer(c, c)
		framer.WriteSettings()
		for {
			f, err := framer.ReadFrame()
			if err != nil {
				return
			}
			if d, ok := f.(*http2.DataFrame); ok && d.StreamEnded() {
				framer.WriteGoAway(0, http2.ErrCodeNo, nil)
				io.Copy(io.Discard, c)
				return
			}
		}
	}()
	pool := newPool(t, forward.GRPC, forward.Instance{ID: "leaving", Addr: a.Addr().String()})
	g := startGateway(t, pool, func(*http.Request, *forward.Exchange) {
		pool.Set([]forward.Instance{{ID: "leaving", Addr: a.Addr().String()}, b})
	})
	// Both are in the pool; calls until one met the leaving instance.
	client := dialGRPC(t, g)
	for retried := false; !retried; {
		r, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{Payload: payload("once")})
		if err != nil || string(r.Payload.Body) != "once" {
			t.Fatalf("%v, %v", r, err)
		}
		retried = g.next(t).res.Retries > 0
	}
}

// TestCancelReachesTheOtherSide, in both directions, and deadlines do.
func TestCancelReachesTheOtherSide(t *testing.T) {
	checkLeaks(t)
	deadlines := make(chan time.Duration, 1)
	ended := make(chan error, 1)
	service := &calls{unary: func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
		d, _ := ctx.Deadline()
		deadlines <- time.Until(d)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}}
	instance, server, _ := startGRPC(t, service)
	g := startGateway(t, newPool(t, forward.GRPC, instance), nil)
	client := dialGRPC(t, g)

	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	go func() {
		_, _ = client.UnaryCall(ctx, &pb.SimpleRequest{})
	}()
	if d := receive(t, deadlines); d < 59*time.Minute || d > time.Hour {
		t.Errorf("the service has %s left", d)
	}
	cancel()
	if err := receive(t, ended); err != context.Canceled {
		t.Errorf("the service's call ended with %v", err)
	}
	g.next(t)

	stream, err := client.FullDuplexCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&pb.StreamingOutputCallRequest{Payload: payload("x")}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	if _, err := stream.Recv(); err == nil || err == io.EOF {
		t.Errorf("a stream whose service died ended with %v", err)
	}
	if n := g.pool.InFlight(); n != 0 {
		eventually(t, "nothing in flight", func() bool { return g.pool.InFlight() == 0 })
	}
}

// TestServiceEndsFirst: the client's half stays open, and nothing waits for it.
func TestServiceEndsFirst(t *testing.T) {
	checkLeaks(t)
	instance, _, _ := startGRPC(t, &calls{})
	g := startGateway(t, newPool(t, forward.GRPC, instance), nil)
	stream, err := dialGRPC(t, g).StreamingInputCall(t.Context()) // unimplemented there
	if err != nil {
		t.Fatal(err)
	}
	err = stream.RecvMsg(new(pb.StreamingInputCallResponse))
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("got %v", err)
	}
	if o := g.next(t); o.err != nil {
		t.Errorf("%+v", o)
	}
}

// TestStreamIsTold: a gRPC stream that must end is told with a status.
func TestStreamIsTold(t *testing.T) {
	checkLeaks(t)
	service := &calls{}
	instance, _, _ := startGRPC(t, service)
	end := make(chan struct{})
	g := startGateway(t, newPool(t, forward.GRPC, instance), func(_ *http.Request, x *forward.Exchange) { x.End = end })
	stream, err := dialGRPC(t, g).FullDuplexCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&pb.StreamingOutputCallRequest{Payload: payload("x")}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	g.end(end)
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
	if o := g.next(t); o.err != nil || !o.res.Ended {
		t.Errorf("%+v", o)
	}
	eventually(t, "the service's stream ends", func() bool { return service.running.Load() == 0 })
}

// TestLittleIsTakenAhead: what a client does not read stays at the service.
func TestLittleIsTakenAhead(t *testing.T) {
	wrote := make(chan int, 1)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	service := &http.Server{Protocols: protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		control := http.NewResponseController(w)
		for n := 0; ; n += 1 << 10 {
			control.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				wrote <- n
				return
			}
		}
	})}
	go service.Serve(l)
	t.Cleanup(func() { service.Close() })
	g := startGateway(t, newPool(t, forward.GRPC, forward.Instance{ID: "i1", Addr: l.Addr().String()}), nil)
	client := &http.Transport{Protocols: protocols, HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequest("GET", "http://"+g.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n := receive(t, wrote); n > 512<<10 {
		t.Errorf("the service could send %d bytes that nobody reads", n)
	}
}
