package custody_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"cordon/custody"
	"cordon/ledger"
)

func BenchmarkKeep(b *testing.B) {
	for _, size := range []int{512 << 10, 8 << 20} {
		for _, callers := range []int{1, 16} {
			b.Run(fmt.Sprintf("%dKiB/%dcallers", size>>10, callers), func(b *testing.B) { benchmarkKeep(b, noise(size), callers) })
		}
	}
}

func benchmarkKeep(b *testing.B, data []byte, callers int) {
	dir := b.TempDir()
	db := openDB(b, dir)
	l, err := ledger.Open(b.Context(), db, filepath.Join(dir, "keys", "ledger.key"), "test")
	if err != nil {
		b.Fatal(err)
	}
	c, err := custody.Open(b.Context(), db, dir, l, custody.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ResetTimer()
	work := make(chan int, b.N)
	for i := range b.N {
		work <- i
	}
	close(work)
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range work {
				buffer := c.NewBuffer()
				for part := range slices.Chunk(data, 16<<10) {
					if _, err := buffer.Write(part); err != nil {
						b.Error(err)
					}
				}
				if _, err := c.Keep(b.Context(), buffer, spooled("1.2")); err != nil {
					b.Error(err)
				}
				buffer.Discard()
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "objects/s")
}
