package gateway_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
)

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
