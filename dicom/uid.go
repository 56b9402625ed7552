package dicom

import (
	"fmt"
	"strings"
)

// UID is a Unique Identifier without its padding (PS3.5 §9).
type UID string

// maxUID is the longest UID, in characters (PS3.5 §9.1).
const maxUID = 64

// TrimUID is the UID that a value of VR UI holds: the trailing null that makes its
// length even is cut off, as are trailing spaces, which some senders use instead.
func TrimUID(value []byte) UID { return UID(strings.TrimRight(string(value), "\x00 ")) }

// Validate checks the form of the UID: at most 64 characters, components of digits
// without leading zeros, separated by dots (PS3.5 §9.1). The error never repeats the UID.
func (u UID) Validate() error {
	switch {
	case u == "":
		return fmt.Errorf("UID is empty (PS3.5 §9.1)")
	case len(u) > maxUID:
		return fmt.Errorf("UID has %d characters, %d are allowed (PS3.5 §9.1)", len(u), maxUID)
	}
	start := 0
	for i := 0; i <= len(u); i++ {
		if i < len(u) && u[i] != '.' {
			if u[i] < '0' || u[i] > '9' {
				return fmt.Errorf("UID has byte %02XH at position %d, only digits and dots are allowed (PS3.5 §9.1)", u[i], i)
			}
			continue
		}
		if i == start {
			return fmt.Errorf("UID has an empty component at position %d (PS3.5 §9.1)", start)
		}
		if u[start] == '0' && i > start+1 {
			return fmt.Errorf("UID has a component with a leading zero at position %d (PS3.5 §9.1)", start)
		}
		start = i + 1
	}
	return nil
}

// ImplementationClassUID and ImplementationVersionName identify this implementation in
// file meta information and association negotiation (PS3.7 §D.3.3.2). The UID is derived
// from a UUID (PS3.5 §B.2).
const (
	ImplementationClassUID    UID    = "2.25.35657408704129213753621608954845790355"
	ImplementationVersionName string = "CORDON_1"
)

// Transfer syntaxes (PS3.6 table A-1). [LookupTransferSyntax] tells their encoding.
const (
	ImplicitVRLittleEndian                         UID = "1.2.840.10008.1.2"
	ExplicitVRLittleEndian                         UID = "1.2.840.10008.1.2.1"
	EncapsulatedUncompressedExplicitVRLittleEndian UID = "1.2.840.10008.1.2.1.98"
	DeflatedExplicitVRLittleEndian                 UID = "1.2.840.10008.1.2.1.99"
	ExplicitVRBigEndian                            UID = "1.2.840.10008.1.2.2"
	JPEGBaseline8Bit                               UID = "1.2.840.10008.1.2.4.50"
	JPEGExtended12Bit                              UID = "1.2.840.10008.1.2.4.51"
	JPEGLossless                                   UID = "1.2.840.10008.1.2.4.57"
	JPEGLosslessSV1                                UID = "1.2.840.10008.1.2.4.70"
	JPEGLSLossless                                 UID = "1.2.840.10008.1.2.4.80"
	JPEGLSNearLossless                             UID = "1.2.840.10008.1.2.4.81"
	JPEG2000Lossless                               UID = "1.2.840.10008.1.2.4.90"
	JPEG2000                                       UID = "1.2.840.10008.1.2.4.91"
	JPEG2000MCLossless                             UID = "1.2.840.10008.1.2.4.92"
	JPEG2000MC                                     UID = "1.2.840.10008.1.2.4.93"
	JPIPReferenced                                 UID = "1.2.840.10008.1.2.4.94"
	JPIPReferencedDeflate                          UID = "1.2.840.10008.1.2.4.95"
	MPEG2MPML                                      UID = "1.2.840.10008.1.2.4.100"
	HTJ2KLossless                                  UID = "1.2.840.10008.1.2.4.201"
	HTJ2KLosslessRPCL                              UID = "1.2.840.10008.1.2.4.202"
	HTJ2K                                          UID = "1.2.840.10008.1.2.4.203"
	JPIPHTJ2KReferenced                            UID = "1.2.840.10008.1.2.4.204"
	JPIPHTJ2KReferencedDeflate                     UID = "1.2.840.10008.1.2.4.205"
	RLELossless                                    UID = "1.2.840.10008.1.2.5"
	DeflatedImageFrameCompression                  UID = "1.2.840.10008.1.2.8.1"
)

