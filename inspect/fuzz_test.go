package inspect_test

import (
	"fmt"
	"testing"

	"cordon/dicom"
	"cordon/finding"
	"cordon/inspect"
	"cordon/inspect/compose"
)

// FuzzInspect: whatever comes, no panic, a bounded number of findings that the
// catalogue knows, and the same ones however the bytes are cut into writes.
func FuzzInspect(f *testing.F) {
	for _, place := range compose.Places() {
		o := compose.CT(16, 16)
		place.Put(o, compose.WindowsProgram())
		f.Add(o.File(), uint16(100))
	}
	f.Add(compose.Photo(16, 16).File(), uint16(1))
	f.Add(compose.EICAR(), uint16(3))
	for _, c := range compose.Containers() {
		o := compose.CT(4, 4)
		compose.PrivateUN.Put(o, c.Body)
		f.Add(o.File(), uint16(100))
	}
	limits := inspect.Limits{PerKind: 4}
	f.Fuzz(func(t *testing.T, object []byte, cut uint16) {
		for _, o := range []inspect.Options{
			{Limits: limits, Decoder: dicom.Options{Size: int64(len(object))}},
			{Limits: limits, Decoder: dicom.Options{TransferSyntax: dicom.ImplicitVRLittleEndian}},
			{Limits: limits, Decoder: dicom.Options{TransferSyntax: dicom.JPEGBaseline8Bit}},
		} {
			one := judged(o, object, 0)
			if n := len(one.Findings); n > 4*len(finding.Catalogue()) {
				t.Fatalf("%d findings", n)
			}
			for _, found := range one.Findings {
				if _, ok := finding.Lookup(found.ID); !ok {
					t.Fatalf("%s: not in the catalogue", found.ID)
				}
			}
			many := judged(o, object, int(cut)+1)
			if a, b := outline(one), outline(many); a != b {
				t.Fatalf("in one write:\n%s\nin writes of %d:\n%s", a, int(cut)+1, b)
			}
		}
	})
}

func outline(o inspect.Outcome) string {
	return fmt.Sprintf("%v %v %v\n%v", o.Fatal, o.IsDICOM, o.Identity, o.Findings)
}
