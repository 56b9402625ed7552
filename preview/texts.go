package preview

import (
	"context"
	"io"

	"cordon/dicom"
	"cordon/dicom/charset"
)

// Text is an attribute of an object, decoded by its Specific Character Set. It is
// patient data, and whatever its sender wanted it to be.
type Text struct {
	Tag   dicom.Tag
	Name  string // of the dictionary
	Value string // one line of UTF-8
	Cut   bool   // there is more
}

// shown are the attributes by which people know an object, in the order in which
// they want to see them.
var shown = []dicom.Tag{
	dicom.TagPatientName, dicom.TagPatientID, dicom.TagIssuerOfPatientID, dicom.TagPatientBirthDate, dicom.TagPatientSex,
	dicom.TagAccessionNumber, dicom.TagStudyID, dicom.TagStudyDate, dicom.TagStudyTime, dicom.TagStudyDescription,
	dicom.TagReferringPhysicianName, dicom.TagModality, dicom.TagSeriesNumber, dicom.TagSeriesDescription,
	dicom.TagInstanceNumber, dicom.TagImageType, dicom.TagManufacturer, tagModelName, tagStationName, tagInstitutionName,
	tagSoftwareVersions, tagProtocolName, dicom.TagMIMETypeOfEncapsulatedDoc,
}

// Tags that nobody else needs a name for.
const (
	tagModelName        dicom.Tag = 0x00081090 // Manufacturer's Model Name
	tagStationName      dicom.Tag = 0x00081010
	tagInstitutionName  dicom.Tag = 0x00080080
	tagSoftwareVersions dicom.Tag = 0x00181020
	tagProtocolName     dicom.Tag = 0x00181030
)

// maxText bounds one attribute, in bytes as they are encoded.
const maxText = 512

// Texts reads the attributes by which people know an object; those that it does
// not have are left out. Of one that stands twice it is the first.
func (p *Previewer) Texts(ctx context.Context, r io.Reader, o Object) ([]Text, error) {
	t := &texts{values: map[dicom.Tag][]byte{}}
	for _, tag := range append([]dicom.Tag{dicom.TagSpecificCharacterSet}, shown...) {
		t.values[tag] = nil
	}
	err := p.pass(ctx, r, o, t, func(context.Context) error { return nil })
	if err != nil {
		return nil, err
	}
	return t.decoded(), nil
}

// texts gathers values at the root. What is nil was not met.
type texts struct {
	values map[dicom.Tag][]byte
	open   bool // the element under way is wanted
	over   bool // what follows cannot be one
}

func (t *texts) Begin(e *dicom.Element) {
	t.open = false
	if e.Kind == dicom.KindTrailer || e.Kind == dicom.KindUnparsed || e.Depth == 0 && !e.Meta && e.Tag.Group() >= 0x7FE0 {
		t.over = true
	}
	if e.Kind != dicom.KindElement || e.Depth > 0 || e.Meta {
		return
	}
	if v, wanted := t.values[e.Tag]; wanted && v == nil {
		t.values[e.Tag], t.open = []byte{}, true
	}
}

func (t *texts) Value(e *dicom.Element, p []byte) {
	if t.open {
		v := t.values[e.Tag]
		t.values[e.Tag] = append(v, p[:min(len(p), maxText+1-len(v))]...)
	}
}

func (t *texts) End(*dicom.Element)                    { t.open = false }
func (t *texts) Anomaly(*dicom.Element, dicom.Anomaly) {}
func (t *texts) enough() bool                          { return t.over }

func (t *texts) decoded() (all []Text) {
	set := charset.Parse(string(t.values[dicom.TagSpecificCharacterSet]))
	for _, tag := range shown {
		v := t.values[tag]
		if v == nil {
			continue
		}
		a, _ := dicom.LookupAttribute(tag)
		all = append(all, Text{Tag: tag, Name: a.Name, Value: set.Decode(v[:min(len(v), maxText)]), Cut: len(v) > maxText})
	}
	return all
}
