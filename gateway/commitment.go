package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"cordon/commitment"
	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/policy"
)

// CommitmentNetwork is the gateway as storage commitment speaks through it.
func (g *Gateway) CommitmentNetwork() commitment.Network { return committer{g} }

type committer struct{ g *Gateway }

var commitmentContexts = []ul.ProposedContext{{
	ID: 1, AbstractSyntax: dicom.StorageCommitmentPushModel,
	TransferSyntaxes: []dicom.UID{dicom.ExplicitVRLittleEndian, dicom.ImplicitVRLittleEndian},
}}

// Ask implements commitment.Network. It calls the archive under the gateway's own
// AE title.
func (c committer) Ask(ctx context.Context, archive string, actions []commit.Action, settled <-chan struct{}, answered func(int, dimse.Status)) error {
	a := c.g.archives[archive]
	switch {
	case a == nil:
		return fmt.Errorf("archive %s is not in the configuration", archive)
	case a.resting():
		return errResting
	}
	conn, err := c.g.call(ctx, a.upstream, ul.Request{Calling: c.g.site().AETitle, Called: a.upstream.AETitle, Contexts: commitmentContexts})
	if err != nil {
		return fmt.Errorf("archive %s: %w", archive, err)
	}
	q := &asking{g: c.g, archive: archive}
	return c.g.converse(ctx, conn, q.serve, func(ctx context.Context, x *dimse.Exchange) error {
		pc, ok := conn.Association().Context(1)
		if !ok {
			return commitment.ErrUnsupported
		}
		for i, action := range actions {
			status, err := c.g.request(ctx, x, pc, actionCommand(), action.Write)
			if err != nil {
				return fmt.Errorf("archive %s: %w", archive, err)
			}
			answered(i, status)
		}
		q.stay(ctx, x, settled)
		return nil
	})
}

// actionCommand is the command of an N-ACTION request (PS3.4 §J.3.2).
func actionCommand() dimse.Command {
	action := commit.RequestStorageCommitment
	return dimse.Command{
		Field:                   dimse.NActionRQ,
		RequestedSOPClassUID:    dicom.StorageCommitmentPushModel,
		RequestedSOPInstanceUID: dicom.StorageCommitmentPushModelInstance,
		ActionTypeID:            &action,
	}
}

// reportCommand is the command of an N-EVENT-REPORT request (PS3.4 §J.3.3).
func reportCommand(event uint16) dimse.Command {
	return dimse.Command{
		Field:                  dimse.NEventReportRQ,
		AffectedSOPClassUID:    dicom.StorageCommitmentPushModel,
		AffectedSOPInstanceUID: dicom.StorageCommitmentPushModelInstance,
		EventTypeID:            &event,
	}
}

// asking is an association with an archive, for the reports that come on it.
type asking struct {
	g       *Gateway
	archive string
	serving sync.Mutex // held until a report is answered
}

// serve takes the archive's reports.
func (q *asking) serve(ctx context.Context, x *dimse.Exchange, m *dimse.Message) error {
	if m.Command.Field == dimse.CCancelRQ {
		return nil
	}
	q.serving.Lock()
	defer q.serving.Unlock()
	status := commitmentFault(m, false)
	if status == dimse.Success {
		status = q.g.takeReport(ctx, q.archive, m)
	}
	return x.Respond(ctx, m, dimse.Command{Status: status, EventTypeID: m.Command.EventTypeID}, nil)
}

// takeReport gives an archive's report to commitment.
func (g *Gateway) takeReport(ctx context.Context, archive string, m *dimse.Message) dimse.Status {
	status, err := g.parts.Commitment.Reported(ctx, archive, *m.Command.EventTypeID, m.Data, m.Context.TransferSyntax)
	if err != nil {
		g.parts.Log.Error("storage commitment: an archive's report", "archive", archive, "status", uint16(status), "error", err)
	}
	return status
}

// reportStay is how long an association with an archive is kept open for the
// reports that may come on it. Most archives open one of their own.
const reportStay = 5 * time.Second

// stay waits until all is reported, for reportStay, or for the end of the
// association.
func (q *asking) stay(ctx context.Context, x *dimse.Exchange, settled <-chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, reportStay)
	defer cancel()
	select {
	case <-settled:
		q.serving.Lock() // the last report may have come here: its answer goes before the release
		defer q.serving.Unlock()
	case <-x.Ended():
	case <-ctx.Done():
	}
}