// SOP classes and well-known instances that a gateway meets by name (PS3.6 table A-1).
const (
	Verification                            UID = "1.2.840.10008.1.1"
	MediaStorageDirectoryStorage            UID = "1.2.840.10008.1.3.10"
	StorageCommitmentPushModel              UID = "1.2.840.10008.1.20.1"
	StorageCommitmentPushModelInstance      UID = "1.2.840.10008.1.20.1.1"
	ModalityPerformedProcedureStep          UID = "1.2.840.10008.3.1.2.3.3"
	ComputedRadiographyImageStorage         UID = "1.2.840.10008.5.1.4.1.1.1"
	DigitalXRayImageStorageForPresentation  UID = "1.2.840.10008.5.1.4.1.1.1.1"
	CTImageStorage                          UID = "1.2.840.10008.5.1.4.1.1.2"
	EnhancedCTImageStorage                  UID = "1.2.840.10008.5.1.4.1.1.2.1"
	UltrasoundMultiFrameImageStorage        UID = "1.2.840.10008.5.1.4.1.1.3.1"
	MRImageStorage                          UID = "1.2.840.10008.5.1.4.1.1.4"
	EnhancedMRImageStorage                  UID = "1.2.840.10008.5.1.4.1.1.4.1"
	UltrasoundImageStorage                  UID = "1.2.840.10008.5.1.4.1.1.6.1"
	SecondaryCaptureImageStorage            UID = "1.2.840.10008.5.1.4.1.1.7"
	XRayAngiographicImageStorage            UID = "1.2.840.10008.5.1.4.1.1.12.1"
	NuclearMedicineImageStorage             UID = "1.2.840.10008.5.1.4.1.1.20"
	RawDataStorage                          UID = "1.2.840.10008.5.1.4.1.1.66"
	SegmentationStorage                     UID = "1.2.840.10008.5.1.4.1.1.66.4"
	VLWholeSlideMicroscopyImageStorage      UID = "1.2.840.10008.5.1.4.1.1.77.1.6"
	BasicTextSRStorage                      UID = "1.2.840.10008.5.1.4.1.1.88.11"
	EnhancedSRStorage                       UID = "1.2.840.10008.5.1.4.1.1.88.22"
	ComprehensiveSRStorage                  UID = "1.2.840.10008.5.1.4.1.1.88.33"
	EncapsulatedPDFStorage                  UID = "1.2.840.10008.5.1.4.1.1.104.1"
	EncapsulatedCDAStorage                  UID = "1.2.840.10008.5.1.4.1.1.104.2"
	EncapsulatedSTLStorage                  UID = "1.2.840.10008.5.1.4.1.1.104.3"
	PositronEmissionTomographyImageStorage  UID = "1.2.840.10008.5.1.4.1.1.128"
	RTImageStorage                          UID = "1.2.840.10008.5.1.4.1.1.481.1"
	RTDoseStorage                           UID = "1.2.840.10008.5.1.4.1.1.481.2"
	RTStructureSetStorage                   UID = "1.2.840.10008.5.1.4.1.1.481.3"
	RTPlanStorage                           UID = "1.2.840.10008.5.1.4.1.1.481.5"
	PatientRootQueryRetrieveInformationFind UID = "1.2.840.10008.5.1.4.1.2.1.1"
	PatientRootQueryRetrieveInformationMove UID = "1.2.840.10008.5.1.4.1.2.1.2"
	PatientRootQueryRetrieveInformationGet  UID = "1.2.840.10008.5.1.4.1.2.1.3"
	StudyRootQueryRetrieveInformationFind   UID = "1.2.840.10008.5.1.4.1.2.2.1"
	StudyRootQueryRetrieveInformationMove   UID = "1.2.840.10008.5.1.4.1.2.2.2"
	StudyRootQueryRetrieveInformationGet    UID = "1.2.840.10008.5.1.4.1.2.2.3"
	ModalityWorklistInformationFind         UID = "1.2.840.10008.5.1.4.31"
)
