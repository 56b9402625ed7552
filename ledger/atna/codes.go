package atna

// The coded values, in the order of the standard. The texts are the code
// meanings of PS3.16 annex D, which DCM is short for.

func dcm(value, text string) Code { return Code{value, "DCM", text} }

// cordon is a code of our own: it says what a security alert is about where
// the standard has no word for it.
func cordon(value, text string) Code { return Code{value, "99CORDON", text} }

// The events (PS3.16 CID 400).
var (
	applicationActivity = dcm("110100", "Application Activity")
	auditLogUsed        = dcm("110101", "Audit Log Used")
	beginTransferring   = dcm("110102", "Begin Transferring DICOM Instances")
	instancesAccessed   = dcm("110103", "DICOM Instances Accessed")
	instancesMoved      = dcm("110104", "DICOM Instances Transferred")
	dataExport          = dcm("110106", "Export")
	dataImport          = dcm("110107", "Import")
	networkEntry        = dcm("110108", "Network Entry")
	query               = dcm("110112", "Query")
	securityAlert       = dcm("110113", "Security Alert")
	userAuthentication  = dcm("110114", "User Authentication")
)

// The event types (PS3.16 CID 401).
var (
	applicationStart      = dcm("110120", "Application Start")
	applicationStop       = dcm("110121", "Application Stop")
	userLogin             = dcm("110122", "Login")
	userLogout            = dcm("110123", "Logout")
	attach                = dcm("110124", "Attach")
	nodeAuthentication    = dcm("110126", "Node Authentication")
	emergencyStarted      = dcm("110127", "Emergency Override Started")
	networkConfiguration  = dcm("110128", "Network Configuration")
	securityConfiguration = dcm("110129", "Security Configuration")
	softwareConfiguration = dcm("110131", "Software Configuration")
	restrictedFunction    = dcm("110132", "Use of Restricted Function")
	auditRecordingStopped = dcm("110133", "Audit Recording Stopped")
	auditRecordingStarted = dcm("110134", "Audit Recording Started")
	objectSecurityChanged = dcm("110135", "Object Security Attributes Changed")
	remoteServiceStarted  = dcm("110139", "Remote Service Operation Started")
	remoteServiceStopped  = dcm("110140", "Remote Service Operation Stopped")
	localServiceStarted   = dcm("110141", "Local Service Operation Started")
	localServiceStopped   = dcm("110142", "Local Service Operation Stopped")
	rolesChanged          = dcm("110136", "Security Roles Changed")
	userChanged           = dcm("110137", "User security Attributes Changed")
	emergencyStopped      = dcm("110138", "Emergency Override Stopped")
)

// The roles of participants (PS3.16 CID 402).
var (
	roleApplication = dcm("110150", "Application")
	roleDestination = dcm("110152", "Destination Role ID")
	roleSource      = dcm("110153", "Source Role ID")
	roleDestMedia   = dcm("110154", "Destination Media")
	roleSourceMedia = dcm("110155", "Source Media")
)

// The media (PS3.16 CID 405).
var (
	mediaUSB = dcm("110030", "USB Disk Emulation")
	mediaURI = dcm("110037", "URI")
)

// What a ParticipantObjectID is (PS3.15 §A.5.1.2.4, PS3.16 CID 404).
var (
	idPatient  = Code{"2", "RFC-3881", "Patient Number"}
	idURI      = Code{"12", "RFC-3881", "URI"}
	idStudy    = dcm("110180", "Study Instance UID")
	idSOPClass = dcm("110181", "SOP Class UID")
	idNode     = dcm("110182", "Node ID")
)
