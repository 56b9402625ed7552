package witness

import (
	"bytes"
	"testing"
)

func FuzzRequest(f *testing.F) {
	f.Add([]byte("old 0\n\nname\n1\n"))
	f.Add([]byte("old 7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\nname\n9\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		old, proof, signed, err := parseRequest(body)
		if err != nil {
			return
		}
		again := formatRequest(old, proof, signed)
		o, p, s, err := parseRequest(again)
		if err != nil || o != old || len(p) != len(proof) || !bytes.Equal(s, signed) {
			t.Errorf("%q is read as another: %q", body, again)
		}
	})
}
