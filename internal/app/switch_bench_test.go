package app

import (
	"fmt"
	"testing"
)

// BenchmarkSwitch is a promotion or a rollback without anybody who asks: what
// it takes of processor and memory.
func BenchmarkSwitch(b *testing.B) {
	for _, services := range []int{10, 1000} {
		b.Run(fmt.Sprint(services), func(b *testing.B) {
			f := newSwitchedFleet(b, services, answering(b, "v1"))
			f.open(fleetOfEndpoints(services, "v2", answering(b, "v2")))
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				f.move(f.to([]string{"v2", "v1"}[n%2]))
			}
		})
	}
}
