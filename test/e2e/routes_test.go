//go:build e2e

package e2e

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/test/e2e/hop"
)

// routesHold puts the objects of the pure core before real proxies: what golden
// files and property tests say of them, istiod and Envoy have to mean as well.
func (s *stage) routesHold(t *testing.T) {
	begun := time.Now()
	f := newFleet("routes")
	f.add(hop.Service{Name: "probe", Next: []string{"gift"}, Passing: hop.Verbatim})
	f.add(hop.Service{Name: "stranger", Next: []string{"gift"}, Passing: hop.Verbatim})
	s.place(t, f)
	previewed := append(released(), "probe")
	for _, name := range previewed {
		s.setImage(t, f, name, "v2")
	}
	for _, name := range previewed {
		s.awaitReady(t, f, name)
	}
	f.Services = f.Services[:len(f.Services)-1] // the stranger is of the mesh, and of no fleet
	e := s.newEngine(t, f)
	e.in.Fleet.Spec.Edge.AccessLog = &crd.AccessLog{Sample: "25%"}
	e.open(t, "r42", released()...)
	e.open(t, "r43", "probe")
	e.in.Passes.Revoked = []string{"taken-back"}
	s.kubectl(t, "delete", "virtualservice", "edge", "-n", f.Namespace)
	e.publish(t)
	e.arrived(t)
	e.openDoors(t)

	t.Run("istiod has no complaint", func(t *testing.T) {
		if out, err := s.istioctl("analyze", "-n", f.Namespace, "--failure-threshold", "Warning"); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("edge", func(t *testing.T) { e.edgeHolds(t) })
	t.Run("mesh", func(t *testing.T) { e.meshHolds(t) })
	t.Run("request logs", func(t *testing.T) { e.logsHold(t) })
	t.Run("switches", func(t *testing.T) { e.switchesHold(t) })
	s.noRejections(t, begun)
}

// door is the host by which a test reaches one version of a service that is no
// entry to the fleet.
func (e *engine) door(name string) string { return name + "." + e.fleet.Host }

// openDoors routes hosts to the two versions of probe and to the stranger,
// which pass on a request's stamp as it came.
func (e *engine) openDoors(t *testing.T) {
	t.Helper()
	for name, to := range map[string]string{
		"stranger": "stranger",
		"probe-v1": "gr-probe-" + e.hashOf(t, "probe", e.in.Value.State.Default),
		"probe-v2": "gr-probe-" + e.hashOf(t, "probe", "r43"),
	} {
		e.apply(t, fmt.Sprintf(`{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
			"metadata": {"name": %q, "namespace": %q},
			"spec": {"gateways": ["edge"], "hosts": [%q], "http": [{"route": [{"destination": {"host": %q}}]}]}}`,
			name, e.fleet.Namespace, e.door(name), to))
	}
	for _, name := range []string{"stranger", "probe-v1", "probe-v2"} {
		e.await(t, "the door "+name, routeWait, func() error {
			r, err := e.askAt(e.fleet, e.door(name), "/", nil)
			if err == nil && r.status != http.StatusOK {
				err = fmt.Errorf("%d: %s", r.status, r.body)
			}
			return err
		})
	}
}

// hashOf is the template hash of a view's version of a service.
func (e *engine) hashOf(t *testing.T, service, stamp string) string {
	t.Helper()
	hash := e.in.Value.Templates[e.in.Value.State.Views[stamp].Versions[service]].Hash
	if hash == "" {
		t.Fatalf("%s has no version of %s", stamp, service)
	}
	return hash
}

// edgeHolds asks from outside.
func (e *engine) edgeHolds(t *testing.T) {
	others, err := pass.OpenKeys(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	mine := e.keys
	forge := func() string { e.keys = others; defer func() { e.keys = mine }(); return e.mint(t, nil) }
	good := e.mint(t, nil)
	header := func(token string) http.Header { return http.Header{"Greenroom-Pass": {token}} }
	const v1, v2 = "api=v1 chat=v1 gift=v1", "api=v2 chat=v2 gift=v2"
	for _, c := range []struct {
		name, path string
		header     http.Header
		status     int
		want       string // the path of the answer, or its body
		stamp      string // at every hop
	}{
		{"nobody in particular", "/", nil, 200, v1, "baseline"},
		{"by the service that passes on baggage alone", "/feed", nil, 200, "feed=v1 gift=v1", "baseline"},
		{"a pass in the header", "/", header(good), 200, v2, "r42"},
		{"a pass in the cookie", "/", http.Header{"Cookie": {"a=b; greenroom_pass=" + good + "; c=d"}}, 200, v2, "r42"},
		{"a pass, by baggage alone", "/feed/x", header(good), 200, "feed=v1 gift=v2", "r42"},
		{"a pass for the other release", "/", header(e.mint(t, func(c *pass.Claims) { c.Release, c.UID = "r43", "uid-r43" })), 200, v1, "r43"},
		{"a pass beside a user's own token", "/", http.Header{"Greenroom-Pass": {good}, "Authorization": {"Bearer " + good}}, 200, v2, "r42"},
		{"a forged stamp", "/", http.Header{"X-Greenroom-Release": {"r42"}}, 200, v1, "baseline"},
		{"a forged stamp, twice", "/", http.Header{"X-Greenroom-Release": {"r42", "r43"}}, 200, v1, "baseline"},
		{"a forged stamp in baggage", "/", http.Header{"Baggage": {"greenroom.release=r42"}}, 200, v1, "baseline"},
		{"a forged stamp in the second line of baggage", "/feed", http.Header{"Baggage": {"a=1", "b=2,greenroom.release=r42;p"}}, 200, "feed=v1 gift=v1", "baseline"},
		{"a forged stamp in an encoded spelling", "/feed", http.Header{"Baggage": {"greenroom%2Erelease=r42,%67reenroom.release=r42"}}, 200, "feed=v1 gift=v1", "baseline"},
		{"a forged stamp beside a pass", "/", http.Header{"X-Greenroom-Release": {"r43"}, "Baggage": {"greenroom.release=r43"}, "Greenroom-Pass": {good}}, 200, v2, "r42"},
		{"an expired pass", "/", header(e.mint(t, func(c *pass.Claims) {
			c.IssuedAt, c.ExpiresAt = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		})), 401, "Jwt is expired", ""},
		{"a pass signed by others", "/", header(forge()), 401, "Jwks doesn't have key to match kid or alg from Jwt", ""},
		{"a pass that was changed", "/", header(changed(good)), 401, "Jwt verification fails", ""},
		{"no pass at all", "/", header("rubbish"), 401, "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections", ""},
		{"a pass for an unknown release", "/", header(e.mint(t, func(c *pass.Claims) { c.Release, c.UID = "r99", "uid-r99" })), 403, "RBAC: access denied", ""},
		{"a pass for a release of that name before", "/", header(e.mint(t, func(c *pass.Claims) { c.UID = "uid-former" })), 403, "RBAC: access denied", ""},
		{"a pass that was taken back", "/", header(e.mint(t, func(c *pass.Claims) { c.ID = "taken-back" })), 403, "RBAC: access denied", ""},
		{"what serves", "/.greenroom/default", nil, 200, "baseline\n", ""},
		{"what serves, asked by the holder of a pass", "/.greenroom/default", header(good), 200, "baseline\n", ""},
		{"greenroom's own pages, with a pass that opens nothing", "/.greenroom/pass", header(e.mint(t, func(c *pass.Claims) { c.UID = "uid-former" })), 404, "There is no such page.\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := e.ask(e.fleet, c.path, c.header)
			if err != nil {
				t.Fatal(err)
			}
			got := r.body
			if r.Service != "" {
				got = r.Answer.String()
			}
			if r.status != c.status || got != c.want {
				t.Fatalf("got %d %q, want %d %q", r.status, got, c.status, c.want)
			}
			if c.stamp != "" {
				e.answerHolds(t, r, c.stamp, c.header)
			}
		})
	}
}

// changed is a token that says more than was signed.
func changed(token string) string {
	head, rest, _ := strings.Cut(token, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	said, _ := base64.RawURLEncoding.DecodeString(payload)
	said = bytes.Replace(said, []byte(`"sub":"test"`), []byte(`"sub":"tess"`), 1)
	return head + "." + base64.RawURLEncoding.EncodeToString(said) + "." + signature
}

// answerHolds checks what every hop was given and what came back from a request
// that had to get a view.
func (e *engine) answerHolds(t *testing.T, r reply, stamp string, sent http.Header) {
	t.Helper()
	for _, a := range r.All() {
		if a.Got["X-Greenroom-Release"] != stamp || a.Got["Baggage"] != "greenroom.release="+stamp {
			t.Errorf("%s got the stamp %q and baggage %q, want %s", a.Service, a.Got["X-Greenroom-Release"], a.Got["Baggage"], stamp)
		}
		if got := a.Got["Greenroom-Pass"]; got != "" {
			t.Errorf("%s got the pass", a.Service)
		}
	}
	if got, want := r.Got["Authorization"], sent.Get("Authorization"); got != want {
		t.Errorf("the user's own token arrived as %q", got)
	}
	holder := sent.Get("Greenroom-Pass") != "" || sent.Get("Cookie") != ""
	cache, shown := "public, max-age=60", ""
	if holder {
		cache, shown = "private, no-store", stamp
	}
	if got := r.header.Values("Cache-Control"); len(got) != 1 || got[0] != cache {
		t.Errorf("Cache-Control is %q, want %q", got, cache)
	}
	if got := r.header.Get("X-Greenroom-Release"); got != shown {
		t.Errorf("the answer says that it is of %q, want %q", got, shown)
	}
	if holder && (r.header.Get("CDN-Cache-Control") != "no-store" || r.header.Get("Surrogate-Control") != "no-store") {
		t.Errorf("caches of content networks may keep it: %v", r.header)
	}
}

// meshHolds calls gift from inside of the mesh, as three callers and with
// stamps in every form. r42 holds probe v1 and gift v2, r43 probe v2 and gift v1.
func (e *engine) meshHolds(t *testing.T) {
	stamp := func(s string) http.Header { return http.Header{"X-Greenroom-Release": {s}} }
	baggage := func(lines ...string) http.Header { return http.Header{"Baggage": lines} }
	both := func(s, b string) http.Header { return http.Header{"X-Greenroom-Release": {s}, "Baggage": {b}} }
	for _, c := range []struct {
		name, caller string
		header       http.Header
		gift         string
		stamp        string
		baggage      string // "" means the stamp alone
	}{
		{"no stamp", "stranger", nil, "v1", "baseline", ""},
		{"header", "stranger", stamp("r42"), "v2", "r42", ""},
		{"baggage", "stranger", baggage("greenroom.release=r42"), "v2", "r42", ""},
		{"baggage among others", "stranger", baggage("user=7, greenroom.release = r42 ;p=1,a=b"), "v2", "r42", "user=7, greenroom.release = r42 ;p=1,a=b"},
		{"baggage in several lines", "stranger", baggage("user=7", "greenroom.release=r42"), "v2", "r42", "user=7,greenroom.release=r42"},
		{"header beside a user's baggage", "stranger", both("r42", "user=7"), "v2", "r42", "user=7,greenroom.release=r42"},
		{"header before baggage", "stranger", both("r42", "greenroom.release=baseline,user=7"), "v2", "r42", ""},
		{"an unknown stamp", "stranger", stamp("r99"), "v1", "baseline", ""},
		{"an unknown stamp in baggage", "stranger", baggage("greenroom.release=r99,user=7"), "v1", "baseline", ""},
		{"an unknown header hides the baggage", "stranger", both("r99", "greenroom.release=r42"), "v1", "baseline", ""},
		{"names that only look like ours", "stranger", baggage("xgreenroom.release=r42,greenroomxrelease=r42"), "v1", "baseline", "xgreenroom.release=r42,greenroomxrelease=r42,greenroom.release=baseline"},
		{"an encoded spelling is no stamp", "stranger", baggage("greenroom%2Erelease=r42"), "v1", "baseline", "greenroom%2Erelease=r42,greenroom.release=baseline"},
		{"no stamp", "probe-v1", nil, "v1", "baseline", ""},
		{"a stamp of a view that it is part of", "probe-v1", stamp("r42"), "v2", "r42", ""},
		{"the same in baggage", "probe-v1", baggage("user=7,greenroom.release=r42"), "v2", "r42", "user=7,greenroom.release=r42"},
		{"a stamp of a view that it is no part of", "probe-v1", stamp("r43"), "v1", "baseline", ""},
		{"no stamp", "probe-v2", nil, "v1", "r43", ""},
		{"no stamp, but baggage", "probe-v2", baggage("user=7"), "v1", "r43", "user=7,greenroom.release=r43"},
		{"its own stamp", "probe-v2", stamp("r43"), "v1", "r43", ""},
		{"a stamp of a view that it is no part of", "probe-v2", stamp("r42"), "v1", "r43", ""},
		{"the same in baggage", "probe-v2", baggage("greenroom.release=r42"), "v1", "r43", ""},
	} {
		t.Run(c.caller+" with "+c.name, func(t *testing.T) {
			r, err := e.askAt(e.fleet, e.door(c.caller), "/", c.header)
			if err != nil || r.status != http.StatusOK || len(r.Calls) != 1 {
				t.Fatalf("%v: %d %s", err, r.status, r.body)
			}
			gift, baggage := r.Calls[0], c.baggage
			if baggage == "" {
				baggage = "greenroom.release=" + c.stamp
			}
			if got := gift.Got["Baggage"]; gift.Version != c.gift || gift.Got["X-Greenroom-Release"] != c.stamp || strings.ReplaceAll(got, " | ", ",") != baggage {
				t.Errorf("led to %s with stamp %q and baggage %q; want %s, %s, %q", gift.Version, gift.Got["X-Greenroom-Release"], got, c.gift, c.stamp, baggage)
			}
		})
	}
}

// logsHold looks at what is logged within a budget of a quarter, and all errors.
func (e *engine) logsHold(t *testing.T) {
	const requests = 400
	a := asker{address: e.fleet.address()}
	defer a.close()
	for i := range requests {
		if r, err := a.ask(e.fleet.Host, fmt.Sprintf("/logged/%d", i), nil); err != nil || r.status != http.StatusOK {
			t.Fatal(r.status, err)
		}
	}
	hangUp := asker{address: e.fleet.address(), patience: time.Second}
	if r, err := hangUp.ask(e.fleet.Host, "/slow", nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a request that is not answered in time: %d, %v", r.status, err)
	}
	logged := regexp.MustCompile(`"GET (/logged/\d+) .*inbound\|8080|"GET (/logged/\d+) .*outbound\|80\|\|gr-api-`)
	var edge, api map[string]bool
	read := func(args ...string) (map[string]bool, error) {
		if r, err := a.ask(e.fleet.Host, "/fail", nil); err != nil || r.status != http.StatusInternalServerError {
			return nil, fmt.Errorf("%d %w", r.status, err)
		}
		log, err := e.Kubectl(e.ctx, "", append([]string{"logs", "-c", "istio-proxy", "--tail=5000"}, args...)...)
		for _, path := range []string{"/fail", "/slow"} {
			if err == nil && !strings.Contains(log, `"GET `+path) {
				err = fmt.Errorf("%s has not been written so far", path)
			}
		}
		paths := map[string]bool{}
		for _, m := range logged.FindAllStringSubmatch(log, -1) {
			paths[m[1]+m[2]] = true
		}
		return paths, err
	}
	e.await(t, "the log of the requests that failed", routeWait, func() (err error) {
		if edge, err = read("-n", e.fleet.Namespace, "deployment/gateway"); err != nil {
			return err
		}
		api, err = read("-n", e.fleet.Namespace, "-l", kubernetes.HashLabel+"="+e.hashOf(t, "api", "baseline"))
		return err
	})
	if len(edge) < requests/8 || len(edge) > requests/2 {
		t.Errorf("the gateway has logged %d of %d requests, want about a quarter", len(edge), requests)
	}
	if !maps.Equal(edge, api) {
		t.Errorf("the gateway has logged %d requests, the service behind it %d: not the same ones", len(edge), len(api))
	}
	t.Logf("of %d requests %d were logged", requests, len(edge))
}

// switchesHold promotes and rolls back under load, by the edge's objects alone.
func (e *engine) switchesHold(t *testing.T) {
	const switches = 4 // the operator's story has more of them
	tr := e.traffic(t, e.fleet, "/", released())
	tr.answered(t, e.stage, 200)
	for i := range switches {
		want := "v2"
		if i%2 == 0 {
			e.promote(t, "r42")
		} else {
			want = "v1"
			e.rollback(t, "r42")
		}
		e.flip(t)
		if err := e.serves(e.fleet, want); err != nil {
			t.Errorf("behind the switch: %v", err)
		}
		e.publish(t)
		tr.answered(t, e.stage, 200)
	}
	r := tr.stop()
	t.Logf("%d switches of the edge: %s", switches, r)
	if err := r.trouble(); err != nil {
		t.Error(err)
	}
	if r.versions["v1"] == 0 || r.versions["v2"] == 0 {
		t.Errorf("both should have answered: %v", r.versions)
	}
}
