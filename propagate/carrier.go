package propagate

import (
	"context"
	"maps"
	"net/http"
	"strings"
)

// Carrier is the headers of a message in a queue or of a call by another
// protocol. OpenTelemetry's TextMapCarrier has these methods too, so that its
// adapters for brokers serve here as well.
type Carrier interface {
	// Get returns the value of key, or "". Where a key may have several values
	// it returns them joined by commas.
	Get(key string) string
	// Set replaces the value of key. An empty value takes the key out.
	Set(key, value string)
}

// MapCarrier is a Carrier over a plain map. Upper and lower case make no
// difference, since brokers and their clients change them.
type MapCarrier map[string]string

// Get returns the value of key.
func (m MapCarrier) Get(key string) string {
	if value, ok := m[key]; ok {
		return value
	}
	for k, value := range m {
		if strings.EqualFold(k, key) {
			return value
		}
	}
	return ""
}

// Set replaces the value of key, however it was spelled.
func (m MapCarrier) Set(key, value string) {
	maps.DeleteFunc(m, func(k, _ string) bool { return strings.EqualFold(k, key) })
	if value != "" {
		m[key] = value
	}
}

// HeaderCarrier is a Carrier over HTTP headers.
type HeaderCarrier http.Header

// Get returns all lines of the header as one list.
func (h HeaderCarrier) Get(key string) string { return joinBaggage(http.Header(h).Values(key)) }

// Set replaces all lines of the header.
func (h HeaderCarrier) Set(key, value string) {
	if value == "" {
		http.Header(h).Del(key)
		return
	}
	http.Header(h).Set(key, value)
}

// Inject writes the stamp that ctx carries to a message, as header and as
// baggage member, so that whoever takes the message from the queue goes on under
// the same release. The rest of the baggage is what the carrier already holds
// or, where it holds none, what ctx carries. Without a stamp nothing is written.
//
// The keys are those of the HTTP headers, X-Greenroom-Release and baggage.
// Of the options only WithHeader and WithEnviron matter here.
func Inject(ctx context.Context, c Carrier, opts ...Option) {
	if StampFrom(ctx) == "" {
		return
	}
	inject(ctx, c, newSettings(opts).header)
}

// Extract returns a copy of ctx with the stamp and the baggage of a message, the
// stamp from the header or else from the baggage. Without a stamp it is ctx
// itself.
func Extract(ctx context.Context, c Carrier, opts ...Option) context.Context {
	s := newSettings(opts)
	return extract(ctx, readStamp(c.Get(s.header)), c.Get(BaggageKey))
}

func inject(ctx context.Context, c Carrier, header string) {
	carried := carriedFrom(ctx)
	if carried == nil || carried.stamp == "" {
		return
	}
	baggage := carried.baggage
	if own := c.Get(BaggageKey); own != "" {
		baggage = rewriteBaggage(own, carried.stamp)
	}
	c.Set(header, carried.stamp)
	c.Set(BaggageKey, baggage)
}

func extract(ctx context.Context, stamp, baggage string) context.Context {
	if stamp == "" {
		if stamp = stampInBaggage(baggage); stamp == "" {
			return ctx
		}
	}
	return &carryingContext{Context: ctx, carried: carry(stamp, baggage)}
}
