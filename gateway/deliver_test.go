package gateway

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// A status that C-STORE does not have says neither that the archive has the
// object nor that it refuses it: our copy stays.
func TestAnswerThatIsNoneLosesNothing(t *testing.T) {
	for _, s := range []dimse.Status{dimse.Pending, dimse.Cancel} {
		h := start(t)
		h.archive.answer = func(int, stored) (dimse.Command, bool) { return dimse.Command{Status: s}, true }
		if rsp := send(t, h.modality(), newImage(t, nil)); rsp.Status != dimse.Success {
			t.Fatalf("status %04X", uint16(rsp.Status))
		}
		eventually(t, "an attempt from the spool", func() bool {
			kept := h.inState(custody.Spooled)
			return len(kept) == 1 && kept[0].Attempts > 0
		})
		if n := len(h.recorded("object.delivered")); n != 0 {
			t.Errorf("status %04X was recorded as a delivery", uint16(s))
		}
	}
}

// One association proposes 128 contexts; objects in others need no person.
func TestMoreContextsThanOneAssociationHolds(t *testing.T) {
	h := start(t)
	h.archive.down()
	const each = 70
	for half := range 2 {
		var contexts []ul.ProposedContext
		for i := range each {
			contexts = append(contexts, ul.ProposedContext{
				ID:               uint8(2*i + 1),
				AbstractSyntax:   dicom.UID(fmt.Sprintf("2.25.7.%d", half*each+i)),
				TransferSyntaxes: []dicom.UID{dicom.ExplicitVRLittleEndian},
			})
		}
		c := h.modality(contexts...)
		for _, pc := range contexts {
			im := newImage(t, nil)
			im.class = pc.AbstractSyntax
			im.data = im.encode(t, nil)
			if s := sendOn(t, c, pc.ID, dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.uid}, im.data); s != dimse.Success {
				t.Fatalf("status %04X", uint16(s))
			}
		}
		release(t, c)
	}
	h.archive.up(h.archive.address)
	eventually(t, "all deliveries", func() bool { return len(h.archive.has()) == 2*each })
	if st, err := h.custody.Stats(context.Background()); err != nil || st.NeedsAttention != 0 {
		t.Errorf("%d objects need a person, %v", st.NeedsAttention, err)
	}
}

// An archive that is back and no longer accepts what it did before is not
// away, and is not asked again for each object.
func TestRefusedContextDoesNotMakeTheArchiveAway(t *testing.T) {
	h := start(t)
	h.archive.down()
	c := h.modality()
	send(t, c, newImage(t, nil))
	h.archive.mu.Lock()
	h.archive.accept = func(p ul.ProposedContext) ul.AcceptedContext {
		return ul.AcceptedContext{ID: p.ID, Result: ul.TransferSyntaxesNotSupported}
	}
	h.archive.mu.Unlock()
	h.archive.up(h.archive.address)
	eventually(t, "the archive", func() bool { return !h.gateway.archives["pacs"].resting() })
	for range 3 {
		if rsp := send(t, c, newImage(t, nil)); rsp.Status != dimse.Success {
			t.Fatalf("status %04X", uint16(rsp.Status))
		}
	}
	if h.gateway.archives["pacs"].resting() {
		t.Error("the archive is treated as away")
	}
	eventually(t, "a call for a person", func() bool {
		kept := h.inState(custody.Spooled)
		return len(kept) == 4 && !slices.ContainsFunc(kept, func(o custody.Object) bool { return !o.NeedsAttention })
	})
}
