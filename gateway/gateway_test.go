package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/policy"
)

func TestCleanObjectArrivesByteExact(t *testing.T) {
	h := start(t)
	c := h.modality()
	for range 3 {
		im := newImage(t, nil)
		if rsp := send(t, c, im); rsp.Status != dimse.Success {
			t.Fatalf("status %04X", uint16(rsp.Status))
		}
		if !h.archive.holds(im) { // already: the answer is the archive's
			t.Fatal("success before the archive had the same bytes")
		}
	}
	release(t, c)
	if n := len(h.inState(custody.Held)) + len(h.inState(custody.Spooled)); n != 0 {
		t.Errorf("%d objects kept", n)
	}
	eventually(t, "three deliveries on the ledger", func() bool { return len(h.recorded("object.delivered")) == 3 })
	for _, r := range h.recorded("object.delivered") { // the reconciler finds the bytes by it
		if sum, _ := r["sha256"].(string); len(sum) != 64 {
			t.Errorf("sha256 on the ledger: %v", r["sha256"])
		}
	}
}

func TestHostileObjectIsHeldAndTheStudyGoesOn(t *testing.T) {
	h := start(t)
	c := h.modality()
	clean, hostile, after := newImage(t, nil), newImage(t, []byte(eicar)), newImage(t, nil)
	for _, im := range []image{clean, hostile, after} {
		if rsp := send(t, c, im); rsp.Status != dimse.Success {
			t.Fatalf("status %04X", uint16(rsp.Status))
		}
	}
	release(t, c)
	if !h.archive.holds(clean) || !h.archive.holds(after) {
		t.Error("a clean object did not arrive")
	}
	if h.archive.holds(hostile) || len(h.archive.has()) != 2 {
		t.Error("the hostile object reached the archive")
	}
	held := h.inState(custody.Held)
	if len(held) != 1 || held[0].SOPInstanceUID != string(hostile.uid) {
		t.Fatalf("held: %+v", held)
	}
	blob, err := h.custody.OpenBlob(context.Background(), held[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer blob.Close()
	if got, err := io.ReadAll(blob); err != nil || !bytes.Equal(got, hostile.data) {
		t.Errorf("the vault's bytes differ from those received (%v)", err)
	}
}

// The archive must not see so much as a command before the last byte of the
// object has been judged.
func TestNoByteUpstreamBeforeTheVerdict(t *testing.T) {
	h := start(t)
	var began atomic.Bool
	h.archive.began = func() { began.Store(true) }
	c := h.modality()
	im := newImage(t, make([]byte, 1<<20))
	last := make(chan struct{})
	held := &pausing{data: im.data, pauseAt: len(im.data) - 1, resume: last}
	done := make(chan dimse.Command, 1)
	go func() {
		rsp, err := c.Store(context.Background(), 3, dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.uid}, held)
		if err != nil {
			t.Error(err)
		}
		done <- rsp
	}()
	time.Sleep(300 * time.Millisecond)
	if began.Load() {
		t.Error("the archive saw the object before it was whole")
	}
	close(last)
	if rsp := <-done; rsp.Status != dimse.Success || !began.Load() {
		t.Errorf("status %04X, archive saw it: %v", uint16(rsp.Status), began.Load())
	}
}

// pausing reads data up to pauseAt, waits for resume, and goes on.
type pausing struct {
	data    []byte
	at      int
	pauseAt int
	resume  chan struct{}
}

func (p *pausing) Read(b []byte) (int, error) {
	if p.at == len(p.data) {
		return 0, io.EOF
	}
	end := len(p.data)
	if p.at < p.pauseAt {
		end = p.pauseAt
	} else {
		<-p.resume
	}
	n := copy(b, p.data[p.at:end])
	p.at += n
	return n, nil
}

func TestRejections(t *testing.T) {
	h := start(t, func(c *Config) {
		c.Site.Devices = []policy.Device{{Name: "us-3", AETitle: "US3", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.3/32")}}}
	})
	if _, err := h.associate("CT1", "NOBODY"); asRejection(t, err) != rejectCalled {
		t.Errorf("unknown called title: %v", err)
	}
	if _, err := h.associate("US3", "CORDON"); asRejection(t, err) != rejectCalling {
		t.Errorf("declared title from a foreign address: %v", err)
	}
	if _, err := h.associate("CT1", "PACS"); err != nil {
		t.Errorf("an archive's own title: %v", err)
	}
	if n := len(h.recorded("association.rejected")); n != 2 {
		t.Errorf("%d rejections on the ledger, want 2", n)
	}
}

func TestUnknownDevicesAreRefusedWhenConfigured(t *testing.T) {
	h := start(t, func(c *Config) { c.Site.Unknown = policy.RefuseUnknown })
	if _, err := h.associate("NEW", "CORDON"); asRejection(t, err) != rejectCalling {
		t.Error(err)
	}
}

func TestTooManyAssociationsAreToldToComeBack(t *testing.T) {
	h := start(t, func(c *Config) { c.MaxPerAddress = 2 })
	first := h.modality()
	h.modality()
	if _, err := h.associate("CT1", "CORDON"); asRejection(t, err) != rejectFull {
		t.Error(err)
	}
	release(t, first)
	eventually(t, "a free seat", func() bool {
		_, err := h.associate("CT1", "CORDON")
		return err == nil
	})
}

func TestContextsAreTheArchivesOwn(t *testing.T) {
	h := start(t)
	h.archive.accept = func(p ul.ProposedContext) ul.AcceptedContext {
		if p.AbstractSyntax == dicom.MRImageStorage {
			return ul.AcceptedContext{ID: p.ID, Result: ul.AbstractSyntaxNotSupported}
		}
		return ul.AcceptedContext{ID: p.ID, TransferSyntax: p.TransferSyntaxes[len(p.TransferSyntaxes)-1]}
	}
	c := h.modality(
		ul.ProposedContext{ID: 1, AbstractSyntax: dicom.MRImageStorage, TransferSyntaxes: []dicom.UID{dicom.ImplicitVRLittleEndian}},
		ul.ProposedContext{ID: 3, AbstractSyntax: dicom.CTImageStorage, TransferSyntaxes: []dicom.UID{dicom.ExplicitVRLittleEndian, dicom.JPEGLosslessSV1}},
		ul.ProposedContext{ID: 5, AbstractSyntax: dicom.CTImageStorage, TransferSyntaxes: []dicom.UID{"1.2.3.4.99"}}, // cannot be read here
		ul.ProposedContext{ID: 7, AbstractSyntax: dicom.StudyRootQueryRetrieveInformationModelFind, TransferSyntaxes: []dicom.UID{dicom.ImplicitVRLittleEndian}},
		ul.ProposedContext{ID: 9, AbstractSyntax: dicom.Verification, TransferSyntaxes: []dicom.UID{dicom.ImplicitVRLittleEndian}},
	)
	want := []ul.AcceptedContext{
		{ID: 1, Result: ul.AbstractSyntaxNotSupported},
		{ID: 3, TransferSyntax: dicom.JPEGLosslessSV1},
		{ID: 5, Result: ul.TransferSyntaxesNotSupported},
		{ID: 7, TransferSyntax: dicom.ImplicitVRLittleEndian},
		{ID: 9, TransferSyntax: dicom.ImplicitVRLittleEndian},
	}
	for i, got := range c.Association().Response().Contexts {
		if got.ID != want[i].ID || got.Result != want[i].Result || got.Result == 0 && got.TransferSyntax != want[i].TransferSyntax {
			t.Errorf("context %d: got %+v, want %+v", want[i].ID, got, want[i])
		}
	}
	rq := h.archive.requests[0]
	if rq.Calling != "CT1" || rq.Called != "PACS" {
		t.Errorf("the archive was called %s by %s, want PACS by the modality's own title CT1", rq.Called, rq.Calling)
	}
	for _, p := range rq.Contexts {
		if p.ID == 5 || p.ID == 9 {
			t.Errorf("context %d was proposed to the archive", p.ID)
		}
	}
}

func TestEchoIsAnsweredHere(t *testing.T) {
	h := start(t)
	h.archive.down() // up or not
	c := h.modality(ul.ProposedContext{ID: 1, AbstractSyntax: dicom.Verification, TransferSyntaxes: []dicom.UID{dicom.ImplicitVRLittleEndian}})
	if status, err := c.Echo(context.Background()); err != nil || status != dimse.Success {
		t.Errorf("status %04X, %v", uint16(status), err)
	}
}

func TestArchiveAwayThenBack(t *testing.T) {
	h := start(t)
	address := h.archive.address
	h.archive.down()
	c := h.modality()
	var images []image
	for range 5 {
		im := newImage(t, nil)
		images = append(images, im)
		if rsp := send(t, c, im); rsp.Status != dimse.Success {
			t.Fatalf("status %04X", uint16(rsp.Status))
		}
	}
	release(t, c)
	if n := len(h.inState(custody.Spooled)); n != 5 {
		t.Fatalf("%d objects in the spool, want 5", n)
	}
	st, err := h.gateway.Status(context.Background())
	if err != nil || st.Archives[0].Up || st.Archives[0].Queued != 5 || st.Archives[0].OldestQueued == nil {
		t.Errorf("status: %+v, %v", st.Archives, err)
	}
	h.archive.up(address)
	for _, im := range images {
		eventually(t, "delivery from the spool", func() bool { return h.archive.holds(im) })
	}
	eventually(t, "an empty spool", func() bool { return len(h.inState(custody.Spooled)) == 0 })
	if got := h.archive.has()[0].calling; got != "CT1" {
		t.Errorf("delivered under %s, want the modality's own title", got)
	}
}

func TestWhileAwayOnlyLearnedOrUncompressedContexts(t *testing.T) {
	h := start(t)
	jpeg := ul.ProposedContext{ID: 1, AbstractSyntax: dicom.CTImageStorage, TransferSyntaxes: []dicom.UID{dicom.JPEGLosslessSV1}}
	j2k := ul.ProposedContext{ID: 3, AbstractSyntax: dicom.CTImageStorage, TransferSyntaxes: []dicom.UID{dicom.JPEG2000}}
	both := ul.ProposedContext{ID: 5, AbstractSyntax: dicom.MRImageStorage, TransferSyntaxes: []dicom.UID{dicom.JPEG2000, dicom.ImplicitVRLittleEndian}}
	release(t, h.modality(jpeg)) // learned
	h.archive.down()
	got := h.modality(jpeg, j2k, both).Association().Response().Contexts
	if got[0].Result != ul.Acceptance || got[0].TransferSyntax != dicom.JPEGLosslessSV1 {
		t.Errorf("a learned context: %+v", got[0])
	}
	if got[1].Result != ul.TransferSyntaxesNotSupported {
		t.Errorf("a compressed context that was never accepted: %+v", got[1])
	}
	if got[2].Result != ul.Acceptance || got[2].TransferSyntax != dicom.ImplicitVRLittleEndian {
		t.Errorf("an uncompressed alternative: %+v", got[2])
	}
}

func TestLearnedContextsSurviveARestart(t *testing.T) {
	h := start(t)
	jpeg := ul.ProposedContext{ID: 1, AbstractSyntax: dicom.CTImageStorage, TransferSyntaxes: []dicom.UID{dicom.JPEGLosslessSV1}}
	release(t, h.modality(jpeg))
	h.stop()
	h.archive.down()
	again := open(t, h.dir, config(h.archive.address))
	if got := again.modality(jpeg).Association().Response().Contexts[0]; got.Result != ul.Acceptance {
		t.Errorf("forgotten: %+v", got)
	}
}

func TestPermanentRejectionByTheArchiveIsTheModalitys(t *testing.T) {
	h := start(t)
	h.archive.reject = &rejectCalling
	if _, err := h.associate("CT1", "CORDON"); asRejection(t, err) != rejectCalling {
		t.Error(err)
	}
	if st, err := h.gateway.Status(context.Background()); err != nil || st.Archives[0].Up || st.Archives[0].LastError == "" {
		t.Errorf("an archive that rejects everybody is shown as well: %+v, %v", st.Archives, err)
	}
	h.archive.mu.Lock()
	h.archive.reject = nil
	h.archive.mu.Unlock()
	send(t, h.modality(), newImage(t, nil))
	if st, err := h.gateway.Status(context.Background()); err != nil || !st.Archives[0].Up {
		t.Errorf("it takes objects again, and is shown as %+v, %v", st.Archives, err)
	}
}

func TestTransientRejectionByTheArchiveIsBridged(t *testing.T) {
	h := start(t)
	h.archive.reject = &rejectCongested
	c := h.modality()
	if rsp := send(t, c, newImage(t, nil)); rsp.Status != dimse.Success {
		t.Errorf("status %04X", uint16(rsp.Status))
	}
	if len(h.inState(custody.Spooled)) != 1 {
		t.Error("the object was not kept")
	}
}

func TestArchivesStatusIsPassedOn(t *testing.T) {
	h := start(t)
	h.archive.answer = func(n int, s stored) (dimse.Command, bool) {
		switch n {
		case 0:
			return dimse.Command{Status: dimse.WarningCoercion}, true
		case 1:
			return dimse.Command{Status: 0xC123, ErrorComment: "no such patient", OffendingElement: []dicom.Tag{0x00100020}}, true
		}
		return dimse.Command{Status: 0xA701}, true
	}
	c := h.modality()
	if rsp := send(t, c, newImage(t, nil)); rsp.Status != dimse.WarningCoercion {
		t.Errorf("warning: %04X", uint16(rsp.Status))
	}
	rsp := send(t, c, newImage(t, nil))
	if rsp.Status != 0xC123 || rsp.ErrorComment != "no such patient" || len(rsp.OffendingElement) != 1 {
		t.Errorf("failure: %+v", rsp)
	}
	if rsp := send(t, c, newImage(t, nil)); rsp.Status != dimse.Success {
		t.Errorf("out of resources is kept here: %04X", uint16(rsp.Status))
	}
	eventually(t, "one object in the spool", func() bool { return len(h.inState(custody.Spooled)) == 1 })
	eventually(t, "the refusal on the ledger", func() bool { return len(h.recorded("object.refused_by_archive")) == 1 })
}

func TestMoveOriginatorAndPrioritySurvive(t *testing.T) {
	for _, away := range []bool{false, true} {
		h := start(t)
		if away {
			h.archive.down()
		}
		c := h.modality()
		im, id := newImage(t, nil), uint16(4711)
		rsp, err := c.Store(context.Background(), 3, dimse.StoreRequest{
			SOPClassUID: im.class, SOPInstanceUID: im.uid, Priority: dimse.High,
			MoveOriginatorAETitle: "WORKSTATION", MoveOriginatorMessageID: &id,
		}, bytes.NewReader(im.data))
		if err != nil || rsp.Status != dimse.Success {
			t.Fatalf("status %04X, %v", uint16(rsp.Status), err)
		}
		if away {
			h.archive.up(h.archive.address)
		}
		eventually(t, "delivery", func() bool { return h.archive.holds(im) })
		got := h.archive.has()[0].command
		if got.Priority != dimse.High || got.MoveOriginatorAETitle != "WORKSTATION" || got.MoveOriginatorMessageID == nil || *got.MoveOriginatorMessageID != id {
			t.Errorf("away %v: got %+v", away, got)
		}
	}
}

func TestWrongInstanceIsRefused(t *testing.T) {
	h := start(t)
	c := h.modality()
	im := newImage(t, nil)
	im.uid = newUID()
	if rsp := send(t, c, im); rsp.Status != statusWrongInstance {
		t.Errorf("status %04X", uint16(rsp.Status))
	}
	if len(h.archive.has()) != 0 || len(h.inState(custody.Held)) != 0 {
		t.Error("it was kept or delivered")
	}
	if rsp := send(t, c, newImage(t, nil)); rsp.Status != dimse.Success {
		t.Errorf("the next object: status %04X", uint16(rsp.Status))
	}
	if n := len(h.recorded("object.refused")); n != 1 {
		t.Errorf("%d refusals on the ledger", n)
	}
}

func TestUnparseableObjectIsHeld(t *testing.T) {
	h := start(t)
	c := h.modality()
	im := newImage(t, nil)
	im.data = im.data[:len(im.data)-100] // the pixel data end early
	if rsp := send(t, c, im); rsp.Status != dimse.Success {
		t.Errorf("status %04X", uint16(rsp.Status))
	}
	if len(h.inState(custody.Held)) != 1 || len(h.archive.has()) != 0 {
		t.Error("it was not held")
	}
}

func TestStaleUpstreamIsReplacedOnce(t *testing.T) {
	h := start(t)
	c := h.modality()
	send(t, c, newImage(t, nil))
	h.archive.mu.Lock()
	h.archive.hangUp()
	h.archive.mu.Unlock()
	im := newImage(t, nil)
	if rsp := send(t, c, im); rsp.Status != dimse.Success {
		t.Errorf("status %04X", uint16(rsp.Status))
	}
	if !h.archive.holds(im) || len(h.inState(custody.Spooled)) != 0 {
		t.Error("it was not delivered directly")
	}
}

func TestArchiveThatHangsUpOrStaysSilentOrAnswersForAnother(t *testing.T) {
	for name, answer := range map[string]func(int, stored) (dimse.Command, bool){
		"hangs up": func(n int, _ stored) (dimse.Command, bool) { return dimse.Command{}, n >= 2 },
		"answers for another": func(n int, _ stored) (dimse.Command, bool) {
			if n < 2 {
				return dimse.Command{AffectedSOPInstanceUID: "1.2.3"}, true
			}
			return dimse.Command{}, true
		},
		"stays silent": func(n int, _ stored) (dimse.Command, bool) {
			if n < 2 {
				time.Sleep(2500 * time.Millisecond)
			}
			return dimse.Command{}, true
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			h.archive.answer = answer
			c := h.modality()
			im := newImage(t, nil)
			if rsp := send(t, c, im); rsp.Status != dimse.Success {
				t.Errorf("status %04X", uint16(rsp.Status))
			}
			eventually(t, "delivery in the end", func() bool {
				return len(h.inState(custody.Spooled)) == 0 && len(h.inState(custody.Delivered)) == 1
			})
		})
	}
}

// A success that the disk cannot back must not be given.
func TestNoSuccessWhenNothingCanBeKept(t *testing.T) {
	h := start(t)
	h.archive.down()
	c := h.modality()
	if err := h.db.Close(); err != nil { // as a database that has gone away
		t.Fatal(err)
	}
	if rsp := send(t, c, newImage(t, nil)); rsp.Status != statusCannotBeKept {
		t.Errorf("status %04X, want A700", uint16(rsp.Status))
	}
	if _, err := h.associate("CT1", "CORDON"); asRejection(t, err) != rejectCongested {
		t.Error(err)
	}
	if !h.gateway.turned.isAway() {
		t.Error("nobody is told that associations are turned away")
	}
}

func TestSenderThatLeavesInMidObjectLosesNothingElse(t *testing.T) {
	h := start(t)
	c := h.modality()
	im := newImage(t, nil)
	send(t, c, im)
	ctx, cancel := context.WithCancel(context.Background())
	half := &pausing{data: newImage(t, make([]byte, 4<<20)).data, pauseAt: 3 << 20, resume: make(chan struct{})}
	go func() {
		time.Sleep(100 * time.Millisecond)
		c.Abort()
		close(half.resume)
		cancel()
	}()
	c.Store(ctx, 3, dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: newUID()}, half)
	eventually(t, "the end of the association", func() bool {
		st, err := h.gateway.Status(context.Background())
		return err == nil && st.Associations == 0
	})
	if len(h.archive.has()) != 1 || len(h.inState(custody.Held))+len(h.inState(custody.Spooled)) != 0 {
		t.Error("half an object was kept")
	}
	assertNoSpill(t, h.dir)
}

func assertNoSpill(t *testing.T, dir string) {
	t.Helper()
	filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && strings.Contains(path, "spill") && !info.IsDir() {
			t.Errorf("left behind: %s", path)
		}
		return nil
	})
}

