package inspect_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"cordon/inspect"
	"cordon/inspect/compose"
)

// BenchmarkInspectCT inspects a CT image of 525 kB, and says how many times
// longer that takes than SHA-256 over the same bytes, turn by turn.
func BenchmarkInspectCT(b *testing.B) { benchmark(b, compose.CT(512, 512).File()) }

// BenchmarkInspectPhoto does so with a JPEG image.
func BenchmarkInspectPhoto(b *testing.B) { benchmark(b, compose.Photo(2048, 2048).File()) }

func benchmark(b *testing.B, file []byte) {
	var inspecting, hashing time.Duration
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		judged(inspect.Options{}, file, 32<<10)
		inspecting += time.Since(start)
		start = time.Now()
		sha256.Sum256(file)
		hashing += time.Since(start)
	}
	b.ReportMetric(float64(len(file))*float64(b.N)/1e6/inspecting.Seconds(), "MB/s-inspected")
	b.ReportMetric(inspecting.Seconds()/hashing.Seconds(), "×sha256")
}
