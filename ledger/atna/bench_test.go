package atna

import (
	"testing"

	"cordon/ledger"
)

func BenchmarkRender(b *testing.B) {
	for _, kind := range []string{"object.delivered", "transfer.end", "association.rejected"} {
		rec := ledger.Record{Kind: kind, Body: []byte(`{"association":"A1"}`)}
		for _, r := range samples(b) {
			if r.Kind == kind {
				rec = r
			}
		}
		b.Run(kind, func(b *testing.B) {
			for b.Loop() {
				for _, m := range render(b, rec) {
					m.XML()
				}
			}
		})
	}
	b.Run("ecs", func(b *testing.B) {
		all := samples(b)
		for i := 0; b.Loop(); i++ {
			node.ecs(all[i%len(all)])
		}
	})
}