func TestObjectOverTheLimitAbortsTheAssociation(t *testing.T) {
	h := start(t, func(c *Config) { c.MaxObject = 1000 })
	c := h.modality()
	im := newImage(t, make([]byte, 4000))
	if _, err := trySend(c, im); err == nil {
		t.Error("taken")
	}
	if len(h.archive.has()) != 0 {
		t.Error("delivered")
	}
}

func TestAssociationCutByACrashIsRecorded(t *testing.T) {
	h := start(t)
	h.modality()
	// The rows that a crash at this moment would leave are those of a copy.
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(h.dir)); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"ledger.key", "ledger.seal", "keys/custody.key"} { // the copy is as anybody's
		if err := os.Chmod(filepath.Join(dir, key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := open(t, dir, config(h.archive.address))
	if n := len(again.recorded("association.unfinished")); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
	if n := len(h.recorded("association.unfinished")); n != 0 {
		t.Errorf("the one that goes on has %d records", n)
	}
}

// operations is how many are under way on all associations.
func (h *house) operations() (n int) {
	h.gateway.live.mu.Lock()
	defer h.gateway.live.mu.Unlock()
	for s := range h.gateway.live.sessions {
		n += len(s.places)
	}
	return n
}

func TestStoppingFinishesTheObjectUnderWay(t *testing.T) {
	h := start(t)
	c := h.modality()
	im := newImage(t, make([]byte, 1<<20)) // more than one PDU, so that it is under way
	slow := &pausing{data: im.data, pauseAt: 600_000, resume: make(chan struct{})}
	done := make(chan error, 1)
	go func() {
		rsp, err := c.Store(context.Background(), 3, dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.uid}, slow)
		if err == nil && rsp.Status != dimse.Success {
			t.Errorf("status %04X", uint16(rsp.Status))
		}
		done <- err
	}()
	eventually(t, "the object under way", func() bool { return h.operations() == 1 })
	time.AfterFunc(300*time.Millisecond, func() { close(slow.resume) })
	h.stop()
	if err := <-done; err != nil {
		t.Errorf("the object under way was cut: %v", err)
	}
	if !h.archive.holds(im) {
		t.Error("it did not arrive")
	}
}

// A listener that dies must not leave a gateway that seems to serve.
func TestServeEndsWhenItsListenerDies(t *testing.T) {
	h := start(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- h.gateway.Serve(context.Background(), l) }() // ends with l
	l.Close()
	select {
	case err := <-done:
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(10 * time.Second):
		t.Error("it goes on")
	}
}

func TestRubbishOnThePort(t *testing.T) {
	h := start(t)
	for name, bytes := range map[string]string{
		"HTTP":         "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"4 GiB PDU":    "\x01\x00\xff\xff\xff\xff",
		"half a PDU":   "\x01\x00\x00\x00\x00\xcd\x00\x01",
		"data at once": "\x04\x00\x00\x00\x00\x06\x00\x00\x00\x02\x01\x02",
		"nothing":      "",
		"unknown PDU":  "\x99\x00\x00\x00\x00\x00",
	} {
		nc, err := net.Dial("tcp", h.address)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(nc, bytes)
		if name == "half a PDU" || name == "nothing" {
			nc.Close()
			continue
		}
		nc.SetReadDeadline(time.Now().Add(5 * time.Second))
		answer, err := io.ReadAll(nc)
		if err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: still connected: %v", name, err)
		}
		if len(answer) > 0 && answer[0] != 0x07 {
			t.Errorf("%s: answered % x, want an A-ABORT", name, answer)
		}
		nc.Close()
	}
	if rsp := send(t, h.modality(), newImage(t, nil)); rsp.Status != dimse.Success {
		t.Errorf("afterwards: status %04X", uint16(rsp.Status))
	}
}

