package pass

import (
	"slices"
	"strings"
	"testing"
)

func TestPaths(t *testing.T) {
	for _, c := range []struct {
		asked, want []string
	}{
		{nil, nil},
		{[]string{"/shop"}, []string{"/shop"}},
		{[]string{"/shop/", "/api/v2"}, []string{"/api/v2", "/shop"}},
		{[]string{"/shop", "/shop/cart", "/shop"}, []string{"/shop"}},
		{[]string{"/shop", "/shopping"}, []string{"/shop", "/shopping"}},
		{[]string{"/shop", "/"}, []string{"/"}},
		{[]string{"/ショップ"}, []string{"/ショップ"}},
	} {
		got, err := Paths(c.asked)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, %v; want %q", c.asked, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "shop", "/a b", "/a?b", "/a#b", "/a%2fb", "/a;b", `/a\b`, "/a//b", "/a/../b", "/a/.", "/*", "/a\nb", "//", "/.greenroom", "/.greenroom/cb"} {
		if got, err := Paths([]string{bad}); err == nil {
			t.Errorf("%q is taken as %q", bad, got)
		}
	}
	if _, err := Paths(slices.Repeat([]string{"/" + strings.Repeat("a", 100)}, 6)); err == nil {
		t.Error("more paths than fit are taken")
	}
}

func TestUnder(t *testing.T) {
	for _, c := range []struct {
		paths string
		path  string
		want  bool
	}{
		{"", "/x", true},
		{"/shop", "/shop", true},
		{"/shop", "/shop/cart", true},
		{"/shop", "/shopping", false},
		{"/shop", "/", false},
		{"/shop", "/Shop", false},
		{"/shop", "/shop\x00cart", false}, // an encoded slash
		{"/", "/anything", true},
		{"/api/v2 /shop", "/api/v2/x", true},
		{"/api/v2 /shop", "/api", false},
	} {
		if got := Under(strings.Fields(c.paths), c.path); got != c.want {
			t.Errorf("%s under %s: %v", c.path, c.paths, got)
		}
	}
}

func TestNewCallback(t *testing.T) {
	c, err := NewCallback([]string{"/oauth/callback"}, []string{"POST", "GET", "POST"}, 3)
	if err != nil || len(c.Token) != 26 || c.Count != 3 || !slices.Equal(c.Methods, []string{"GET", "POST"}) {
		t.Fatalf("%+v, %v", c, err)
	}
	if want := []string{"https://live.example.com/.greenroom/cb/" + c.Token + "/oauth/callback"}; !slices.Equal(c.Addresses("https://live.example.com/"), want) {
		t.Errorf("%q", c.Addresses("https://live.example.com/"))
	}
	if !c.Takes("GET", "/oauth/callback/x") || c.Takes("PUT", "/oauth/callback") || c.Takes("GET", "/oauth") || c.Takes("HEAD", "/oauth/callback") {
		t.Error("it takes what it should not, or not what it should")
	}
	for name, f := range map[string]func() (Callback, error){
		"no path":        func() (Callback, error) { return NewCallback(nil, nil, 0) },
		"a method":       func() (Callback, error) { return NewCallback([]string{"/a"}, []string{"get"}, 0) },
		"CONNECT":        func() (Callback, error) { return NewCallback([]string{"/a"}, []string{"CONNECT"}, 0) },
		"fewer than 0":   func() (Callback, error) { return NewCallback([]string{"/a"}, nil, -1) },
		"too many calls": func() (Callback, error) { return NewCallback([]string{"/a"}, nil, MaxCount+1) },
		"a foreign path": func() (Callback, error) { return NewCallback([]string{"/.greenroom/pass"}, nil, 0) },
	} {
		if c, err := f(); err == nil {
			t.Errorf("%s is taken: %+v", name, c)
		}
	}
}
