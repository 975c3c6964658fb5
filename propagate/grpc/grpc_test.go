package propagategrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/greenroom-dev/greenroom/propagate"
	propagategrpc "github.com/greenroom-dev/greenroom/propagate/grpc"
)

const (
	patience = 2 * time.Minute
	unary    = "/test.Service/Unary"
	streamed = "/test.Service/Stream"
	balance  = "/test.Service/Balance" // a safe method
)

// service is a gRPC server on a real connection. A call goes on to the next
// service or, in the last, waits until its gate is open or it is cancelled.
type service struct {
	addr   string
	next   *grpc.ClientConn
	gate   chan struct{}
	events chan string
	seen   chan metadata.MD
	err    chan error // what the stream's end gave
}

func (s *service) call(ctx context.Context, method string) error {
	md, _ := metadata.FromIncomingContext(ctx)
	s.seen <- md
	s.events <- "began " + propagate.StampFrom(ctx)
	go func() {
		<-propagate.Disconnected(ctx)
		s.events <- "disconnected"
	}()
	if s.next != nil {
		var out wrapperspb.StringValue
		if err := s.next.Invoke(ctx, method, wrapperspb.String("x"), &out); err != nil {
			s.events <- "failed " + status.Code(err).String()
			return err
		}
	} else {
		select {
		case <-s.gate:
		case <-ctx.Done():
			s.events <- "cancelled " + context.Cause(ctx).Error()
			return ctx.Err()
		}
	}
	s.events <- "done " + propagate.StampFrom(ctx)
	return nil
}

// serve registers the methods by hand, so that the test needs no generated code.
func serve(t *testing.T, next *grpc.ClientConn, opts ...propagate.Option) *service {
	t.Helper()
	s := &service{
		next: next, gate: make(chan struct{}), events: make(chan string, 100),
		seen: make(chan metadata.MD, 100), err: make(chan error, 1),
	}
	handler := func(method string) func(any, context.Context, func(any) error, grpc.UnaryServerInterceptor) (any, error) {
		return func(_ any, ctx context.Context, dec func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.StringValue)
			if err := dec(in); err != nil {
				return nil, err
			}
			info := &grpc.UnaryServerInfo{Server: s, FullMethod: method}
			return interceptor(ctx, in, info, func(ctx context.Context, req any) (any, error) {
				return req, s.call(ctx, method)
			})
		}
	}
	desc := &grpc.ServiceDesc{
		ServiceName: "test.Service",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			{MethodName: "Unary", Handler: handler(unary)},
			{MethodName: "Balance", Handler: handler(balance)},
		},
		Streams: []grpc.StreamDesc{{
			StreamName: "Stream", ServerStreams: true, ClientStreams: true,
			Handler: func(_ any, ss grpc.ServerStream) error { return s.stream(ss) },
		}},
	}
	srv := grpc.NewServer(propagategrpc.NewServer(opts...).WithSafe(balance).Options()...)
	srv.RegisterService(desc, s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	go srv.Serve(l)
	t.Cleanup(srv.Stop)
	return s
}

// stream reads to the end of the client's messages and then works like a call.
func (s *service) stream(ss grpc.ServerStream) error {
	md, _ := metadata.FromIncomingContext(ss.Context())
	s.seen <- md
	s.events <- "began " + propagate.StampFrom(ss.Context())
	for {
		var in wrapperspb.StringValue
		err := ss.RecvMsg(&in)
		if err != nil {
			s.err <- err
			break
		}
		if err := ss.SendMsg(&in); err != nil {
			return err
		}
	}
	if s.next == nil {
		select {
		case <-s.gate:
		case <-ss.Context().Done():
			s.events <- "cancelled " + context.Cause(ss.Context()).Error()
			return ss.Context().Err()
		}
	}
	s.events <- "done " + propagate.StampFrom(ss.Context())
	return nil
}