// Some archives abort on an object that they cannot take. It must neither stop
// the others nor be tried for ever in silence.
func TestObjectThatBreaksTheAssociationStopsNobodyElse(t *testing.T) {
	h := start(t)
	poison := newImage(t, nil)
	h.archive.answer = func(_ int, s stored) (dimse.Command, bool) {
		return dimse.Command{}, s.command.AffectedSOPInstanceUID != poison.uid
	}
	c := h.modality()
	for _, im := range []image{poison, newImage(t, nil)} {
		if rsp := send(t, c, im); rsp.Status != dimse.Success {
			t.Fatalf("status %04X", uint16(rsp.Status))
		}
	}
	if kept := h.inState(custody.Spooled); len(kept) != 1 || kept[0].SOPInstanceUID != string(poison.uid) {
		t.Errorf("in the spool: %+v, want the poisonous one alone", kept)
	}
	eventually(t, "a call for a person", func() bool {
		st, err := h.gateway.Status(context.Background())
		return err == nil && st.Attention == 1
	})
	if st, _ := h.gateway.Status(context.Background()); st.Archives[0].Up {
		t.Error("the archive's last failure is not shown")
	}
	send(t, c, newImage(t, nil))
	if st, _ := h.gateway.Status(context.Background()); !st.Archives[0].Up {
		t.Error("the archive takes objects and is shown as away")
	}
}

