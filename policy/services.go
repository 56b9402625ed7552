package policy

import (
	"strings"

	"cordon/dicom"
)

// Service is a thing that a device may do, as a configuration file names it.
type Service string

// The services, and the service classes of PS3.4 that they are.
const (
	ServiceEcho     Service = "echo"     // Verification (annex A)
	ServiceStore    Service = "store"    // Storage (annex B)
	ServiceQuery    Service = "query"    // C-FIND of Query/Retrieve (annex C)
	ServiceRetrieve Service = "retrieve" // C-MOVE and C-GET of Query/Retrieve (annexes C, Y and Z)
	ServiceMPPS     Service = "mpps"     // Modality Performed Procedure Step (annex F)
	ServicePrint    Service = "print"    // Print Management (annex H)
	ServiceCommit   Service = "commit"   // Storage Commitment (annex J)
	ServiceWorklist Service = "worklist" // Modality Worklist (annex K)
	ServiceUPS      Service = "ups"      // Unified Procedure Step (annex CC)
	ServiceOther    Service = "other"    // every other SOP class that the standard registers
)

// Services lists the services that can be granted, in the order of the
// documentation.
func Services() []Service {
	return []Service{
		ServiceEcho, ServiceStore, ServiceCommit, ServiceQuery, ServiceRetrieve,
		ServiceWorklist, ServiceMPPS, ServicePrint, ServiceUPS, ServiceOther,
	}
}

// serviceClasses are the SOP classes of each service, in the order of PS3.4.
// Storage has none here: its classes are many, and told by their names.
var serviceClasses = []struct {
	Class   dicom.UID
	Service Service
}{
	{dicom.Verification, ServiceEcho}, // PS3.4 §A.4

	{dicom.PatientRootQueryRetrieveInformationModelFind, ServiceQuery}, // PS3.4 §C.6
	{dicom.PatientRootQueryRetrieveInformationModelMove, ServiceRetrieve},
	{dicom.PatientRootQueryRetrieveInformationModelGet, ServiceRetrieve},
	{dicom.StudyRootQueryRetrieveInformationModelFind, ServiceQuery},
	{dicom.StudyRootQueryRetrieveInformationModelMove, ServiceRetrieve},
	{dicom.StudyRootQueryRetrieveInformationModelGet, ServiceRetrieve},
	{dicom.PatientStudyOnlyQueryRetrieveInformationModelFind, ServiceQuery}, // retired
	{dicom.PatientStudyOnlyQueryRetrieveInformationModelMove, ServiceRetrieve},
	{dicom.PatientStudyOnlyQueryRetrieveInformationModelGet, ServiceRetrieve},

	{dicom.ModalityPerformedProcedureStep, ServiceMPPS},             // PS3.4 §F.7
	{dicom.ModalityPerformedProcedureStepRetrieve, ServiceMPPS},     // PS3.4 §F.8
	{dicom.ModalityPerformedProcedureStepNotification, ServiceMPPS}, // PS3.4 §F.9

	{dicom.BasicGrayscalePrintManagementMeta, ServicePrint},      // PS3.4 §H.3
	{dicom.ReferencedGrayscalePrintManagementMeta, ServicePrint}, // retired
	{dicom.BasicColorPrintManagementMeta, ServicePrint},
	{dicom.ReferencedColorPrintManagementMeta, ServicePrint}, // retired
	{dicom.PullStoredPrintManagementMeta, ServicePrint},      // retired
	{dicom.BasicFilmSession, ServicePrint},                   // PS3.4 §H.4
	{dicom.BasicFilmBox, ServicePrint},
	{dicom.BasicGrayscaleImageBox, ServicePrint},
	{dicom.BasicColorImageBox, ServicePrint},
	{dicom.ReferencedImageBox, ServicePrint}, // retired
	{dicom.BasicAnnotationBox, ServicePrint},
	{dicom.PrintJob, ServicePrint},
	{dicom.Printer, ServicePrint},
	{dicom.PrinterConfigurationRetrieval, ServicePrint},
	{dicom.VOILUTBox, ServicePrint},
	{dicom.PresentationLUT, ServicePrint},
	{dicom.ImageOverlayBox, ServicePrint},           // retired
	{dicom.BasicPrintImageOverlayBox, ServicePrint}, // retired
	{dicom.PrintQueueManagement, ServicePrint},      // retired
	{dicom.PullPrintRequest, ServicePrint},          // retired

	{dicom.StorageCommitmentPushModel, ServiceCommit}, // PS3.4 §J.3
	{dicom.StorageCommitmentPullModel, ServiceCommit}, // retired

	{dicom.ModalityWorklistInformationModelFind, ServiceWorklist}, // PS3.4 §K.6

	{dicom.CompositeInstanceRootRetrieveMove, ServiceRetrieve}, // PS3.4 §Y.6
	{dicom.CompositeInstanceRootRetrieveGet, ServiceRetrieve},
	{dicom.CompositeInstanceRetrieveWithoutBulkDataGet, ServiceRetrieve}, // PS3.4 §Z.6

	{dicom.UnifiedProcedureStepPush, ServiceUPS}, // PS3.4 §CC.3
	{dicom.UnifiedProcedureStepWatch, ServiceUPS},
	{dicom.UnifiedProcedureStepPull, ServiceUPS},
	{dicom.UnifiedProcedureStepEvent, ServiceUPS},
	{dicom.UnifiedProcedureStepQuery, ServiceUPS},
	{dicom.UnifiedProcedureStepPushTrial, ServiceUPS}, // the same four of the retired trial
	{dicom.UnifiedProcedureStepWatchTrial, ServiceUPS},
	{dicom.UnifiedProcedureStepPullTrial, ServiceUPS},
	{dicom.UnifiedProcedureStepEventTrial, ServiceUPS},
}

// ServiceOf names the service that an abstract syntax belongs to, or "" if it
// is no SOP class of a DIMSE service at all.
//
// Storage SOP classes are recognised by their registered names (PS3.6 annex
// A). A UID that the dictionary does not know may be a vendor's private
// storage class, or one newer than the dictionary, so it counts as storage:
// the archive still has to accept it, and its objects are judged as any other.
func ServiceOf(abstract dicom.UID) Service {
	for _, c := range serviceClasses {
		if c.Class == abstract {
			return c.Service
		}
	}
	known, ok := dicom.LookupUID(abstract)
	switch {
	case !ok || isStorage(known.Name):
		return ServiceStore
	case isNegotiable(known):
		return ServiceOther
	}
	return ""
}

// isStorage tells the storage SOP classes by name from those which only speak
// of storage.
func isStorage(name string) bool {
	return strings.Contains(name, "Storage") &&
		!strings.Contains(name, "Commitment") &&
		!strings.Contains(name, "Directory") &&
		!strings.Contains(name, "Service Class") &&
		!strings.Contains(name, "Management")
}

// isNegotiable reports whether an association can propose it: a SOP class, but
// neither a media directory (PS3.10) nor a stream of PS3.22.
func isNegotiable(u dicom.UIDName) bool {
	return strings.HasSuffix(u.Type, "SOP Class") &&
		u.UID != dicom.MediaStorageDirectoryStorage &&
		!strings.Contains(u.Name, "Real-Time Communication")
}

// isGet reports whether an abstract syntax is a C-GET, whose objects come back
// on the same association (PS3.4 §C.4.3).
func isGet(abstract dicom.UID) bool {
	known, ok := dicom.LookupUID(abstract)
	return ok && strings.HasSuffix(known.Name, "- GET")
}
