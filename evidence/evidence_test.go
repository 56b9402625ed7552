package evidence_test

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/custody"
	"cordon/evidence"
	"cordon/exception"
	"cordon/ledger"
	"cordon/review"
	"cordon/store"
)

// site is a data directory with everything that a pack looks at.
type site struct {
	t       *testing.T
	dir     string
	db      *store.DB
	ledger  *ledger.Ledger
	custody *custody.Custody
	reviews *review.Reviews
	maker   *evidence.Maker
}

func newSite(t *testing.T, name string) *site {
	t.Helper()
	ctx := t.Context()
	dir := t.TempDir()
	db, err := store.OpenDB(ctx, filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), custody.Migrations(), exception.Migrations(), review.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	l, err := ledger.Open(ctx, db, filepath.Join(dir, "keys", "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	c, err := custody.Open(ctx, db, dir, l, custody.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := exception.Open(ctx, db, l)
	if err != nil {
		t.Fatal(err)
	}
	r := review.New(review.Config{Owner: "Ann Able"}, review.Parts{DB: db, Ledger: l, Log: slog.New(slog.DiscardHandler)})
	m := evidence.New(evidence.Config{Site: name, Version: "1.0", Owner: "Ann Able, CISO"}, evidence.Parts{DB: db, Ledger: l, Custody: c, Exceptions: x, Reviews: r})
	return &site{t, dir, db, l, c, r, m}
}

func (s *site) record(kind string, pairs ...any) {
	s.t.Helper()
	body := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		body[pairs[i].(string)] = pairs[i+1]
	}
	if err := s.ledger.Record(s.t.Context(), kind, body); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) keep(state custody.State) {
	s.t.Helper()
	b := s.custody.NewBuffer()
	defer b.Discard()
	if _, err := b.Write([]byte("an object")); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.custody.Keep(s.t.Context(), b, custody.Object{State: state, Device: "ct-1", CallingAE: "CT1", CalledAE: "PACS", Archive: "pacs", SOPInstanceUID: "1.2.3"}); err != nil {
		s.t.Fatal(err)
	}
}

// hospital is a week's life.
func (s *site) hospital() {
	for n := range 20 {
		id := fmt.Sprint("association-", n)
		s.record("association.begin", "association", id, "device", "ct-1", "calling_ae", "CT1", "address", "10.0.0.5", "learned", n == 3, "tls", n%2 == 0)
		for range 3 {
			s.record("object.delivered", "association", id, "archive", "pacs", "sha256", strings.Repeat("ab", 32), "alarm", n == 7, "bytes", 526000, "status", 0, "sop_instance_uid", "1.2.840.113619.2.55.3.604688119.969.1268071029.320")
		}
		s.record("association.end", "association", id, "device", "ct-1", "received", 3, "held", 0, "refused", 0)
	}
	s.keep(custody.Held)
	s.keep(custody.Spooled)
	s.record("bypass.started", "by", "Bob Baker", "reason", "archive migration; every hold is rejected by the new release", "device", "ct-1", "since", time.Now().UTC().Format(time.RFC3339), "until", time.Now().Add(30*time.Minute).UTC().Format(time.RFC3339))
	s.record("object.released", "id", "01J0000000000000000000000A", "by", []string{"Bob Baker"}, "reason", "stroke patient on the table", "emergency", true)
	s.record("object.reviewed", "id", "01J0000000000000000000000A", "by", "Ann Able", "reason", "agreed", "late", false)
	s.record("object.destroyed", "id", "01J0000000000000000000000B", "by", []string{"Ann Able", "Bob Baker"}, "reason", "infected")
}

func (s *site) make() evidence.Signed {
	s.t.Helper()
	m, err := evidence.ReadMapping(evidence.HIPAA())
	if err != nil {
		s.t.Fatal(err)
	}
	signed, err := s.maker.Make(s.t.Context(), evidence.Request{From: time.Now().AddDate(0, 0, -90), To: time.Now().AddDate(0, 0, 1), Mapping: m, By: "Ann Able"})
	if err != nil {
		s.t.Fatal(err)
	}
	return signed
}

func (s *site) json(signed evidence.Signed) []byte {
	s.t.Helper()
	var text bytes.Buffer
	if err := signed.JSON(&text); err != nil {
		s.t.Fatal(err)
	}
	return text.Bytes()
}

// check reads and verifies a pack's JSON, with the site's key.
func (s *site) check(text []byte) (evidence.Verdict, error) {
	read, err := evidence.Read(bytes.NewReader(text))
	if err != nil {
		return evidence.Verdict{}, err
	}
	return read.Verify(ledger.VerifyOptions{Key: s.ledger.Fingerprint()})
}

func TestPackIsVerifiable(t *testing.T) {
	s := newSite(t, "Example Hospital")
	s.hospital()
	signed := s.make()
	v, err := s.check(s.json(signed))
	if err != nil || !v.OriginProved || v.Samples < 5 {
		t.Errorf("%+v, %v", v, err)
	}
	if digest, err := signed.Pack.Digest(); err != nil || digest != v.SHA256 {
		t.Errorf("digest %s, verified %s, %v", digest, v.SHA256, err)
	}
	other := newSite(t, "Another")
	if _, err := other.check(s.json(signed)); err == nil {
		t.Error("verified with another site's key")
	}
}

// No bit of the JSON is free.
func TestEveryFlippedByteIsFound(t *testing.T) {
	s := newSite(t, "Example Hospital")
	s.hospital()
	text := s.json(s.make())
	step := 37
	if testing.Short() {
		step = 997
	}
	for i := 0; i < len(text); i += step {
		for _, bit := range []byte{0x01, 0x20} {
			changed := bytes.Clone(text)
			changed[i] ^= bit
			if _, err := s.check(changed); err == nil {
				t.Fatalf("byte %d, %q, changed to %q, is not found", i, text[i], changed[i])
			}
		}
	}
}

// Whoever changes what the pages say has to sign it anew, and cannot.
func TestEditedPacksAreFound(t *testing.T) {
	s := newSite(t, "Example Hospital")
	s.hospital()
	old := s.make()
	s.record("object.alarm", "id", "1")
	for name, edit := range map[string]func(p *evidence.Signed){
		"an outcome":             func(p *evidence.Signed) { p.Pack.Controls[1].Outcome = evidence.Met },
		"a figure":               func(p *evidence.Signed) { p.Pack.Controls[1].Figures[1].Part = p.Pack.Controls[1].Figures[1].Of },
		"an exception taken out": func(p *evidence.Signed) { p.Pack.Controls[1].Exceptions = []evidence.Exception{} },
		"the owner":              func(p *evidence.Signed) { p.Pack.Controls[1].Owner = "Somebody else" },
		"the period":             func(p *evidence.Signed) { p.Pack.From = p.Pack.From.AddDate(0, -1, 0) },
		"a control taken out":    func(p *evidence.Signed) { p.Pack.Controls = p.Pack.Controls[1:] },
		"the proof of another":   func(p *evidence.Signed) { p.Pack.Proof = s.make().Pack.Proof },
		"the note of another":    func(p *evidence.Signed) { p.Note = s.make().Note },
		"no note":                func(p *evidence.Signed) { p.Note = "" },
		"a sample's hash":        func(p *evidence.Signed) { p.Pack.Controls[3].Samples[0].Hash = p.Pack.Controls[1].Samples[0].Hash },
	} {
		t.Run(name, func(t *testing.T) {
			signed, err := evidence.Read(bytes.NewReader(s.json(old)))
			if err != nil {
				t.Fatal(err)
			}
			edit(&signed)
			if v, err := s.check(s.json(signed)); err == nil {
				t.Errorf("verified: %+v", v)
			}
		})
	}
}

func control(t *testing.T, p evidence.Pack, id string) evidence.Result {
	t.Helper()
	for _, c := range p.Controls {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("no control %s", id)
	return evidence.Result{}
}

// What the figures say follows what happened, and nothing is called met of which
// there was no case.
func TestOutcomesFollowWhatHappened(t *testing.T) {
	quiet := newSite(t, "Quiet")
	for id, want := range map[string]evidence.Outcome{
		"risk-analysis":         evidence.NotEvidenced, // facts alone
		"activity-review":       evidence.NoCase,       // none was due
		"malicious-software":    evidence.NoCase,
		"incident-response":     evidence.NoCase,
		"data-backup":           evidence.NotEvidenced,
		"emergency-mode":        evidence.NoCase,
		"access-control":        evidence.NoCase,
		"encryption-at-rest":    evidence.NoCase,
		"audit-controls":        evidence.Met,
		"integrity":             evidence.NoCase,
		"authentication":        evidence.NoCase,
		"transmission-security": evidence.NoCase,
	} {
		if c := control(t, quiet.make().Pack, id); c.Outcome != want {
			t.Errorf("quiet: %s is %s, want %s: %+v", id, c.Outcome, want, c.Figures)
		}
	}
	busy := newSite(t, "Busy")
	busy.hospital()
	pack := busy.make().Pack
	for id, want := range map[string]evidence.Outcome{
		"malicious-software":    evidence.NotMet, // 3 of 60 were not scanned in full
		"incident-response":     evidence.Met,    // the one emergency was reviewed
		"emergency-mode":        evidence.Met,
		"access-control":        evidence.NotMet, // one association of a device that is not declared
		"encryption-at-rest":    evidence.Met,
		"integrity":             evidence.Met, // destroyed by two
		"authentication":        evidence.NotMet,
		"transmission-security": evidence.NotMet, // half of them
	} {
		if c := control(t, pack, id); c.Outcome != want {
			t.Errorf("busy: %s is %s, want %s: %+v", id, c.Outcome, want, c.Figures)
		}
	}
	if c := control(t, pack, "risk-management"); len(c.Exceptions) != 1 || c.Exceptions[0].Who != "Bob Baker" || c.Exceptions[0].Expires.IsZero() {
		t.Errorf("exceptions %+v", c.Exceptions)
	}
	busy.record("object.destroyed", "id", "2", "by", []string{"Bob Baker"}, "reason", "alone")
	if c := control(t, busy.make().Pack, "integrity"); c.Outcome != evidence.NotMet {
		t.Errorf("destroyed by one person: %s", c.Outcome)
	}
	busy.record("object.released", "id", "3", "by", []string{"Bob Baker"}, "emergency", true)
	if c := control(t, busy.make().Pack, "incident-response"); c.Outcome != evidence.Met {
		t.Errorf("there is a day for the review: %s", c.Outcome)
	}
}

// A ledger that was changed behind Cordon's back is no evidence.
func TestChangedLedgerIsNotMet(t *testing.T) {
	s := newSite(t, "Example Hospital")
	s.hospital()
	err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Exec(`DROP TRIGGER ledger_records_keep`); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE ledger_records SET data = CAST(REPLACE(CAST(data AS TEXT), '"alarm":false', '"alarm":true') AS BLOB) WHERE CAST(data AS TEXT) LIKE '%object.delivered%'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	pack := s.make().Pack
	if c := control(t, pack, "audit-controls"); c.Outcome != evidence.NotMet || pack.Ledger.Intact || !strings.Contains(c.Figures[0].Detail, "record") {
		t.Errorf("%s: %+v", c.Outcome, c.Figures[0])
	}
}

// Only the period's own records count.
func TestPeriodIsKept(t *testing.T) {
	s := newSite(t, "Example Hospital")
	s.hospital()
	m, err := evidence.ReadMapping(evidence.HIPAA())
	if err != nil {
		t.Fatal(err)
	}
	signed, err := s.maker.Make(t.Context(), evidence.Request{From: time.Now().AddDate(0, 0, -20), To: time.Now().Add(-time.Hour), Mapping: m})
	if err != nil {
		t.Fatal(err)
	}
	if n := signed.Pack.Ledger.Records; n != 0 {
		t.Errorf("%d records", n)
	}
	if c := control(t, signed.Pack, "malicious-software"); c.Outcome != evidence.NoCase || len(c.Samples) > 0 {
		t.Errorf("%+v", c)
	}
	for _, c := range signed.Pack.Controls {
		if c.Outcome == evidence.Met {
			t.Errorf("%s is met in a period of which there is no record", c.ID)
		}
	}
	if v, err := s.check(s.json(signed)); err != nil || v.Samples != 0 {
		t.Error(v, err)
	}
	if _, err := s.maker.Make(t.Context(), evidence.Request{From: time.Now(), To: time.Now().Add(-time.Hour), Mapping: m}); err == nil {
		t.Error("a period that ends before it begins")
	}
}

// What was pruned cannot show that something did not happen.
func TestPrunedRecordsShowNothing(t *testing.T) {
	s := newSite(t, "Example Hospital")
	s.hospital()
	if c := control(t, s.make().Pack, "risk-management"); c.Outcome != evidence.NotMet { // 3 of 60
		t.Fatalf("before: %s", c.Outcome)
	}
	if err := s.ledger.Prune(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	signed := s.make()
	for id, want := range map[string]evidence.Outcome{
		"risk-management": evidence.NoCase, "malicious-software": evidence.NoCase, "access-control": evidence.NoCase,
		"integrity-mechanism": evidence.NoCase, "audit-controls": evidence.Met,
	} {
		if c := control(t, signed.Pack, id); c.Outcome != want {
			t.Errorf("%s is %s, want %s: %+v", id, c.Outcome, want, c.Figures)
		}
	}
	if _, err := s.check(s.json(signed)); err != nil {
		t.Error(err)
	}
}

func TestCSV(t *testing.T) {
	s := newSite(t, "Example Hospital")
	s.hospital()
	s.record("bypass.started", "by", "=cmd|' /C calc'!A0", "reason", "+1", "device", "", "until", time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	var out bytes.Buffer
	if err := s.make().CSV(&out); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) < 60 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
				t.Errorf("a formula: %q", cell)
			}
		}
	}
}

