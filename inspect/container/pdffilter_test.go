package container

import (
	"bytes"
	"compress/lzw"
	"encoding/ascii85"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// early encodes p as literals, in codes that grow as soon as the encoder's table
// has its entry 511, 1023 or 2047 (TIFF 6.0 §13).
func early(p []byte) []byte {
	var out []byte
	var bits uint64
	n, codes := uint(0), 0
	put := func(code uint64) {
		width := uint(9)
		for _, last := range []int{511, 1023, 2047} {
			if codes > 0 && lzwFirst+codes-1 >= last {
				width++
			}
		}
		bits, n = bits<<width|code, n+width
		for n >= 8 {
			out = append(out, byte(bits>>(n-8)))
			n -= 8
		}
		codes++
	}
	for i, b := range p {
		if i%3800 == 0 {
			put(lzwClear)
			codes = 0
		}
		put(uint64(b))
	}
	put(lzwEnd)
	put(0)
	return out
}

func TestPDFFilters(t *testing.T) {
	text := []byte(strings.Repeat("the attached bytes of a drill ", 3000))
	noise := make([]byte, 20000)
	chacha := rand.NewChaCha8([32]byte{1})
	chacha.Read(noise)
	for _, want := range [][]byte{text, noise, make([]byte, 9000), []byte("x")} {
		var late bytes.Buffer
		w := lzw.NewWriter(&late, lzw.MSB, 8)
		w.Write(want)
		w.Close()
		var a85 bytes.Buffer
		e := ascii85.NewEncoder(&a85)
		e.Write(want)
		e.Close()
		var run []byte
		for i := 0; i < len(want); i += 100 {
			part := want[i:min(i+100, len(want))]
			run = append(append(run, byte(len(part)-1)), part...)
		}
		run = append(run, 255, 'z', 128, 'x') // "zz", end
		for name, c := range map[string]struct {
			raw     []byte
			filters []string
			object  pdfObject
			more    string
		}{
			"LZW":        {raw: late.Bytes(), filters: []string{"LZWDecode"}},
			"LZW, early": {raw: early(want), filters: []string{"LZW"}, object: pdfObject{early: 1}},
			"hex":        {raw: []byte(hex.EncodeToString(want) + " >00"), filters: []string{"AHx"}},
			"base 85":    {raw: append(a85.Bytes(), "~>xx"...), filters: []string{"ASCII85Decode"}},
			"two":        {raw: []byte(hex.EncodeToString(late.Bytes()) + ">"), filters: []string{"ASCIIHexDecode", "LZWDecode"}},
			"runs":       {raw: run, filters: []string{"RunLengthDecode"}, more: "zz"},
		} {
			c.object.filters = c.filters
			s := pdfScan{level: &level{Opener: New(Limits{}, nil)}}
			r, ok := s.decode(c.raw, c.object)
			if !ok {
				t.Fatalf("%s: not decoded", name)
			}
			got, err := io.ReadAll(r)
			if err != nil || string(got) != string(want)+c.more {
				t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(want), err)
			}
		}
	}
}

// PNG prediction, each of its five kinds of rows.
func TestPredictedRows(t *testing.T) {
	rows := "\x00abcd" + "\x01a\x01\x01\x01" + "\x02\x01\x01\x01\x01" + "\x03\x01\x02\x03\x04" + "\x04\x01\x01\x01\x01"
	s := pdfScan{level: &level{Opener: &Opener{}}}
	r, _ := s.decode([]byte(rows), pdfObject{predictor: 15, columns: 4})
	got, err := io.ReadAll(r)
	want := fmt.Sprintf("%s%s%s", "abcd", "abcd", "bcde") + "\x32\x4c\x5b\x64" + "\x33\x4d\x5c\x65"
	if err != nil || string(got) != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
