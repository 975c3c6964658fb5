package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
	"github.com/greenroom-dev/greenroom/internal/route"
)

// BenchmarkSwitch is a promotion, from the decision to the store: the same for
// any number of services.
func BenchmarkSwitch(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := &gateway.Snapshot{}
			views := []route.View{{Stamp: "r1", Versions: map[string]string{}}, {Stamp: "r2", Versions: map[string]string{}}}
			for i := range n {
				name := fmt.Sprintf("s%d", i)
				s.Services = append(s.Services, fleet.Service{Name: name})
				views[0].Versions[name], views[1].Versions[name] = name+"@1", name+"@2"
			}
			table, err := route.Build(route.Config{Default: "r1", Views: views}, func(string) *forward.Pool { return nil })
			if err != nil {
				b.Fatal(err)
			}
			s.Table = table
			g := gateway.New(gateway.Options{})
			g.Publish(s)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				next, err := g.Current().With(gateway.Switch{Default: views[i%2].Stamp})
				if err != nil {
					b.Fatal(err)
				}
				g.Publish(next)
			}
		})
	}
}

// BenchmarkHop is a small request over loopback sockets, through the edge and
// through the mesh.
func BenchmarkHop(b *testing.B) {
	f := gatewaytest.New(b, gatewaytest.Config{})
	f.Run("web@1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	f.View("r1", "web@1")
	f.Publish("r1")
	for name, url := range map[string]string{"edge": f.URL, "mesh": f.Calls("job@1", "web")["web"]} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				resp, err := http.Get(url)
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
}
