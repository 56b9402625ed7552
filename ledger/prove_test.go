package ledger_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"cordon/ledger"
)

func TestEveryByteOfAProofCounts(t *testing.T) {
	s := open(t, t.TempDir())
	s.record(t, 12)
	if _, err := s.l.RotateKey(t.Context(), "A. Able", "yearly"); err != nil {
		t.Fatal(err)
	}
	proof := s.prove(t, 11, 3, 3)
	r, err := ledger.VerifyProof(bytes.NewReader(proof), ledger.VerifyOptions{Key: s.l.Key()})
	if err != nil || len(r.Proved) != 2 || r.Proved[0].Seq != 3 || r.Proved[1].Seq != 11 {
		t.Fatal(r, err)
	}
	t.Log(r.Proves)
	for i := range proof {
		changed := bytes.Clone(proof)
		changed[i] ^= 1 << (i % 8)
		if _, err := ledger.VerifyProof(bytes.NewReader(changed), ledger.VerifyOptions{}); err == nil {
			t.Fatalf("byte %d (%q) may change", i, proof[i])
		}
		if _, err := ledger.VerifyProof(bytes.NewReader(proof[:i]), ledger.VerifyOptions{}); err == nil {
			t.Fatalf("cut at %d", i)
		}
	}
	if err := s.l.Prove(t.Context(), &bytes.Buffer{}, 99); err == nil || !strings.Contains(err.Error(), "no signed record 99") {
		t.Error(err)
	}
}

// What the first format said is still proved.
func TestOldExportsStillVerify(t *testing.T) {
	export, err := os.ReadFile("testdata/export-1.ledger")
	if err != nil {
		t.Fatal(err)
	}
	const key = "SHA256:5qcQxPh76FsdC2W84bnbqg+DEiKJUdm2lkAEWK1jOeI"
	r, err := ledger.Verify(bytes.NewReader(export), ledger.VerifyOptions{Key: key})
	if err != nil || r.Records != 14 || r.Starts != 2 || !r.OriginProved {
		t.Errorf("%+v, %v", r, err)
	}
	for i := range export {
		changed := bytes.Clone(export)
		changed[i] ^= 1
		if _, err := ledger.Verify(bytes.NewReader(changed), ledger.VerifyOptions{}); err == nil {
			t.Fatalf("byte %d (%q) may change", i, export[i])
		}
	}
}

func TestAnOlderCheckpointShowsAFork(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	s.record(t, 4)
	early := s.export(t)
	s.record(t, 4)
	late := s.export(t)
	verify := func(export, old []byte) (ledger.Result, error) {
		since, err := ledger.ReadCheckpoint(bytes.NewReader(old))
		if err != nil {
			t.Fatal(err)
		}
		return ledger.Verify(bytes.NewReader(export), ledger.VerifyOptions{Since: since})
	}
	checkpoint := late[bytes.LastIndex(late, []byte("}\n"))+2:]
	for name, old := range map[string][]byte{"export": early, "proof": s.prove(t, 1), "checkpoint": checkpoint, "itself": late} {
		r, err := verify(late, old)
		if err != nil || r.Since == nil {
			t.Error(name, r, err)
		}
	}
	if _, err := verify(early, late); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Error("rolled back:", err)
	}
	forked := forgeHistory(t, s, late, 3)
	if _, err := ledger.Verify(bytes.NewReader(forked), ledger.VerifyOptions{Key: s.l.Key()}); err != nil {
		t.Fatal("the forgery is bad:", err)
	}
	if _, err := verify(forked, early); err == nil || !strings.Contains(err.Error(), "fork") {
		t.Error("rewritten:", err)
	}
	if n, err := ledger.Differ(bytes.NewReader(early), bytes.NewReader(forked)); err != nil || n != 3 {
		t.Error(n, err)
	}
	if n, err := ledger.Differ(bytes.NewReader(early), bytes.NewReader(late)); err != nil || n != 5 {
		t.Error(n, err)
	}
	other := open(t, t.TempDir())
	other.record(t, 10)
	if _, err := verify(other.export(t), early); err == nil {
		t.Error("another ledger's checkpoint")
	}
}

func TestClockJumpsAreRecordedAndOrderIsKept(t *testing.T) {
	s := open(t, t.TempDir())
	s.record(t, 1)
	by := -time.Hour
	s.l.SetNow(func() time.Time { return time.Now().Round(0).Add(by) })
	s.record(t, 1)
	var body struct{ Seconds int }
	err := s.l.Tail(t.Context(), 2, func(r ledger.Record) error {
		if r.Kind == "ledger.clock" {
			return json.Unmarshal(r.Body, &body)
		}
		return nil
	})
	if err != nil || body.Seconds > -3590 || body.Seconds < -3610 {
		t.Error(body, err)
	}
	stop(t, s)
	s = open(t, s.dir)
	r, err := ledger.Verify(bytes.NewReader(s.export(t)), ledger.VerifyOptions{})
	if err != nil || r.ClockJumps != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	t.Log(r.Proves)
}

func TestCanonicalIsSaidTwiceAlike(t *testing.T) {
	for _, text := range []string{
		`null`, `true`, `[]`, `{}`, `[1,-1,0]`, `{"a":{"b":[]},"c":""}`, `"\u0000\u001f\"\\é😀/"`, `9007199254740991`,
		`-9007199254740991`, `9007199254740992`, `1.0`, `1e1`, `-0`, `00`, `+1`, ``, `[`, `[1`, `[1,`, `[1,]`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,}`,
		`{"b":1,"a":1}`, `{"a":1,"a":1}`, `{"\"":1,"!":1}`, `{"!":1,"\"":1}`, ` 1`, `"\n"`, `"\u000A"`, `"\u007f"`, `"\/"`, "\"\x01\"", "\"\xff\"", `nul`, `"a`, `"\`,
	} {
		sameVerdict(t, []byte(text))
	}
}

func sameVerdict(t *testing.T, text []byte) {
	t.Helper()
	var raw json.RawMessage
	again, err := []byte(nil), json.Unmarshal(text, &raw)
	if err == nil {
		again, err = ledger.Canonical(raw)
	}
	want := err == nil && bytes.Equal(again, text)
	n, err := ledger.Value(text)
	if got := err == nil && n == len(text); got != want {
		t.Errorf("%q: accepted %v, canonical %v (%q, %v)", text, got, want, again, err)
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add([]byte(`{"a":[1,"\u0001",true],"b":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) < 4096 {
			sameVerdict(t, text)
		}
	})
}
