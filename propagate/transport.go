package propagate

import "net/http"

// Transport adds the stamp that a request's context carries, as header and as
// baggage member, to requests towards hosts of the fleet. The rest of the
// baggage is the request's own or, where it has none, what came in with the
// stamp.
//
// Third parties never get a stamp. One that a request has in its headers,
// because a handler copied all that it received, is taken out, and a redirect is
// judged by the host it leads to. Other headers are not touched.
//
// The request passed in is never changed. A nil base means
// [http.DefaultTransport]. A call without a stamp costs no allocation.
func Transport(base http.RoundTripper, opts ...Option) http.RoundTripper {
	return New(opts...).Transport(base)
}

// Client returns a copy of base, or of a zero client when base is nil, whose
// calls go through [Transport].
func Client(base *http.Client, opts ...Option) *http.Client {
	return New(opts...).Client(base)
}

type transport struct {
	p    *Propagator
	base http.RoundTripper
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	c := carriedFrom(r.Context())
	stamped := c != nil && c.stamp != ""
	byHand := t.hasStamp(r.Header)
	if r.URL == nil || !stamped && !byHand { // without a URL the base has the error
		return t.base.RoundTrip(r)
	}
	switch inFleet := t.p.hosts.Contains(r.URL.Scheme, r.URL.Host); {
	case inFleet && stamped:
		r = t.stamp(r, c)
	case !inFleet && byHand:
		r = t.strip(r)
	}
	return t.base.RoundTrip(r)
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the base.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (t *transport) hasStamp(h http.Header) bool {
	if len(h[t.p.header]) > 0 {
		return true
	}
	for _, line := range h[baggageHeader] {
		if hasOwnMember(line) {
			return true
		}
	}
	return false
}

func (t *transport) stamp(r *http.Request, c *carried) *http.Request {
	baggage := c.baggage
	if own := r.Header[baggageHeader]; len(own) > 0 {
		baggage = rewriteBaggage(joinBaggage(own), c.stamp)
	}
	out := withOwnHeader(r)
	values := []string{c.stamp, baggage}
	out.Header[t.p.header] = values[:1:1]
	out.Header[baggageHeader] = values[1:2:2]
	return out
}

func (t *transport) strip(r *http.Request) *http.Request {
	out := withOwnHeader(r)
	delete(out.Header, t.p.header)
	if own := r.Header[baggageHeader]; len(own) > 0 {
		if rest := rewriteBaggage(joinBaggage(own), ""); rest != "" {
			out.Header[baggageHeader] = []string{rest}
		} else {
			delete(out.Header, baggageHeader)
		}
	}
	return out
}

// withOwnHeader copies the request and the map of its headers, not the values:
// no round tripper may change them.
func withOwnHeader(r *http.Request) *http.Request {
	out := r.WithContext(r.Context())
	out.Header = make(http.Header, len(r.Header)+2)
	for k, v := range r.Header {
		out.Header[k] = v[:len(v):len(v)]
	}
	return out
}
