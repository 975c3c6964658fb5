package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/golden"
)

// roles is the least role of every operation: what README and docs promise. An
// operation that is not in it fails the test, so that nobody forgets to decide.
var roles = map[string]Role{
	"get-whoami": Viewer, "get-status": Viewer, "get-status-stream": Viewer, "get-doctor": Viewer,
	"get-flow": Viewer, "get-flow-stream": Viewer, "get-fleet": Viewer, "get-releases": Viewer, "get-releases-name": Viewer,
	"get-events": Viewer, "get-events-stream": Viewer, "get-services-service-logs": Viewer, "get-passes": Viewer,
	"post-passes": Tester, "post-callbacks": Tester, "post-passes-id-revoke": Tester,
	"post-fleet": Operator, "post-releases": Operator, "post-releases-name-rebase": Operator,
	"post-releases-name-verify": Operator, "post-releases-name-promote": Operator, "post-releases-name-rollback": Operator,
	"post-releases-name-revert": Operator, "post-releases-name-settle": Operator, "post-releases-name-abort": Operator,
	"get-hold": Viewer, "post-hold": Operator, "post-hold-off": Operator,
	"get-events-export": Viewer, "get-notifications": Viewer, "post-notifications-notification-test": Operator,
	"post-releases-name-cancel-promotion": Operator, "post-releases-name-sign-off": Tester, "post-releases-name-approve": Operator,
	"post-fleet-lock": Operator, "post-fleet-unlock": Operator,
	"post-logins": Admin, "get-tokens": Admin, "post-tokens": Admin, "post-tokens-id-revoke": Admin, "post-shutdown": Admin,
}

type apiDescription struct {
	Paths map[string]map[string]struct {
		OperationID string `json:"operationId"`
		Role        string `json:"x-greenroom-role"`
	} `json:"paths"`
}

// TestRoles asks every operation of the description as every role.
func TestRoles(t *testing.T) {
	s := serve(t, hurried)
	text, err := s.server.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var d apiDescription
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for path, operations := range d.Paths {
		for method, op := range operations {
			seen++
			need, decided := roles[op.OperationID]
			if !decided {
				t.Errorf("nobody decided who may %s", op.OperationID)
			}
			if op.Role != need.String() {
				t.Errorf("%s is described for %s, and is for %s", op.OperationID, op.Role, need)
			}
			path := strings.NewReplacer("{name}", "r1", "{id}", "x", "{service}", "api", "{notification}", "ops").Replace(path)
			for role := Role(0); role <= Admin; role++ {
				got := s.status(t, strings.ToUpper(method), path, role)
				want := "allowed"
				switch {
				case role == 0:
					want = "401"
				case role < need:
					want = "403"
				}
				if got != want {
					t.Errorf("%s as %s: %s, want %s", op.OperationID, role, got, want)
				}
			}
		}
	}
	if seen != len(roles) {
		t.Errorf("the description has %d operations, the table %d", seen, len(roles))
	}
}

// status asks and hangs up after the answer's header, since streams go on.
func (s *trial) status(t *testing.T, method, path string, role Role) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	body := `{"dryRun":true,"release":"r1","name":"x","role":"viewer","document":{}}` // enough to be past the question of roles
	if method == http.MethodGet {
		body = ""
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if role > 0 {
		req.Header.Set("Authorization", "bearer s-"+role.String())
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return "401"
	case http.StatusForbidden:
		return "403"
	case http.StatusOK, http.StatusUnprocessableEntity:
		return "allowed"
	}
	return resp.Status
}

func TestOpenAPIUpToDate(t *testing.T) {
	got, err := newServer(newWorld(), io.Discard).OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join("..", "..", "api", "openapi.json"), got)
}

func TestWithoutToken(t *testing.T) {
	s := serve(t)
	for path, want := range map[string]string{"/healthz": "ok\n", "/openapi.json": `"openapi":"3.1.0"`} {
		if resp, body := s.ask(t, "GET", path, "", ""); resp.StatusCode != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %s %.80s", path, resp.Status, body)
		}
	}
	if resp, body := s.ask(t, "GET", "/metrics", "s-viewer", ""); resp.StatusCode != 200 || body != "up 1\n" {
		t.Errorf("/metrics as viewer: %s %s", resp.Status, body)
	}
}

func (s *trial) overSocket(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", s.socket)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestWhoIsAtTheSocket(t *testing.T) {
	s := serve(t)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	c := s.overSocket(t)
	resp, err := c.Get("http://greenroom/v1/whoami")
	if err != nil {
		t.Fatal(err)
	}
	var who client.Whoami
	err = json.NewDecoder(resp.Body).Decode(&who)
	if err != nil || who != (client.Whoami{Name: me.Username, Role: "admin", Via: "socket"}) {
		t.Errorf("%v, %v", who, err)
	}
	resp.Body.Close()
	resp, err = c.Post("http://greenroom/v1/releases/r1/promote", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if done := s.changes(); len(done) != 1 || done[0] != me.Username+" promote r1" {
		t.Errorf("the operation was told %v", done)
	}
	// A token that is given counts, at the socket too.
	req, err := http.NewRequest("POST", "http://greenroom/v1/releases/r1/promote", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer s-viewer")
	resp, err = c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer promoted over the socket: %s", resp.Status)
	}
}

func TestPeer(t *testing.T) {
	for _, c := range []struct {
		uid, owner int
		want       Role
	}{{1000, 1000, Admin}, {0, 1000, Admin}, {1001, 1000, 0}, {1000, 0, 0}} {
		who := peer(c.uid, c.owner)
		if who.Role != c.want || who.Via != "socket" {
			t.Errorf("user %d at the socket of user %d is %v", c.uid, c.owner, who)
		}
	}
	err := ByRole(nil).Allowed(t.Context(), Identity{Name: "eve", Via: "socket"}, Request{Action: Look})
	var denied *DeniedError
	if !errors.As(err, &denied) || denied.Anonymous || denied.Problem != "eve is not the user that greenroom runs as" {
		t.Errorf("a stranger at the socket: %v", err)
	}
}
