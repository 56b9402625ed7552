package gateway

import (
	"encoding/binary"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/ledger"
)

// What a query says of a patient is erased with what objects say.
func TestQueriesAreOfTheSubjectOfObjects(t *testing.T) {
	const implicit = dicom.UID("1.2.840.10008.1.2")
	element := func(group, number uint16, value string) []byte {
		if len(value)%2 == 1 {
			value += " "
		}
		out := binary.LittleEndian.AppendUint16(nil, group)
		out = binary.LittleEndian.AppendUint16(out, number)
		out = binary.LittleEndian.AppendUint32(out, uint32(len(value)))
		return append(out, value...)
	}
	join := func(all ...[]byte) (out []byte) {
		for _, e := range all {
			out = append(out, e...)
		}
		return out
	}
	long := strings.Repeat("7", 100)
	for name, c := range map[string]struct {
		identifier []byte
		want       string
	}{
		"ASCII":      {join(element(0x10, 0x20, "4711"), element(0x10, 0x21, "HOSP")), ledger.Subject("4711", "HOSP", "")},
		"Latin 1":    {join(element(8, 5, "ISO_IR 100"), element(0x10, 0x20, "\xdc1")), ledger.Subject("Ü1", "", "")},
		"long":       {element(0x10, 0x20, long), ledger.Subject(long, "", "")},
		"a study":    {join(element(0x10, 0x20, ""), element(0x20, 0xd, "1.2.3")), ledger.Subject("", "", "1.2.3")},
		"by name":    {element(0x10, 0x10, "YAMADA*"), ledger.Subject("", "", "")},
		"unreadable": {[]byte("\x10"), ledger.Subject("", "", "")},
	} {
		if got := subjectOf(c.identifier, implicit); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
