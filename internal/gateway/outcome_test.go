package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
)

// What greenroom says by itself names versions and releases to those alone to
// whom answers of services do: holders of a pass, and services.
func TestProblemsNameVersionsToWhomAnswersDo(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{Edge: fleet.Edge{Routes: []fleet.Route{{Path: "/gone", Service: "gone"}, {Service: "web"}}}})
	f.Pool("web@1.4")
	f.Pool("web@1.5")
	f.View("r41", "web@1.4")
	f.View("r42", "web@1.5")
	f.Passes["r42"] = gateway.PassRule{UID: "u42", Access: gateway.Preview, Stamp: "r42"}
	f.Publish("r41")
	pass := "Greenroom-Pass: " + f.Pass("r42", "u42")
	calls := f.Calls("web@1.5", "web")["web"]
	for _, c := range []struct {
		name, url, header string
		says              string // of the version
		release, trail    string
	}{
		{"everybody", f.URL, "", "Service web has", "", ""},
		{"everybody, no such service", f.URL + "/gone", "", "what serves. Look", "", ""},
		{"a holder", f.URL, pass, "Version 1.5 of service web has", "r42", "web=1.5"},
		{"a holder, no such service", f.URL + "/gone", pass, "what serves under r42. Look", "r42", ""},
		{"a service", calls, "X-Greenroom-Release: r42", "Version 1.5 of service web has", "", ""},
	} {
		var header []string
		if c.header != "" {
			header = append(header, c.header)
		}
		resp, body := get(t, c.url, header...)
		if resp.StatusCode < 400 || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d %s, want %q", c.name, resp.StatusCode, body, c.says)
		}
		if c.release == "" && c.header == "" && (strings.Contains(body, "1.4") || strings.Contains(body, "r41")) {
			t.Errorf("%s: told of what serves: %s", c.name, body)
		}
		if release, trail := resp.Header.Get("X-Greenroom-Release"), resp.Header.Get("X-Greenroom-Trail"); release != c.release || trail != c.trail {
			t.Errorf("%s: the answer names %q by way of %q, want %q by way of %q", c.name, release, trail, c.release, c.trail)
		}
	}
}

// statuses are the gateway's Metrics for looking at what ended how.
type statuses struct {
	counts
	mu   sync.Mutex
	seen []int
}

func (s *statuses) Flow(string, string) gateway.FlowMetrics { return s }
func (s *statuses) Ended(_ gateway.Hop, status int, _ time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, status)
}

// A gRPC call that fails is answered with 200 all the same.
func TestFailuresOfGRPCAreErrors(t *testing.T) {
	var log bytes.Buffer
	meters := &statuses{}
	f := gatewaytest.New(t, gatewaytest.Config{Metrics: meters, AccessLog: &log, Edge: fleet.Edge{AccessLog: fleet.AccessLog{Format: "json", Errors: "all"}}})
	answers := []struct {
		code   codes.Code
		begun  bool // a message comes before the status, so that it stands in trailers
		status int
		failed bool
	}{
		{codes.OK, true, 200, false},
		{codes.NotFound, false, 404, false},
		{codes.Internal, false, 500, true},
		{codes.Internal, true, 500, true},
		{codes.Unavailable, true, 503, true},
		{codes.ResourceExhausted, false, 429, false},
		{codes.DeadlineExceeded, false, 504, true},
		{codes.Unimplemented, false, 501, true},
	}
	turn := 0
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		a := answers[turn]
		if a.begun {
			if err := stream.SendMsg(&emptypb.Empty{}); err != nil {
				return err
			}
		}
		return status.Error(a.code, "as it was told")
	}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(l)
	t.Cleanup(server.Stop)
	f.GRPC("web@1")
	f.Endpoint("web@1", l.Addr().String())
	f.View("r1", "web@1")
	f.Publish("r1")
	conn, err := grpc.NewClient(strings.TrimPrefix(f.URL, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var want []int
	var logged []string
	for n, a := range answers {
		turn = n
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		err := conn.Invoke(ctx, fmt.Sprintf("/any.Service/Do%d", n), &emptypb.Empty{}, &emptypb.Empty{})
		cancel()
		if status.Code(err) != a.code {
			t.Fatalf("the caller got %v, want %v", err, a.code)
		}
		want = append(want, a.status)
		if a.failed {
			logged = append(logged, fmt.Sprintf("/any.Service/Do%d 200 %d", n, a.code))
		}
		eventually(t, "the call is over", func() bool { meters.mu.Lock(); defer meters.mu.Unlock(); return len(meters.seen) == n+1 })
	}
	if !slices.Equal(meters.seen, want) {
		t.Errorf("metrics hear of %v, want %v", meters.seen, want)
	}
	if flows := f.Gateway.Flows(); len(flows) != 1 || flows[0].Errors != int64(len(logged)) {
		t.Errorf("counted are %+v, want %d errors", flows, len(logged))
	}
	f.Gateway.Close()
	var lines []string
	for line := range strings.Lines(log.String()) {
		var read struct {
			Path         string
			Status, GRPC int
		}
		if err := json.Unmarshal([]byte(line), &read); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s %d %d", read.Path, read.Status, read.GRPC))
	}
	if !slices.Equal(lines, logged) {
		t.Errorf("the access log has\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(logged, "\n"))
	}
}
