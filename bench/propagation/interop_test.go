package propagation

import (
	"context"
	"net/http"
	"strings"
	"testing"

	otelbaggage "go.opentelemetry.io/otel/baggage"
	otelpropagation "go.opentelemetry.io/otel/propagation"

	"github.com/greenroom-dev/greenroom/propagate"
)

// TestEachHopPassesTheStampOn looks at what the benchmark measures, so that no
// hop is fast because it does nothing.
func TestEachHopPassesTheStampOn(t *testing.T) {
	for _, of := range []func(http.RoundTripper) hop{greenroom, baggage, contrib} {
		out := &sink{}
		h := of(out)
		t.Run(h.name, func(t *testing.T) {
			h.serve(t, "POST", arriving())()
			parsed, err := otelbaggage.Parse(out.last.Get("Baggage"))
			if err != nil {
				t.Fatal(err)
			}
			for key, want := range map[string]string{"greenroom.release": "r42", "tenant": "acme", "cart": "a,b"} {
				if got := parsed.Member(key).Value(); got != want {
					t.Errorf("%s is %q, want %q", key, got, want)
				}
			}
			if h.name == "greenroom" && out.last.Get(propagate.Header) != "r42" {
				t.Errorf("header %q", out.last.Get(propagate.Header))
			}
		})
	}
}

// TestOpenTelemetryReadsWhatWeWrite sets the stamp in baggage written by
// OpenTelemetry, and the other way round.
func TestOpenTelemetryReadsWhatWeWrite(t *testing.T) {
	prop := otelpropagation.Baggage{}
	member, err := otelbaggage.NewMember("cart", "a%2C%20b%22")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := otelbaggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	msg := propagate.MapCarrier{}
	prop.Inject(otelbaggage.ContextWithBaggage(context.Background(), theirs), otelpropagation.MapCarrier(msg))
	before := msg.Get("baggage")
	propagate.Inject(propagate.WithStamp(context.Background(), "r42.2"), msg)
	if got := msg.Get("baggage"); !strings.HasSuffix(got, before) {
		t.Errorf("their member was %q, is %q", before, got)
	}

	ctx := prop.Extract(context.Background(), otelpropagation.MapCarrier(msg))
	read := otelbaggage.FromContext(ctx)
	if read.Member("greenroom.release").Value() != "r42.2" || read.Member("cart").Value() != theirs.Member("cart").Value() {
		t.Errorf("OpenTelemetry reads %q as %v", msg, read)
	}

	again := otelpropagation.MapCarrier{}
	prop.Inject(ctx, again)
	if got := propagate.StampFrom(propagate.Extract(context.Background(), propagate.MapCarrier(again))); got != "r42.2" {
		t.Errorf("we read %q as %q", again, got)
	}
}

// TestHalfTheAllocations holds the part of the comparison that does not depend
// on the machine: at most half of what OpenTelemetry's baggage costs.
func TestHalfTheAllocations(t *testing.T) {
	allocs := func(of func(http.RoundTripper) hop, method string) float64 {
		return testing.AllocsPerRun(100, of(&sink{}).serve(t, method, arriving()))
	}
	for _, method := range []string{"GET", "POST"} {
		none := allocs(unchanged, method)
		ours, theirs := allocs(greenroom, method)-none, allocs(baggage, method)-none
		if ours > theirs/2 {
			t.Errorf("%s: %v allocations, OpenTelemetry's baggage has %v", method, ours, theirs)
		}
	}
}

// TestBothTogether has otelhttp outside, which writes baggage that the service
// made itself and that knows nothing of the stamp.
func TestBothTogether(t *testing.T) {
	out := &sink{}
	p := propagate.New(propagate.WithEnviron([]string{"GREENROOM_URL_GIFT=http://127.1.2.3:20001"}))
	client := contrib(p.Transport(out)).transport
	member, err := otelbaggage.NewMember("tenant", "acme")
	if err != nil {
		t.Fatal(err)
	}
	own, err := otelbaggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	ctx := otelbaggage.ContextWithBaggage(propagate.WithStamp(context.Background(), "r42"), own)
	req, err := http.NewRequestWithContext(ctx, "GET", next, nil)
	if err != nil {
		t.Fatal(err)
	}
	client.RoundTrip(req)
	if got := out.last.Get("Baggage"); got != "greenroom.release=r42,tenant=acme" || out.last.Get(propagate.Header) != "r42" {
		t.Errorf("baggage %q, header %q", got, out.last.Get(propagate.Header))
	}
}