// Report implements commitment.Network: on an association that the device has
// open, the one that it asked on if it still is, else on a new one to its port, as
// SCP.
func (c committer) Report(ctx context.Context, to commitment.Requestor, r commit.Report) (status dimse.Status, err error) {
	if s := c.g.live.reportable(to); s != nil {
		status, err := s.sendReport(ctx, r)
		if err == nil || ctx.Err() != nil {
			return status, err
		}
		s.log.Info("report of commitment not taken on the association at hand", "error", err)
	}
	at, err := c.g.outletOf(to)
	if err != nil {
		return 0, err
	}
	conn, err := c.g.call(ctx, at, ul.Request{
		Calling: to.Called, Called: to.Calling, Contexts: commitmentContexts,
		Roles: []ul.RoleSelection{{SOPClass: dicom.StorageCommitmentPushModel, SCP: true}},
	})
	if err == nil {
		err = c.g.converse(ctx, conn, nil, func(ctx context.Context, x *dimse.Exchange) (err error) {
			pc, ok := conn.Association().Context(1)
			if !ok {
				return errNoReports
			}
			status, err = c.g.request(ctx, x, pc, reportCommand(r.EventType()), r.Write)
			return err
		})
	}
	if err != nil {
		err = fmt.Errorf("device at %s: %w", at.Address, err)
	}
	return status, err
}

var (
	errNoReports = errors.New("it accepts no presentation context for reports of storage commitment")
	errNoPort    = errors.New("the device has no association open, and no port in the configuration, or is denied: the report waits until it comes again")
)

// liveLimit is how long a device may take to answer a report on an association of
// its own: one that does not listen there is called at its port.
const liveLimit = 10 * time.Second

// sendReport sends a report on an association that the device opened. It waits for
// what is under way there: the response to the request goes before its report.
func (s *session) sendReport(ctx context.Context, r commit.Report) (dimse.Status, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, liveLimit, errNoAnswer)
	defer cancel()
	if !s.under.begin() {
		return 0, errStopping
	}
	defer s.under.end()
	select {
	case s.places <- struct{}{}:
		<-s.places
	case <-s.down.Ended():
		return 0, errors.New("the association has ended")
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	pc, ok := s.down.Conn().Association().Context(s.contextOf(dicom.StorageCommitmentPushModel))
	if !ok {
		return 0, errNoReports
	}
	return s.g.request(ctx, s.down, pc, reportCommand(r.EventType()), r.Write)
}

// outletOf is where a device takes reports: its port, at the address that the
// configuration gives it or at the one that it asked from.
func (g *Gateway) outletOf(to commitment.Requestor) (Upstream, error) {
	d, ok := g.site().Device(to.Device)
	if !ok || d.Port == 0 || d.Denied {
		return Upstream{}, errNoPort
	}
	at, ok := d.Outlet()
	if !ok {
		at = netip.AddrPortFrom(to.Address, d.Port)
	}
	return Upstream{Name: d.Name, AETitle: to.Calling, Address: at.String(), TLS: func() *tls.Config { return g.outletTLS(d.Name) }}, nil
}

// reportable returns an association that the device has opened and on which it
// expects a report: the one that it asked on, or another on which it asked for
// commitment or can do nothing else; or nil. In the midst of a store many would
// take a report for a breach of protocol.
func (l live) reportable(to commitment.Requestor) (found *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := range l.sessions {
		if s.admission.Direction != policy.Inbound || s.rq.Calling != to.Calling || s.rq.Called != to.Called ||
			s.admission.Device != to.Device || to.Device == "" && s.peer != to.Address || !s.expectsReports() {
			continue
		}
		if found == nil || s.id == to.Association {
			found = s
		}
	}
	return found
}

// expectsReports reports whether a report may be sent on the association.
func (s *session) expectsReports() bool {
	return s.contextOf(dicom.StorageCommitmentPushModel) != 0 && (s.askedCommitment.Load() || s.onlyCommitment())
}

// onlyCommitment reports whether every context in use is for commitment, or an
// echo.
func (s *session) onlyCommitment() bool {
	for _, pc := range s.down.Conn().Association().Contexts() {
		if g, _ := s.grant(pc.ID); g.Service != policy.ServiceCommit && g.Service != policy.ServiceEcho {
			return false
		}
	}
	return true
}
