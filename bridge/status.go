package bridge

import (
	"errors"
	"net/http"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/web"
)

// Failure statuses that are the bridge's own (PS3.4 §B.2.3 and §C.4 leave Cxxx to
// the implementation).
const (
	statusBadInstance  dimse.Status = 0xC040 // the archive cannot understand the object, and does not say why
	statusUnreadable   dimse.Status = 0xC041 // the identifier, or the archive's answer to it, cannot be read
	statusSyntax       dimse.Status = 0xC122 // the archive does not take the transfer syntax (PS3.18 table I.2-2)
	statusCalculate    dimse.Status = 0xA701 // which instances there are cannot be told (PS3.4 table C.4-2)
	statusUnperformed  dimse.Status = 0xA702 // no sub-operation could be performed (PS3.4 table C.4-2)
	statusDestination  dimse.Status = 0xA801 // move destination unknown (PS3.4 table C.4-2)
	statusIncomplete                = dimse.OutOfResources
	statusSomeFailures              = dimse.WarningCoercion // B000: sub-operations complete, with failures
)

const (
	commentAway      = "the archive cannot be reached"
	commentOther     = "the archive has answered for another instance"
	commentShortened = "the archive gives only a part of the matches"
)

// stored is the status of a C-STORE (PS3.4 §B.2.3) for what the archive answered to
// a store of this one instance (PS3.18 annex I.2).
func stored(r web.StoreResponse, class, instance dicom.UID) (dimse.Status, string) {
	for _, f := range r.Failed {
		if f.SOPInstanceUID == instance || f.SOPInstanceUID == "" {
			return failureOf(f.FailureReason), f.Comment
		}
	}
	for _, s := range r.Stored {
		if s.SOPInstanceUID == instance && (s.SOPClassUID == class || s.SOPClassUID == "") {
			return warningOf(s.WarningReason), ""
		}
	}
	if len(r.Other) > 0 {
		return failureOf(r.Other[0]), ""
	}
	return dimse.OutOfResources, commentOther // so that it is kept, and sent again
}

// failureOf is the status for a Failure Reason (0008,1197) (PS3.18 table I.2-2): the
// same number, since they are those of C-STORE, as far as it says failure.
func failureOf(reason uint16) dimse.Status {
	if s := dimse.Status(reason); s.Class() == dimse.ClassFailure {
		return s
	}
	return dimse.ProcessingFailure
}

// warningOf is the status for a Warning Reason (0008,1196) (PS3.18 table I.2-1): the
// same number, as far as it says warning.
func warningOf(reason uint16) dimse.Status {
	s := dimse.Status(reason)
	if s == dimse.Success || s.Class() == dimse.ClassWarning {
		return s
	}
	return dimse.WarningCoercion
}

// answers are the statuses for answers of HTTP without a body that says more, in
// the order of RFC 9110 §15. Where it is no fault of the object or the query, but
// ours or the archive's, the status is one that makes the sender try again.
var answers = []struct {
	http  int
	store dimse.Status
	find  dimse.Status
}{
	{http.StatusBadRequest, statusBadInstance, dimse.DataSetDoesNotMatchSOPClass},
	{http.StatusUnauthorized, dimse.OutOfResources, dimse.OutOfResources},
	{http.StatusForbidden, dimse.OutOfResources, dimse.OutOfResources},
	{http.StatusNotFound, dimse.OutOfResources, dimse.OutOfResources},
	{http.StatusMethodNotAllowed, dimse.OutOfResources, dimse.OutOfResources},
	{http.StatusNotAcceptable, statusBadInstance, statusUnreadable},
	{http.StatusConflict, dimse.ProcessingFailure, statusUnreadable},
	{http.StatusGone, dimse.OutOfResources, statusUnreadable},
	{http.StatusRequestEntityTooLarge, dimse.ProcessingFailure, dimse.OutOfResources},
	{http.StatusUnsupportedMediaType, statusSyntax, statusUnreadable},
	{http.StatusUnprocessableEntity, statusBadInstance, dimse.DataSetDoesNotMatchSOPClass},
}

// unstored is the status of a C-STORE whose store failed as a whole.
func unstored(err error) (dimse.Status, string) {
	var a *web.AnswerError
	switch {
	case errors.Is(err, web.ErrAway):
		return dimse.OutOfResources, commentAway
	case errors.As(err, &a):
		for _, row := range answers {
			if row.http == a.Status {
				return row.store, "the archive answers " + http.StatusText(a.Status)
			}
		}
		return dimse.OutOfResources, "the archive's answer is none"
	}
	return dimse.OutOfResources, "the archive's answer cannot be read"
}

// unfound is the status of a C-FIND whose search failed.
func unfound(err error) (dimse.Status, string) {
	var a *web.AnswerError
	switch {
	case errors.Is(err, web.ErrAway):
		return dimse.OutOfResources, commentAway
	case errors.Is(err, errShortened):
		return statusIncomplete, commentShortened
	case errors.As(err, &a):
		for _, row := range answers {
			if row.http == a.Status {
				return row.find, "the archive answers " + http.StatusText(a.Status)
			}
		}
	}
	return statusUnreadable, "the archive's answer cannot be read"
}
