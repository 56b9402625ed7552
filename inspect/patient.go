package inspect

import (
	"log/slog"

	"cordon/dicom"
	"cordon/dicom/charset"
)

// PatientData is whom an object is of, decoded by the object's Specific
// Character Set. What the object does not say is "".
type PatientData struct {
	ID        string // (0010,0020)
	Issuer    string // (0010,0021)
	Name      string // (0010,0010), components and groups as they are
	Accession string // (0008,0050)
}

// Patient holds PatientData for the one purpose of an audit message. It keeps
// them behind a function, so that nothing that prints, logs or marshals what it
// is given can show them by mistake.
type Patient struct{ reveal func() PatientData }

// Reveal returns the data. They go to the ledger, sealed, and nowhere else.
func (p Patient) Reveal() PatientData {
	if p.reveal == nil {
		return PatientData{}
	}
	return p.reveal()
}

// String hides them.
func (Patient) String() string { return "(patient)" }

// LogValue hides them.
func (p Patient) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MarshalText hides them.
func (p Patient) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// patient notes who the patient is. It finds nothing.
type patient struct {
	blind
	values map[dicom.Tag][]byte
}

// maxPatient bounds one value, in bytes as they are encoded: a name has five
// components in three groups of 64 characters.
const maxPatient = 1024

func (p *patient) raises() []string { return nil }
func (p *patient) finish()          {}

// whole keeps the first of each at the root.
func (p *patient) whole(e *dicom.Element, v []byte) {
	if e.Depth > 0 || e.Meta {
		return
	}
	switch e.Tag {
	case dicom.TagSpecificCharacterSet, dicom.TagPatientID, dicom.TagIssuerOfPatientID, dicom.TagPatientName, dicom.TagAccessionNumber:
	default:
		return
	}
	if _, ok := p.values[e.Tag]; ok {
		return
	}
	if p.values == nil {
		p.values = map[dicom.Tag][]byte{}
	}
	p.values[e.Tag] = append([]byte{}, v[:min(len(v), maxPatient)]...)
}

// patient decodes when it is asked to.
func (p *patient) patient() Patient {
	values := p.values
	if len(values) == 0 {
		return Patient{}
	}
	return Patient{func() PatientData {
		set := charset.Parse(string(values[dicom.TagSpecificCharacterSet]))
		text := func(t dicom.Tag) string { return set.Decode(values[t]) }
		return PatientData{
			ID: text(dicom.TagPatientID), Issuer: text(dicom.TagIssuerOfPatientID),
			Name: text(dicom.TagPatientName), Accession: text(dicom.TagAccessionNumber),
		}
	}}
}
