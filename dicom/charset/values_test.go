package charset

import (
	"slices"
	"strings"
	"testing"
)

// Backslashes separate values, but not where they are half of a character.
func TestValuesAreSeparated(t *testing.T) {
	for _, e := range []struct {
		set, value string
		want       []string
	}{
		{"", `CT\MR`, []string{"CT", "MR"}},
		{"", ` CT \\MR `, []string{"CT", "", "MR"}},
		{"ISO_IR 100", "J\xe9r\xf4me\\Doe", []string{"Jérôme", "Doe"}},
		{"ISO_IR 192", "王\\小东", []string{"王", "小东"}},
		{"GB18030", "\x81\\\\\x81\\", []string{"乗", "乗"}},
		{"GBK", "\x81\\a\\b", []string{"乗a", "b"}},
		{`\ISO 2022 IR 87`, "\x1b$BA\\\x1b(B\\Doe", []string{"捜", "Doe"}},
		{`\ISO 2022 IR 149`, "\x1b$)C\xfb\xf3\\\x1b$)C\xd1\xce", []string{"洪", "吉"}},
		{`\ISO 2022 IR 87`, "a\x1b", []string{"a"}},
	} {
		if got := Parse(e.set).DecodeValues([]byte(e.value)); !slices.Equal(got, e.want) {
			t.Errorf("%q, %q: got %q, want %q", e.set, e.value, got, e.want)
		}
	}
}

func TestTextKeepsItsLines(t *testing.T) {
	for _, e := range []struct{ set, value, want string }{
		{"", "first\r\n  second\\third  ", "first\r\n  second\\third"},
		{"ISO_IR 100", "\xe9t\xe9 \r\n\tfin \x00", "été \r\n\tfin"},
		{`\ISO 2022 IR 87`, "a\x1b$B;3\x1b(B\nb", "a山\nb"},
		{"", "", ""},
		{"", "\n\n", "\n\n"},
	} {
		if got := Parse(e.set).DecodeText([]byte(e.value)); got != e.want {
			t.Errorf("%q, %q: got %q, want %q", e.set, e.value, got, e.want)
		}
	}
}

// Whatever comes, values are as many as they would be again.
func FuzzDecodeValues(f *testing.F) {
	for _, e := range examples {
		f.Add(e.set, []byte(e.value))
	}
	f.Fuzz(func(t *testing.T, set string, value []byte) {
		s := Parse(set)
		got := s.DecodeValues(value)
		if len(got) > strings.Count(string(value), `\`)+1 {
			t.Errorf("%q, %q: %q", set, value, got)
		}
		s.DecodeText(value)
	})
}
