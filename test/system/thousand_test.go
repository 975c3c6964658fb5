package system

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestThousandServices starts a fleet of a thousand services that something else
// runs, and releases all of them at once.
func TestThousandServices(t *testing.T) {
	t.Parallel()
	const services = 1000
	answering := func(version string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, version) }))
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://")
	}
	v1, v2 := answering("v1"), answering("v2")
	var fleet, next, routes strings.Builder
	for n := range services {
		fmt.Fprintf(&routes, "{path: /s%d, service: s%d}, ", n, n)
		fmt.Fprintf(&fleet, "  - {name: s%d, version: v1, endpoints: ['%s']}\n", n, v1)
		fmt.Fprintf(&next, "  - {name: s%d, version: v2, endpoints: ['%s']}\n", n, v2)
	}
	s := newSystem(t, "apiVersion: greenroom.dev/v1alpha1\nkind: Fleet\nmetadata: {name: live}\nspec:\n  edge:\n    listen: \"EDGE\"\n    routes: ["+
		strings.TrimSuffix(routes.String(), ", ")+"]\n  services:\n"+fleet.String())
	took := func(what string, do func()) {
		t.Helper()
		began := time.Now()
		do()
		t.Logf("%s: %v", what, time.Since(began).Round(time.Millisecond))
	}
	answers := func(want string) {
		t.Helper()
		for _, n := range []int{0, services / 2, services - 1} {
			if got := s.get(fmt.Sprintf("/s%d", n)); got.body != want {
				t.Fatalf("s%d answers %d %q, want %s", n, got.status, got.body, want)
			}
		}
	}
	took("up until every service is ready", func() { s.start() })
	answers("v1")
	took("release open", func() { s.open("r1", "  services:\n"+next.String()) })
	took("promote", func() { s.must("promote", "--yes") })
	answers("v2")
	took("rollback", func() { s.must("rollback", "--yes") })
	answers("v1")
	took("down", func() { s.must("down", "--yes") })
	took("up again", func() { s.start() })
	answers("v1")
}
