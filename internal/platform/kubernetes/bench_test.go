package kubernetes

import (
	"encoding/json"
	"fmt"
	"testing"
)

// BenchmarkTranslate is a promotion's worth of translation in a large fleet
// with one release of three services in preview. It reports how many objects
// there are and how large the one is that a promotion writes.
func BenchmarkTranslate(b *testing.B) {
	for _, n := range []int{3, 300} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var services []string
			for i := range n {
				services = append(services, fmt.Sprintf("service-%d", i))
			}
			w := newWorld(b, services...)
			w.open("r42", "service-0", "2", "service-1", "2", "service-2", "2")
			b.Run("edges", func(b *testing.B) {
				for b.Loop() {
					Edges(w.in)
				}
			})
			b.Run("all", func(b *testing.B) {
				for b.Loop() {
					Translate(w.in)
				}
				report(b, w)
			})
		})
	}
}

func report(b *testing.B, w *world) {
	objects, _ := Translate(w.in)
	edge, _ := json.Marshal(objects.Edges[0])
	mesh, _ := json.Marshal(objects.Mesh[len(objects.Mesh)-1])
	b.ReportMetric(float64(len(objects.All())), "objects")
	b.ReportMetric(float64(len(edge)), "edge-bytes")
	b.ReportMetric(float64(len(mesh)), "mesh-bytes")
}
