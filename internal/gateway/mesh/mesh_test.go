package mesh_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
	"github.com/greenroom-dev/greenroom/internal/gateway/mesh"
)

func newMesh(t *testing.T, o mesh.Options) *mesh.Mesh {
	t.Helper()
	m := mesh.New(gateway.New(gateway.Options{}), o)
	t.Cleanup(func() { m.Shutdown(t.Context()) })
	return m
}

func listen(t *testing.T, m *mesh.Mesh, version string, callees []string, prior mesh.Addresses) mesh.Addresses {
	t.Helper()
	a, err := m.Listen(version, callees, prior)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func status(version string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "status of "+version) })
}

func TestEveryVersionHasItsAddress(t *testing.T) {
	m := newMesh(t, mesh.Options{Seed: t.Name(), Status: status})
	one := listen(t, m, "web@1", []string{"chat", "gift-shop"}, mesh.Addresses{})
	two := listen(t, m, "web@2", []string{"gift-shop", "wallet", "chat"}, mesh.Addresses{})
	if len(one.Ports) != 2 || len(two.Ports) != 3 || one.StatusPort == 0 {
		t.Fatalf("%+v, %+v", one, two)
	}
	if runtime.GOOS == "linux" {
		if one.Host == two.Host || !strings.HasPrefix(one.Host, "127.") || strings.HasPrefix(one.Host, "127.0.") {
			t.Errorf("hosts %s, %s", one.Host, two.Host)
		}
		for callee, port := range one.Ports {
			if two.Ports[callee] != port {
				t.Errorf("%s has ports %d and %d", callee, port, two.Ports[callee])
			}
		}
	}
	env := one.Env("X-View")
	want := map[string]string{
		"CHAT_SERVICE_HOST":      one.Host,
		"CHAT_SERVICE_PORT":      fmt.Sprint(one.Ports["chat"]),
		"GREENROOM_URL_CHAT":     fmt.Sprintf("http://%s:%d", one.Host, one.Ports["chat"]),
		"GIFT_SHOP_SERVICE_HOST": one.Host, "GIFT_SHOP_SERVICE_PORT": fmt.Sprint(one.Ports["gift-shop"]),
		"GREENROOM_URL_GIFT_SHOP": fmt.Sprintf("http://%s:%d", one.Host, one.Ports["gift-shop"]),
		"GREENROOM_STATUS_URL":    fmt.Sprintf("http://%s:%d", one.Host, one.StatusPort),
		"GREENROOM_STAMP_HEADER":  "X-View",
	}
	if !maps.Equal(env, want) {
		t.Errorf("env %v\nwant %v", env, want)
	}
	for a, version := range map[string]string{env["GREENROOM_STATUS_URL"]: "web@1", two.Env("")["GREENROOM_STATUS_URL"]: "web@2"} {
		if body := get(t, a); body != "status of "+version {
			t.Errorf("%s: %s", version, body)
		}
	}
}

