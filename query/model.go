package query

import (
	"strings"

	"cordon/dicom"
	"cordon/dicom/dimse"
)

// model is an information model as the identifiers of one SOP class see it.
type model struct {
	command dimse.CommandField // that the SOP class is for; 0: any
	levels  []level            // from the top; none: identifiers name no Query/Retrieve Level
	private bool               // the standard does not have it: which keys it needs is not known
}

// level is a Query/Retrieve Level and its unique key (PS3.4 §C.3).
type level struct {
	name   string
	unique dicom.Tag
}

var (
	patientLevel = level{"PATIENT", dicom.TagPatientID}
	studyLevel   = level{"STUDY", dicom.TagStudyInstanceUID}
	seriesLevel  = level{"SERIES", dicom.TagSeriesInstanceUID}
	imageLevel   = level{"IMAGE", dicom.TagSOPInstanceUID}
	frameLevel   = level{"FRAME", tagSimpleFrameList} // or one of the other two of frameKeys
)

var (
	patientRoot      = []level{patientLevel, studyLevel, seriesLevel, imageLevel} // PS3.4 §C.6.1.1
	studyRoot        = []level{studyLevel, seriesLevel, imageLevel}               // PS3.4 §C.6.2.1
	patientStudyOnly = []level{patientLevel, studyLevel}                          // PS3.4 §C.6.3, retired
	instanceRoot     = []level{imageLevel, frameLevel}                            // PS3.4 §Y.3
	instanceOnly     = []level{imageLevel}                                        // PS3.4 §Z.3
)

// models are the SOP classes whose identifiers name a Query/Retrieve Level, in the order of PS3.4.
var models = [...]struct {
	sopClass dicom.UID
	model    model
}{
	{dicom.PatientRootQueryRetrieveInformationModelFind, model{command: dimse.CFindRQ, levels: patientRoot}},
	{dicom.PatientRootQueryRetrieveInformationModelMove, model{command: dimse.CMoveRQ, levels: patientRoot}},
	{dicom.PatientRootQueryRetrieveInformationModelGet, model{command: dimse.CGetRQ, levels: patientRoot}},
	{dicom.StudyRootQueryRetrieveInformationModelFind, model{command: dimse.CFindRQ, levels: studyRoot}},
	{dicom.StudyRootQueryRetrieveInformationModelMove, model{command: dimse.CMoveRQ, levels: studyRoot}},
	{dicom.StudyRootQueryRetrieveInformationModelGet, model{command: dimse.CGetRQ, levels: studyRoot}},
	{dicom.PatientStudyOnlyQueryRetrieveInformationModelFind, model{command: dimse.CFindRQ, levels: patientStudyOnly}},
	{dicom.PatientStudyOnlyQueryRetrieveInformationModelMove, model{command: dimse.CMoveRQ, levels: patientStudyOnly}},
	{dicom.PatientStudyOnlyQueryRetrieveInformationModelGet, model{command: dimse.CGetRQ, levels: patientStudyOnly}},
	{dicom.CompositeInstanceRootRetrieveMove, model{command: dimse.CMoveRQ, levels: instanceRoot}},
	{dicom.CompositeInstanceRootRetrieveGet, model{command: dimse.CGetRQ, levels: instanceRoot}},
	{dicom.CompositeInstanceRetrieveWithoutBulkDataGet, model{command: dimse.CGetRQ, levels: instanceOnly}},
}

// suffixes tell by its registered name for which command another SOP class is: hanging protocols, color palettes,
// implant templates, protocols and inventories name it, worklists and procedure steps do not.
var suffixes = [...]struct {
	suffix  string
	command dimse.CommandField
}{
	{"- FIND", dimse.CFindRQ}, {"- MOVE", dimse.CMoveRQ}, {"- GET", dimse.CGetRQ},
}

// modelOf is the model of the SOP class, or nil if the class is not for the command.
func modelOf(sopClass dicom.UID, command dimse.CommandField) *model {
	m := findModel(sopClass)
	if m.command == 0 {
		m.command = command
	}
	switch {
	case m.command != command:
		return nil
	case command == dimse.CFindRQ, command == dimse.CMoveRQ, command == dimse.CGetRQ:
		return &m
	}
	return nil
}

func findModel(sopClass dicom.UID) model {
	for _, m := range models {
		if m.sopClass == sopClass {
			return m.model
		}
	}
	known, ok := dicom.LookupUID(sopClass)
	if !ok {
		return model{private: true}
	}
	for _, s := range suffixes {
		if strings.HasSuffix(known.Name, s.suffix) {
			return model{command: s.command}
		}
	}
	return model{command: dimse.CFindRQ}
}

// retrieves tells whether the identifier says what to send, rather than what to look for.
func (m *model) retrieves() bool { return m.command != dimse.CFindRQ }

// sequences tells whether identifiers may hold sequences: those of a query may, for a worklist or for a match on codes
// (PS3.4 §C.2.2.2.6); those of a retrieval hold unique keys alone (PS3.4 §C.4.2.1.4.1).
func (m *model) sequences() bool { return !m.retrieves() }
