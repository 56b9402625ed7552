package bridge

import (
	"slices"

	"cordon/dicom"
	"cordon/dicom/ul"
	"cordon/policy"
)

// models are the query and retrieve SOP classes that are served (PS3.4 §C.6), with
// the topmost level of their information models.
var models = map[dicom.UID]string{
	dicom.PatientRootQueryRetrieveInformationModelFind: "PATIENT",
	dicom.PatientRootQueryRetrieveInformationModelMove: "PATIENT",
	dicom.PatientRootQueryRetrieveInformationModelGet:  "PATIENT",
	dicom.StudyRootQueryRetrieveInformationModelFind:   "STUDY",
	dicom.StudyRootQueryRetrieveInformationModelMove:   "STUDY",
	dicom.StudyRootQueryRetrieveInformationModelGet:    "STUDY",
}

// answer accepts what the bridge serves. Requestors may be SCP of storage, for the
// objects of a C-GET.
func answer(rq *ul.Request) ul.Response {
	rs := rq.Respond(choose)
	for _, r := range rq.Roles {
		storage := policy.ServiceOf(r.SOPClass) == policy.ServiceStore
		rs.Roles = append(rs.Roles, ul.RoleSelection{SOPClass: r.SOPClass, SCU: r.SCU, SCP: r.SCP && storage})
	}
	return rs
}

// choose answers one proposed context.
func choose(pc ul.ProposedContext) ul.AcceptedContext {
	var liked []dicom.UID
	switch {
	case pc.AbstractSyntax == dicom.Verification, pc.AbstractSyntax == dicom.StorageCommitmentPushModel, models[pc.AbstractSyntax] != "":
		liked = []dicom.UID{dicom.ExplicitVRLittleEndian, dicom.ImplicitVRLittleEndian}
	case policy.ServiceOf(pc.AbstractSyntax) == policy.ServiceStore:
		liked = storable(pc.TransferSyntaxes)
	default:
		return ul.AcceptedContext{ID: pc.ID, Result: ul.AbstractSyntaxNotSupported}
	}
	for _, ts := range liked {
		if slices.Contains(pc.TransferSyntaxes, ts) {
			return ul.AcceptedContext{ID: pc.ID, Result: ul.Acceptance, TransferSyntax: ts}
		}
	}
	return ul.AcceptedContext{ID: pc.ID, Result: ul.TransferSyntaxesNotSupported}
}

// storable are the proposed syntaxes that can be read, in their order, but those
// last that DICOMweb does not have (PS3.18 §8.7.3.1): Implicit VR and Big Endian.
// An object that comes in one of them is stored in it all the same; the archive
// says whether it takes it.
func storable(proposed []dicom.UID) []dicom.UID {
	var first, last []dicom.UID
	for _, u := range proposed {
		ts, known := dicom.LookupTransferSyntax(u)
		switch {
		case !known:
		case ts.Explicit && !ts.BigEndian:
			first = append(first, u)
		default:
			last = append(last, u)
		}
	}
	return append(first, last...)
}
