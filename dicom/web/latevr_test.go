package web

import (
	"strings"
	"testing"

	"cordon/dicom"
)

// Members of a JSON object have no order: Orthanc writes Value before vr, of private
// attributes and of sequences too.
func TestValueMayComeBeforeVR(t *testing.T) {
	const text = `[{"00090010":{"Value":["GEMS_IDEN_01"],"vr":"LO"},"00091001":{"Value":["GE_GENESIS_FF"],"vr":"LO"},` +
		`"00091002":{"Value":[{"00091003":{"Value":[7],"vr":"SS"}}],"vr":"SQ"},"00100020":{"Value":["P1"],"vr":"LO"}}]`
	var got DataSet
	if err := ReadJSON(strings.NewReader(text), Limits{}, func(d DataSet) error { got = d; return nil }); err != nil {
		t.Fatal(err)
	}
	vrs := map[dicom.Tag]dicom.VR{}
	for _, e := range got {
		vrs[e.Tag] = e.VR
	}
	if vrs[0x00091001] != dicom.LO || vrs[0x00091002] != dicom.SQ || len(got) != 4 {
		t.Errorf("%+v", got)
	}
}

func TestValuesHeldBackAreNotNestedWithoutEnd(t *testing.T) {
	text := `{"00091002":{"Value":[],"vr":"SQ"}}`
	for range maxHeldBack {
		text = `{"00091002":{"Value":[` + text + `],"vr":"SQ"}}`
	}
	err := ReadJSON(strings.NewReader(text), Limits{}, func(DataSet) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "too many sequences") {
		t.Errorf("%v", err)
	}
}
