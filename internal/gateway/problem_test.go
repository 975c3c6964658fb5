package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

func TestErrorsOfServices(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{Edge: fleet.Edge{Routes: []fleet.Route{
		{Path: "/slow", Service: "slow", Timeout: 100 * time.Millisecond},
		{Path: "/closed", Service: "closed"}, {Path: "/noise", Service: "noise"}, {Path: "/torn", Service: "torn"},
	}}})
	f.Run("slow@1", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	f.Run("torn@1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.Endpoint("closed@1", closed.Addr().String())
	closed.Close()
	noise, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer noise.Close()
	go func() {
		for {
			c, err := noise.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "SSH-2.0-OpenSSH\r\n")
			c.Close()
		}
	}()
	f.Endpoint("noise@1", noise.Addr().String())
	f.View("r1", "slow@1", "closed@1", "noise@1", "torn@1")
	f.Publish("r1")
	for path, want := range map[string]string{"/slow": "504 timeout", "/closed": "502 refused", "/noise": "502 bad-answer"} {
		resp, body := get(t, f.URL+path)
		if got := fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("X-Greenroom-Error")); got != want || resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %s %s", path, got, body)
		}
		var p struct{ Detail string }
		if err := json.Unmarshal([]byte(body), &p); err != nil || !strings.Contains(p.Detail, "Service "+path[1:]) || strings.Contains(body, "ersion 1") {
			t.Errorf("%s: %s", path, body)
		}
	}
	if resp, err := http.Get(f.URL + "/torn"); err == nil { // else broken off before anything of it came
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("half an answer came as a whole: %q", b)
		}
	}
}

func TestGRPCCallersGetAStatus(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{Edge: fleet.Edge{Routes: []fleet.Route{{Path: "/idle.Service", Service: "idle"}, {Path: "/gone.Service", Service: "gone"}}}})
	f.View("r1", "idle@1")
	f.Publish("r1")
	conn, err := grpc.NewClient(strings.TrimPrefix(f.URL, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, c := range []struct {
		method string
		want   codes.Code
		code   string
		says   string
	}{
		{"/idle.Service/Do", codes.Unavailable, "no-instance", "Service idle has no ready instance"},
		{"/gone.Service/Do", codes.Unimplemented, "no-service", "greenroom status"},
		{"/other.Service/Do", codes.Unimplemented, "no-route", "routes"},
	} {
		var header, trailer metadata.MD
		err := conn.Invoke(t.Context(), c.method, &emptypb.Empty{}, &emptypb.Empty{}, grpc.Header(&header), grpc.Trailer(&trailer))
		if status.Code(err) != c.want || !strings.Contains(status.Convert(err).Message(), c.says) {
			t.Errorf("%s: %v", c.method, err)
		}
		if got := append(header["x-greenroom-error"], trailer["x-greenroom-error"]...); len(got) != 1 || got[0] != c.code {
			t.Errorf("%s: %v, %v", c.method, header, trailer)
		}
	}
}

func TestClientThatLeavesIsNoError(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{})
	arrived := make(chan struct{})
	f.Run("web@1", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}))
	f.View("r1", "web@1")
	f.Publish("r1")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	r, err := http.NewRequestWithContext(ctx, "GET", f.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.DefaultClient.Do(r); err == nil {
		t.Error("an answer")
	}
	eventually(t, "the request is over", func() bool {
		flows := f.Gateway.Flows()
		return len(flows) == 1 && flows[0] == gateway.Flow{Service: "web", Stamp: "r1", Requests: 1}
	})
}

// Every code is explained in docs/errors.md, and nothing else is.
func TestCodesAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for line := range strings.Lines(string(b)) {
		if code, ok := strings.CutPrefix(strings.TrimSpace(line), "## `"); ok {
			documented = append(documented, strings.TrimSuffix(code, "`"))
		}
	}
	var all []string
	for _, c := range gateway.Codes() {
		all = append(all, string(c))
		if c != gateway.CodeInternal && (c.Status() == 500 || c.Title() == gateway.CodeInternal.Title()) {
			t.Errorf("%s has no status or title of its own", c)
		}
	}
	slices.Sort(all)
	slices.Sort(documented)
	if !slices.Equal(all, documented) {
		t.Errorf("documented: %v\ncodes:      %v", documented, all)
	}
}
