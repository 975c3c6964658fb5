package propagate_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/propagate"
)

// listener is a real server that keeps the headers of what it was asked.
type listener struct {
	*httptest.Server
	got chan http.Header
}

func listen(t *testing.T, h http.HandlerFunc) *listener {
	l := &listener{got: make(chan http.Header, 20)}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.got <- r.Header.Clone()
		if h != nil {
			h(w, r)
		}
	}))
	t.Cleanup(l.Close)
	return l
}

func fleetOf(members ...*listener) propagate.Option {
	environ := []string{}
	for i, m := range members {
		environ = append(environ, "GREENROOM_URL_S"+string(rune('A'+i))+"="+m.URL)
	}
	return propagate.WithEnviron(environ)
}

func get(t *testing.T, c *http.Client, ctx context.Context, url string, header http.Header) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	return req
}

func TestTransportStampsTheFleetAlone(t *testing.T) {
	fleet, third := listen(t, nil), listen(t, nil)
	client := propagate.Client(nil, fleetOf(fleet))
	carried := propagate.Extract(context.Background(), propagate.MapCarrier{"baggage": "tenant=7;p=1, greenroom.release=r42"})
	for _, c := range []struct {
		name        string
		ctx         context.Context
		header      http.Header
		toFleet     [2]string // stamp, baggage
		toThird     [2]string
		thirdIsBare bool
	}{
		{"stamped", carried, nil,
			[2]string{"r42", "tenant=7;p=1, greenroom.release=r42"}, [2]string{}, true},
		{"stamped, baggage of its own", carried, http.Header{"Baggage": {"cart=1", "x=2;p"}},
			[2]string{"r42", "greenroom.release=r42,cart=1,x=2;p"}, [2]string{"", "cart=1|x=2;p"}, false},
		{"stamped, another copied by hand", carried, http.Header{propagate.Header: {"r41"}, "Baggage": {"a=1,greenroom.release=r41"}},
			[2]string{"r42", "greenroom.release=r42,a=1"}, [2]string{"", "a=1"}, false},
		{"unstamped", context.Background(), http.Header{"Baggage": {"a=1"}},
			[2]string{"", "a=1"}, [2]string{"", "a=1"}, false},
		{"unstamped, copied by hand", context.Background(), http.Header{propagate.Header: {"r42"}, "Baggage": {"greenroom.release=r42"}},
			[2]string{"r42", "greenroom.release=r42"}, [2]string{}, true},
		{"unmade", propagate.WithStamp(carried, ""), nil, [2]string{}, [2]string{}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, to := range []struct {
				server *listener
				want   [2]string
			}{{fleet, c.toFleet}, {third, c.toThird}} {
				before := c.header.Clone()
				req := get(t, client, c.ctx, to.server.URL, c.header)
				got := <-to.server.got
				if stamp := got.Get(propagate.Header); stamp != to.want[0] {
					t.Errorf("stamp %q, want %q", stamp, to.want[0])
				}
				if baggage := strings.Join(got.Values("Baggage"), "|"); baggage != to.want[1] {
					t.Errorf("baggage %q, want %q", baggage, to.want[1])
				}
				if to.server == third && c.thirdIsBare {
					wantNoStamp(t, got)
				}
				if !maps.EqualFunc(before, req.Header, slices.Equal) {
					t.Errorf("the request passed in was changed: %v, was %v", req.Header, before)
				}
			}
		})
	}
}

func TestRedirectsAreJudgedByWhereTheyLead(t *testing.T) {
	third := listen(t, nil)
	fleet := listen(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/out":
			http.Redirect(w, r, third.URL, http.StatusTemporaryRedirect)
		case "/in":
			http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
		}
	})
	back := listen(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, fleet.URL, http.StatusFound) })
	client := propagate.Client(nil, fleetOf(fleet))
	ctx := propagate.WithStamp(context.Background(), "r42")
	for _, header := range []http.Header{nil, {propagate.Header: {"r42"}, "Baggage": {"greenroom.release=r42"}}} {
		get(t, client, ctx, fleet.URL+"/out", header)
		if got := (<-fleet.got).Get(propagate.Header); got != "r42" {
			t.Errorf("before the redirect: stamp %q", got)
		}
		wantNoStamp(t, <-third.got)

		get(t, client, ctx, fleet.URL+"/in", header)
		for range 2 {
			if got := (<-fleet.got).Get(propagate.Header); got != "r42" {
				t.Errorf("redirected within the fleet: stamp %q", got)
			}
		}
		get(t, client, ctx, back.URL, header)
		wantNoStamp(t, <-back.got)
		if got := (<-fleet.got).Get(propagate.Header); got != "r42" {
			t.Errorf("redirected back to the fleet: stamp %q", got)
		}
	}
}

