package inspect_test

import (
	"testing"

	"cordon/dicom"
	"cordon/inspect"
	"cordon/inspect/compose"
)

// Findings that are not listed are counted, so that nobody takes the list for
// all there is: an exception for the places that are listed covers no others.
func TestUnlistedFindingsAreCounted(t *testing.T) {
	o := compose.CT(8, 8)
	o.SetString(dicom.NewTag(0x0009, 0x0010), dicom.LO, "CORDON TEST")
	for element := uint16(0x1001); element <= 0x1007; element++ {
		o.Set(dicom.NewTag(0x0009, element), dicom.OB, append(compose.WindowsProgram(), byte(element), 0))
	}
	file := o.File()
	out := judged(inspect.Options{Limits: inspect.Limits{PerKind: 4}, Decoder: dicom.Options{Size: int64(len(file))}}, file, 0)
	listed, more := 0, 0
	for _, f := range out.Findings {
		if f.ID == "executable" {
			listed++
			more += f.More
		}
	}
	if listed != 4 || more != 3 {
		t.Errorf("%d listed, %d more, of 7: %v", listed, more, out.Findings)
	}
}
