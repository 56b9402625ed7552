package gateway

import "cordon/dicom/dimse"

// Failure statuses that are the gateway's own (PS3.4 §B.2.3 and §C.4 leave Cxxx
// to the implementation). Any other failure is the other side's. Where a
// service has no Cxxx (PS3.7 §10), the status is 0110 and the number here is the
// Error ID (0000,0903).
const (
	statusNoDataSet       dimse.Status = 0xC010                     // the request announced no data set
	statusNoInstance                   = dimse.InvalidSOPInstance   // 0117: the command names no instance, or none that can be
	statusWrongInstance   dimse.Status = 0xC011                     // command and data set name different instances
	statusRefusedByPolicy dimse.Status = 0xC012                     // the site's rules refuse it instead of holding it
	statusWrongContext                 = dimse.SOPClassNotSupported // 0122: the command's class is not the context's, or not for storage
	statusCannotBeKept                 = dimse.OutOfResources       // A700: no room or no ledger; senders retry

	statusHeldOut      dimse.Status = 0xC013               // an object is held on its way out
	statusHeldRequest  dimse.Status = 0xC014               // the request's own data set is not let through
	statusHeldMatches  dimse.Status = 0xC015               // some or all matches were not let through
	statusBroken       dimse.Status = 0xC016               // the other side went away or fell silent in the middle
	statusTooLong      dimse.Status = 0xC017               // a data set is longer than is relayed
	statusUnasked      dimse.Status = 0xC018               // an object for the gateway itself that belongs to no retrieve of its own
	statusTooMany                   = dimse.OutOfResources // A700: requests come too fast, or a query matches more than is passed on
	statusTooManyMoves dimse.Status = 0xA702               // requests of C-MOVE or C-GET come too fast
	statusAway                      = dimse.OutOfResources // A700: the other side is away
	statusAwayMove     dimse.Status = 0xA702               // the same of a C-MOVE or C-GET (PS3.4 table C.4-2)
	statusDestination  dimse.Status = 0xA801               // move destination unknown, or not permitted (PS3.4 table C.4-2)
)
