package dicom

import "fmt"

// Tag identifies a Data Element: group number in the upper, element number in the lower
// 16 bits (PS3.5 §7.1).
type Tag uint32

// NewTag returns the tag (group,element).
func NewTag(group, element uint16) Tag { return Tag(group)<<16 | Tag(element) }

// Group is the tag's group number.
func (t Tag) Group() uint16 { return uint16(t >> 16) }

// Element is the tag's element number.
func (t Tag) Element() uint16 { return uint16(t) }

// IsPrivate tells whether the group is odd, hence the element a vendor's own (PS3.5 §7.8).
func (t Tag) IsPrivate() bool { return t>>16&1 == 1 }

// IsPrivateCreator tells whether the element reserves a block of private elements:
// (gggg,0010-00FF) with an odd group (PS3.5 §7.8.1).
func (t Tag) IsPrivateCreator() bool {
	return t.IsPrivate() && t.Element() >= 0x10 && t.Element() <= 0xFF
}

// IsGroupLength tells whether the element is (gggg,0000), the length of its group (PS3.5 §7.2).
func (t Tag) IsGroupLength() bool { return t.Element() == 0 }

// String is the tag as the standard writes it: (0010,0010).
func (t Tag) String() string { return fmt.Sprintf("(%04X,%04X)", t.Group(), t.Element()) }

// appendTo appends what String returns, without allocating.
func (t Tag) appendTo(b []byte) []byte {
	const digits = "0123456789ABCDEF"
	b = append(b, '(')
	for shift := 28; shift >= 0; shift -= 4 {
		if shift == 12 {
			b = append(b, ',')
		}
		b = append(b, digits[t>>shift&0xF])
	}
	return append(b, ')')
}

// Tags of the elements that structure a file or a data set, and of those that a gateway
// reads to know what an object is (PS3.6 chapters 6, 7 and 8).
const (
	TagFileMetaInformationGroupLength  Tag = 0x00020000
	TagFileMetaInformationVersion      Tag = 0x00020001
	TagMediaStorageSOPClassUID         Tag = 0x00020002
	TagMediaStorageSOPInstanceUID      Tag = 0x00020003
	TagTransferSyntaxUID               Tag = 0x00020010
	TagImplementationClassUID          Tag = 0x00020012
	TagImplementationVersionName       Tag = 0x00020013
	TagSourceApplicationEntityTitle    Tag = 0x00020016
	TagSendingApplicationEntityTitle   Tag = 0x00020017
	TagReceivingApplicationEntityTitle Tag = 0x00020018
	TagPrivateInformationCreatorUID    Tag = 0x00020100
	TagPrivateInformation              Tag = 0x00020102

	TagFileSetID               Tag = 0x00041130
	TagDirectoryRecordSequence Tag = 0x00041220
	TagDirectoryRecordType     Tag = 0x00041430
	TagReferencedFileID        Tag = 0x00041500

	TagSpecificCharacterSet       Tag = 0x00080005
	TagImageType                  Tag = 0x00080008
	TagSOPClassUID                Tag = 0x00080016
	TagSOPInstanceUID             Tag = 0x00080018
	TagStudyDate                  Tag = 0x00080020
	TagStudyTime                  Tag = 0x00080030
	TagAccessionNumber            Tag = 0x00080050
	TagQueryRetrieveLevel         Tag = 0x00080052
	TagRetrieveAETitle            Tag = 0x00080054
	TagFailedSOPInstanceUIDList   Tag = 0x00080058
	TagModality                   Tag = 0x00080060
	TagManufacturer               Tag = 0x00080070
	TagReferringPhysicianName     Tag = 0x00080090
	TagStudyDescription           Tag = 0x00081030
	TagSeriesDescription          Tag = 0x0008103E
	TagReferencedSOPClassUID      Tag = 0x00081150
	TagReferencedSOPInstanceUID   Tag = 0x00081155
	TagTransactionUID             Tag = 0x00081195
	TagFailureReason              Tag = 0x00081197
	TagFailedSOPSequence          Tag = 0x00081198
	TagReferencedSOPSequence      Tag = 0x00081199
	TagPatientName                Tag = 0x00100010
	TagPatientID                  Tag = 0x00100020
	TagIssuerOfPatientID          Tag = 0x00100021
	TagPatientBirthDate           Tag = 0x00100030
	TagPatientSex                 Tag = 0x00100040
	TagStudyInstanceUID           Tag = 0x0020000D
	TagSeriesInstanceUID          Tag = 0x0020000E
	TagStudyID                    Tag = 0x00200010
	TagSeriesNumber               Tag = 0x00200011
	TagInstanceNumber             Tag = 0x00200013
	TagSamplesPerPixel            Tag = 0x00280002
	TagPhotometricInterpretation  Tag = 0x00280004
	TagPlanarConfiguration        Tag = 0x00280006
	TagNumberOfFrames             Tag = 0x00280008
	TagRows                       Tag = 0x00280010
	TagColumns                    Tag = 0x00280011
	TagBitsAllocated              Tag = 0x00280100
	TagBitsStored                 Tag = 0x00280101
	TagHighBit                    Tag = 0x00280102
	TagPixelRepresentation        Tag = 0x00280103
	TagLUTDescriptor              Tag = 0x00283002
	TagLUTData                    Tag = 0x00283006
	TagContentSequence            Tag = 0x0040A730
	TagEncapsulatedDocument       Tag = 0x00420011
	TagMIMETypeOfEncapsulatedDoc  Tag = 0x00420012
	TagEncapsulatedDocumentLength Tag = 0x00420015
	TagWaveformData               Tag = 0x54001010
	TagExtendedOffsetTable        Tag = 0x7FE00001
	TagExtendedOffsetTableLengths Tag = 0x7FE00002
	TagFloatPixelData             Tag = 0x7FE00008
	TagDoubleFloatPixelData       Tag = 0x7FE00009
	TagPixelData                  Tag = 0x7FE00010
	TagDataSetTrailingPadding     Tag = 0xFFFCFFFC

	TagItem                     Tag = 0xFFFEE000
	TagItemDelimitationItem     Tag = 0xFFFEE00D
	TagSequenceDelimitationItem Tag = 0xFFFEE0DD
)
