package judge

import (
	"cordon/dicom"
	"cordon/inspect"
)

// Patient and PatientData are package inspect's: whom an object is of.
type (
	Patient     = inspect.Patient
	PatientData = inspect.PatientData
)

// Patient is whom the object is of, once it is finished. It is not in the report,
// which is shown and sent about.
func (jm *Judgement) Patient() Patient { return jm.patient }

// PatientOf is whom a data set names that is no object, such as the identifier of
// a query. It judges nothing.
func PatientOf(data []byte, ts dicom.UID) Patient {
	in := inspect.New(inspect.Options{Decoder: dicom.Options{TransferSyntax: ts, Size: int64(len(data))}})
	in.Write(data) // never fails before Close
	return in.Close().Patient
}