// A silent archive must not cost every modality the whole wait for every image.
func TestSilentArchiveRests(t *testing.T) {
	h := start(t, func(c *Config) { c.ResponseTimeout = time.Second; c.RetryMin = time.Minute; c.RetryMax = time.Minute })
	h.archive.answer = func(int, stored) (dimse.Command, bool) {
		time.Sleep(3 * time.Second)
		return dimse.Command{}, true
	}
	c := h.modality()
	send(t, c, newImage(t, nil))
	began := time.Now()
	for range 5 {
		send(t, c, newImage(t, nil))
	}
	if waited := time.Since(began); waited > 4*time.Second {
		t.Errorf("five more images took %v: each waited for the silent archive", waited)
	}
	if n := len(h.inState(custody.Spooled)); n != 6 {
		t.Errorf("%d objects in the spool, want 6", n)
	}
}

// A data set of odd length is the sender's fault, and an archive that falls
// silent over it is not away for anybody else.
func TestOddDataSetThatSilencesTheArchiveStopsNobodyElse(t *testing.T) {
	h := start(t, func(c *Config) {
		c.ResponseTimeout = 500 * time.Millisecond
		c.RetryMin = time.Minute
		c.RetryMax = time.Minute
	})
	h.archive.answer = func(_ int, s stored) (dimse.Command, bool) {
		if len(s.data)%2 == 1 {
			time.Sleep(time.Second)
			return dimse.Command{}, false
		}
		return dimse.Command{}, true
	}
	odd := newImage(t, nil)
	odd.data = append(odd.data, 0)
	c := h.modality()
	if rsp := send(t, c, odd); rsp.Status != dimse.Success {
		t.Errorf("status %04X", uint16(rsp.Status))
	}
	im := newImage(t, nil)
	send(t, c, im)
	if !h.archive.holds(im) {
		t.Error("the archive was taken for away")
	}
	h.gateway.Wake()
	eventually(t, "a call for a person", func() bool {
		st, err := h.gateway.Status(context.Background())
		return err == nil && st.Attention == 1
	})
}

