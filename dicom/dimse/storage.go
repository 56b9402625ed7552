package dimse

import (
	"cordon/dicom"
	"cordon/dicom/ul"
)

// MaxContexts is what one association can propose (PS3.8 §9.3.2.2: odd ids).
const MaxContexts = 128

// keptSyntaxes are those that objects are kept in, the most common first.
var keptSyntaxes = []dicom.UID{
	dicom.ExplicitVRLittleEndian, dicom.JPEGLosslessSV1, dicom.JPEG2000Lossless, dicom.JPEGBaseline8Bit, dicom.JPEG2000, dicom.JPEGLSLossless,
	dicom.RLELossless, dicom.ImplicitVRLittleEndian, dicom.JPEGExtended12Bit, dicom.JPEGLossless, dicom.JPEGLSNearLossless, dicom.HTJ2KLossless,
	dicom.HTJ2KLosslessRPCL, dicom.HTJ2K, dicom.DeflatedExplicitVRLittleEndian, dicom.ExplicitVRBigEndian, dicom.MPEG2MPML,
	"1.2.840.10008.1.2.4.101", "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.103", "1.2.840.10008.1.2.4.104", "1.2.840.10008.1.2.4.105",
	"1.2.840.10008.1.2.4.106", "1.2.840.10008.1.2.4.107", "1.2.840.10008.1.2.4.108",
}

// StorageContexts proposes storage SOP classes for objects whose transfer syntaxes are not known, in at most room
// contexts: of each class one for each syntax, so that the other side need not choose; where there is no room for all,
// the rarer ones share its last. Classes beyond room are left out.
func StorageContexts(classes []dicom.UID, room int) []ul.ProposedContext {
	classes = classes[:min(len(classes), max(room, 0))]
	if len(classes) == 0 {
		return nil
	}
	each := min(room/len(classes), len(keptSyntaxes))
	out := make([]ul.ProposedContext, 0, each*len(classes))
	for _, class := range classes {
		for _, ts := range keptSyntaxes[:each-1] {
			out = append(out, ul.ProposedContext{AbstractSyntax: class, TransferSyntaxes: []dicom.UID{ts}})
		}
		out = append(out, ul.ProposedContext{AbstractSyntax: class, TransferSyntaxes: keptSyntaxes[each-1:]})
	}
	return out
}
