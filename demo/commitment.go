package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

var commitmentContext = ul.ProposedContext{AbstractSyntax: dicom.StorageCommitmentPushModel, TransferSyntaxes: []dicom.UID{dicom.ExplicitVRLittleEndian}}

// commitmentWait is how long a modality stays for its report.
const commitmentWait = 10 * time.Second

// askCommitment asks for commitment of what was stored and waits for the report
// on the same association. A gateway that does not do it is let be.
func (p *play) askCommitment(ctx context.Context, conn *dimse.Conn, stored []commit.Reference) error {
	id, ok := contextOfCommitment(conn.Association())
	if !ok || len(stored) == 0 {
		return nil
	}
	var info bytes.Buffer
	action := commit.Action{TransactionUID: commit.NewTransactionUID(), References: stored}
	if err := action.Write(&info, dicom.ExplicitVRLittleEndian); err != nil {
		return err
	}
	kind := commit.RequestStorageCommitment
	err := conn.Send(ctx, id, dimse.Command{
		Field: dimse.NActionRQ, MessageID: conn.NextMessageID(), ActionTypeID: &kind,
		RequestedSOPClassUID: dicom.StorageCommitmentPushModel, RequestedSOPInstanceUID: dicom.StorageCommitmentPushModelInstance,
	}, &info)
	if err != nil {
		return err
	}
	return p.awaitReport(ctx, conn, action.TransactionUID)
}

// awaitReport answers what comes until the report has come.
func (p *play) awaitReport(ctx context.Context, conn *dimse.Conn, transaction dicom.UID) error {
	ctx, cancel := context.WithTimeout(ctx, commitmentWait)
	defer cancel()
	for {
		m, err := conn.Receive(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return fmt.Errorf("the gateway released the association: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return fmt.Errorf("no report on storage commitment: %w", err)
		case m.Command.Field == dimse.NActionRSP && m.Command.Status != dimse.Success:
			return fmt.Errorf("storage commitment was answered with status %04XH", uint16(m.Command.Status))
		case m.Command.Field != dimse.NEventReportRQ:
			continue
		}
		r, err := commit.ReadReport(m.Data, m.Context.TransferSyntax)
		if err != nil {
			return err
		}
		if err := conn.Respond(ctx, m, dimse.Command{Status: dimse.Success, EventTypeID: m.Command.EventTypeID}, nil); err != nil {
			return err
		}
		if r.TransactionUID == transaction {
			p.sum.Committed += len(r.Committed)
			p.sum.Uncommitted += len(r.Failed)
			for _, f := range r.Failed {
				p.Log.Info("demo: not committed", "modality", conn.Association().Request().Calling, "instance", f.SOPInstanceUID, "reason", fmt.Sprintf("%04XH", f.Reason))
			}
			return nil
		}
	}
}

func contextOfCommitment(a *ul.Association) (uint8, bool) {
	for _, pc := range a.Contexts() {
		if pc.AbstractSyntax == dicom.StorageCommitmentPushModel {
			return pc.ID, true
		}
	}
	return 0, false
}
