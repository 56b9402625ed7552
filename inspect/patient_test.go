package inspect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/inspect"
	"cordon/inspect/compose"
)

func patientOf(t *testing.T, o *compose.Object) inspect.Patient {
	t.Helper()
	in := inspect.New(inspect.Options{})
	in.Write(o.File())
	return in.Close().Patient
}

func TestPatientIsDecodedByTheCharacterSet(t *testing.T) {
	o := compose.CT(8, 8)
	o.SetString(dicom.TagSpecificCharacterSet, dicom.CS, `\ISO 2022 IR 87`)
	o.SetString(dicom.TagPatientName, dicom.PN, "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B")
	o.SetString(dicom.TagPatientID, dicom.LO, "4711-0815")
	o.SetString(dicom.TagIssuerOfPatientID, dicom.LO, "HOSPITAL")
	o.SetString(dicom.TagAccessionNumber, dicom.SH, "A0815")
	want := inspect.PatientData{ID: "4711-0815", Issuer: "HOSPITAL", Name: "Yamada^Tarou=山田^太郎", Accession: "A0815"}
	if got := patientOf(t, o).Reveal(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := (inspect.Patient{}).Reveal(); got != (inspect.PatientData{}) {
		t.Errorf("nobody is %+v", got)
	}
}

func TestPatientIsBounded(t *testing.T) {
	o := compose.CT(8, 8)
	o.SetString(dicom.TagPatientName, dicom.PN, strings.Repeat("x", 60000))
	if n := len(patientOf(t, o).Reveal().Name); n > 1024 {
		t.Errorf("%d bytes", n)
	}
}

// Nothing that prints structures shows a patient.
func TestPatientCannotBePrinted(t *testing.T) {
	o := compose.CT(8, 8)
	o.SetString(dicom.TagPatientName, dicom.PN, "PLANTED^NAME")
	o.SetString(dicom.TagPatientID, dicom.LO, "PLANTED-ID")
	p := patientOf(t, o)
	type nested struct{ hidden, Shown inspect.Patient }
	n := nested{p, p}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+" "+verb+"\n", p, n)
	}
	text, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "patient", p, "nested", n)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "patient", p, "nested", n)
	fmt.Fprint(&out, fmt.Errorf("of %v", n), n.hidden)
	if strings.Contains(out.String(), "PLANTED") || strings.Contains(out.String(), fmt.Sprintf("%x", "PLANTED")) {
		t.Errorf("%s", out.String())
	}
}
