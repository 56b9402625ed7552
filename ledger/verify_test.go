package ledger_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cordon/ledger"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// forge signs two records with the ledger's own key.
func (s site) forge(t *testing.T, first, second string) string {
	t.Helper()
	skey, err := os.ReadFile(filepath.Join(s.dir, "keys", "ledger.key"))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(skey)))
	if err != nil {
		t.Fatal(err)
	}
	root := tlog.NodeHash(tlog.RecordHash([]byte(first)), tlog.RecordHash([]byte(second)))
	text := fmt.Sprintf("%s\n2\n%s\ntime 2026-01-01T00:00:00.000000Z\n", signer.Name(), root)
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"cordon-ledger":1,"key":%q,"records":2}`+"\n%s\n%s\n%s", s.l.Key(), first, second, signed)
}

// Even who has the key can neither leave a number out nor say one thing in two
// ways.
func TestSignedButWrongIsDetected(t *testing.T) {
	s := open(t, t.TempDir())
	line := func(seq int, body string) string {
		return fmt.Sprintf(`{"body":%s,"kind":"x","seq":%d,"time":"2026-01-01T00:00:00.000000Z","v":1}`, body, seq)
	}
	tests := []struct {
		first, second string
		ok            bool
	}{
		{line(0, `null`), line(1, `{"a":[-1,true,"\u0009é"],"b":{}}`), true},
		{line(0, `null`), line(2, `null`), false},
		{line(1, `null`), line(2, `null`), false},
		{line(0, `null`), line(0, `null`), false},
		{line(0, `null`), line(1, `{"b":1,"a":1}`), false},
		{line(0, `null`), line(1, `{"a":1,"a":2}`), false},
		{line(0, `null`), line(1, `{"a": 1}`), false},
		{line(0, `null`), line(1, `"\t"`), false},
		{line(0, `null`), line(1, `"\u00e9"`), false},
		{line(0, `null`), line(1, `1.0`), false},
		{line(0, `null`), line(1, `-0`), false},
		{line(0, `null`), line(1, `1e2`), false},
		{line(0, `null`), line(1, "\"\xff\""), false},
		{line(0, `null`), line(1, strings.Repeat("[", 40)+strings.Repeat("]", 40)), false},
		{line(0, `null`), strings.Replace(line(1, `null`), `"v":1`, `"v":2`, 1), false},
		{line(0, `null`), strings.Replace(line(1, `null`), `,"v":1`, `,"v":1,"w":1`, 1), false},
		{line(0, `null`), strings.Replace(line(1, `null`), `"body":null,`, ``, 1), false},
		{line(0, `null`), strings.Replace(line(1, `null`), `.000000Z`, `Z`, 1), false},
		{line(0, `null`), strings.Replace(line(1, `null`), `"x"`, `"X"`, 1), false},
	}
	for _, test := range tests {
		_, err := ledger.Verify(strings.NewReader(s.forge(t, test.first, test.second)), ledger.VerifyOptions{Key: s.l.Key()})
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", test.second, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	s := open(f, f.TempDir())
	s.record(f, 3)
	export := s.export(f)
	f.Add(export)
	f.Add(export[:len(export)/2])
	f.Add([]byte("{\"cordon-ledger\":1,\"key\":\"\",\"records\":9007199254740991}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ledger.Verify(bytes.NewReader(data), ledger.VerifyOptions{Key: s.l.Key()})
		if err == nil && (!bytes.Equal(data, export) || r.Records != 4) {
			t.Errorf("accepted %q", data)
		}
	})
}

func FuzzVerifyProof(f *testing.F) {
	s := open(f, f.TempDir())
	s.record(f, 3)
	proof := s.prove(f, 1, 2)
	f.Add(proof)
	f.Add(proof[:len(proof)/2])
	f.Add([]byte(`{"cordon-proof":1,"introductions":[],"key":"","records":1000,"witnesses":[]}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := ledger.VerifyProof(bytes.NewReader(data), ledger.VerifyOptions{Key: s.l.Key()})
		if err == nil && !bytes.Equal(data, proof) {
			t.Errorf("accepted %q", data)
		}
	})
}

func BenchmarkNote(b *testing.B) {
	s := open(b, b.TempDir())
	for b.Loop() {
		s.l.Note("object.delivered", map[string]any{"id": "01hzy3v7q2k5w8x9", "status": 0, "archive": "pacs"})
	}
	if err := s.l.Record(b.Context(), "test.end", nil); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkVerify(b *testing.B) {
	s := open(b, b.TempDir())
	for range 10_000 {
		s.l.Note("object.delivered", map[string]any{"id": "01hzy3v7q2k5w8x9", "status": 0, "archive": "pacs"})
	}
	export := s.export(b)
	b.SetBytes(int64(len(export)))
	for b.Loop() {
		if _, err := ledger.Verify(bytes.NewReader(export), ledger.VerifyOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
