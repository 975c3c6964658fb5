package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
)

// relay is a service that calls another and answers with its own version and
// what it got. pass is what it hands on of its request.
func relay(version, next *string, pass func(in, out http.Header)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := http.NewRequestWithContext(r.Context(), "GET", *next, nil)
		if err != nil {
			panic(err)
		}
		pass(r.Header, out.Header)
		resp, err := http.DefaultClient.Do(out)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		fmt.Fprintf(w, "%s ", *version)
		io.Copy(w, resp.Body)
	})
}

func byHeader(in, out http.Header) { out["X-Greenroom-Release"] = in["X-Greenroom-Release"] }

func byBaggage(in, out http.Header) { out["Baggage"] = in["Baggage"] }

func byNothing(_, _ http.Header) {}

// named answers with its version and the stamp that it was given.
func named(version string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s[%s|%s]", version, strings.Join(r.Header["X-Greenroom-Release"], ","), strings.Join(r.Header["Baggage"], ","))
	})
}

// twoHops runs web, which calls api: r41 has version 1 of both, r42 version 2
// of both, and r43 web's version 1 with api's version 3.
func twoHops(t *testing.T, c gatewaytest.Config, pass func(in, out http.Header)) *gatewaytest.Fleet {
	t.Helper()
	f := gatewaytest.New(t, c)
	for _, v := range []string{"1", "2"} {
		version, next := "web@"+v, f.Calls("web@"+v, "api")["api"]
		f.Run(version, relay(&version, &next, pass))
	}
	for _, v := range []string{"1", "2", "3"} {
		f.Run("api@"+v, named("api@"+v))
	}
	f.View("r41", "web@1", "api@1")
	f.View("r42", "web@2", "api@2")
	f.View("r43", "web@1", "api@3")
	for _, r := range []string{"r41", "r42", "r43"} {
		f.Passes[r] = gateway.PassRule{UID: r, Access: gateway.Preview, Stamp: r}
	}
	f.Publish("r41")
	return f
}

