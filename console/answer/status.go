package answer

import (
	"errors"
	"net/http"

	"cordon/alarm"
	"cordon/asset"
	"cordon/backup"
	"cordon/bypass"
	"cordon/commitment"
	"cordon/contain"
	"cordon/custody"
	"cordon/deadman"
	"cordon/evidence"
	"cordon/exception"
	"cordon/firewall"
	"cordon/incident"
	"cordon/ledger"
	"cordon/ledger/search"
	"cordon/mpps"
	"cordon/notice"
	"cordon/people"
	"cordon/pki"
	"cordon/plan"
	"cordon/review"
	"cordon/setting"
	"cordon/ticket"
	"cordon/transparent"
	"cordon/whereabouts"
)

// statuses say which errors are not ours, and which status of HTTP each is. The
// first that fits counts.
var statuses = []struct {
	status int
	errs   []error
}{
	{http.StatusUnsupportedMediaType, []error{ErrMedia}},
	{http.StatusForbidden, []error{people.ErrOther, people.ErrRole}},
	{http.StatusUnauthorized, []error{people.ErrDenied}},
	{http.StatusServiceUnavailable, []error{people.ErrBusy, firewall.ErrNotEnforced, search.ErrIndexing}},
	{http.StatusNotFound, []error{custody.ErrNotFound, commitment.ErrNotFound, mpps.ErrNotFound, exception.ErrNotFound, review.ErrNotFound, alarm.ErrNotFound, whereabouts.ErrNotFound, notice.ErrUnknown, asset.ErrNotFound, people.ErrNotFound, incident.ErrNotFound, ticket.ErrNotFound, setting.ErrNotFound, contain.ErrNotFound}},
	{http.StatusConflict, []error{
		custody.ErrState, custody.ErrSamePerson, custody.ErrNotEmergency, bypass.ErrState, pki.ErrState,
		exception.ErrState, exception.ErrNotExceptable, incident.ErrState, review.ErrState, alarm.ErrState, review.ErrOwn, asset.ErrDeclared, people.ErrState, backup.ErrBusy, deadman.ErrState, plan.ErrState, plan.ErrChanged, ticket.ErrState, transparent.ErrState, transparent.ErrTaken, setting.ErrState, setting.ErrDeclared, setting.ErrSecond,
		contain.ErrState, contain.ErrNever, firewall.ErrElsewhere,
	}},
	{http.StatusBadRequest, []error{ErrRequest, people.ErrRequest, evidence.ErrRequest, custody.ErrRequest, alarm.ErrRequest, bypass.ErrRequest, pki.ErrRequest, backup.ErrRequest, deadman.ErrRequest, ticket.ErrRequest, ledger.ErrValue}},
}

// Status is the status of HTTP that fits an error: 500 for what is a fault of
// ours.
func Status(err error) int {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	var wait *people.Wait
	if errors.As(err, &wait) {
		return http.StatusTooManyRequests
	}
	for _, s := range statuses {
		for _, known := range s.errs {
			if errors.Is(err, known) {
				return s.status
			}
		}
	}
	return http.StatusInternalServerError
}
