//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/client"
)

// called waits until a request of a method is answered so: with a path of
// versions, or with a status and what X-Greenroom-Error says.
func (st *story) called(t *testing.T, what, method, path string, header http.Header, want string) {
	t.Helper()
	st.await(t, what, routeWait, func() error {
		a := asker{address: st.fleet.address(), method: method}
		defer a.close()
		r, err := a.ask(st.fleet.Host, path, header)
		got := strings.TrimSpace(fmt.Sprint(r.status, " ", r.header.Get("X-Greenroom-Error")))
		if r.Service != "" {
			got = r.Answer.String()
		}
		if err == nil && got != want {
			err = fmt.Errorf("%s %s: %s %.200s, want %s", method, path, got, r.body, want)
		}
		return err
	})
}

// onHold turns ordinary users away while holders of passes and outside systems
// that call back go through; r42 is previewed.
func (st *story) onHold(t *testing.T) {
	const v1, v2, held503 = "api=v1 chat=v1 gift=v1", "api=v2 chat=v2 gift=v2", "503 on-hold"
	p := st.mint(t, "r42")
	var live client.MintedPass
	if err := json.Unmarshal([]byte(st.does(t, "", "pass", "create", "--live", "--for", "1h", "-o", "json")), &live); err != nil {
		t.Fatal(err)
	}
	back := st.callback(t, client.MintCallback{Release: "r42", Paths: []string{"/oauth/callback"}, Methods: []string{"GET"}, For: "1h"})
	st.brief = st.callback(t, client.MintCallback{Release: "r42", Paths: []string{"/hooks"}, Methods: []string{"POST"}, For: "1m"})

	if got := st.greenroom(t, "", "hold", "on", "--mode", "wait"); got.code != 2 || !strings.Contains(got.complaint, "not supported here") {
		t.Errorf("hold on of mode wait ended with %d: %s%s", got.code, got.out, got.complaint)
	}
	st.does(t, "", "hold", "on", "--mode", "writes-only", "--routes", "/orders")
	st.called(t, "a write where it is on hold", "POST", "/orders/7", nil, held503)
	st.called(t, "a read there", "GET", "/orders/7", nil, v1)
	st.called(t, "a write elsewhere", "POST", "/ordersome", nil, v1)
	st.called(t, "a write by the holder of a pass", "POST", "/orders/7", held(p.Token), v2)
	st.called(t, "a write by a holder of a pass for what serves", "DELETE", "/orders/7", held(live.Token), v1)

	st.does(t, "", "hold", "on", "--mode", "page")
	st.called(t, "a read", "GET", "/", nil, held503)
	st.called(t, "a browser", "GET", "/feed", http.Header{"Accept": {"text/html"}}, held503)
	st.called(t, "the holder of a pass", "GET", "/", held(p.Token), v2)
	st.called(t, "the holder of a pass for what serves", "GET", "/", held(live.Token), v1)
	st.called(t, "who holds none", "GET", "/", held("rubbish"), "401")
	st.called(t, "an outside system", "GET", back, nil, v2)
	st.called(t, "below its path", "GET", back+"/more", nil, v2)
	st.called(t, "by another method", "POST", back, nil, "404 no-callback")
	st.called(t, "at another path", "GET", strings.TrimSuffix(back, "/oauth/callback")+"/admin", nil, "404 no-callback")
	st.called(t, "beside its path", "GET", back+"-not", nil, "404 no-callback")
	st.called(t, "the other address", "POST", st.brief, nil, v2)

	st.does(t, "", "hold", "off")
	st.called(t, "a read when the hold is over", "GET", "/", nil, v1)
	st.called(t, "a write when the hold is over", "POST", "/orders/7", nil, v1)
}

// callback makes a callback address, and returns its path.
func (st *story) callback(t *testing.T, ask client.MintCallback) string {
	t.Helper()
	made, err := st.by.MintCallback(st.ctx, ask)
	if err != nil {
		t.Fatal(err)
	}
	path, is := strings.CutPrefix(made.Addresses[0], "http://"+st.fleet.Host)
	if !is {
		t.Fatalf("the address is %+v", made)
	}
	return path
}

// callbackOver is what becomes of an address when its time is over.
func (st *story) callbackOver(t *testing.T) {
	st.await(t, "the address to be over", podWait, func() error {
		list, err := st.by.Passes(st.ctx)
		for _, p := range list {
			if p.Kind == "callback" && p.State == "expired" {
				return err
			}
		}
		return fmt.Errorf("none is over (%v)", err)
	})
	st.called(t, "an address that is over", "POST", st.brief, nil, "404 no-callback")
}
