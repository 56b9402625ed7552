package dicom

// TransferSyntax is how a data set is encoded (PS3.5 §10 and annex A).
type TransferSyntax struct {
	UID  UID
	Name string
	// Explicit: each element names its VR.
	Explicit bool
	// BigEndian: numbers are in big endian byte order.
	BigEndian bool
	// Deflated: the whole data set is one RFC 1951 stream.
	Deflated bool
	// Encapsulated: Pixel Data has undefined length and holds fragments.
	Encapsulated bool
}

// LookupTransferSyntax finds a transfer syntax by its UID, retired ones included.
func LookupTransferSyntax(u UID) (TransferSyntax, bool) {
	for i := range transferSyntaxes {
		if transferSyntaxes[i].UID == u {
			return transferSyntaxes[i], true
		}
	}
	return TransferSyntax{}, false
}

// transferSyntaxes are in the order of PS3.6 table A-1; last what others have made.
var transferSyntaxes = [...]TransferSyntax{
	{UID: ImplicitVRLittleEndian, Name: "Implicit VR Little Endian"},
	{UID: ExplicitVRLittleEndian, Name: "Explicit VR Little Endian", Explicit: true},
	{UID: EncapsulatedUncompressedExplicitVRLittleEndian, Name: "Encapsulated Uncompressed Explicit VR Little Endian", Explicit: true, Encapsulated: true},
	{UID: DeflatedExplicitVRLittleEndian, Name: "Deflated Explicit VR Little Endian", Explicit: true, Deflated: true},
	{UID: ExplicitVRBigEndian, Name: "Explicit VR Big Endian", Explicit: true, BigEndian: true},
	{UID: JPEGBaseline8Bit, Name: "JPEG Baseline (Process 1)", Explicit: true, Encapsulated: true},
	{UID: JPEGExtended12Bit, Name: "JPEG Extended (Process 2 and 4)", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.52", Name: "JPEG Extended (Process 3 and 5)", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.53", Name: "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.54", Name: "JPEG Spectral Selection, Non-Hierarchical (Process 7 and 9)", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.55", Name: "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.56", Name: "JPEG Full Progression, Non-Hierarchical (Process 11 and 13)", Explicit: true, Encapsulated: true},
	{UID: JPEGLossless, Name: "JPEG Lossless, Non-Hierarchical (Process 14)", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.58", Name: "JPEG Lossless, Non-Hierarchical (Process 15)", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.59", Name: "JPEG Extended, Hierarchical (Process 16 and 18)", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.60", Name: "JPEG Extended, Hierarchical (Process 17 and 19)", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.61", Name: "JPEG Spectral Selection, Hierarchical (Process 20 and 22)", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.62", Name: "JPEG Spectral Selection, Hierarchical (Process 21 and 23)", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.63", Name: "JPEG Full Progression, Hierarchical (Process 24 and 26)", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.64", Name: "JPEG Full Progression, Hierarchical (Process 25 and 27)", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.65", Name: "JPEG Lossless, Hierarchical (Process 28)", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.66", Name: "JPEG Lossless, Hierarchical (Process 29)", Explicit: true, Encapsulated: true},
	{UID: JPEGLosslessSV1, Name: "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])", Explicit: true, Encapsulated: true},
	{UID: JPEGLSLossless, Name: "JPEG-LS Lossless Image Compression", Explicit: true, Encapsulated: true},
	{UID: JPEGLSNearLossless, Name: "JPEG-LS Lossy (Near-Lossless) Image Compression", Explicit: true, Encapsulated: true},
	{UID: JPEG2000Lossless, Name: "JPEG 2000 Image Compression (Lossless Only)", Explicit: true, Encapsulated: true},
	{UID: JPEG2000, Name: "JPEG 2000 Image Compression", Explicit: true, Encapsulated: true},
	{UID: JPEG2000MCLossless, Name: "JPEG 2000 Part 2 Multi-component Image Compression (Lossless Only)", Explicit: true, Encapsulated: true},
	{UID: JPEG2000MC, Name: "JPEG 2000 Part 2 Multi-component Image Compression", Explicit: true, Encapsulated: true},
	{UID: JPIPReferenced, Name: "JPIP Referenced", Explicit: true},
	{UID: JPIPReferencedDeflate, Name: "JPIP Referenced Deflate", Explicit: true, Deflated: true},
	{UID: MPEG2MPML, Name: "MPEG2 Main Profile / Main Level", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.100.1", Name: "Fragmentable MPEG2 Main Profile / Main Level", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.101", Name: "MPEG2 Main Profile / High Level", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.101.1", Name: "Fragmentable MPEG2 Main Profile / High Level", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.102", Name: "MPEG-4 AVC/H.264 High Profile / Level 4.1", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.102.1", Name: "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.103", Name: "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.103.1", Name: "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.104", Name: "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.104.1", Name: "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.105", Name: "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.105.1", Name: "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.106", Name: "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.106.1", Name: "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.107", Name: "HEVC/H.265 Main Profile / Level 5.1", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.108", Name: "HEVC/H.265 Main 10 Profile / Level 5.1", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.110", Name: "JPEG XL Lossless", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.111", Name: "JPEG XL JPEG Recompression", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.4.112", Name: "JPEG XL", Explicit: true, Encapsulated: true},
	{UID: HTJ2KLossless, Name: "High-Throughput JPEG 2000 Image Compression (Lossless Only)", Explicit: true, Encapsulated: true},
	{UID: HTJ2KLosslessRPCL, Name: "High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)", Explicit: true, Encapsulated: true},
	{UID: HTJ2K, Name: "High-Throughput JPEG 2000 Image Compression", Explicit: true, Encapsulated: true},
	{UID: JPIPHTJ2KReferenced, Name: "JPIP HTJ2K Referenced", Explicit: true},
	{UID: JPIPHTJ2KReferencedDeflate, Name: "JPIP HTJ2K Referenced Deflate", Explicit: true, Deflated: true},
	{UID: RLELossless, Name: "RLE Lossless", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.2.7.1", Name: "SMPTE ST 2110-20 Uncompressed Progressive Active Video", Explicit: true},
	{UID: "1.2.840.10008.1.2.7.2", Name: "SMPTE ST 2110-20 Uncompressed Interlaced Active Video", Explicit: true},
	{UID: "1.2.840.10008.1.2.7.3", Name: "SMPTE ST 2110-30 PCM Digital Audio", Explicit: true},
	{UID: DeflatedImageFrameCompression, Name: "Deflated Image Frame Compression", Explicit: true, Encapsulated: true},
	{UID: "1.2.840.10008.1.20", Name: "Papyrus 3 Implicit VR Little Endian"},
	// Not the standard's: GE's own, implicit VR little endian with big endian Pixel Data.
	{UID: "1.2.840.113619.5.2", Name: "GE Implicit VR Little Endian with Big Endian Pixel Data"},
}
