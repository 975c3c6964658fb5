package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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

// counts is the gateway's Metrics for looking at.
type counts struct{ unstamped, late, began, ended atomic.Int64 }

func (c *counts) Flow(string, string) gateway.FlowMetrics { return c }
func (c *counts) Unstamped(_, _, _ string)                { c.unstamped.Add(1) }
func (c *counts) Late(_, _ string)                        { c.late.Add(1) }
func (c *counts) OwnError(string)                         {}
func (c *counts) Began()                                  { c.began.Add(1) }
func (c *counts) Ended(gateway.Hop, int, time.Duration)   { c.ended.Add(1) }

// eventually waits for a condition that others bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within two minutes: %s", what)
		}
	}
}