func TestMiddlewareReadsHeaderThenBaggage(t *testing.T) {
	for _, c := range []struct {
		name   string
		header http.Header
		stamp  string
	}{
		{"none", http.Header{}, ""},
		{"header", http.Header{propagate.Header: {"r42"}}, "r42"},
		{"header first", http.Header{propagate.Header: {"r42"}, "Baggage": {"greenroom.release=r41"}}, "r42"},
		{"header twice", http.Header{propagate.Header: {"r42", "r41"}}, "r42"},
		{"header as a list", http.Header{propagate.Header: {"r42, r42"}}, "r42"},
		{"header malformed", http.Header{propagate.Header: {"r 42"}, "Baggage": {"greenroom.release=r41"}}, "r41"},
		{"baggage", http.Header{"Baggage": {"a=1,greenroom.release=r42"}}, "r42"},
		{"baggage, second line", http.Header{"Baggage": {"a=1", "greenroom.release=r42"}}, "r42"},
		{"baggage of others", http.Header{"Baggage": {"a=1"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got string
			h := propagate.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got = propagate.StampFrom(r.Context())
			}))
			r := httptest.NewRequest("GET", "/", nil)
			r.Header = c.header
			h.ServeHTTP(httptest.NewRecorder(), r)
			if got != c.stamp {
				t.Errorf("stamp %q, want %q", got, c.stamp)
			}
		})
	}
}

func TestTheFleetNamesTheHeader(t *testing.T) {
	for environ, want := range map[string]string{
		"GREENROOM_STAMP_HEADER=x-live-release": "X-Live-Release",
		"GREENROOM_STAMP_HEADER=":               propagate.Header,
		"GREENROOM_STAMP_HEADER=no header":      propagate.Header,
	} {
		server := listen(t, nil)
		opts := propagate.WithEnviron([]string{environ, "GREENROOM_URL_A=" + server.URL})
		if got := propagate.New(opts).Header(); got != want {
			t.Errorf("%s: header %q, want %q", environ, got, want)
		}
		ctx := propagate.Extract(context.Background(), propagate.HeaderCarrier{want: {"r42"}}, opts)
		get(t, propagate.Client(nil, opts), ctx, server.URL, nil)
		if got := (<-server.got).Get(want); got != "r42" {
			t.Errorf("%s: sent stamp %q", environ, got)
		}
	}
}

func TestTheEnvironmentOfTheProcess(t *testing.T) {
	server := listen(t, nil)
	t.Setenv("GREENROOM_STAMP_HEADER", "X-Live")
	t.Setenv("GREENROOM_URL_SERVER", server.URL)
	t.Setenv("GREENROOM_URL_OTHER", "no url")
	get(t, propagate.Client(nil), propagate.WithStamp(context.Background(), "r42"), server.URL, nil)
	if got := (<-server.got).Get("X-Live"); got != "r42" {
		t.Errorf("stamp %q", got)
	}
	if err := propagate.New().Err(); err == nil || !strings.Contains(err.Error(), "GREENROOM_URL_OTHER") {
		t.Errorf("error %v", err)
	}
}

type nowhere struct{}

func (nowhere) RoundTrip(*http.Request) (*http.Response, error) { return nil, nil }

func TestTransportWithoutAStampAllocatesNothing(t *testing.T) {
	rt := propagate.Transport(nowhere{}, propagate.WithFleetHosts("wallet"))
	type key struct{}
	ctx := context.WithValue(context.Background(), key{}, "a value of the service")
	for _, url := range []string{"http://wallet/", "http://third.example:8080/"} {
		r := httptest.NewRequestWithContext(ctx, "POST", url, nil)
		r.Header = http.Header{"Accept": {"*/*"}, "Baggage": {"tenant=7,cart=1"}}
		if n := testing.AllocsPerRun(100, func() { rt.RoundTrip(r) }); n != 0 {
			t.Errorf("%s: %v allocations", url, n)
		}
	}
}

func TestClientKeepsTheOtherFields(t *testing.T) {
	base := &http.Client{Timeout: 5, Transport: nowhere{}}
	c := propagate.Client(base)
	if c.Timeout != 5 || base.Transport != (nowhere{}) || c == base {
		t.Errorf("client %+v, base %+v", c, base)
	}
	c.CloseIdleConnections() // a base without it must not matter
}
