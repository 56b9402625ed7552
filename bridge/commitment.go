package bridge

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/dicom/web"
)

// DICOMweb has no storage commitment. What comes nearest is to ask the archive which
// instances it has, after it has answered that it stored them: one that it finds by a
// search is committed to, any other is not (PS3.4 annex J). Where the archive does not
// answer, nothing is reported, and the gateway asks again.

// action answers an N-ACTION request, and looks the instances up in a goroutine
// of its own.
func (s *session) action(ctx context.Context, m *dimse.Message) error {
	status, comment := s.actionFault(m)
	var a commit.Action
	if status == dimse.Success {
		var err error
		if a, err = commit.ReadAction(m.Data, m.Context.TransferSyntax); err != nil {
			status, comment = dimse.InvalidArgumentValue, "action information cannot be read"
		}
	}
	err := s.x.Respond(ctx, m, dimse.Command{
		Status: status, ErrorComment: comment, ActionTypeID: m.Command.ActionTypeID,
		AffectedSOPClassUID: m.Command.RequestedSOPClassUID, AffectedSOPInstanceUID: m.Command.RequestedSOPInstanceUID,
	}, nil)
	if err != nil || status != dimse.Success {
		return err
	}
	pc := m.Context
	s.later(func(ctx context.Context) { // ends with the report, or with the bridge
		defer s.survive()
		s.commit(ctx, pc, a)
	})
	return nil
}

// actionFault is the status for what is no request for storage commitment (PS3.4
// §J.3.2).
func (s *session) actionFault(m *dimse.Message) (dimse.Status, string) {
	rq := m.Command
	switch {
	case rq.RequestedSOPClassUID != dicom.StorageCommitmentPushModel || m.Context.AbstractSyntax != dicom.StorageCommitmentPushModel:
		return dimse.NoSuchSOPClass, "only storage commitment"
	case rq.RequestedSOPInstanceUID != dicom.StorageCommitmentPushModelInstance:
		return dimse.NoSuchSOPInstance, "not the well-known instance"
	case rq.ActionTypeID == nil || *rq.ActionTypeID != commit.RequestStorageCommitment:
		return dimse.NoSuchActionType, ""
	case m.Data == nil:
		return dimse.NoSuchArgument, "no action information"
	}
	return dimse.Success, ""
}

// commit looks the instances up and reports: on this association if it is still
// there, else on one that the archive opens.
func (s *session) commit(ctx context.Context, pc ul.Context, a commit.Action) {
	r, err := s.b.lookUp(ctx, a)
	if err != nil {
		s.log.Warn("bridge: storage commitment is not answered: the archive cannot be asked", "error", err)
		return
	}
	if s.report(ctx, s.x, pc, r) == nil {
		return
	}
	if err := s.reportAnew(ctx, r); err != nil {
		s.log.Warn("bridge: report of storage commitment not taken", "error", err)
	}
}

// report sends a report on an association, if the other side takes it there.
func (s *session) report(ctx context.Context, x *dimse.Exchange, pc ul.Context, r commit.Report) error {
	ctx, cancel := context.WithTimeout(ctx, reportPatience)
	defer cancel()
	var info bytes.Buffer
	if err := r.Write(&info, pc.TransferSyntax); err != nil {
		return err
	}
	event := r.EventType()
	op, err := x.Begin(ctx, pc.ID, dimse.Command{
		Field:                  dimse.NEventReportRQ,
		AffectedSOPClassUID:    dicom.StorageCommitmentPushModel,
		AffectedSOPInstanceUID: dicom.StorageCommitmentPushModelInstance,
		EventTypeID:            &event,
	}, &info)
	if err != nil {
		return err
	}
	defer op.Abandon()
	_, err = op.Next(ctx)
	return err
}

// reportPatience is how long whoever asked has to answer a report.
const reportPatience = 30 * time.Second

// reportAnew sends a report on an association that the archive opens to whoever
// asked, as SCP.
func (s *session) reportAnew(ctx context.Context, r commit.Report) error {
	nc, err := s.b.out.dial(ctx)
	if err != nil {
		return err
	}
	as, err := ul.Associate(ctx, nc, ul.Request{
		Calling: s.b.config.AETitle, Called: s.calling,
		Contexts: []ul.ProposedContext{{
			ID: 1, AbstractSyntax: dicom.StorageCommitmentPushModel,
			TransferSyntaxes: []dicom.UID{dicom.ExplicitVRLittleEndian, dicom.ImplicitVRLittleEndian},
		}},
		Roles: []ul.RoleSelection{{SOPClass: dicom.StorageCommitmentPushModel, SCP: true}},
	}, s.b.config.Limits)
	if err != nil {
		return err
	}
	conn := dimse.NewConn(as)
	defer conn.Close()
	pc, ok := as.Context(1)
	if !ok {
		return errNoReports
	}
	x := dimse.NewExchange(conn, nil)
	ctx, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	reading.Go(func() { _ = x.Run(ctx) }) // ends with the association, at the latest with ctx
	if err := s.report(ctx, x, pc, r); err != nil {
		return err
	}
	return conn.Release(ctx)
}

var errNoReports = errors.New("it accepts no presentation context for reports of storage commitment")

// batch is how many instances one search asks for: as many as an address of 8 KiB
// can name.
const batch = 50

// lookUp asks the archive for each instance.
func (b *Bridge) lookUp(ctx context.Context, a commit.Action) (commit.Report, error) {
	report := commit.Report{TransactionUID: a.TransactionUID}
	for refs := range slices.Chunk(a.References, batch) {
		found, err := b.classes(ctx, refs)
		if err != nil {
			return report, err
		}
		for _, ref := range refs {
			switch class, ok := found[ref.SOPInstanceUID]; {
			case !ok:
				report.Failed = append(report.Failed, commit.Failure{Reference: ref, Reason: commit.NoSuchObjectInstance})
			case class != ref.SOPClassUID:
				report.Failed = append(report.Failed, commit.Failure{Reference: ref, Reason: commit.ClassInstanceConflict})
			default:
				report.Committed = append(report.Committed, ref)
			}
		}
	}
	return report, nil
}

// classes asks which of the instances the archive has, and their SOP classes: of
// all at once, then one by one of those that are missing, since some archives know
// no lists of UIDs.
func (b *Bridge) classes(ctx context.Context, refs []commit.Reference) (map[dicom.UID]dicom.UID, error) {
	found := map[dicom.UID]dicom.UID{}
	ask := func(uids []string) error {
		q := web.Query{Level: web.LevelInstance, Include: wanted, Matches: []web.Match{{Path: web.Path{dicom.TagSOPInstanceUID}, Value: strings.Join(uids, `\`)}}}
		return b.search(ctx, q, func(row web.DataSet) error {
			found[row.UID(dicom.TagSOPInstanceUID)] = row.UID(dicom.TagSOPClassUID)
			return nil
		})
	}
	var all []string
	for _, ref := range refs {
		all = append(all, string(ref.SOPInstanceUID))
	}
	if err := ask(all); err != nil && errors.Is(err, web.ErrAway) {
		return nil, err
	}
	for _, uid := range all {
		if _, ok := found[dicom.UID(uid)]; ok {
			continue
		}
		if err := ask([]string{uid}); err != nil {
			return nil, err
		}
	}
	return found, nil
}
