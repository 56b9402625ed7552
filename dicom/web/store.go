package web

import (
	"net/http"

	"cordon/dicom"
)

// StoredInstance is one that was stored, perhaps with a warning.
type StoredInstance struct {
	SOPClassUID, SOPInstanceUID dicom.UID
	RetrieveURL                 string
	WarningReason               uint16 // 0: none; B000H, B006H, B007H (PS3.18 table I.2-1)
}

// FailedInstance is one that was not stored.
type FailedInstance struct {
	SOPClassUID, SOPInstanceUID dicom.UID
	FailureReason               uint16 // A7xxH, A9xxH, Cxxxh, 0110H, 0122H … (PS3.18 table I.2-2)
	Comment                     string // Error Comment (0000,0902) beside it, at most 64 characters
}

// StoreResponse is the Store Instances Response Module (PS3.18 annex I).
type StoreResponse struct {
	RetrieveURL string // of the study, if all is of one
	Stored      []StoredInstance
	Failed      []FailedInstance
	Other       []uint16 // Failure Reasons of parts that name no instance: Other Failures Sequence (0008,119A)
}

// StatusCode is that of HTTP which goes with the response (PS3.18 table 10.5.3-1).
func (r StoreResponse) StatusCode() int {
	failed := len(r.Failed) + len(r.Other)
	switch {
	case len(r.Stored) == 0 && failed > 0:
		return http.StatusConflict
	case failed > 0 || r.warned():
		return http.StatusAccepted
	}
	return http.StatusOK
}

func (r StoreResponse) warned() bool {
	for _, s := range r.Stored {
		if s.WarningReason != 0 {
			return true
		}
	}
	return false
}

// Tags of the module that package dicom does not name.
const (
	tagErrorComment          dicom.Tag = 0x00000902
	tagRetrieveURL           dicom.Tag = 0x00081190
	tagWarningReason         dicom.Tag = 0x00081196
	tagOtherFailuresSequence dicom.Tag = 0x0008119A
	maxErrorComment                    = 64 // characters
)

// DataSet is the response as JSON and XML carry it.
func (r StoreResponse) DataSet() DataSet {
	var d DataSet
	if r.RetrieveURL != "" {
		d.SetString(tagRetrieveURL, dicom.UR, r.RetrieveURL)
	}
	d.setItems(dicom.TagFailedSOPSequence, len(r.Failed), func(i int) DataSet { return r.Failed[i].dataSet() })
	d.setItems(dicom.TagReferencedSOPSequence, len(r.Stored), func(i int) DataSet { return r.Stored[i].dataSet() })
	d.setItems(tagOtherFailuresSequence, len(r.Other), func(i int) DataSet {
		var item DataSet
		item.SetUint16(dicom.TagFailureReason, r.Other[i])
		return item
	})
	return d
}

// setItems sets a sequence of n items; none, if n is 0.
func (d *DataSet) setItems(t dicom.Tag, n int, item func(int) DataSet) {
	if n == 0 {
		return
	}
	e := Element{Tag: t, VR: dicom.SQ}
	for i := range n {
		e.Items = append(e.Items, item(i))
	}
	d.Set(e)
}

func reference(class, instance dicom.UID) DataSet {
	var d DataSet
	d.SetString(dicom.TagReferencedSOPClassUID, dicom.UI, string(class))
	d.SetString(dicom.TagReferencedSOPInstanceUID, dicom.UI, string(instance))
	return d
}

func (s StoredInstance) dataSet() DataSet {
	d := reference(s.SOPClassUID, s.SOPInstanceUID)
	if s.RetrieveURL != "" {
		d.SetString(tagRetrieveURL, dicom.UR, s.RetrieveURL)
	}
	if s.WarningReason != 0 {
		d.SetUint16(tagWarningReason, s.WarningReason)
	}
	return d
}

func (f FailedInstance) dataSet() DataSet {
	d := reference(f.SOPClassUID, f.SOPInstanceUID)
	d.SetUint16(dicom.TagFailureReason, f.FailureReason)
	if f.Comment != "" {
		d.SetString(tagErrorComment, dicom.LO, cut(f.Comment, maxErrorComment))
	}
	return d
}

// cut is the first n characters of s.
func cut(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// ParseStoreResponse reads a response. What an archive leaves out stays empty; a
// failure without a reason is 0110H, a processing failure.
func ParseStoreResponse(d DataSet) StoreResponse {
	r := StoreResponse{RetrieveURL: d.String(tagRetrieveURL)}
	for _, item := range d.Items(dicom.TagReferencedSOPSequence) {
		s := StoredInstance{
			SOPClassUID: item.UID(dicom.TagReferencedSOPClassUID), SOPInstanceUID: item.UID(dicom.TagReferencedSOPInstanceUID),
			RetrieveURL: item.String(tagRetrieveURL),
		}
		s.WarningReason, _ = item.Uint16(tagWarningReason)
		r.Stored = append(r.Stored, s)
	}
	for _, item := range d.Items(dicom.TagFailedSOPSequence) {
		r.Failed = append(r.Failed, FailedInstance{
			SOPClassUID: item.UID(dicom.TagReferencedSOPClassUID), SOPInstanceUID: item.UID(dicom.TagReferencedSOPInstanceUID),
			FailureReason: failureReason(item), Comment: cut(item.String(tagErrorComment), maxErrorComment),
		})
	}
	for _, item := range d.Items(tagOtherFailuresSequence) {
		r.Other = append(r.Other, failureReason(item))
	}
	return r
}

const processingFailure = 0x0110

// Outcome is what a response says of one instance.
type Outcome struct {
	Failure uint16 // its Failure Reason; 0: it was stored
	Warning uint16 // its Warning Reason; 0: none
	Comment string // Error Comment of a failure; an archive's own words, not to be passed on
}

// Of is what the response says of an instance; ok is false if it says nothing, and the
// instance was not stored. Where it says both, it is a failure.
func (r StoreResponse) Of(instance dicom.UID) (o Outcome, ok bool) {
	for _, f := range r.Failed {
		if f.SOPInstanceUID == instance {
			return Outcome{Failure: f.FailureReason, Comment: f.Comment}, true
		}
	}
	for _, s := range r.Stored {
		if s.SOPInstanceUID == instance {
			return Outcome{Warning: s.WarningReason}, true
		}
	}
	return Outcome{}, false
}

func failureReason(d DataSet) uint16 {
	if reason, ok := d.Uint16(dicom.TagFailureReason); ok && reason != 0 {
		return reason
	}
	return processingFailure
}
