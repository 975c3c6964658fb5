package propagategrpc

import (
	"testing"

	"github.com/greenroom-dev/greenroom/propagate"
)

func TestWhichMethodsAreWrites(t *testing.T) {
	one := NewServer().WithSafe("/live.Wallet/Balance")
	both := one.WithSafe("/live.Wallet/Watch")
	for method, want := range map[string][2]bool{
		"/live.Wallet/Charge":            {true, true},
		"/live.Wallet/Balance":           {false, false},
		"/live.Wallet/Watch":             {true, false},
		"/grpc.health.v1.Health/Watch":   {false, false},
		"/grpcurl.Something/Else":        {true, true},
		"/grpc.reflection.v1.Server/All": {false, false},
	} {
		if got := [2]bool{one.isWrite(method), both.isWrite(method)}; got != want {
			t.Errorf("%s: %v, want %v", method, got, want)
		}
	}
}

func TestInFleet(t *testing.T) {
	c := NewClient(propagate.WithEnviron([]string{
		"GREENROOM_URL_WALLET=http://127.1.2.3:20001",
		"GREENROOM_URL_SIX=http://[::1]:20002",
		"GREENROOM_FLEET_HOSTS=*.svc,gift,dns:99",
	}))
	for target, want := range map[string]bool{
		"127.1.2.3:20001":                      true,
		"127.1.2.3:20002":                      false,
		"127.1.2.3":                            false,
		"[::1]:20002":                          true,
		"passthrough:///127.1.2.3:20001":       true,
		"passthrough:127.1.2.3:20001":          true,
		"ipv4:127.1.2.3:20001":                 true,
		"ipv4:127.1.2.3:20001,10.0.0.1:20001":  false,
		"ipv6:[::1]:20002":                     true,
		"dns:///wallet.live.svc:50051":         true,
		"dns:wallet.live.svc:50051":            true,
		"dns://wallet.live.svc/evil.example:1": false,
		"dns://127.1.2.3/gift":                 true,
		"dns:99":                               true,
		"xds:///gift":                          true,
		"fleet:///gift":                        true,
		"fleet://gift":                         false,
		"unix:gift":                            false,
		"unix:///gift":                         false,
		"evil.example:443":                     false,
		"":                                     false,
	} {
		if got := c.inFleet(target); got != want {
			t.Errorf("inFleet(%q) = %v, want %v", target, got, want)
		}
	}
}
