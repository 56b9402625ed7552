package inspect

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"cordon/inspect/compose"
)

// reversed stores p so that a reader in the order of mask sees it at offset at.
func reversed(p []byte, at, mask int) []byte {
	plain := append(make([]byte, at), p...)
	plain = append(plain, make([]byte, 16)...)
	plain = plain[:len(plain)&^7]
	stored := make([]byte, len(plain))
	for q := range plain {
		stored[q^mask] = plain[q]
	}
	return stored
}

// A header is found at any offset, in any byte order, across any cut, and where
// the sweep's own blocks meet.
func TestSweepFindsHeadersAnywhere(t *testing.T) {
	payloads := map[string][]byte{
		"executable": compose.WindowsProgram()[128:],
		"eicar":      compose.EICAR(),
		"shortcut":   compose.Shortcut(),
	}
	for id, payload := range payloads {
		for _, mask := range allWords {
			for _, start := range []int{0, 8, 100, sweepBlock - 300, sweepBlock, 2*sweepBlock + 3} {
				for at := start; at < start+9; at++ {
					stored := reversed(payload, at, mask)
					for _, cut := range []int{1 << 20, 4096, 77} {
						if got := swept(stored, cut, allWords); len(got) != 1 || got[0].id != id || got[0].at != int64(at) {
							t.Fatalf("%s at %d, order %d, chunks of %d: found %v", id, at, mask, cut, got)
						}
					}
				}
			}
		}
	}
}

type sweptFinding struct {
	id string
	at int64
}

func swept(p []byte, cut int, orders []int) (found []sweptFinding) {
	s := &sweep{found: func(p *pattern, at int64, _ string) { found = append(found, sweptFinding{p.id, at}) }}
	s.start(orders)
	for len(p) > 0 {
		n := min(cut, len(p))
		s.write(p[:n])
		p = p[n:]
	}
	s.finish()
	return found
}

// Noise holds magic numbers by chance; no header.
func TestSweepSparesNoise(t *testing.T) {
	noise := make([]byte, 8<<20)
	chacha := rand.NewChaCha8([32]byte{1})
	chacha.Read(noise)
	for i := 0; i+64 < len(noise); i += 1024 {
		copy(noise[i:], []string{"MZ", "PE\x00\x00", "\x7FELF", "\xCF\xFA\xED\xFE", "\xCA\xFE\xBA\xBE", "#!/bin/sh", "PK\x03\x04"}[i/1024%7])
	}
	if got := swept(noise, 1<<20, allWords); len(got) > 0 {
		t.Errorf("found %v", got)
	}
	for _, b := range []byte{0, 'P', 0x7F, 0xED, 0xBA, 0x14, '^', 0xFF} {
		if got := swept(bytes.Repeat([]byte{b}, 3*sweepBlock), 1<<20, allWords); len(got) > 0 {
			t.Errorf("an image of bytes %02X: found %v", b, got)
		}
	}
}

func BenchmarkSweep(b *testing.B) {
	noise := make([]byte, 512<<10)
	chacha := rand.NewChaCha8([32]byte{1})
	chacha.Read(noise)
	for name, p := range map[string][]byte{"noise": noise, "worst": bytes.Repeat([]byte{'P'}, 512<<10), "zero": make([]byte, 512<<10)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				swept(p, 1<<20, allWords)
			}
		})
	}
}