func get(t *testing.T, url string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header[name] = append(r.Header[name], value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// Either form of the stamp is enough for a hop, and the next hop gets both.
func TestEitherFormOfTheStampFollows(t *testing.T) {
	for name, pass := range map[string]func(in, out http.Header){
		"header": byHeader, "baggage": byBaggage,
		"both": func(in, out http.Header) { byHeader(in, out); byBaggage(in, out) },
		"duplicates": func(in, out http.Header) {
			h := in["X-Greenroom-Release"]
			out["X-Greenroom-Release"] = append(h, h...)
		},
		"baggage twice": func(in, out http.Header) {
			out["Baggage"] = []string{in.Get("Baggage"), in.Get("Baggage")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := twoHops(t, gatewaytest.Config{}, pass)
			for stamp, want := range map[string]string{"r41": "web@1 api@1", "r42": "web@2 api@2", "r43": "web@1 api@3"} {
				_, body := get(t, f.URL, "Greenroom-Pass: "+f.Pass(stamp, stamp))
				if !strings.HasPrefix(body, want+"["+stamp+"|greenroom.release="+stamp) || strings.Count(body, stamp) != 2 {
					t.Errorf("%s: %s", stamp, body)
				}
			}
			if d := f.Gateway.Drops(); len(d) != 0 {
				t.Errorf("drops: %+v", d)
			}
		})
	}
}

func TestTrail(t *testing.T) {
	f := twoHops(t, gatewaytest.Config{}, byBaggage)
	token := "Greenroom-Pass: " + f.Pass("r43", "r43")
	resp, body := get(t, f.URL, token)
	if got := resp.Header.Get("X-Greenroom-Trail"); got != "web=1, api=3" {
		t.Errorf("trail %q of %s", got, body)
	}
	if resp, _ := get(t, f.URL); resp.Header.Get("X-Greenroom-Trail") != "" {
		t.Error("a trail for everybody")
	}
	// An id from outside is not believed, and one of nobody's is ignored.
	id := body[strings.Index(body, "greenroom.trail=")+len("greenroom.trail="):][:26]
	if _, body := get(t, f.URL, token, "Baggage: greenroom.trail="+id); strings.Contains(body, id) {
		t.Errorf("a used id came back: %s", body)
	}
}

func TestCallsOutsideThePromise(t *testing.T) {
	m := new(counts)
	f := twoHops(t, gatewaytest.Config{Metrics: m}, byNothing)
	// web@2 is part of one view alone, web@1 of two.
	if _, body := get(t, f.URL, "Greenroom-Pass: "+f.Pass("r42", "r42")); !strings.HasPrefix(body, "web@2 api@2[r42|") {
		t.Errorf("by source: %s", body)
	}
	if _, body := get(t, f.URL, "Greenroom-Pass: "+f.Pass("r43", "r43")); !strings.HasPrefix(body, "web@1 api@1[r41|") {
		t.Errorf("unstamped: %s", body)
	}
	urls := f.Calls("web@1", "api")
	get(t, urls["api"])
	get(t, urls["api"], "X-Greenroom-Release: r42")                           // known, but not with this caller
	get(t, urls["api"], "X-Greenroom-Release: r7", "Baggage: k=v")            // late
	get(t, f.Calls("web@2", "api")["api"], "X-Greenroom-Release: r7.3, r7.4") // late, and by source
	want := []string{
		" web@1 api unknown background 2",
		" web@1 api unstamped background 1",
		" web@2 api source background 1",
		"r42 web@2 api source dropped 1",
		"r43 web@1 api unstamped dropped 1",
	}
	var got []string
	for _, d := range f.Gateway.Drops() {
		got = append(got, fmt.Sprintf("%s %s %s %s %s %d", d.Stamp, d.Caller, d.Callee, d.Reason, d.Kind, d.Count))
		if time.Since(d.LastSeen) > time.Minute {
			t.Errorf("last seen %v", d.LastSeen)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("drops:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if m.late.Load() != 2 || m.unstamped.Load() != 6 {
		t.Errorf("%d late, %d unstamped", m.late.Load(), m.unstamped.Load())
	}
	f.DropView("r43")
	f.Publish("r41")
	f.Gateway.Traffic()
	for _, d := range f.Gateway.Drops() {
		if d.Stamp == "r43" {
			t.Errorf("kept of a view that is gone: %+v", d)
		}
	}
}

// What another version of the caller has under way is not the caller's.
func TestDropsAreTheCallersOwn(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{})
	arrived, answer := make(chan struct{}), make(chan struct{})
	f.Run("web@2", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-answer
	}))
	defer close(answer)
	f.Run("api@1", named("api@1"))
	f.View("r41", "web@1", "api@1")
	f.View("r42", "web@2", "api@1")
	f.Publish("r42")
	go http.Get(f.URL)
	<-arrived
	get(t, f.Calls("web@1", "api")["api"])
	get(t, f.Calls("web@2", "api")["api"])
	var got []string
	for _, d := range f.Gateway.Drops() {
		got = append(got, fmt.Sprint(d.Stamp, " ", d.Caller, " ", d.Kind))
	}
	if want := []string{" web@1 background", "r42 web@2 dropped"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// counts is the gateway's Metrics for looking at.
type counts struct{ unstamped, late, began, ended atomic.Int64 }

func (c *counts) Flow(string, string) gateway.FlowMetrics { return c }
func (c *counts) Unstamped(_, _, _ string)                { c.unstamped.Add(1) }
func (c *counts) Late(_, _ string)                        { c.late.Add(1) }
func (c *counts) OwnError(string)                         {}
func (c *counts) Began()                                  { c.began.Add(1) }
func (c *counts) Ended(gateway.Hop, int, time.Duration)   { c.ended.Add(1) }

func TestCallsMayBeNarrowedLive(t *testing.T) {
	f := twoHops(t, gatewaytest.Config{}, byHeader)
	f.Services = []fleet.Service{{Name: "web", Calls: []string{"wallet"}}, {Name: "api"}}
	f.Publish("r41")
	resp, body := get(t, f.Calls("web@1", "api")["api"], "X-Greenroom-Release: r41")
	if resp.StatusCode != 403 || resp.Header.Get("X-Greenroom-Error") != "call-not-allowed" || !strings.Contains(body, "Add api to `calls` of web") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	f.Services[0].Calls = []string{"wallet", "api"}
	f.Publish("r41")
	if resp, body := get(t, f.Calls("web@1", "api")["api"], "X-Greenroom-Release: r41"); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// While the default goes back and forth, every request is answered, and by one
// view alone; and none that began after a switch returned is answered by what
// served before.
func TestSwitchingUnderLoad(t *testing.T) {
	f := twoHops(t, gatewaytest.Config{}, byHeader)
	const clients, switches = 8, 1000
	var stop atomic.Bool
	var done atomic.Int64
	var wg sync.WaitGroup
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for range clients {
		wg.Go(func() {
			for !stop.Load() {
				resp, err := client.Get(f.URL)
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if body := string(b); err != nil || !strings.HasPrefix(body, "web@1 api@1[r41|") && !strings.HasPrefix(body, "web@2 api@2[r42|") {
					t.Errorf("%d %q %v", resp.StatusCode, body, err)
					return
				}
				done.Add(1)
			}
		})
	}
	s := f.Gateway.Current()
	for i := range switches {
		stamp, want := "r42", "web@2"
		if i%2 == 1 {
			stamp, want = "r41", "web@1"
		}
		next, err := s.With(gateway.Switch{Default: stamp, Passes: f.Passes})
		if err != nil {
			t.Fatal(err)
		}
		f.Gateway.Publish(next)
		s = next
		if i%10 == 0 {
			if _, body := get(t, f.URL); !strings.HasPrefix(body, want) {
				t.Errorf("after the switch to %s: %s", stamp, body)
			}
		}
	}
	stop.Store(true)
	wg.Wait()
	if done.Load() < 100 {
		t.Errorf("only %d requests", done.Load())
	}
	for stamp, traffic := range f.Gateway.Traffic() {
		if traffic.InFlight != 0 {
			t.Errorf("%s: %d under way", stamp, traffic.InFlight)
		}
	}
	if d := f.Gateway.Drops(); len(d) != 0 {
		t.Errorf("drops: %+v", d)
	}
}

func TestWithRefusesAnUnknownDefault(t *testing.T) {
	f := twoHops(t, gatewaytest.Config{}, byHeader)
	if _, err := f.Gateway.Current().With(gateway.Switch{Default: "r9"}); err == nil || !strings.Contains(err.Error(), "r9") {
		t.Error(err)
	}
	if got := f.Gateway.Current().Default(); got != "r41" {
		t.Errorf("the default is %s", got)
	}
}

func TestTrafficAndFlows(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{})
	arrived, answer := make(chan struct{}), make(chan struct{})
	f.Run("web@1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/wait":
			close(arrived)
			<-answer
		case "/fail":
			w.WriteHeader(500)
		}
	}))
	f.View("r41", "web@1")
	f.View("r40", "web@1")
	f.Publish("r41")
	before := time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		resp, err := http.Get(f.URL + "/wait")
		if err != nil {
			t.Error(err)
			return
		}
		resp.Body.Close()
	}()
	<-arrived
	got := f.Gateway.Traffic()
	if len(got) != 1 || got["r41"].InFlight != 1 || got["r41"].LastSeen.Before(before.Add(-time.Second)) {
		t.Errorf("meanwhile: %+v", got)
	}
	get(t, f.URL+"/fail")
	close(answer)
	<-done
	want := gateway.Flow{Service: "web", Stamp: "r41", Requests: 2, Errors: 1}
	eventually(t, "counts settle", func() bool {
		flows := f.Gateway.Flows()
		return len(flows) == 1 && flows[0] == want
	})
	f.DropView("r41")
	f.Publish("r40")
	if _, there := f.Gateway.Traffic()["r41"]; !there {
		t.Error("an ended stamp is forgotten at once")
	}
	f.SetNow(time.Now().Add(2 * time.Minute))
	if _, there := f.Gateway.Traffic()["r41"]; there {
		t.Error("an ended stamp is kept for ever")
	}
}

