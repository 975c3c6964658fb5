package system

import (
	"net/http"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/client"
)

// TestCallbackAddress has an outside system call a preview, over a restart and
// until nothing is left.
func TestCallbackAddress(t *testing.T) {
	t.Parallel()
	s := newSystem(t, one).start()
	s.open("r1", web("v2"))
	made := decode[client.MintedCallback](t, s.must("pass", "callback", "r1", "--path", "/oauth/callback", "--count", "3", "--for", "30m", "--to", "pay", "-o", "json").out)
	if made.Kind != "callback" || len(made.Addresses) != 1 || made.Addresses[0] != "http://"+s.edge+"/.greenroom/cb/"+strings.TrimPrefix(made.Base, "http://"+s.edge+"/.greenroom/cb/")+"/oauth/callback" {
		t.Fatalf("%+v", made)
	}
	address := strings.TrimPrefix(made.Addresses[0], "http://"+s.edge)
	call := func(method, path string) (int, string) {
		t.Helper()
		a, err := s.try(method, path)
		if err != nil {
			t.Fatal(err)
		}
		return a.status, a.body
	}
	if status, body := call("POST", address+"?code=1"); status != http.StatusOK || body != "web=v2" {
		t.Fatalf("%d %s", status, body)
	}
	for _, refused := range [][2]string{{"PUT", address}, {"GET", address + "s"}, {"GET", "/.greenroom/cb/nobody/oauth/callback"}} {
		if status, body := call(refused[0], refused[1]); status != http.StatusNotFound {
			t.Errorf("%v: %d %s", refused, status, body)
		}
	}
	s.kill() // the count is on disk before a call is sent on
	s.start()
	if status, body := call("GET", address); status != http.StatusOK || body != "web=v2" {
		t.Fatalf("after a restart: %d %s", status, body)
	}
	token := s.pass("r1")
	if got := s.get("/headers", "Greenroom-Pass", token, "X-Greenroom-Callback-Base", "evil").body; !strings.Contains(got, `"X-Greenroom-Callback-Base":["`+made.Base+`"]`) {
		t.Errorf("a preview learns %s", got)
	}
	if got := s.get("/headers", "X-Greenroom-Callback-Base", "evil").body; strings.Contains(got, "Callback-Base") {
		t.Errorf("what serves learns %s", got)
	}
	if status, _ := call("GET", address); status != http.StatusOK {
		t.Fatalf("the third call: %d", status)
	}
	if status, _ := call("GET", address); status != http.StatusNotFound {
		t.Fatalf("the fourth call: %d", status)
	}
	if got := s.get("/headers", "Greenroom-Pass", token).body; strings.Contains(got, "Callback-Base") {
		t.Errorf("a used-up address is told: %s", got)
	}
	list := s.must("pass", "list").out
	if !strings.Contains(list, "GET,POST /oauth/callback, called 3 of 3 times") || !strings.Contains(list, "used-up") || !strings.Contains(list, "pay") || strings.Contains(list, made.Base) {
		t.Errorf("the list:\n%s", list)
	}

	free := decode[client.MintedCallback](t, s.must("pass", "callback", "r1", "--path", "/hook", "--path", "/other", "--method", "POST", "-o", "json").out)
	hook := strings.TrimPrefix(free.Addresses[0], "http://"+s.edge)
	if status, _ := call("POST", hook+"/x"); status != http.StatusOK {
		t.Errorf("%d", status)
	}
	if status, _ := call("GET", hook); status != http.StatusNotFound {
		t.Errorf("%d", status)
	}
	s.must("pass", "revoke", free.ID)
	if status, _ := call("POST", hook); status != http.StatusNotFound {
		t.Errorf("revoked: %d", status)
	}
	s.refused(2, "begin with /", "pass", "callback", "r1", "--path", "hook")
	s.refused(2, "path", "pass", "callback", "r1")
	s.refused(2, "method", "pass", "callback", "r1", "--path", "/hook", "--method", "BREW")
	events := s.must("events").out
	if strings.Contains(events, strings.TrimPrefix(free.Base, "http://"+s.edge+"/.greenroom/cb/")) || !strings.Contains(events, free.ID) {
		t.Errorf("the event log:\n%s", events)
	}
}

// TestPassForPaths lets a holder see the release below some paths alone.
func TestPassForPaths(t *testing.T) {
	t.Parallel()
	s := newSystem(t, one).start()
	s.open("r1", web("v2"))
	p := decode[client.MintedPass](t, s.must("pass", "create", "r1", "--paths", "/shop/,/api", "-o", "json").out)
	if strings.Join(p.Paths, " ") != "/api /shop" {
		t.Errorf("limited to %q", p.Paths)
	}
	for path, want := range map[string]string{"/shop": "web=v2", "/api/x": "web=v2", "/": "web=v1", "/shops": "web=v1"} {
		if got := s.get(path, "Greenroom-Pass", p.Token); got.body != want {
			t.Errorf("%s answers %s", path, got.body)
		}
	}
	s.refused(2, "shortest way", "pass", "create", "r1", "--paths", "/a/../b")
	if list := s.must("pass", "list").out; !strings.Contains(list, "/api,/shop") {
		t.Errorf("the list:\n%s", list)
	}
}
