package gateway

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

func sendOn(t *testing.T, c *dimse.Conn, id uint8, rq dimse.StoreRequest, data []byte) dimse.Status {
	t.Helper()
	rsp, err := c.Store(context.Background(), id, rq, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return rsp.Status
}

// A request that names no instance announces nothing that could be held
// against the data set: the class would not be either.
func TestObjectWithoutANameIsRefused(t *testing.T) {
	h := start(t)
	im := newImage(t, nil)
	c := h.modality(ul.ProposedContext{ID: 1, AbstractSyntax: dicom.MRImageStorage, TransferSyntaxes: []dicom.UID{dicom.ExplicitVRLittleEndian}})
	if s := sendOn(t, c, 1, dimse.StoreRequest{SOPClassUID: dicom.MRImageStorage}, im.data); s != statusNoInstance {
		t.Errorf("status %04X", uint16(s))
	}
	if len(h.archive.has()) != 0 {
		t.Error("a CT image was delivered as an unnamed MR image")
	}
}

// However long a peer's identifiers are, the refusal is on the ledger.
func TestRefusalIsRecordedWhateverTheCommandSays(t *testing.T) {
	h := start(t)
	im := newImage(t, nil)
	c := h.modality()
	long := dicom.UID(strings.Repeat(`"`, 20000))
	for want, rq := range map[dimse.Status]dimse.StoreRequest{
		statusNoInstance:   {SOPClassUID: im.class, SOPInstanceUID: long},
		statusWrongContext: {SOPClassUID: long, SOPInstanceUID: long},
	} {
		if s := sendOn(t, c, 3, rq, im.data); s != want {
			t.Errorf("status %04X, want %04X", uint16(s), uint16(want))
		}
	}
	if n := len(h.recorded("object.refused")); n != 2 {
		t.Errorf("%d refusals on the ledger, want 2", n)
	}
}

// Verification is granted to whoever may not store as well.
func TestNothingIsStoredOnAVerificationContext(t *testing.T) {
	for _, withStorage := range []bool{false, true} {
		h := start(t)
		contexts := []ul.ProposedContext{{ID: 1, AbstractSyntax: dicom.Verification, TransferSyntaxes: []dicom.UID{dicom.ExplicitVRLittleEndian}}}
		if withStorage {
			contexts = append(contexts, ul.ProposedContext{ID: 3, AbstractSyntax: dicom.CTImageStorage, TransferSyntaxes: []dicom.UID{dicom.ExplicitVRLittleEndian}})
		}
		c := h.modality(contexts...)
		im := newImage(t, nil)
		im.class = dicom.Verification
		im.data = im.encode(t, nil)
		if s := sendOn(t, c, 1, dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.uid}, im.data); s != statusWrongContext {
			t.Errorf("status %04X", uint16(s))
		}
		if n := len(h.inState(custody.Spooled)); n != 0 {
			t.Errorf("%d objects kept", n)
		}
	}
}

// The command is not judged: what goes on of it is no text of the sender's.
func TestMoveOriginatorIsAnAETitleOrNothing(t *testing.T) {
	h := start(t)
	c := h.modality()
	id := uint16(7)
	for _, title := range []dicom.AETitle{"SEVENTEEN_LETTERS", dicom.AETitle(strings.Repeat("A", 50000)), "A\\B"} {
		im := newImage(t, nil)
		rq := dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.uid, MoveOriginatorAETitle: title, MoveOriginatorMessageID: &id}
		if s := sendOn(t, c, 3, rq, im.data); s != dimse.Success {
			t.Fatalf("status %04X", uint16(s))
		}
		if !h.archive.holds(im) {
			t.Fatal("not delivered")
		}
	}
	if slices.ContainsFunc(h.archive.has(), func(s stored) bool { return s.command.MoveOriginatorAETitle != "" }) {
		t.Error("the archive was told a move originator that is no AE title")
	}
}
