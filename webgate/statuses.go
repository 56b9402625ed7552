package webgate

import "cordon/dicom/dimse"

// Failure Reasons (0008,1197) that are the gateway's own; PS3.18 table I.2-2 leaves
// Cxxx to the implementation. They are told apart from those of DIMSE, since over
// the web a refusal is open. Any other is the archive's.
const (
	statusWrongName  dimse.Status = 0xC031               // file meta information and data set name different instances
	statusWrongStudy dimse.Status = 0xC032               // the object is of another study than the path
	statusNoObject   dimse.Status = 0xC033               // the part names no SOP class, instance and study that can be read
	statusWrongPart  dimse.Status = 0xC034               // the part's media type is none that is stored
	statusIncomplete dimse.Status = 0xC035               // metadata whose bulk data did not come with it, or that cannot be put together
	statusTooLong    dimse.Status = 0xC017               // longer than is taken
	statusRefused    dimse.Status = 0xC012               // the site's rules refuse it instead of holding it
	statusHeld       dimse.Status = 0xC030               // it is held here until people decide
	statusNotAllowed              = dimse.NotAuthorized  // 0124: this SOP class is not for this sender
	statusCannotKeep              = dimse.OutOfResources // A700: no room, or the archive is away and nothing is to be kept for it
	statusSyntax     dimse.Status = 0xC122               // the archive does not take the transfer syntax (PS3.18 table I.2-2)
	statusProcessing dimse.Status = 0x0110               // processing failure
)
