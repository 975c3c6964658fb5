package gateway

import (
	"net/url"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway/field"
)

func TestCanonicalPath(t *testing.T) {
	for _, c := range []struct{ uri, want string }{
		{"/", "/"},
		{"/api/v1", "/api/v1"},
		{"/api/", "/api/"},
		{"//api//x", "/api/x"},
		{"/api/./x", "/api/x"},
		{"/web/../api", "/api"},
		{"/web/%2e%2E/api", "/api"},
		{"/.well-known/x", "/.well-known/x"},
		{"/a%20b", "/a b"},
		{"/%61pi", "/api"},
		{"/api%2Fsecret", "/api\x00secret"},
		{"/api%2Fsecret\"", "/api\x00secret\""},
		{"/a;b=c/d", "/a;b=c/d"},
		{"/a...b", "/a...b"},
		{"/%252e%252e/x", "/%2e%2e/x"},
		{"*", "*"},
		{"/..", ""},
		{"/../x", ""},
		{"/a/../../x", ""},
		{"/%2e%2e/x", ""},
		{"/api/..%2fadmin", ""},
		{"/api/%2e%2e%2fadmin", ""},
		{"/api/x%2f..%2f..%2fadmin", ""},
		{"/api/..%5cadmin", ""},
		{"/api/..;x/admin", ""},
		{"/api/.;x/admin", ""},
		{"/api/..\\admin", ""},
		{"/a%00b", ""},
		{"/a%23b", "/a#b"},
		{"/admin#/../api", ""},
		{"/a b", ""},
	} {
		u, err := url.ParseRequestURI(c.uri)
		if err != nil {
			t.Fatalf("%s: %v", c.uri, err)
		}
		got, err := CanonicalPath(u)
		if c.want == "" {
			if err != ErrPath {
				t.Errorf("CanonicalPath(%s) = %q, %v; want ErrPath", c.uri, got, err)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("CanonicalPath(%s) = %q, %v; want %q", c.uri, got, err, c.want)
		}
	}
}

func TestMatch(t *testing.T) {
	s := (&Snapshot{Edge: fleet.Edge{Routes: []fleet.Route{
		{Host: "admin.example.com", Service: "admin"},
		{Host: "*.tenants.example.com", Path: "/api", Service: "tenants"},
		{Path: "/api/", Methods: []string{"GET"}, Service: "reader"},
		{Path: "/api", Service: "api"},
		{Path: "/static", Service: "static"},
		{Path: "/", Methods: []string{"GET", "POST"}, Service: "web"},
	}}}).Compile()
	for _, c := range []struct{ host, path, method, want string }{
		{"admin.example.com", "/api", "GET", "admin"},
		{"ADMIN.example.com.:8080", "/x", "DELETE", "admin"},
		{"a.tenants.example.com", "/api/x", "GET", "tenants"},
		{"a.b.tenants.example.com", "/api", "GET", "tenants"},
		{"tenants.example.com", "/api", "PUT", "api"},
		{"eviltenants.example.com", "/api", "PUT", "api"},
		{"x", "/api", "GET", "reader"},
		{"x", "/api/y", "HEAD", "reader"},
		{"x", "/api/y", "POST", "api"},
		{"[::1]:80", "/apix", "GET", "web"},
		{"x", "/api\x00y", "GET", "web"},
		{"x", "/static", "OPTIONS", "static"},
		{"x", "/", "POST", "web"},
		{"x", "/", "OPTIONS", ""},
		{"", "/zz", "GET", "web"},
	} {
		got, ok := s.Match(c.host, c.path, c.method)
		if got.Service != c.want || ok != (c.want != "") {
			t.Errorf("Match(%q, %q, %s) = %q, %v; want %q", c.host, c.path, c.method, got.Service, ok, c.want)
		}
	}
}

func TestValidHost(t *testing.T) {
	for host, want := range map[string]bool{
		"example.com": true, "example.com:80": true, "[::1]:80": true, "127.0.0.1": true, "a_b": true,
		"": false, "a@b": false, "a/b": false, "a,b": false, "a b": false, "a?b": false, "a\\b": false, "a#b": false,
		"a\tb": false, "\u00e9": false, "a\x7f": false,
	} {
		if got := ValidHost(host); got != want {
			t.Errorf("ValidHost(%q) = %v", host, got)
		}
	}
}

func TestValidID(t *testing.T) {
	long := make([]byte, 129)
	for i := range long {
		long[i] = 'a'
	}
	for id, want := range map[string]bool{
		"01HX": true, "a-b_c.d:e/f+g=h@i~j": true, string(long[:128]): true, NewID(): true,
		"": false, string(long): false, "a b": false, "a\nb": false, "a\"b": false, "ä": false,
	} {
		if got := ValidID(id); got != want {
			t.Errorf("ValidID(%q) = %v", id, got)
		}
	}
}

func TestStripReserved(t *testing.T) {
	s := &Snapshot{StampHeader: "X-View"}
	h := field.Map{
		"X-View": {"a", "b"}, "X_view": {"a"}, "x-VIEW": {"a"}, "X-Views": {"stays"},
		"X-Greenroom-Release": {"a"}, "X_greenroom_Release": {"a"}, "X-Greenroom-Whatever": {"a"},
		"Greenroom-Pass": {"t"}, "Greenroom_pass": {"t"}, "Greenroom-Passage": {"stays"},
	}
	s.StripReserved(h)
	if len(h) != 2 || h["X-Views"] == nil || h["Greenroom-Passage"] == nil {
		t.Errorf("left: %v", h)
	}
}
