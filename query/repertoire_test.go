package query_test

import (
	"testing"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/query"
)

// Names in each kind of character set, from PS3.5 annexes H, I, J and K, beside what is not in the declared set.
func TestCharacterSets(t *testing.T) {
	const (
		yamada = "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B" // PS3.5 §H.3.1
		hong   = "Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"
		wang   = "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab="
	)
	for _, c := range []struct {
		name, set, value string
		ok               bool
	}{
		{"none", "", "DOE", true},
		{"a byte of some set that nobody names", "", "M\xfcller", true},
		{"a byte that the default repertoire lacks", "ISO_IR 6", "M\xfcller", false},
		{"Latin 1", "ISO_IR 100", "M\xfcller", true},
		{"a control of Latin 1", "ISO_IR 100", "M\x9cller", false},
		{"UTF-8", "ISO_IR 192", "Müller", true},
		{"not UTF-8", "ISO_IR 192", "M\xfcller", false},
		{"a slash in too many bytes", "ISO_IR 192", "A\xc0\xafB", false},
		{"half a surrogate", "ISO_IR 192", "A\xed\xa0\x80", false},
		{"Japanese", `\ISO 2022 IR 87`, yamada, true},
		{"Japanese, not declared", `ISO 2022 IR 6`, yamada, false},
		{"Japanese without code extension", "ISO_IR 100", yamada, false},
		{"Japanese that does not come back", `\ISO 2022 IR 87`, "Yamada=\x1b$B;3ED", false},
		{"half a Japanese character", `\ISO 2022 IR 87`, "\x1b$B;\x1b(B", false},
		{"a backslash that is half a character", `\ISO 2022 IR 87`, "\x1b$BF\\\x1b(B", true},
		{"half-width katakana", `ISO 2022 IR 13\ISO 2022 IR 87`, "\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J", true},
		{"Korean", `\ISO 2022 IR 149`, hong, true},
		{"half a Korean character", `\ISO 2022 IR 149`, "\x1b$)C\xfb", false},
		{"Korean that a component did not announce", `\ISO 2022 IR 149`, "\x1b$)C\xfb\xf3^\xfb\xf3", false},
		{"Chinese", "GB18030", wang, true},
		{"Chinese, GBK", "GBK", wang, true},
		{"a backslash that is half a character of GBK", "GBK", "A\x81\x5cB", true},
		{"four bytes", "GB18030", "\x81\x30\x81\x30", true},
		{"four bytes in GBK", "GBK", "\x81\x30\x81\x30", false},
		{"half a character of GB18030", "GB18030", "A\x81", false},
		{"Latin 1 and Greek", `ISO_IR 100\ISO 2022 IR 126`, "M\xfcller=\x1b-F\xc4\xe9", true},
		{"no such set", "ISO_IR 999", "DOE", false},
		{"no such set at all", "ASCII", "DOE", false},
		{"UTF-8 beside another", `ISO_IR 192\ISO 2022 IR 100`, "DOE", false},
		{"two bytes without code extension", "ISO_IR 87", "DOE", false},
		{"what is not a set but common", "ISO_IR 6", "DOE", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			rq := worklistFind
			rq.TransferSyntax = dicom.ExplicitVRLittleEndian
			for where, parts := range map[string][]part{
				"root": {as(charset, dicom.CS, even(c.set)), as(patientName, dicom.PN, even(c.value))},
				"item": {as(charset, dicom.CS, even(c.set)), sq(0x00081110, item(as(patientName, dicom.PN, even(c.value))))},
				"own": {as(charset, dicom.CS, "ISO_IR 101"), sq(0x00081110,
					item(as(charset, dicom.CS, even(c.set)), as(patientName, dicom.PN, even(c.value))))},
			} {
				rq.Identifier = identifier(t, rq.TransferSyntax, parts...)
				if got := (query.Rules{}).Check(rq); (got == nil) != c.ok {
					t.Errorf("%s: %v", where, got)
				} else if got != nil {
					verify(t, got, query.StatusMismatch, 0)
				}
			}
		})
	}
}

// After an item the character set around it holds again.
func TestCharacterSetOfAnItemEndsWithIt(t *testing.T) {
	rq := worklistFind
	rq.TransferSyntax = dicom.ExplicitVRLittleEndian
	set := item(as(charset, dicom.CS, "ISO_IR 192"), as(0x00080104, dicom.LO, even("Schädel")))
	latin := as(charset, dicom.CS, "ISO_IR 100")
	rq.Identifier = identifier(t, rq.TransferSyntax, latin, sq(codeSequence, set), as(patientName, dicom.PN, even("M\x84ller")))
	verify(t, query.Rules{}.Check(rq), query.StatusMismatch, patientName)
	rq.Identifier = identifier(t, rq.TransferSyntax, latin, sq(codeSequence, set), as(patientName, dicom.PN, even("M\xfcller")))
	verify(t, query.Rules{}.Check(rq), dimse.Success, 0)
}

func even(s string) string {
	if len(s)%2 == 1 {
		return s + " "
	}
	return s
}
