package kubernetes

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"istio.io/api/networking/v1alpha3"

	"github.com/greenroom-dev/greenroom/internal/holdpage"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// maxDirect is how much a proxy answers by itself, in bytes: what
// max_direct_response_body_size_bytes of Envoy's RouteConfiguration is unless
// somebody changed it.
const maxDirect = 4096

// usualHold is what those are told who are turned away, where the Fleet does
// not say.
const (
	usualHold       = "We are working on this right now. Please try again in a moment."
	usualRetryAfter = 30 * time.Second
)

// writing matches the methods of writes: all but GET, HEAD and OPTIONS. RE2
// knows no negation.
var writing = func() string {
	parts := []string{"[^GHO].*"}
	for _, word := range []string{"GET", "HEAD", "OPTIONS"} {
		for i := 1; i < len(word); i++ {
			parts = append(parts, word[:i]+"([^"+word[i:i+1]+"].*)?")
		}
		parts = append(parts, word+".+")
	}
	return strings.Join(parts, "|")
}()

// holdRoutes are the routes that turn requests away while the fleet is on hold:
// gRPC in plain words, which Envoy makes a status of gRPC's, browsers with a
// page, and all others with JSON. They stand behind those of holders of a pass.
func (t *translation) holdRoutes() []*v1alpha3.HTTPRoute {
	h := t.Value.State.Hold
	if h == nil || h.Mode == release.HoldWait { // which is refused here
		return nil
	}
	own := t.Fleet.Spec.Edge.Hold
	message := cmp.Or(own.Message, usualHold)
	page, program := holdpage.HTML(message), holdpage.JSON(message)
	if h.Mode == release.HoldPage {
		page, program = cmp.Or(own.HTML, page), cmp.Or(own.JSON, program)
	}
	retry := cmp.Or(duration(own.RetryAfter), usualRetryAfter)
	var out []*v1alpha3.HTTPRoute
	for _, kind := range []struct {
		name, content, text string
		header              map[string]*v1alpha3.StringMatch
	}{
		{"grpc", "", message, map[string]*v1alpha3.StringMatch{"content-type": prefix("application/grpc")}},
		{"page", "text/html; charset=utf-8", page, map[string]*v1alpha3.StringMatch{"accept": pattern(".*text/html.*")}},
		{"rest", "application/json", program, nil},
	} {
		set := map[string]string{
			"x-greenroom-error": "on-hold", "cache-control": "no-store",
			"retry-after": strconv.Itoa(int(max(time.Second, retry) / time.Second)),
		}
		if kind.content != "" {
			set["content-type"] = kind.content
		}
		out = append(out, &v1alpha3.HTTPRoute{
			Name:           "hold." + kind.name,
			Match:          holdMatch(h, kind.header),
			DirectResponse: &v1alpha3.HTTPDirectResponse{Status: 503, Body: text(t.fitting(kind.name, kind.text))},
			Headers:        &v1alpha3.Headers{Response: &v1alpha3.Headers_HeaderOperations{Set: set}},
		})
	}
	return out
}

// fitting is a text that a proxy can answer with.
func (t *translation) fitting(kind, s string) string {
	if len(s) <= maxDirect {
		return s
	}
	t.say(Condition{Type: TooLarge, Object: "Fleet " + t.Fleet.Namespace + "/" + t.Fleet.Name, Blocks: false,
		Message: fmt.Sprintf("what is shown on hold (%s) has %d bytes, more than the %d that a gateway answers by itself.", kind, len(s), maxDirect),
		Remedy:  "Shorten spec.edge.hold; until then those who are turned away are told the usual words."})
	if kind == "page" {
		return holdpage.HTML(usualHold)
	}
	return holdpage.JSON(usualHold)
}

// holdMatch is what requests must look like to be held; nil: any.
func holdMatch(h *release.Hold, headers map[string]*v1alpha3.StringMatch) []*v1alpha3.HTTPMatchRequest {
	base := v1alpha3.HTTPMatchRequest{Headers: headers}
	if h.Mode == release.HoldWrites {
		base.Method = pattern(writing)
	}
	if len(h.Routes) == 0 {
		if base.Headers == nil && base.Method == nil {
			return nil
		}
		return []*v1alpha3.HTTPMatchRequest{base.DeepCopy()}
	}
	var out []*v1alpha3.HTTPMatchRequest
	for _, r := range h.Routes {
		one := base.DeepCopy()
		if r.Host != "" {
			one.Authority = authority(r.Host)
		}
		if r.Path == "" {
			out = append(out, one)
			continue
		}
		below := one.DeepCopy()
		one.Uri, below.Uri = exact(r.Path), prefix(r.Path+"/")
		out = append(out, one, below)
	}
	return out
}
