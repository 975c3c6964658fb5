package edge_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
)

func TestStampIsSetInBothForms(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	s, resp := seen(t, request(t, "GET", f.URL+"/a"))
	if s.Version != "web@1" || strings.Join(s.Header["X-Greenroom-Release"], "|") != "r41" || strings.Join(s.Header["Baggage"], "|") != "greenroom.release=r41" {
		t.Errorf("the service got %+v", s)
	}
	for _, name := range []string{"Traceparent", "Tracestate", "Forwarded"} {
		if s.Header[name] != nil {
			t.Errorf("%s was invented", name)
		}
	}
	for name := range resp.Header {
		if strings.HasPrefix(name, "X-Greenroom-") {
			t.Errorf("the answer names %s to everybody", name)
		}
	}
}

func TestForeignStampsAreNeverBelieved(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	for _, header := range [][]string{
		{"X-Greenroom-Release: r42"},
		{"x-greenroom-release: r42", "X-GREENROOM-RELEASE: r42"},
		{"X_Greenroom_Release: r42"},
		{"Baggage: greenroom.release=r42"},
		{"Baggage: a=1,GREENROOM.release=r42", "Baggage: greenroom.release = r42"},
		{"Connection: X-Greenroom-Release, Baggage, close", "X-Greenroom-Release: r42"},
		{"X-Greenroom-Trail: web=0", "Baggage: greenroom.trail=AAAAAAAAAAAAAAAAAAAAAAAAAA"},
	} {
		t.Run(strings.Join(header, " "), func(t *testing.T) {
			s, resp := seen(t, request(t, "GET", f.URL+"/", header...))
			if s.Version != "web@1" {
				t.Errorf("reached %s", s.Version)
			}
			if got := s.Header["X-Greenroom-Release"]; len(got) != 1 || got[0] != "r41" {
				t.Errorf("stamp %q", got)
			}
			for name, values := range s.Header {
				if line := name + ": " + strings.Join(values, ","); strings.Contains(line, "r42") || strings.Contains(line, "trail") || strings.Contains(line, "Trail") {
					t.Errorf("the service got %s", line)
				}
			}
			if !strings.Contains(s.Header.Get("Baggage"), "greenroom.release=r41") {
				t.Errorf("baggage %q", s.Header["Baggage"])
			}
			if resp.Header.Get("X-Greenroom-Trail") != "" {
				t.Error("a trail for nobody who may see it")
			}
		})
	}
}

func TestWhatClientsSendPassesUntouched(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	s, _ := seen(t, request(t, "GET", f.URL+"/a%2Fb/./c//d;e?q=%41&&x;y",
		"Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Tracestate: a=1,b=2",
		"Cookie: a=1;  b=\"2; greenroom_x=3", "X-Request-Id: mine-1", "Baggage: k=v;p"))
	if s.URI != "/a%2Fb/./c//d;e?q=%41&&x;y" {
		t.Errorf("URI %s", s.URI)
	}
	for name, want := range map[string]string{
		"Traceparent":  "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"Tracestate":   "a=1,b=2",
		"Cookie":       "a=1;  b=\"2; greenroom_x=3",
		"X-Request-Id": "mine-1",
		"Baggage":      "greenroom.release=r41,k=v;p",
	} {
		if got := strings.Join(s.Header[name], "|"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestRequestID(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	for _, c := range []struct {
		header []string
		kept   string
	}{
		{nil, ""},
		{[]string{"X-Request-Id: a/b=c"}, "a/b=c"},
		{[]string{"X-Request-Id: a b"}, ""},
		{[]string{"X-Request-Id: " + strings.Repeat("x", 129)}, ""},
		{[]string{"X-Request-Id: a", "X-Request-Id: b"}, ""},
	} {
		s, _ := seen(t, request(t, "GET", f.URL, c.header...))
		got := s.Header["X-Request-Id"]
		if len(got) != 1 || !gateway.ValidID(got[0]) || c.kept != "" && got[0] != c.kept || c.kept == "" && len(got[0]) != 26 {
			t.Errorf("%v became %v", c.header, got)
		}
	}
}

func TestCookiesOfOursAreTakenOut(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	token := f.Pass("r42", "u42")
	for _, c := range []struct{ sent, want string }{
		{"greenroom_pass=" + token, ""},
		{"a=1; greenroom_pass=" + token + "; b=2", "a=1; b=2"},
		{"greenroom_pass=" + token + ";b=2;  c", "b=2;  c"},
		{"a=1; greenroom_session=r41;b=2; greenroom_pass = " + token, "a=1;b=2"},
		{"greenroom_pass=" + token + "; xgreenroom_pass=1; greenroom_passx=2", "xgreenroom_pass=1; greenroom_passx=2"},
	} {
		s, _ := seen(t, request(t, "GET", f.URL, "Cookie: "+c.sent))
		if got := strings.Join(s.Header["Cookie"], "|"); got != c.want {
			t.Errorf("%q became %q, want %q", strings.ReplaceAll(c.sent, token, "TOKEN"), got, c.want)
		}
		if s.Version != "web@2" {
			t.Errorf("%q reached %s", strings.ReplaceAll(c.sent, token, "TOKEN"), s.Version)
		}
	}
}

func TestForwardedIsBelievedFromTrustedProxiesAlone(t *testing.T) {
	claims := []string{
		"X-Forwarded-For: 203.0.113.9, 10.0.0.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: shop.example",
		"X-Forwarded-Port: 443", "X-Real-Ip: 203.0.113.9", "Forwarded: for=203.0.113.9", "X_Forwarded_For: 1.2.3.4",
	}
	for _, c := range []struct {
		name    string
		trusted []netip.Prefix
		claims  []string
		want    map[string]string
	}{
		{"nobody claims", nil, nil, map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "live.test"}},
		{"a stranger claims", nil, claims, map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "live.test"}},
		{"another proxy is trusted", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, claims, map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "live.test"}},
		{"a trusted proxy claims", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, claims, map[string]string{
			"X-Forwarded-For": "203.0.113.9, 10.0.0.1, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example",
			"X-Forwarded-Port": "443", "X-Real-Ip": "203.0.113.9"}},
		{"a trusted proxy says nothing", []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, nil, map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "live.test"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := start(t, gatewaytest.Config{Edge: fleet.Edge{TrustedProxies: c.trusted}})
			s, _ := seen(t, request(t, "GET", f.URL, append([]string{"Host: live.test"}, c.claims...)...))
			if s.Host != "live.test" {
				t.Errorf("host %s", s.Host)
			}
			for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Real-Ip", "Forwarded", "X_forwarded_for"} {
				if got := strings.Join(s.Header[name], "|"); got != c.want[name] {
					t.Errorf("%s: %q, want %q", name, got, c.want[name])
				}
			}
		})
	}
}