// One association proposes 128 contexts at the most; the spool may need more.
func TestSpoolOfManySOPClasses(t *testing.T) {
	h := start(t, func(c *Config) { c.RetryMin = 300 * time.Millisecond })
	address := h.archive.address
	h.archive.down()
	var images []image
	for i := range 150 {
		im := newImage(t, nil)
		im.class = dicom.UID(fmt.Sprintf("1.2.3.%d", i+1))
		im.data = im.encode(t, nil)
		images = append(images, im)
	}
	for batch := range slices.Chunk(images, 75) {
		var contexts []ul.ProposedContext
		for i, im := range batch {
			contexts = append(contexts, ul.ProposedContext{ID: uint8(2*i + 1), AbstractSyntax: im.class, TransferSyntaxes: []dicom.UID{dicom.ExplicitVRLittleEndian}})
		}
		c := h.modality(contexts...)
		for i, im := range batch {
			rsp, err := c.Store(context.Background(), uint8(2*i+1), dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.uid}, bytes.NewReader(im.data))
			if err != nil || rsp.Status != dimse.Success {
				t.Fatalf("status %04X, %v", uint16(rsp.Status), err)
			}
		}
		release(t, c)
	}
	h.archive.up(address)
	eventually(t, "an empty spool", func() bool { return len(h.inState(custody.Spooled)) == 0 })
	if n := len(h.archive.has()); n != len(images) {
		t.Errorf("%d arrived of %d", n, len(images))
	}
}
