package gateway

import (
	"bytes"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// imageBox is the data set of an N-SET to a film box: a sequence with the image in it.
func imageBox(t *testing.T, pixels int, extra []byte) []byte {
	t.Helper()
	syntax, _ := dicom.LookupTransferSyntax(dicom.ImplicitVRLittleEndian)
	var b bytes.Buffer
	w := dicom.NewWriter(&b, syntax)
	w.Uint16(0x20200010, 1)
	w.BeginSequence(0x20200110, dicom.Undefined)
	w.BeginItem(dicom.Undefined)
	w.Uint16(0x00280002, 1)
	w.String(0x00280004, dicom.CS, "MONOCHROME2")
	w.Uint16(0x00280010, uint16(pixels))
	w.Uint16(0x00280011, uint16(pixels))
	w.Uint16(0x00280100, 8)
	w.Uint16(0x00280101, 8)
	w.Uint16(0x00280102, 7)
	w.Uint16(0x00280103, 0)
	w.Element(0x7FE00010, dicom.OW, make([]byte, pixels*pixels))
	w.EndItem()
	w.EndSequence()
	if extra != nil {
		w.String(0x20210010, dicom.LO, "CORDON TEST")
		w.Element(0x20211001, dicom.OB, extra)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A film is printed whole, however large, and judged as any other data.
func TestFilmGoesThrough(t *testing.T) {
	p := newScriptedPeer(t, nil)
	h := behind(t, p)
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, dicom.BasicGrayscalePrintManagementMeta)}}, 0)
	set := dimse.Command{Field: dimse.NSetRQ, RequestedSOPClassUID: dicom.BasicGrayscaleImageBox, RequestedSOPInstanceUID: "1.2.3"}
	film := imageBox(t, 3000, nil)
	if got := last(c.ask(1, set, film)); got.Command.Status != dimse.Success {
		t.Fatalf("%+v", got.Command)
	}
	if got := p.received(); len(got) != 1 || !bytes.Equal(got[0].data, film) {
		t.Error("the printer was sent something else")
	}
	got := last(c.ask(1, set, imageBox(t, 3000, []byte(eicar)))).Command
	if got.Status != dimse.ProcessingFailure || got.ErrorID == nil || *got.ErrorID != uint16(statusHeldRequest) {
		t.Errorf("%+v", got)
	}
	if n := len(p.received()); n != 1 {
		t.Errorf("%d messages reached the printer", n)
	}
}

// Commands are not judged: no text of a peer's choice goes on in the place of a UID or a title.
func TestCommandsCarryNoTexts(t *testing.T) {
	p := newScriptedPeer(t, nil)
	h := behind(t, p)
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, dicom.ModalityPerformedProcedureStep), implicitly(3, moveClass)}}, 0)
	long := dicom.UID(strings.Repeat("9", maxUID+1))
	set := dimse.Command{Field: dimse.NSetRQ, RequestedSOPClassUID: dicom.ModalityPerformedProcedureStep, RequestedSOPInstanceUID: long}
	if got := last(c.ask(1, set, identifier(t, false))); got.Command.Status != dimse.InvalidSOPInstance {
		t.Errorf("%+v", got.Command)
	}
	move := moveRQ
	move.MoveDestination = "A\\B"
	if got := last(c.ask(3, move, identifier(t, false))); got.Command.Status != statusDestination {
		t.Errorf("%+v", got.Command)
	}
	if n := len(p.received()); n != 0 {
		t.Errorf("%d messages reached the archive", n)
	}
}