func (s *service) wait(t *testing.T, prefix string) string {
	t.Helper()
	timeout := time.After(patience)
	var seen []string
	for {
		select {
		case e := <-s.events:
			seen = append(seen, e)
			if strings.HasPrefix(e, prefix) {
				return e
			}
		case <-timeout:
			t.Fatalf("never %q; was %q", prefix, seen)
		}
	}
}

func dial(t *testing.T, target string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient(target, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc
}

func fleetOf(s *service) propagate.Option {
	return propagate.WithEnviron([]string{"GREENROOM_URL_NEXT=http://" + s.addr})
}

// chain is three services, each on connections of its own, and a client that is
// not of the fleet.
func chain(t *testing.T, opts ...propagate.Option) (a, b, c *service, client *grpc.ClientConn) {
	c = serve(t, nil, opts...)
	b = serve(t, dial(t, c.addr, propagategrpc.DialOptions(fleetOf(c))...), opts...)
	a = serve(t, dial(t, b.addr, propagategrpc.DialOptions(fleetOf(b))...), opts...)
	return a, b, c, dial(t, a.addr)
}

func stamped(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx,
		"x-greenroom-release", "r42", "baggage", "tenant=7;own", "baggage", "cart=1")
}

func invoke(ctx context.Context, cc *grpc.ClientConn, method string) <-chan error {
	result := make(chan error, 1)
	go func() {
		var out wrapperspb.StringValue
		result <- cc.Invoke(ctx, method, wrapperspb.String("x"), &out)
	}()
	return result
}

func TestACallSurvivesItsClientInAllServices(t *testing.T) {
	a, b, c, client := chain(t)
	ctx, hangUp := context.WithCancel(stamped(context.Background()))
	result := invoke(ctx, client, unary)
	c.wait(t, "began r42")
	hangUp()
	if err := <-result; status.Code(err) != codes.Canceled {
		t.Errorf("the client got %v", err)
	}
	a.wait(t, "disconnected")
	close(c.gate)
	for _, s := range []*service{c, b, a} {
		s.wait(t, "done r42")
	}
	<-a.seen
	for _, s := range []*service{b, c} {
		md := <-s.seen
		if got := fmt.Sprint(md["x-greenroom-release"], md["baggage"]); got != "[r42] [greenroom.release=r42,tenant=7;own,cart=1]" {
			t.Errorf("metadata %s", got)
		}
	}
}

// TestADeadlineOfTheClientIsNotTheWrites: gRPC sends deadlines along, so that
// without detaching they end the calls of all services.
func TestADeadlineOfTheClientIsNotTheWrites(t *testing.T) {
	t.Parallel() // it waits for the deadline, which has to leave the call the time to get to the last service
	a, _, c, client := chain(t)
	ctx, cancel := context.WithTimeout(stamped(context.Background()), 5*time.Second)
	defer cancel()
	result := invoke(ctx, client, unary)
	c.wait(t, "began")
	if err := <-result; status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("the client got %v", err)
	}
	a.wait(t, "disconnected")
	close(c.gate)
	c.wait(t, "done r42")
	a.wait(t, "done r42")
}

func TestASafeMethodIsCancelledWithItsClient(t *testing.T) {
	a, b, c, client := chain(t)
	ctx, hangUp := context.WithCancel(stamped(context.Background()))
	invoke(ctx, client, balance)
	c.wait(t, "began r42")
	hangUp()
	c.wait(t, "cancelled")
	b.wait(t, "failed Canceled")
	a.wait(t, "failed Canceled")
}

func TestTheDeadlineEndsAWrite(t *testing.T) {
	c := serve(t, nil, propagate.WithDeadline(50*time.Millisecond))
	ctx, hangUp := context.WithCancel(stamped(context.Background()))
	invoke(ctx, dial(t, c.addr), unary)
	c.wait(t, "began")
	hangUp()
	if e := c.wait(t, "cancelled"); !strings.Contains(e, "the deadline for its work is over") {
		t.Error(e)
	}
}

