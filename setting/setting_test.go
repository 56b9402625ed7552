package setting

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"cordon/custody"
	"cordon/finding"
	"cordon/ledger"
	"cordon/ledger/search"
	"cordon/policy"
	"cordon/store"
)

type house struct {
	*Settings
	db     *store.DB
	ledger *ledger.Ledger
}

func open(t *testing.T, declared map[string]string) house {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	db, err := store.OpenDB(ctx, filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), search.Migrations(), Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	l, err := ledger.Open(ctx, db, filepath.Join(dir, "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(ctx, Config{Declared: declared}, Parts{DB: db, Journal: l, Search: search.Open(db)})
	if err != nil {
		t.Fatal(err)
	}
	return house{s, db, l}
}

func (h house) record(t *testing.T, kind string, body map[string]any) {
	t.Helper()
	if err := h.ledger.Record(t.Context(), kind, body); err != nil {
		t.Fatal(err)
	}
}

func (h house) preview(t *testing.T, key, value string) Preview {
	t.Helper()
	p, err := h.Preview(t.Context(), []Change{{Key: key, Now: value}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func by(name string) custody.Request { return custody.Request{By: name, Reason: "a test"} }

func TestNothingSetIsAsDelivered(t *testing.T) {
	h := open(t, nil)
	if got, want := h.Now().Rules, policy.DefaultRules(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if v := h.Now(); v.Deadline != 10*time.Second || v.SignatureAge != 7*24*time.Hour || v.ReviewEvery != 7 || v.PixelData {
		t.Errorf("%+v", v)
	}
}

func TestChangeIsOnTheLedgerAndInEffectAndUndone(t *testing.T) {
	h := open(t, nil)
	p := h.preview(t, "policy.unscanned", "hold")
	a, err := h.Apply(t.Context(), p.Digest, by("A. Able"))
	if err != nil || a.State != Applied || h.Now().Rules.Unscanned != policy.Hold {
		t.Fatalf("%+v, %v; %+v", a, err, h.Now())
	}
	again, err := Open(t.Context(), Config{}, h.parts)
	if err != nil || again.Now() != h.Now() {
		t.Fatalf("after a restart: %+v, %v", again.Now(), err)
	}
	var kinds []string
	end, _ := h.ledger.Size(t.Context())
	h.ledger.Scan(t.Context(), 0, end, func(r ledger.Record) error {
		kinds = append(kinds, r.Kind)
		if err := ledger.Listed(r); err != nil {
			t.Error(err)
		}
		return nil
	})
	if kinds[len(kinds)-1] != "setting.changed" {
		t.Errorf("the ledger has %v", kinds)
	}
	back, err := h.Revert(t.Context(), a.ID, by("B. Best"))
	if err != nil || back.Reverts != a.ID || h.Now().Rules != policy.DefaultRules() {
		t.Fatalf("%+v, %v; %+v", back, err, h.Now())
	}
	if _, err := h.Revert(t.Context(), a.ID, by("B. Best")); !errors.Is(err, ErrState) {
		t.Errorf("undone twice: %v", err)
	}
	all, err := h.History(t.Context(), 2)
	if err != nil || all[0].UndoneBy != 0 || all[1].UndoneBy != back.ID {
		t.Errorf("the history does not say what was undone: %+v, %v", all, err)
	}
}

func TestDeliveringWhatIsHeldTakesTwoPeople(t *testing.T) {
	h := open(t, nil)
	a, err := h.Apply(t.Context(), h.preview(t, "policy.suspicious", "deliver").Digest, by("A. Able"))
	if err != nil || a.State != Waiting || h.Now().Rules.Suspicious != policy.Hold {
		t.Fatalf("one person did it: %+v, %v", a, err)
	}
	p := h.preview(t, "policy.suspicious", "deliver")
	if p.Waiting != a.ID || p.Asked != "A. Able" {
		t.Errorf("%+v", p)
	}
	if _, err := h.Apply(t.Context(), p.Digest, by(" a.  able")); !errors.Is(err, ErrSecond) {
		t.Fatalf("the same person twice: %v", err)
	}
	a, err = h.Apply(t.Context(), p.Digest, by("B. Best"))
	if err != nil || a.State != Applied || a.By != "A. Able" || a.Second != "B. Best" || h.Now().Rules.Suspicious != policy.Deliver {
		t.Fatalf("%+v, %v", a, err)
	}
	if _, err := h.Revert(t.Context(), a.ID, by("C. Cole")); err != nil || h.Now().Rules.Suspicious != policy.Hold {
		t.Fatalf("undoing needs nobody else: %v", err)
	}
}

func TestWithdrawnChangeWaitsForNobody(t *testing.T) {
	h := open(t, nil)
	a, err := h.Apply(t.Context(), h.preview(t, "policy.unparseable", "deliver").Digest, by("A. Able"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Withdraw(t.Context(), a.ID, by("B. Best")); err != nil {
		t.Fatal(err)
	}
	b, err := h.Apply(t.Context(), h.preview(t, "policy.unparseable", "deliver").Digest, by("B. Best"))
	if err != nil || b.State != Waiting || b.ID == a.ID {
		t.Fatalf("%+v, %v", b, err)
	}
}

func TestMaliciousIsNeverDelivered(t *testing.T) {
	h := open(t, nil)
	if _, err := h.Preview(t.Context(), []Change{{Key: "policy.malicious", Now: "deliver"}}); !errors.Is(err, custody.ErrRequest) {
		t.Fatal(err)
	}
}

func TestWhatTheFileDeclaresIsNotSetHere(t *testing.T) {
	h := open(t, map[string]string{"policy.unscanned": "hold"})
	if h.Now().Rules.Unscanned != policy.Hold {
		t.Error("the file does not decide")
	}
	if _, err := h.Preview(t.Context(), []Change{{Key: "policy.unscanned", Now: "deliver"}}); !errors.Is(err, ErrDeclared) {
		t.Fatal(err)
	}
	all, err := h.List(t.Context())
	for _, s := range all {
		if (s.Source == Declared) != (s.Key == "policy.unscanned") {
			t.Errorf("%+v", s)
		}
	}
	if err != nil || len(all) != len(keys) {
		t.Error(err)
	}
}

// TestPreviewIsWhatPolicyWouldHaveDone records objects as the gateway does, for
// every reason, and holds the preview against policy.
func TestPreviewIsWhatPolicyWouldHaveDone(t *testing.T) {
	h := open(t, nil)
	h.record(t, "association.begin", map[string]any{"association": "a1", "calling_ae": "CT1", "device": "ct-1"})
	for i, r := range []finding.Report{
		{},
		{Findings: []finding.Finding{finding.New("active-markup", "", 0, "")}},
		{Findings: []finding.Finding{finding.New("executable", "", 0, "")}},
		{Fatal: &finding.Finding{ID: "truncated"}},
		{Engines: []finding.EngineResult{{Name: "clamd", Result: finding.Unscanned}}},
		{Findings: []finding.Finding{finding.New(finding.ContainerLimit, "", 0, "")}},
	} {
		d := policy.DefaultRules().Decide(r)
		body := map[string]any{"reason": d.Reason, "findings": finding.IDs(r.Findings), "sha256": string(rune('a' + i))}
		if d.Verdict == finding.Hold {
			body["device"], body["from"] = "ct-1", "receiving"
			h.record(t, "object.held", body)
			continue
		}
		body["association"], body["alarm"] = "a1", d.Alarm
		h.record(t, "object.delivered", body)
	}
	h.record(t, "object.held", map[string]any{"device": "old", "from": "receiving", "findings": []string{"active-markup"}})
	h.record(t, "object.refused", map[string]any{"association": "a1", "calling_ae": "CT1", "reason": "out of resources", "status": 42752}) // no rule of these
	for _, c := range []struct {
		key, value string
		want       map[string]int64 // rule and finding → objects
	}{
		{"policy.unscanned", "hold", map[string]int64{"unscanned clamd admit hold": 1, "unscanned container-limit admit hold": 1}},
		{"policy.suspicious", "deliver", map[string]int64{"suspicious active-markup hold admit": 1}},
		{"policy.malicious", "refuse", map[string]int64{"malicious executable hold refuse": 1}},
		{"policy.unparseable", "deliver", map[string]int64{"unparseable truncated hold admit": 1}},
		{"engines.deadline", "20", nil},
	} {
		p := h.preview(t, c.key, c.value)
		got := map[string]int64{}
		for _, r := range p.Rows {
			got[r.Rule+" "+r.Finding+" "+r.Was.String()+" "+r.Becomes.String()] += r.Objects
			if r.Device != "ct-1" {
				t.Errorf("%s: of device %q", c.key, r.Device)
			}
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(c.want)
		if string(a) != string(b) && len(got)+len(c.want) > 0 {
			t.Errorf("%s %s: %s, want %s", c.key, c.value, a, b)
		}
		if c.want != nil && (p.Objects != 8 || p.unknown() != 1) || p.Untouched != (c.want == nil) {
			t.Errorf("%s: %d objects, %v", c.key, p.Objects, p.Unknown)
		}
	}
}

func TestRefusedObjectsAreReplayed(t *testing.T) {
	h := open(t, nil)
	if _, err := h.Apply(t.Context(), h.preview(t, "policy.malicious", "refuse").Digest, by("A. Able")); err != nil {
		t.Fatal(err)
	}
	h.record(t, "object.refused", map[string]any{"calling_ae": "US3", "reason": "malicious: eicar", "status": 49170})
	h.record(t, "object.refused", map[string]any{"calling_ae": "US3", "reason": "malicious: eicar", "status": 49170, "omitted": 12})
	p := h.preview(t, "policy.malicious", "hold")
	if len(p.Rows) != 1 || p.Rows[0].Objects != 2 || p.Rows[0].Device != "US3" || p.Rows[0].Becomes != finding.Hold || p.unknown() != 12 {
		t.Errorf("%+v %+v", p.Rows, p.Unknown)
	}
}

func TestWhatCameInMeanwhileIsLookedAtFirst(t *testing.T) {
	h := open(t, nil)
	held := func(device string) {
		h.record(t, "object.held", map[string]any{"device": device, "from": "receiving", "findings": []string{"eicar"}, "reason": "malicious: eicar", "sha256": device + time.Now().String()})
	}
	held("ct-1")
	p := h.preview(t, "policy.malicious", "refuse")
	held("ct-1") // more of the same
	held("us-7") // of which the preview did not speak
	_, err := h.Apply(t.Context(), p.Digest, by("A. Able"))
	var stale *Stale
	if !errors.As(err, &stale) || h.Now().Rules.Malicious != policy.Hold || len(stale.Now.Rows) != 2 {
		t.Fatalf("%v", err)
	}
	held("us-7")
	a, err := h.Apply(t.Context(), stale.Now.Digest, by("A. Able"))
	if err != nil || a.More != 1 {
		t.Fatalf("%+v, %v", a, err)
	}
}

func TestOfTwoChangesAtATimeOneLooksAgain(t *testing.T) {
	h := open(t, nil)
	p, q := h.preview(t, "policy.unscanned", "hold"), h.preview(t, "engines.deadline", "20s")
	if _, err := h.Apply(t.Context(), p.Digest, by("A. Able")); err != nil {
		t.Fatal(err)
	}
	var stale *Stale
	if _, err := h.Apply(t.Context(), q.Digest, by("B. Best")); !errors.As(err, &stale) {
		t.Fatal(err)
	}
	if _, err := h.Apply(t.Context(), stale.Now.Digest, by("B. Best")); err != nil || h.Now().Deadline != 20*time.Second {
		t.Fatal(err, h.Now())
	}
}
