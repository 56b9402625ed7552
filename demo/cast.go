package demo

import (
	"fmt"

	"cordon/dicom"
	"cordon/inspect/compose"
)

// A modality is one of the cast.
type modality struct {
	title    dicom.AETitle
	code     string // Modality (0008,0060)
	class    dicom.UID
	images   int
	image    func() *compose.Object
	infected bool
}

// cast is who plays. US3 is the ultrasound scanner that caught something.
var cast = [...]modality{
	{title: "CT1", code: "CT", class: dicom.CTImageStorage, images: 8, image: func() *compose.Object { return compose.CT(128, 128) }},
	{title: "US3", code: "US", class: dicom.UltrasoundImageStorage, images: 4, image: func() *compose.Object { return compose.Photo(240, 320) }, infected: true},
	{title: "DX2", code: "DX", class: dicom.DigitalXRayImageStorageForPresentation, images: 2, image: func() *compose.Object { return compose.CT(256, 256) }},
	{title: "MR1", code: "MR", class: dicom.MRImageStorage, images: 6, image: func() *compose.Object { return compose.CT(128, 128) }},
}

// patients are the cast of another play.
var patients = [...]string{"Oberon", "Titania", "Puck", "Bottom", "Quince", "Snug", "Flute", "Starveling"}

// threats are what the infected modality adds to its studies, one each.
var threats = [...]struct {
	place   compose.Place
	payload func() []byte
}{
	{compose.PrivateOB, compose.EICAR},
	{compose.EncapsulatedPDF, compose.WindowsProgram},
	{compose.SplitFragments, compose.LinuxProgram},
	{compose.Deflated, compose.EICAR},
	{compose.PrivateUN, compose.Shortcut},
	{compose.AfterEndOfImage, compose.WindowsProgram},
}

// study makes the objects of one study; the round chooses patient and threat.
func (m modality) study(round int) []object {
	var out []object
	for range m.images {
		o := m.image()
		o.SOPClass = m.class
		out = append(out, object{o, false})
	}
	if m.infected {
		t := threats[round%len(threats)]
		o := compose.CT(64, 64)
		t.place.Put(o, t.payload())
		out = append(out[:1], append([]object{{o, true}}, out[1:]...)...) // in the midst of the study
	}
	study, series := compose.NewUID(), compose.NewUID()
	who := round % len(patients)
	for i, o := range out {
		o.Study, o.Series, o.InstanceNumber = study, series, i+1
		o.SetString(dicom.TagModality, dicom.CS, m.code)
		o.SetString(dicom.TagPatientName, dicom.PN, "Play^"+patients[who])
		o.SetString(dicom.TagPatientID, dicom.LO, fmt.Sprintf("PLAY-%d", who+1))
		o.SetString(dicom.TagStudyDescription, dicom.LO, "Demonstration, no patient")
	}
	return out
}