func TestShutdownReachesAllMethods(t *testing.T) {
	for _, method := range []string{unary, balance} {
		base, shutDown := context.WithCancelCause(context.Background())
		c := serve(t, nil, propagate.WithBase(base))
		invoke(stamped(context.Background()), dial(t, c.addr), method)
		c.wait(t, "began")
		shutDown(errors.New("the end"))
		if e := c.wait(t, "cancelled"); e != "cancelled the end" {
			t.Errorf("%s: %s", method, e)
		}
	}
}

func TestStreams(t *testing.T) {
	desc := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	open := func(t *testing.T, s *service) (grpc.ClientStream, context.CancelFunc) {
		ctx, hangUp := context.WithCancel(propagate.WithStamp(context.Background(), "r42"))
		t.Cleanup(hangUp)
		cs, err := dial(t, s.addr, propagategrpc.DialOptions(fleetOf(s))...).NewStream(ctx, desc, streamed)
		if err != nil {
			t.Fatal(err)
		}
		msg := wrapperspb.String("x")
		if err := cs.SendMsg(msg); err != nil {
			t.Fatal(err)
		}
		if err := cs.RecvMsg(msg); err != nil {
			t.Fatal(err)
		}
		s.wait(t, "began r42")
		return cs, hangUp
	}
	t.Run("the client ends it", func(t *testing.T) {
		s := serve(t, nil)
		cs, _ := open(t, s)
		close(s.gate)
		if err := cs.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if err := <-s.err; err != io.EOF {
			t.Errorf("the handler saw %v", err)
		}
		if err := cs.RecvMsg(wrapperspb.String("")); err != io.EOF {
			t.Errorf("the client saw %v", err)
		}
		s.wait(t, "done r42")
	})
	t.Run("the client hangs up", func(t *testing.T) {
		s := serve(t, nil)
		_, hangUp := open(t, s)
		hangUp()
		if err := <-s.err; status.Code(err) != codes.Canceled {
			t.Errorf("the handler saw %v", err)
		}
		close(s.gate)
		s.wait(t, "done r42")
	})
}

func TestThirdPartiesGetNoStamp(t *testing.T) {
	third := serve(t, nil)
	close(third.gate)
	client := dial(t, third.addr, propagategrpc.DialOptions(propagate.WithEnviron([]string{"GREENROOM_URL_A=http://127.0.0.1:1"}))...)
	carried := propagate.Extract(context.Background(), propagate.MapCarrier{"baggage": "tenant=7,greenroom.release=r42"})
	for name, ctx := range map[string]context.Context{
		"carried":        carried,
		"copied by hand": metadata.AppendToOutgoingContext(carried, "x-greenroom-release", "r42", "baggage", "a=1, greenroom.release=r42", "id", "5"),
	} {
		if err := <-invoke(ctx, client, unary); err != nil {
			t.Fatal(err)
		}
		md := <-third.seen
		if s := fmt.Sprint(md); strings.Contains(s, "greenroom") || strings.Contains(s, "r42") || strings.Contains(s, "tenant") {
			t.Errorf("%s: it got %v", name, md)
		}
		if name == "copied by hand" && fmt.Sprint(md["baggage"], md["id"]) != "[a=1] [5]" {
			t.Errorf("other metadata was touched: %v", md)
		}
	}
}

func TestMetadataThatGRPCRefusesIsNotSent(t *testing.T) {
	s := serve(t, nil)
	close(s.gate)
	ctx := propagate.Extract(context.Background(), propagate.MapCarrier{"baggage": "a=1,\tb=2,c=ä,greenroom.release=r42"})
	if err := <-invoke(ctx, dial(t, s.addr, propagategrpc.DialOptions(fleetOf(s))...), unary); err != nil {
		t.Fatal(err)
	}
	if got := (<-s.seen)["baggage"]; fmt.Sprint(got) != "[greenroom.release=r42,a=1, b=2]" {
		t.Errorf("baggage %q", got)
	}
}
