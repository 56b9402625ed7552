package main

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// A record's canonical JSON escapes what is below U+0020 and nothing else: the
// other controls, and what turns the direction of a line, are left to us.
func TestNothingFromElsewhereReachesATerminalAsControl(t *testing.T) {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }
	for _, text := range []string{"\x1b]0;title\x07", `{"sop_instance_uid":"1.2` + "\u009b2J" + `"}`, "a\u202eb", "a\x7fb", "a\nb", "\x9b2J"} {
		shown := printable(text)
		if shown == text || strings.ContainsFunc(shown, unprintable) {
			t.Errorf("%q is shown as %q", text, shown)
		}
	}
	if text := `{"device":"Röntgen 1"}`; printable(text) != text {
		t.Errorf("%q is shown as %q", text, printable(text))
	}
}
