package folder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/store"
)

// action answers an N-ACTION request of the Storage Commitment Push Model (PS3.4
// annex J). What is named here is synced, so it can be committed to at once: the
// report follows on the same association, which is the only one that there is.
func (a *Archive) action(m *dimse.Message) (dimse.Status, string, *commit.Report) {
	rq := m.Command
	switch {
	case rq.RequestedSOPClassUID != dicom.StorageCommitmentPushModel || m.Context.AbstractSyntax != dicom.StorageCommitmentPushModel:
		return dimse.NoSuchSOPClass, "only storage commitment", nil
	case rq.RequestedSOPInstanceUID != dicom.StorageCommitmentPushModelInstance:
		return dimse.NoSuchSOPInstance, "not the well-known instance", nil
	case rq.ActionTypeID == nil || *rq.ActionTypeID != commit.RequestStorageCommitment:
		return dimse.NoSuchActionType, "", nil
	case m.Data == nil:
		return dimse.NoSuchArgument, "no action information", nil
	}
	action, err := commit.ReadAction(m.Data, m.Context.TransferSyntax)
	if err != nil {
		return dimse.InvalidArgumentValue, "action information cannot be read", nil
	}
	report, err := a.commit(action)
	if err != nil {
		a.Log.Error("archive folder: storage commitment", "err", err)
		return dimse.ProcessingFailure, "archive folder: not looked up", nil
	}
	return dimse.Success, "", &report
}

// tell sends the report of an action. Its answer comes as any other message, and
// changes nothing.
func (a *Archive) tell(ctx context.Context, conn *dimse.Conn, m *dimse.Message, r commit.Report) error {
	var info bytes.Buffer
	if err := r.Write(&info, m.Context.TransferSyntax); err != nil {
		return err
	}
	event := r.EventType()
	return conn.Send(ctx, m.ContextID, dimse.Command{
		Field:                  dimse.NEventReportRQ,
		MessageID:              conn.NextMessageID(),
		AffectedSOPClassUID:    dicom.StorageCommitmentPushModel,
		AffectedSOPInstanceUID: dicom.StorageCommitmentPushModelInstance,
		EventTypeID:            &event,
	}, &info)
}

// commit looks for each instance.
func (a *Archive) commit(action commit.Action) (commit.Report, error) {
	report := commit.Report{TransactionUID: action.TransactionUID}
	shelves := shelves{root: a.dir, names: map[string][]string{}}
	for _, ref := range action.References {
		reason, err := shelves.look(ref)
		switch {
		case err != nil:
			return report, err
		case reason == 0:
			report.Committed = append(report.Committed, ref)
		default:
			report.Failed = append(report.Failed, commit.Failure{Reference: ref, Reason: reason})
		}
	}
	return report, nil
}

// shelves are the directories that have been read for one request.
type shelves struct {
	root  string
	names map[string][]string
}

// look returns 0 for an instance that is here, durably, or the Failure Reason.
func (s *shelves) look(ref commit.Reference) (reason uint16, err error) {
	identity := sha256.Sum256([]byte(ref.SOPInstanceUID))
	dir := filepath.Join(s.root, hex.EncodeToString(identity[:1]))
	names, err := s.read(dir)
	if err != nil {
		return 0, err
	}
	prefix, reason := hex.EncodeToString(identity[:16])+"-", commit.NoSuchObjectInstance
	for _, name := range names {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		class, err := classOf(filepath.Join(dir, name))
		if err != nil {
			return 0, err
		}
		if class == ref.SOPClassUID {
			return 0, nil
		}
		reason = commit.ClassInstanceConflict
	}
	return reason, nil
}

// read lists a directory. It is synced first: a name may be there whose storing
// is not answered yet.
func (s *shelves) read(dir string) ([]string, error) {
	if names, ok := s.names[dir]; ok {
		return names, nil
	}
	s.names[dir] = nil
	if err := store.SyncDir(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		s.names[dir] = append(s.names[dir], e.Name())
	}
	return s.names[dir], err
}

// classOf reads the SOP class that a file of ours was stored under from its File
// Meta Information, whose second element it is (PS3.10 table 7.1-1).
func classOf(path string) (dicom.UID, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	v := &class{}
	d := dicom.NewDecoder(v, dicom.Options{})
	defer d.Close()
	head := make([]byte, 1024)
	n, err := f.Read(head)
	d.Write(head[:n])
	return dicom.TrimUID(v.value), err
}

// class visits a file for its Media Storage SOP Class UID.
type class struct{ value []byte }

func (*class) Begin(*dicom.Element) {}

func (v *class) Value(e *dicom.Element, p []byte) {
	if e.Meta && e.Tag == dicom.TagMediaStorageSOPClassUID {
		v.value = append(v.value, p...)
	}
}

func (*class) End(*dicom.Element) {}

func (*class) Anomaly(*dicom.Element, dicom.Anomaly) {}
