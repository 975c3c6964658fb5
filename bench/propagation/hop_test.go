package propagation

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	otelpropagation "go.opentelemetry.io/otel/propagation"
	nooptrace "go.opentelemetry.io/otel/trace/noop"

	"github.com/greenroom-dev/greenroom/propagate"
)

// A hop is one call that comes in and one that goes out of it: what a service
// adds to its request, without the network.
type hop struct {
	name       string
	middleware func(http.Handler) http.Handler
	transport  http.RoundTripper
}

const (
	next    = "http://127.1.2.3:20001/gift"
	foreign = "tenant=acme,cart=a%2Cb;ttl=60"
)

// sink is the network: it keeps the headers of the call that goes out.
type sink struct{ last http.Header }

func (s *sink) RoundTrip(r *http.Request) (*http.Response, error) {
	s.last = r.Header
	return nil, http.ErrAbortHandler
}

// unchanged copies nothing: the cost of the harness itself.
func unchanged(net http.RoundTripper) hop {
	return hop{"none", func(h http.Handler) http.Handler { return h }, net}
}

func greenroom(net http.RoundTripper) hop {
	p := propagate.New(propagate.WithEnviron([]string{"GREENROOM_URL_GIFT=http://127.1.2.3:20001"}))
	return hop{"greenroom", p.Middleware, p.Transport(net)}
}

// baggage is the least that passes baggage on with OpenTelemetry: its propagator
// by itself, without spans or metrics.
func baggage(net http.RoundTripper) hop {
	prop := otelpropagation.Baggage{}
	return hop{
		"otel-baggage",
		func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx := prop.Extract(r.Context(), otelpropagation.HeaderCarrier(r.Header))
				next.ServeHTTP(w, r.WithContext(ctx))
			})
		},
		roundTripper(func(r *http.Request) (*http.Response, error) {
			out := r.WithContext(r.Context())
			out.Header = r.Header.Clone()
			prop.Inject(r.Context(), otelpropagation.HeaderCarrier(out.Header))
			return net.RoundTrip(out)
		}),
	}
}

// contrib is what most services have: otelhttp, here with providers that record
// nothing.
func contrib(net http.RoundTripper) hop {
	opts := []otelhttp.Option{
		otelhttp.WithPropagators(otelpropagation.Baggage{}),
		otelhttp.WithTracerProvider(nooptrace.NewTracerProvider()),
		otelhttp.WithMeterProvider(noopmetric.NewMeterProvider()),
	}
	return hop{"otelhttp", otelhttp.NewMiddleware("hop", opts...), otelhttp.NewTransport(net, opts...)}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// serve returns a function that lets one request through the hop.
func (h hop) serve(tb testing.TB, method string, header http.Header) func() {
	target, err := url.Parse(next)
	if err != nil {
		tb.Fatal(err)
	}
	outgoing := &http.Request{Method: method, URL: target, Host: target.Host, Header: http.Header{
		"Accept": {"application/json"}, "User-Agent": {"api/2.4.1"},
	}}
	handler := h.middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		h.transport.RoundTrip(outgoing.WithContext(r.Context()))
	}))
	in := httptest.NewRequest(method, "/gift", nil)
	in.Header = header
	w := httptest.NewRecorder()
	return func() { handler.ServeHTTP(w, in) }
}

// arriving is a request as the mesh hands it to a service: with both.
func arriving() http.Header {
	return http.Header{
		propagate.Header: {"r42"},
		"Baggage":        {"greenroom.release=r42," + foreign},
		"Accept":         {"application/json"},
	}
}

func BenchmarkHop(b *testing.B) {
	both := arriving()
	for _, c := range []struct {
		name, method string
		header       http.Header
	}{
		{"get", "GET", both},
		{"post", "POST", both},
		{"by-baggage-alone", "GET", http.Header{"Baggage": both["Baggage"], "Accept": both["Accept"]}},
		{"unstamped", "GET", http.Header{"Accept": both["Accept"]}},
	} {
		for _, of := range []func(http.RoundTripper) hop{unchanged, greenroom, baggage, contrib} {
			h := of(&sink{})
			b.Run(c.name+"/"+h.name, func(b *testing.B) {
				serve := h.serve(b, c.method, c.header)
				b.ReportAllocs()
				for b.Loop() {
					serve()
				}
			})
		}
	}
}
