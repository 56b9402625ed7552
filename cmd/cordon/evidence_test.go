package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"cordon/evidence"
)

func TestNestedMappingTakesNoMemory(t *testing.T) {
	for _, piece := range []string{"[", "{a: ", "- ", "[\n", "- {a: [\n"} {
		if _, err := parseMapping([]byte(strings.Repeat(piece, 100_000))); err == nil || !strings.Contains(err.Error(), "more than 32 levels") {
			t.Errorf("%q: %v", piece, err)
		}
	}
}

// FuzzMapping: whatever a mapping holds, the answer is an error, or a mapping that
// a Cordon that is asked for a pack reads as it was.
func FuzzMapping(f *testing.F) {
	f.Add([]byte("name: a\ncontrols:\n- {id: a, clause: b, title: c, how: d, beyond: e}\n"))
	f.Add([]byte("name: a\ncontrols:\n- {id: a, clause: b, title: c, how: d, measures: [{says: x, share: {of: {kinds: [a.b]}, except: {kinds: [a.b], where: {n: 2}}}, at_least: 1.5}]}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseMapping(text)
		if err != nil {
			return
		}
		sent, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var got evidence.Mapping
		if err := json.Unmarshal(sent, &got); err != nil {
			t.Fatal(err)
		}
		if err := got.Check(); err != nil {
			t.Error(err)
		}
		again, err := json.Marshal(got)
		if err != nil || !reflect.DeepEqual(sent, again) {
			t.Errorf("%s, then %s, %v", sent, again, err)
		}
	})
}
