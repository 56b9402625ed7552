package dicom

// laterUIDs are transfer syntaxes and SOP classes that PS3.6 and its companion DICONDE have registered since the
// edition of the generated dictionary, in the order of their UIDs as strings.
var laterUIDs = [...]UIDName{
	{"1.2.840.10008.1.2.4.100.1", "Fragmentable MPEG2 Main Profile / Main Level", "Transfer Syntax", "MPEG2MPMLF", false},
	{"1.2.840.10008.1.2.4.101.1", "Fragmentable MPEG2 Main Profile / High Level", "Transfer Syntax", "MPEG2MPHLF", false},
	{"1.2.840.10008.1.2.4.102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1", "Transfer Syntax", "MPEG4HP41F", false},
	{"1.2.840.10008.1.2.4.103.1", "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", "Transfer Syntax", "MPEG4HP41BDF", false},
	{"1.2.840.10008.1.2.4.104.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", "Transfer Syntax", "MPEG4HP422DF", false},
	{"1.2.840.10008.1.2.4.105.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", "Transfer Syntax", "MPEG4HP423DF", false},
	{"1.2.840.10008.1.2.4.106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", "Transfer Syntax", "MPEG4HP42STEREOF", false},
	{"1.2.840.10008.1.2.4.110", "JPEG XL Lossless", "Transfer Syntax", "JPEGXLLossless", false},
	{"1.2.840.10008.1.2.4.111", "JPEG XL JPEG Recompression", "Transfer Syntax", "JPEGXLJPEGRecompression", false},
	{"1.2.840.10008.1.2.4.112", "JPEG XL", "Transfer Syntax", "JPEGXL", false},
	{"1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000 Image Compression (Lossless Only)", "Transfer Syntax", "HTJ2KLossless", false},
	{"1.2.840.10008.1.2.4.202", "High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)", "Transfer Syntax", "HTJ2KLosslessRPCL", false},
	{"1.2.840.10008.1.2.4.203", "High-Throughput JPEG 2000 Image Compression", "Transfer Syntax", "HTJ2K", false},
	{"1.2.840.10008.1.2.4.204", "JPIP HTJ2K Referenced", "Transfer Syntax", "JPIPHTJ2KReferenced", false},
	{"1.2.840.10008.1.2.4.205", "JPIP HTJ2K Referenced Deflate", "Transfer Syntax", "JPIPHTJ2KReferencedDeflate", false},
	{"1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression", "Transfer Syntax", "DeflatedImageFrameCompression", false},
	{"1.2.840.10008.5.1.4.1.1.11.12", "Variable Modality LUT Softcopy Presentation State Storage", "SOP Class", "VariableModalityLUTSoftcopyPresentationStateStorage", false},
	{"1.2.840.10008.5.1.4.1.1.201.1", "Inventory Storage", "SOP Class", "InventoryStorage", false},
	{"1.2.840.10008.5.1.4.1.1.201.2", "Inventory - FIND", "SOP Class", "InventoryFind", false},
	{"1.2.840.10008.5.1.4.1.1.201.3", "Inventory - MOVE", "SOP Class", "InventoryMove", false},
	{"1.2.840.10008.5.1.4.1.1.201.4", "Inventory - GET", "SOP Class", "InventoryGet", false},
	{"1.2.840.10008.5.1.4.1.1.201.5", "Inventory Creation", "SOP Class", "InventoryCreation", false},
	{"1.2.840.10008.5.1.4.1.1.201.6", "Repository Query", "SOP Class", "RepositoryQuery", false},
	{"1.2.840.10008.5.1.4.1.1.481.23", "Enhanced RT Image Storage", "SOP Class", "EnhancedRTImageStorage", false},
	{"1.2.840.10008.5.1.4.1.1.481.24", "Enhanced Continuous RT Image Storage", "SOP Class", "EnhancedContinuousRTImageStorage", false},
	{"1.2.840.10008.5.1.4.1.1.481.25", "RT Patient Position Acquisition Instruction Storage", "SOP Class", "RTPatientPositionAcquisitionInstructionStorage", false},
	{"1.2.840.10008.5.1.4.1.1.6.3", "Photoacoustic Image Storage", "SOP Class", "PhotoacousticImageStorage", false},
	{"1.2.840.10008.5.1.4.1.1.601.3", "Thermography Image Storage", "SOP Class", "ThermographyImageStorage", false},
	{"1.2.840.10008.5.1.4.1.1.601.4", "Thermography Multi-frame Image Storage", "SOP Class", "ThermographyMultiFrameImageStorage", false},
	{"1.2.840.10008.5.1.4.1.1.66.7", "Label Map Segmentation Storage", "SOP Class", "LabelMapSegmentationStorage", false},
	{"1.2.840.10008.5.1.4.1.1.66.8", "Height Map Segmentation Storage", "SOP Class", "HeightMapSegmentationStorage", false},
	{"1.2.840.10008.5.1.4.1.1.77.1.8", "Confocal Microscopy Image Storage", "SOP Class", "ConfocalMicroscopyImageStorage", false},
	{"1.2.840.10008.5.1.4.1.1.77.1.9", "Confocal Microscopy Tiled Pyramidal Image Storage", "SOP Class", "ConfocalMicroscopyTiledPyramidalImageStorage", false},
	{"1.2.840.10008.5.1.4.1.1.88.77", "Waveform Annotation SR Storage", "SOP Class", "WaveformAnnotationSRStorage", false},
	{"1.2.840.10008.5.1.4.1.1.9.1.4", "General 32-bit ECG Waveform Storage", "SOP Class", "General32bitECGWaveformStorage", false},
}

// Transfer syntaxes and SOP classes of laterUIDs that are met by name.
const (
	HTJ2KLossless                 UID = "1.2.840.10008.1.2.4.201"
	HTJ2KLosslessRPCL             UID = "1.2.840.10008.1.2.4.202"
	HTJ2K                         UID = "1.2.840.10008.1.2.4.203"
	JPIPHTJ2KReferenced           UID = "1.2.840.10008.1.2.4.204"
	JPIPHTJ2KReferencedDeflate    UID = "1.2.840.10008.1.2.4.205"
	DeflatedImageFrameCompression UID = "1.2.840.10008.1.2.8.1"
	InventoryFind                 UID = "1.2.840.10008.5.1.4.1.1.201.2"
	InventoryMove                 UID = "1.2.840.10008.5.1.4.1.1.201.3"
	InventoryGet                  UID = "1.2.840.10008.5.1.4.1.1.201.4"
	InventoryCreation             UID = "1.2.840.10008.5.1.4.1.1.201.5"
	RepositoryQuery               UID = "1.2.840.10008.5.1.4.1.1.201.6"
)
