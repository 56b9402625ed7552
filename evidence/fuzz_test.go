package evidence_test

import (
	"bytes"
	"testing"

	"cordon/evidence"
	"cordon/ledger"
)

// FuzzRead: whatever a file holds, it is no pack, or one that is written again as
// it was.
func FuzzRead(f *testing.F) {
	f.Add([]byte("{\n \"pack\": {\n  \"cordon-evidence\": 1\n }\n}\n"))
	f.Add([]byte(`{"pack":{"cordon-evidence":1,"controls":[{"figures":[{"value":1e9,"at_least":3}]}]},"note":""}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := evidence.Read(bytes.NewReader(text))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := s.JSON(&again); err != nil || !bytes.Equal(again.Bytes(), text) {
			t.Errorf("written again as %q, %v", again.Bytes(), err)
		}
		if _, err := s.Verify(ledger.VerifyOptions{}); err == nil {
			t.Error("verified without a signature")
		}
	})
}
