package propagate_test

import (
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/propagate"
)

func TestHostsFromEnviron(t *testing.T) {
	hosts, err := propagate.HostsFromEnviron([]string{
		"GREENROOM_URL_WALLET=http://127.1.2.3:20001",
		"WALLET_SERVICE_HOST=127.1.2.3",
		"WALLET_SERVICE_PORT=20002",
		"GREENROOM_URL_WEB=http://Web.example",
		"GREENROOM_URL_SIX=http://[::1]:20003",
		"GREENROOM_URL_BROKEN=localhost",
		"GREENROOM_EDGE_URL=https://live.example.com",
		"STRIPE_SERVICE_HOST=api.stripe.example",
		"STRIPE_SERVICE_PORT=443",
		"GREENROOM_FLEET_HOSTS=gift, *.svc,*.svc.cluster.local,chat:8080,*,,https://bad.example",
	})
	for _, part := range []string{`GREENROOM_URL_BROKEN: "localhost" is no URL`, `host pattern "*"`, `host pattern "https://bad.example"`} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v lacks %s", err, part)
		}
	}
	for hostport, want := range map[string]bool{
		"127.1.2.3:20001":               true,
		"127.1.2.3:20002":               true,
		"127.1.2.3:20009":               false, // another process of this machine
		"127.1.2.3":                     false,
		"web.example":                   true,
		"WEB.example.:80":               true,
		"web.example:443":               false,
		"[::1]:20003":                   true,
		"[::1]":                         false,
		"[::1":                          false,
		"localhost":                     false,
		"live.example.com":              false,
		"api.stripe.example:443":        false,
		"gift":                          true,
		"gift:9":                        true,
		"Gift.":                         true,
		"gift.evil.example":             false,
		"evilgift":                      false,
		"wallet.live.svc:80":            true,
		"wallet.live.svc.cluster.local": true,
		"svc":                           false,
		".svc":                          false,
		"wallet.svc.evil.example":       false,
		"evilsvc":                       false,
		"chat:8080":                     true,
		"chat":                          false,
		"bad.example":                   false,
		"":                              false,
	} {
		if got := hosts.Contains("http", hostport); got != want {
			t.Errorf("Contains(http, %q) = %v, want %v", hostport, got, want)
		}
	}
	if (propagate.Hosts{}).Contains("http", "") {
		t.Error("no hosts contain a host")
	}
}

func TestParseHostsRefuses(t *testing.T) {
	for _, pattern := range []string{"", "*", "*.", "*svc", "a.*", "*.a.*", "*.svc:80", "http://a", "a/b", "a b", ":80", "[::1"} {
		if _, err := propagate.ParseHosts(pattern); err == nil {
			t.Errorf("ParseHosts(%q): no error", pattern)
		}
	}
}

func TestOptionsRefuseNonsense(t *testing.T) {
	for name, f := range map[string]func(){
		"header": func() { propagate.WithHeader("X Release") },
		"hosts":  func() { propagate.WithFleetHosts("*") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}