func TestMappingsAreChecked(t *testing.T) {
	const good = "name: Own\ncontrols:\n- {id: a, clause: \"1\", title: A, how: x, beyond: y}\n"
	if _, err := evidence.ReadMapping([]byte(good)); err != nil {
		t.Error(err)
	}
	measure := func(text string) string { return strings.TrimSuffix(good, "}\n") + ", measures: [" + text + "]}\n" }
	for text, says := range map[string]string{
		"":                                      "a name",
		"name: Own\n":                           "0 controls",
		"nam: Own\n":                            "nam",
		strings.Replace(good, "a,", "A B,", 1):  "id: write lower case",
		strings.Replace(good, "how: x,", "", 1): "how are needed",
		strings.Replace(good, "beyond: y", "kind: z", 1):                         "beyond has to say",
		good + "- {id: a, clause: \"1\", title: A, how: x, beyond: y}\n":         "appears twice",
		measure("{says: n, probe: nonsense}"):                                    `probe "nonsense": write one of`,
		measure("{says: n}"):                                                     "exactly one of",
		measure("{says: n, count: {kinds: []}}"):                                 "kinds are needed",
		measure("{says: n, count: {kinds: [Object]}}"):                           "is not a kind",
		measure("{says: n, probe: records, count: {kinds: [a.b]}}"):              "exactly one of",
		measure("{says: n, share: {of: {kinds: [a.b]}}}"):                        "write part or except",
		measure("{says: n, probe: records, at_least: 1, at_most: 2}"):            "not both",
		strings.Replace(good, "beyond", "exceptions: [nonsense], beyond", 1):     "write some of",
		strings.Replace(good, "name: Own", "name: Own\npaper: a5", 1):            "write a4 or letter",
		strings.Replace(good, "title: A", "title: "+strings.Repeat("x", 200), 1): "at most 120 bytes",
	} {
		if _, err := evidence.ReadMapping([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

// The mapping counts kinds that are written, by keys that these have.
func TestHIPAACountsWhatIsWritten(t *testing.T) {
	m, err := evidence.ReadMapping(evidence.HIPAA())
	if err != nil {
		t.Fatal(err)
	}
	check := func(where string, s evidence.Selection) {
		for _, pattern := range s.Kinds {
			found := false
			for _, k := range ledger.Kinds() {
				if !review.Match(pattern, k.Name) {
					continue
				}
				found = true
				for key := range s.Where {
					if !slices.Contains(append(strings.Fields(k.Keys), "people"), key) {
						t.Errorf("%s: %s has no key %s", where, k.Name, key)
					}
				}
			}
			if !found {
				t.Errorf("%s: nobody writes %s", where, pattern)
			}
		}
	}
	for _, c := range m.Controls {
		check(c.ID, evidence.Selection{Kinds: c.Samples})
		for _, one := range c.Measures {
			if one.Count != nil {
				check(c.ID, *one.Count)
			}
			if one.Share != nil {
				check(c.ID, one.Share.Of)
				check(c.ID, *cmp.Or(one.Share.Part, one.Share.Except))
			}
		}
	}
}

// A mapping of one's own, whose texts and names are as long as they may be, fits
// on paper.
func TestLongValuesFit(t *testing.T) {
	long := strings.Repeat("Überlange Krankenhausträgerbezeichnung ", 5)
	s := newSite(t, long)
	s.hospital()
	for range 60 {
		s.record("object.released", "id", strings.Repeat("0", 26), "by", []string{strings.Repeat("Wörthersee", 20)}, "reason", strings.Repeat("w", 2000), "emergency", true)
		s.record("bypass.started", "by", strings.Repeat("A", 200), "reason", strings.Repeat("Grund ", 300), "device", strings.Repeat("D", 63), "until", time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}
	var text strings.Builder
	fmt.Fprintf(&text, "name: %q\nedition: %q\ncontrols:\n", long[:100], strings.Repeat("e", 120))
	for n := range 3 {
		fmt.Fprintf(&text, "- {id: c%d, clause: %q, title: %q, kind: %q, owner: %q, requirement: %q, how: %q, beyond: %q, exceptions: [bypass, emergency], samples: ['*', object.released, bypass.started], measures: [", n,
			strings.Repeat("1.2.3(a)", 15), strings.Repeat("Titel ", 20), strings.Repeat("k", 100), strings.Repeat("O", 120),
			strings.Repeat("must ", 240), strings.Repeat("how ", 300), strings.Repeat("日本語", 100)+"\U0001F600")
		for range 12 {
			fmt.Fprintf(&text, "{says: %q, count: {kinds: [object.released]}, at_most: 99999999999, unit: Kilogram}, ", strings.Repeat("Messgröße ", 10))
		}
		text.WriteString("]}\n")
	}
	mapping := strings.ReplaceAll(text.String(), "['*', ", "[")
	m, err := evidence.ReadMapping([]byte(mapping))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := s.maker.Make(t.Context(), evidence.Request{From: time.Now().AddDate(0, 0, -20), To: time.Now().Add(time.Hour), Mapping: m})
	if err != nil {
		t.Fatal(err)
	}
	write(t, signed, "long.pdf")
}

// write writes the PDF. With EVIDENCE_OUT it stays in that folder, to be looked at.
func write(t *testing.T, signed evidence.Signed, name string) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := signed.PDF(&out); err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("EVIDENCE_OUT"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name), out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func TestPDF(t *testing.T) {
	s := newSite(t, "Example Hospital")
	s.hospital()
	text := write(t, s.make(), "evidence.pdf")
	if !bytes.HasPrefix(text, []byte("%PDF-")) || !bytes.Contains(text, []byte("/EmbeddedFile")) || len(text) > 1<<20 {
		t.Errorf("%d bytes that begin with %q", len(text), text[:min(len(text), 16)])
	}
}
