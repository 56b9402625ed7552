package finding

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"
)

func TestCatalogueRowsAreComplete(t *testing.T) {
	id := regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)*$`)
	seen := map[string]bool{}
	last := Malicious
	for _, k := range Catalogue() {
		if !id.MatchString(k.ID) || seen[k.ID] {
			t.Errorf("%q: id is malformed or appears twice", k.ID)
		}
		seen[k.ID] = true
		if k.Title == "" || k.Meaning == "" || k.Default == "" || k.Action == "" {
			t.Errorf("%s: a field is empty", k.ID)
		}
		if k.Severity > last {
			t.Errorf("%s: %v comes after %v", k.ID, k.Severity, last)
		}
		last = k.Severity
	}
}

// Each row that may be excepted is a decision: the list is short, and whoever
// makes it longer changes this test.
func TestOnlyHarmlessHabitsMayBeExcepted(t *testing.T) {
	want := []string{
		"encrypted-document", // in a private element, encrypted content passes as info anyway
		"container-mismatch", // what either reading lists is opened and judged
	}
	var got []string
	for _, k := range Catalogue() {
		f := New(k.ID, "(0009,1001)", 0, "")
		if k.Exceptable {
			got = append(got, k.ID)
		}
		if k.Exceptable != Exceptable(f) {
			t.Errorf("%s: the row says %v, Exceptable says %v", k.ID, k.Exceptable, Exceptable(f))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, f := range []Finding{
		{},
		{ID: "no-such-kind", Severity: Suspicious},
		{ID: "encrypted-document", Severity: Malicious},
		{ID: "encrypted-document", Severity: Info},
	} {
		if Exceptable(f) {
			t.Errorf("%+v may be excepted", f)
		}
	}
}

func TestUnknownKindIsMalicious(t *testing.T) {
	if f := New("no-such-kind", "", 0, ""); f.Severity != Malicious {
		t.Errorf("got %v", f.Severity)
	}
	if f := New("preamble-tiff", "preamble", 0, ""); f.Severity != Info {
		t.Errorf("got %v", f.Severity)
	}
}

func TestZeroValuesAreSafe(t *testing.T) {
	var v Verdict
	var r Result
	if v == Admit || r == Clean {
		t.Error("a zero value admits or clears")
	}
}

// The JSON of a finding and of an engine's answer is a contract with scripts.
func TestJSON(t *testing.T) {
	got, err := json.Marshal(struct {
		F Finding
		E EngineResult
		V Verdict
	}{New("eicar", "preamble", 3, "d"), EngineResult{"clamd", Clean, "", "27000"}, Hold})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"F":{"id":"eicar","severity":"malicious","where":"preamble","offset":3,"detail":"d"},` +
		`"E":{"name":"clamd","result":"clean","detail":"","signatures":"27000"},"V":"hold"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, s := range []Severity{Info, Suspicious, Malicious} {
		p, _ := s.MarshalText()
		var back Severity
		if err := back.UnmarshalText(p); err != nil || back != s {
			t.Errorf("%v: read back as %v, %v", s, back, err)
		}
	}
	if _, err := Severity(9).MarshalText(); err == nil {
		t.Error("severity 9 was written")
	}
	var r Result
	if err := r.UnmarshalText([]byte("good")); err == nil {
		t.Error(`result "good" was read`)
	}
}
