package gateway

import (
	"bytes"
	"context"
	"testing"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
)

// holdFile puts a whole file into the vault, as the media gate does, and has two
// people release it.
func (h *house) holdFile(im image, file []byte) string {
	h.t.Helper()
	ctx := context.Background()
	b := h.custody.NewBuffer()
	defer b.Discard()
	b.Write(file)
	o, err := h.custody.Keep(ctx, b, custody.Object{
		State: custody.Held, Archive: "pacs", CallingAE: "CORDON-MEDIA",
		SOPClassUID: string(im.class), SOPInstanceUID: string(im.uid), SeriesInstanceUID: string(im.series),
	})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, name := range []string{"ann", "bob"} {
		if _, err := h.custody.Release(ctx, o.ID, custody.Request{By: name, Reason: "seen"}); err != nil {
			h.t.Fatal(err)
		}
	}
	h.gateway.Wake()
	return o.ID
}

// partTen is the image as a file, with a preamble that is not empty.
func (im image) partTen(t *testing.T, syntax dicom.UID, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	m := dicom.FileMeta{SOPClassUID: im.class, SOPInstanceUID: im.uid, TransferSyntaxUID: syntax}
	copy(m.Preamble[:], "MZ")
	if err := dicom.WriteFileMeta(&b, m); err != nil {
		t.Fatal(err)
	}
	b.Write(data)
	return b.Bytes()
}

// What was held as a whole file is delivered as its data set, in its own transfer
// syntax; neither preamble nor meta information goes on.
func TestReleasedFileIsDeliveredAsItsDataSet(t *testing.T) {
	h := start(t)
	im := newImage(t, nil)
	h.holdFile(im, im.partTen(t, dicom.ExplicitVRLittleEndian, im.data))
	eventually(t, "delivery", func() bool { return h.archive.holds(im) })
	eventually(t, "the end of custody", func() bool { return len(h.inState(custody.Delivered)) == 1 })
}

// A file that names another object than was judged, or none, is not delivered as
// anything; it calls for a person and holds up nobody.
func TestReleasedFileThatCannotBeSentStopsNobodyElse(t *testing.T) {
	h := start(t)
	im, other := newImage(t, nil), newImage(t, nil)
	h.holdFile(im, im.partTen(t, dicom.ExplicitVRLittleEndian, other.data))
	none := newImage(t, nil)
	h.holdFile(none, []byte("not DICOM, and yet it was held"))
	eventually(t, "a call for a person", func() bool {
		st, err := h.gateway.Status(context.Background())
		return err == nil && st.Attention == 2
	})
	good := newImage(t, nil)
	h.holdFile(good, good.partTen(t, dicom.ExplicitVRLittleEndian, good.data))
	eventually(t, "delivery", func() bool { return h.archive.holds(good) })
	if rsp := send(t, h.modality(), newImage(t, nil)); rsp.Status != dimse.Success {
		t.Errorf("status %04X", uint16(rsp.Status))
	}
	if h.archive.holds(other) || h.archive.holds(im) {
		t.Error("delivered")
	}
}
