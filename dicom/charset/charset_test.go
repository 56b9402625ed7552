package charset

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// The examples of PS3.5 annexes H, I, J and K, and what is met besides.
var examples = []struct{ set, value, want string }{
	{"", "Adams^John Robert Quincy^^Rev.", "Adams^John Robert Quincy^^Rev."},
	{"ISO_IR 100", "Buc^J\xe9r\xf4me ", "Buc^Jérôme"},
	{"ISO_IR 144", "\xbb\xee\xda\xe1\xd5\xdc\xd1\xe3\xe0\xd3", "Люксембург"},
	{"ISO_IR 126", "\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"},
	{"ISO_IR 192", "Wang^XiaoDong=\u738b^\u5c0f\u4e1c", "Wang^XiaoDong=王^小东"},
	{"GB18030", "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang^XiaoDong=王^小东"},
	{"GBK", "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang^XiaoDong=王^小东"},
	{`\ISO 2022 IR 87`, "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B", "Yamada^Tarou=山田^太郎=やまだ^たろう"},
	{`ISO 2022 IR 13\ISO 2022 IR 87`, "\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"},
	{`\ISO 2022 IR 149`, "Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf", "Hong^Gildong=洪^吉洞=홍^길동"},
	{`\ISO 2022 IR 58`, "Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab", "Zhang^XiaoDong=张^小东"},
	{`ISO 2022 IR 100\ISO 2022 IR 144`, "J\xe9r\xf4me^\x1b-L\xbb\xee^\xe9", "Jérôme^Лю^é"},
	{"NO SUCH SET", "Doe^J\xe9", "Doe^J\uFFFD"},
	{"ISO_IR 192", "bad\xff\x00line\r\nend\x1b[31m", "bad\uFFFDlineend[31m"},
	{`\ISO 2022 IR 87`, "\x1b", ""},
	{`\ISO 2022 IR 87`, "a\x1b$", "a$"},
}

func TestExamplesOfTheStandard(t *testing.T) {
	for _, e := range examples {
		if got := Parse(e.set).Decode([]byte(e.value)); got != e.want {
			t.Errorf("%q, %q: got %q, want %q", e.set, e.value, got, e.want)
		}
	}
}

// Whatever comes, the text is one line of UTF-8, and no longer than it may be.
func FuzzDecode(f *testing.F) {
	for _, e := range examples {
		f.Add(e.set, []byte(e.value))
	}
	f.Fuzz(func(t *testing.T, set string, value []byte) {
		got := Parse(set).Decode(value)
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\x1b\r\n") || len(got) > 4*len(value)+4 {
			t.Errorf("%q, %q: %q", set, value, got)
		}
	})
}
