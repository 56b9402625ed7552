package search

import (
	"hash/fnv"
	"math/bits"
	"strings"
)

// A bloom is a Bloom filter: a set of strings that may say yes for what is not in
// it, one time in a thousand, and never no for what is.
type bloom []byte

const (
	bitsPerToken = 14
	probes       = 9
)

// newBloom makes a filter of so many strings.
func newBloom(tokens map[uint64]bool) bloom {
	b := make(bloom, max(8, (len(tokens)*bitsPerToken+7)/8))
	for t := range tokens {
		for at := range b.places(t) {
			b[at/8] |= 1 << (at % 8)
		}
	}
	return b
}

// places are the bits that a token sets: double hashing over one 64-bit hash.
func (b bloom) places(token uint64) func(func(uint64) bool) {
	step := bits.RotateLeft64(token, 32) | 1
	return func(yield func(uint64) bool) {
		for i := range uint64(probes) {
			if !yield((token + i*step) % uint64(len(b)*8)) {
				return
			}
		}
	}
}

// mayHold reports whether all tokens may be in the set.
func (b bloom) mayHold(tokens []uint64) bool {
	if len(b) == 0 {
		return true
	}
	for _, t := range tokens {
		for at := range b.places(t) {
			if b[at/8]&(1<<(at%8)) == 0 {
				return false
			}
		}
	}
	return true
}

// longestToken is the longest string that is in a filter, in bytes; titles, names
// and UIDs are shorter.
const longestToken = 256

// token is the hash of a string as filters hold it: without regard to case.
func token(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(strings.ToLower(s)))
	sum := h.Sum64()
	sum ^= sum >> 33 // FNV alone leaves its high bits too much alike
	sum *= 0xff51afd7ed558ccd
	sum ^= sum >> 33
	return sum
}
