package bridge

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/dicom/web"
)

// commitment asks for storage commitment, and returns the status.
func (p *peer) commitment(t *testing.T, refs ...commit.Reference) dimse.Status {
	t.Helper()
	var info bytes.Buffer
	a := commit.Action{TransactionUID: commit.NewTransactionUID(), References: refs}
	if err := a.Write(&info, dicom.ExplicitVRLittleEndian); err != nil {
		t.Fatal(err)
	}
	action := commit.RequestStorageCommitment
	op, err := p.Begin(t.Context(), 11, dimse.Command{
		Field: dimse.NActionRQ, ActionTypeID: &action,
		RequestedSOPClassUID: dicom.StorageCommitmentPushModel, RequestedSOPInstanceUID: dicom.StorageCommitmentPushModelInstance,
	}, &info)
	if err != nil {
		t.Fatal(err)
	}
	return last(p.rest(op)).Command.Status
}

func TestCommitmentIsWhatTheArchiveHas(t *testing.T) {
	for _, lists := range []bool{true, false} {
		h := start(t, func(a *webArchive) {
			a.onFind = func(w http.ResponseWriter, q web.Query) bool {
				many := slices.ContainsFunc(q.Matches, func(m web.Match) bool { return strings.Contains(m.Value, `\`) })
				if many && !lists {
					w.WriteHeader(http.StatusBadRequest)
				}
				return many && !lists
			}
		})
		images := series(t, 120, "1", "Doe^Jane")
		h.archive.fill(images...)
		var refs []commit.Reference
		for _, im := range images {
			refs = append(refs, commit.Reference{SOPClassUID: im.class, SOPInstanceUID: im.uid})
		}
		refs[60].SOPClassUID = dicom.MRImageStorage
		refs = append(refs, commit.Reference{SOPClassUID: dicom.CTImageStorage, SOPInstanceUID: "1.2.3"})
		p := h.peer()
		if status := p.commitment(t, refs...); status != dimse.Success {
			t.Fatalf("%04X", uint16(status))
		}
		eventually(t, "a report", func() bool { return len(p.has()) == 1 })
		s := p.has()[0]
		r, err := commit.ReadReport(bytes.NewReader(s.data), s.ts)
		if err != nil || len(r.Committed) != 119 || len(r.Failed) != 2 {
			t.Fatalf("%d committed, %+v, %v", len(r.Committed), r.Failed, err)
		}
		for _, f := range r.Failed {
			want := commit.ClassInstanceConflict
			if f.SOPInstanceUID == "1.2.3" {
				want = commit.NoSuchObjectInstance
			}
			if f.Reason != want {
				t.Errorf("%+v", f)
			}
		}
	}
}

// An archive that does not answer has neither committed nor failed.
func TestNoCommitmentWithoutTheArchive(t *testing.T) {
	asked := make(chan struct{}, 10)
	h := start(t, func(a *webArchive) {
		a.onFind = func(w http.ResponseWriter, _ web.Query) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			asked <- struct{}{}
			return true
		}
	})
	p := h.peer()
	if status := p.commitment(t, commit.Reference{SOPClassUID: dicom.CTImageStorage, SOPInstanceUID: "1.2.3"}); status != dimse.Success {
		t.Fatalf("%04X", uint16(status))
	}
	<-asked
	if p.ask(1, dimse.Command{Field: dimse.CEchoRQ, AffectedSOPClassUID: dicom.Verification}, nil); len(p.has()) != 0 {
		t.Errorf("%+v", p.has())
	}
}

// A report that takes long comes on an association of the archive's own.
func TestReportAfterTheAssociation(t *testing.T) {
	goOn := make(chan struct{})
	h := start(t, func(a *webArchive) {
		a.onFind = func(http.ResponseWriter, web.Query) bool { <-goOn; return false }
	})
	p := h.peer()
	p.commitment(t, commit.Reference{SOPClassUID: dicom.CTImageStorage, SOPInstanceUID: "1.2.3"})
	if err := p.Conn().Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	nc, err := h.Calls().Accept()
	if err != nil {
		t.Fatal(err)
	}
	in, err := ul.Receive(t.Context(), nc, ul.Limits{})
	if err != nil || in.Request.Calling != "CLOUD" || in.Request.Called != "CT1" || !in.Request.Roles[0].SCP {
		t.Fatalf("%+v, %v", in, err)
	}
	rs := in.Request.Respond(func(c ul.ProposedContext) ul.AcceptedContext {
		return ul.AcceptedContext{ID: c.ID, TransferSyntax: c.TransferSyntaxes[0]}
	})
	rs.Roles = in.Request.Roles
	as, err := in.Accept(rs)
	if err != nil {
		t.Fatal(err)
	}
	q := exchange(t, as)
	eventually(t, "a report", func() bool { return len(q.has()) == 1 && q.has()[0].command.Field == dimse.NEventReportRQ })
}
