package folder

import (
	"bytes"
	"testing"

	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// ask sends an N-ACTION request and returns the status and, after success, the
// report, which it answers.
func ask(t *testing.T, conn *dimse.Conn, rq dimse.Command, info []byte) (dimse.Status, commit.Report) {
	t.Helper()
	rq.Field, rq.MessageID = dimse.NActionRQ, conn.NextMessageID()
	if err := conn.Send(t.Context(), 1, rq, bytes.NewReader(info)); err != nil {
		t.Fatal(err)
	}
	m, err := conn.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	status := m.Command.Status
	if status != dimse.Success {
		return status, commit.Report{}
	}
	m, err = conn.Receive(t.Context())
	if err != nil || m.Command.Field != dimse.NEventReportRQ {
		t.Fatalf("%+v, %v", m, err)
	}
	report, err := commit.ReadReport(m.Data, m.Context.TransferSyntax)
	if err != nil || *m.Command.EventTypeID != report.EventType() {
		t.Fatalf("%+v, %v", report, err)
	}
	if err := conn.Respond(t.Context(), m, dimse.Command{Status: dimse.Success}, nil); err != nil {
		t.Fatal(err)
	}
	return status, report
}

func TestCommitsToWhatIsHereAndToNothingElse(t *testing.T) {
	_, address, _ := serve(t)
	if s := send(t, connect(t, address), instance, dataSet(t, instance, "PHANTOM^ONE")); s != dimse.Success {
		t.Fatalf("status %04X", uint16(s))
	}
	a, err := ul.Dial(t.Context(), address, nil, ul.Request{Calling: "CORDON", Called: "ARCHIVE", Contexts: []ul.ProposedContext{
		{ID: 1, AbstractSyntax: dicom.StorageCommitmentPushModel, TransferSyntaxes: []dicom.UID{dicom.ImplicitVRLittleEndian}},
	}}, ul.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	conn := dimse.NewConn(a)
	defer conn.Close()

	here := commit.Reference{SOPClassUID: dicom.CTImageStorage, SOPInstanceUID: instance}
	other := commit.Reference{SOPClassUID: dicom.MRImageStorage, SOPInstanceUID: instance}
	missing := commit.Reference{SOPClassUID: dicom.CTImageStorage, SOPInstanceUID: "2.25.1002"}
	var info bytes.Buffer
	err = commit.Action{TransactionUID: "2.25.7", References: []commit.Reference{here, other, missing}}.Write(&info, dicom.ImplicitVRLittleEndian)
	if err != nil {
		t.Fatal(err)
	}
	kind := commit.RequestStorageCommitment
	good := dimse.Command{RequestedSOPClassUID: dicom.StorageCommitmentPushModel, RequestedSOPInstanceUID: dicom.StorageCommitmentPushModelInstance, ActionTypeID: &kind}
	for range 2 {
		_, r := ask(t, conn, good, info.Bytes())
		if r.TransactionUID != "2.25.7" || len(r.Committed) != 1 || r.Committed[0] != here || len(r.Failed) != 2 ||
			r.Failed[0] != (commit.Failure{Reference: other, Reason: commit.ClassInstanceConflict}) ||
			r.Failed[1] != (commit.Failure{Reference: missing, Reason: commit.NoSuchObjectInstance}) {
			t.Errorf("%+v", r)
		}
	}

	two := uint16(2)
	for _, bad := range []struct {
		change func(*dimse.Command)
		info   []byte
		status dimse.Status
	}{
		{func(c *dimse.Command) { c.ActionTypeID = &two }, info.Bytes(), dimse.NoSuchActionType},
		{func(c *dimse.Command) { c.RequestedSOPInstanceUID = "1.2" }, info.Bytes(), dimse.NoSuchSOPInstance},
		{func(c *dimse.Command) { c.RequestedSOPClassUID = "1.2" }, info.Bytes(), dimse.NoSuchSOPClass},
		{func(*dimse.Command) {}, []byte("rubbish!"), dimse.InvalidArgumentValue},
	} {
		rq := good
		bad.change(&rq)
		if status, _ := ask(t, conn, rq, bad.info); status != bad.status {
			t.Errorf("status %04X, want %04X", uint16(status), uint16(bad.status))
		}
	}
	if err := conn.Release(t.Context()); err != nil {
		t.Error(err)
	}
}