// eventually waits for a condition that others bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func TestEndViewEndsItsStreamsAlone(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{})
	stream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: begun\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	f.Run("web@1", stream)
	f.Run("web@2", stream)
	f.View("r41", "web@1")
	f.View("r42", "web@2")
	f.Publish("r41")
	open := func() *bufio.Scanner {
		resp, err := http.Get(f.URL)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		lines := bufio.NewScanner(resp.Body)
		if !lines.Scan() || lines.Text() != "data: begun" {
			t.Fatalf("%q %v", lines.Text(), lines.Err())
		}
		return lines
	}
	old := open()
	f.Publish("r42")
	open()
	f.Gateway.EndView("r41")
	f.Gateway.EndView("r41")
	var last []string
	for old.Scan() { // until it ends
		last = append(last, old.Text())
	}
	if old.Err() != nil || !strings.Contains(strings.Join(last, "\n"), "event: ") {
		t.Errorf("the stream was not told: %q, %v", last, old.Err())
	}
	eventually(t, "the stream is gone", func() bool { return f.Gateway.Traffic()["r41"].InFlight == 0 })
	if n := f.Gateway.Traffic()["r42"].InFlight; n != 1 {
		t.Errorf("%d of the other view's streams are left", n)
	}
}

// A release that is opened again under its name has a view that is not ended.
func TestStampThatComesBack(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{})
	release := make(chan struct{})
	f.Run("web@1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(200)
		http.NewResponseController(w).Flush()
		<-release
		io.WriteString(w, "whole")
	}))
	defer close(release)
	f.View("r41", "web@1")
	f.View("r42", "web@1")
	f.Publish("r42")
	open := func() *http.Response {
		resp, err := http.Get(f.URL)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	under := func(n int64) func() bool {
		return func() bool { return f.Gateway.Traffic()["r42"].InFlight == n }
	}
	open()
	f.DropView("r42")
	f.Publish("r41")
	f.View("r42", "web@1")
	f.Publish("r42") // back, while a stream of the former is under way
	open()
	eventually(t, "both count", under(2))
	f.DropView("r42")
	f.Publish("r41")
	f.Gateway.EndView("r42")
	eventually(t, "the second ended, the first cannot be told any more", under(1))
	f.Gateway.EndView("r43") // of which nothing was ever seen
	f.View("r42", "web@1")
	f.View("r43", "web@1")
	f.Publish("r42")
	third := open()
	f.Publish("r43")
	fourth := open()
	eventually(t, "the third is not ended", under(2))
	for range 4 {
		release <- struct{}{}
	}
	for _, resp := range []*http.Response{third, fourth} {
		if b, err := io.ReadAll(resp.Body); string(b) != "whole" {
			t.Errorf("%q, %v", b, err)
		}
	}
}

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