func get(t *testing.T, url string, header ...string) string {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header[name] = append(r.Header[name], value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What running processes learnt must hold for the next greenroom too, also for
// services that are not among the callees any more.
func TestAddressesAreBoundAgain(t *testing.T) {
	first := mesh.New(gateway.New(gateway.Options{}), mesh.Options{Seed: t.Name(), Status: status})
	a := listen(t, first, "web@1", []string{"chat", "wallet"}, mesh.Addresses{})
	kept, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	first.Shutdown(t.Context())
	var prior mesh.Addresses
	if err := json.Unmarshal(kept, &prior); err != nil {
		t.Fatal(err)
	}
	second := newMesh(t, mesh.Options{Seed: "another", Status: status})
	b := listen(t, second, "web@1", []string{"chat", "mail"}, prior)
	if b.Host != a.Host || b.StatusPort != a.StatusPort || b.Ports["chat"] != a.Ports["chat"] || b.Ports["wallet"] != a.Ports["wallet"] || b.Ports["mail"] == 0 {
		t.Errorf("%+v became %+v", a, b)
	}
	other := listen(t, second, "web@2", []string{"chat"}, mesh.Addresses{})
	if runtime.GOOS == "linux" && other.Ports["chat"] != a.Ports["chat"] {
		t.Errorf("chat has another port for another version: %+v", other)
	}
	second.Close("web@1")
	third := newMesh(t, mesh.Options{Seed: "third"})
	taken, err := net.Listen("tcp", fmt.Sprintf("%s:%d", a.Host, a.Ports["wallet"]))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := third.Listen("web@1", nil, prior); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("a taken address: %v", err)
	}
	// Nothing of it is left open.
	l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", a.Host, a.Ports["chat"]))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

func TestTwoGreenroomsDoNotCollide(t *testing.T) {
	var all []string
	for range 2 { // with one seed even: what both draw first is the same
		m := newMesh(t, mesh.Options{Seed: "same"})
		a := listen(t, m, "web@1", []string{"a", "b", "c"}, mesh.Addresses{})
		for _, port := range a.Ports {
			all = append(all, fmt.Sprintf("%s:%d", a.Host, port))
		}
	}
	slices.Sort(all)
	if len(slices.Compact(all)) != 6 {
		t.Errorf("%v", all)
	}
}

// A service that listens everywhere, at a port that others have elsewhere, is
// no obstacle.
func TestPortTakenEverywhere(t *testing.T) {
	m := newMesh(t, mesh.Options{Seed: t.Name()})
	a := listen(t, m, "web@1", []string{"chat"}, mesh.Addresses{})
	m.Close("web@1")
	everywhere, err := net.Listen("tcp4", fmt.Sprintf("0.0.0.0:%d", a.Ports["chat"]))
	if err != nil {
		t.Fatal(err)
	}
	defer everywhere.Close()
	b := listen(t, m, "web@2", []string{"chat"}, mesh.Addresses{})
	if b.Ports["chat"] == a.Ports["chat"] {
		t.Errorf("%+v", b)
	}
	c := listen(t, m, "web@3", []string{"chat"}, mesh.Addresses{})
	if runtime.GOOS == "linux" && c.Ports["chat"] != b.Ports["chat"] {
		t.Errorf("the next version does not follow: %+v, %+v", b, c)
	}
}

func TestCalleesCanBeAddedAndVersionsClosed(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{})
	f.Run("chat@1", gatewaytest.Echo("chat@1"))
	f.View("r1", "web@1", "chat@1")
	f.Publish("r1")
	if _, err := f.Mesh.Add("web@1", "chat"); err == nil || !strings.Contains(err.Error(), "does not listen") {
		t.Errorf("added to nobody: %v", err)
	}
	a := listen(t, f.Mesh, "web@1", nil, mesh.Addresses{})
	b, err := f.Mesh.Add("web@1", "chat")
	if err != nil || b.Host != a.Host {
		t.Fatal(b, err)
	}
	if again, err := f.Mesh.Add("web@1", "chat"); err != nil || !maps.Equal(again.Ports, b.Ports) {
		t.Errorf("added again: %+v, %v", again, err)
	}
	url := b.Env("")["GREENROOM_URL_CHAT"]
	if body := get(t, url); !strings.Contains(body, `"Version":"chat@1"`) {
		t.Errorf("%s", body)
	}
	f.Mesh.Close("web@1")
	f.Mesh.Close("web@1")
	if resp, err := http.Get(url); err == nil {
		resp.Body.Close()
		t.Errorf("closed, and answered %d", resp.StatusCode)
	}
}

func TestRefusals(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{})
	f.Run("chat@1", gatewaytest.Echo("chat@1"))
	f.View("r1", "web@1", "chat@1")
	urls := f.Calls("web@1", "chat", "mail")
	send := func(callee, text string) *http.Response {
		t.Helper()
		c, err := net.Dial("tcp", strings.TrimPrefix(urls[callee], "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(2 * time.Minute))
		io.WriteString(c, text)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	const plain = "GET / HTTP/1.1\r\nHost: chat\r\n\r\n"
	if resp := send("chat", plain); resp.StatusCode != 503 || resp.Header.Get("X-Greenroom-Error") != "starting" {
		t.Errorf("before the first snapshot: %v", resp)
	}
	f.Publish("r1")
	for _, c := range []struct {
		name, callee, text string
		status             int
		code               gateway.Code
	}{
		{"a plain call", "chat", plain, 200, ""},
		{"connect", "chat", "CONNECT chat:80 HTTP/1.1\r\nHost: chat:80\r\n\r\n", 405, gateway.CodeMethodRefused},
		{"trace", "chat", "TRACE / HTTP/1.1\r\nHost: chat\r\n\r\n", 405, gateway.CodeMethodRefused},
		{"h2c upgrade", "chat", "GET / HTTP/1.1\r\nHost: chat\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", 400, gateway.CodeUpgradeRefused},
		{"too many fields", "chat", "GET / HTTP/1.1\r\nHost: chat\r\n" + strings.Repeat("A: b\r\n", gateway.MaxHeaderFields+1) + "\r\n", 431, gateway.CodeTooManyFields},
		{"a service outside the view", "mail", plain, 404, gateway.CodeNoService},
	} {
		if resp := send(c.callee, c.text); resp.StatusCode != c.status || resp.Header.Get("X-Greenroom-Error") != string(c.code) {
			t.Errorf("%s: %v", c.name, resp)
		}
	}
}

// One listener takes HTTP/1.1 and HTTP/2, and every request of one connection
// goes its own way.
func TestOneConnectionManyViews(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{})
	f.Run("chat@1", gatewaytest.Echo("chat@1"))
	f.Run("chat@2", gatewaytest.Echo("chat@2"))
	f.View("r1", "web@1", "chat@1")
	f.View("r2", "web@1", "chat@2")
	f.Publish("r1")
	url := f.Calls("web@1", "chat")["chat"]
	for _, h2 := range []bool{false, true} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(!h2)
		protocols.SetUnencryptedHTTP2(h2)
		transport := &http.Transport{Protocols: protocols, MaxConnsPerHost: 1}
		defer transport.CloseIdleConnections()
		for _, stamp := range []string{"r1", "r2", "r1", "r2"} {
			r, err := http.NewRequest("GET", url, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Greenroom-Release", stamp)
			if !h2 {
				r.Header.Set("Connection", "X-Greenroom-Release") // must not take the stamp with it
			}
			resp, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			var s gatewaytest.Seen
			if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if (resp.ProtoMajor == 2) != h2 || s.Version != "chat@"+stamp[1:] || s.Header.Get("X-Greenroom-Release") != stamp || s.Header.Get("Baggage") != "greenroom.release="+stamp {
				t.Errorf("HTTP/2 %v, %s: %s %+v", h2, stamp, resp.Proto, s)
			}
		}
	}
}

func TestHeaderOfAnotherName(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{})
	f.Stamp = "X-View"
	f.Run("chat@1", gatewaytest.Echo("chat@1"))
	f.Run("chat@2", gatewaytest.Echo("chat@2"))
	f.View("r1", "web@1", "chat@1")
	f.View("r2", "web@1", "chat@2")
	f.Publish("r1")
	body := get(t, f.Calls("web@1", "chat")["chat"], "X-View: r2", "x-view: r1", "Greenroom-Pass: stays.out.of.this")
	if !strings.Contains(body, `"Version":"chat@2"`) || !strings.Contains(body, `"X-View":["r2"]`) || strings.Contains(body, "X-Greenroom-Release") {
		t.Errorf("%s", body)
	}
}

// A fleet of a thousand services must not make starting a version slow.
func TestManyListeners(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Log("fewer: other systems allow fewer open files")
	}
	versions, callees := 5, make([]string, 1000)
	if runtime.GOOS != "linux" {
		versions, callees = 2, callees[:50]
	}
	for i := range callees {
		callees[i] = fmt.Sprintf("s%d", i)
	}
	f := gatewaytest.New(t, gatewaytest.Config{Edge: fleet.Edge{}})
	f.Run("s999@1", gatewaytest.Echo("s999@1"))
	f.Run("s0@1", gatewaytest.Echo("s0@1"))
	f.View("r1", "web@0", "s999@1", "s0@1")
	f.Publish("r1")
	began := time.Now()
	var last mesh.Addresses
	for i := range versions {
		last = listen(t, f.Mesh, fmt.Sprintf("web@%d", i), callees, mesh.Addresses{})
	}
	if took := time.Since(began); took > time.Minute { // a crowded machine is no fault; what grows with the square of the fleet is
		t.Errorf("%d listeners took %v", versions*len(callees), took)
	} else {
		t.Logf("%d listeners took %v", versions*len(callees), took)
	}
	if body := get(t, last.Env("")["GREENROOM_URL_S0"]); !strings.Contains(body, "s0@1") {
		t.Errorf("%s", body)
	}
}

// A call that is refused is answered, and its connection ends, also when the
// rest of its body never comes.
func TestRefusedCallsDoNotWaitForTheirBodies(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{UnreadBody: 100 * time.Millisecond})
	f.Run("chat@1", gatewaytest.Echo("chat@1"))
	f.View("r1", "web@1", "chat@1")
	f.Services = []fleet.Service{{Name: "web", Calls: []string{"mail"}}}
	urls := f.Calls("web@1", "chat", "mail")
	for _, c := range []struct {
		callee, head, code string
	}{
		{"chat", "", "starting"},
		{"mail", "", "no-service"},
		{"chat", "", "call-not-allowed"},
		{"chat", strings.Repeat("A: b\r\n", gateway.MaxHeaderFields+1), "too-many-fields"},
	} {
		t.Run(c.code, func(t *testing.T) {
			if c.code != "starting" {
				f.Publish("r1")
			}
			for _, framing := range []string{"Content-Length: 100\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"} {
				conn := dial(t, urls[c.callee])
				io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+c.head+framing)
				answer, err := io.ReadAll(conn)
				if !strings.Contains(string(answer), "X-Greenroom-Error: "+c.code+"\r\n") || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s, %v", answer, err)
				}
			}
		})
	}
}

// The bound is the refused call's alone: its connection carries others later.
func TestConnectionGoesOnBehindARefusedCall(t *testing.T) {
	const bound = 2 * time.Second
	f := gatewaytest.New(t, gatewaytest.Config{UnreadBody: bound})
	f.View("r1", "web@1")
	f.Publish("r1")
	conn := dial(t, f.Calls("web@1", "mail")["mail"])
	r := bufio.NewReader(conn)
	for range 2 {
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 100_000))
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		if resp.Header.Get("X-Greenroom-Error") != "no-service" || resp.Close {
			t.Errorf("%+v", resp)
		}
		<-time.After(bound + bound/4)
	}
}

// dial connects to a URL's host.
func dial(t *testing.T, url string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}
