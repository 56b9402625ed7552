package gateway

import (
	"archive/zip"
	"bytes"
	"net/netip"
	"testing"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/exception"
	"cordon/finding"
	"cordon/policy"
	"cordon/store"
)

// oddArchive is what a vendor's own ZIP writer makes: its two descriptions name
// the file differently.
func oddArchive(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
	if err == nil {
		_, err = f.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	b.Bytes()[30] = '_' // the first letter of the name in the local header
	return b.Bytes()
}

// oddImage carries it, padded to an even length, in a private element.
func oddImage(t *testing.T, content []byte) image {
	p := oddArchive(t, "protocol.txt", content)
	return newImage(t, append(p, make([]byte, len(p)%2)...))
}

// fleet is a house with two declared devices; others are learned.
func fleet(t *testing.T) *house {
	return start(t, func(c *Config) {
		c.Site.Devices = []policy.Device{{Name: "ct-1", AETitle: "CT1"}, {Name: "ct-2", AETitle: "CT2"}}
	})
}

func (h *house) from(calling dicom.AETitle) *dimse.Conn {
	h.t.Helper()
	c, err := h.associate(calling, "CORDON")
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// passes sends an image and reports whether the archive has it. If not, it is
// in the vault.
func (h *house) passes(t *testing.T, c *dimse.Conn, im image) bool {
	t.Helper()
	before := len(h.inState(custody.Held))
	if rsp := send(t, c, im); rsp.Status != dimse.Success {
		t.Fatalf("status %04X", uint16(rsp.Status))
	}
	held := len(h.inState(custody.Held)) - before
	if h.archive.holds(im) == (held == 1) {
		t.Fatalf("%d held, in the archive: %v", held, h.archive.holds(im))
	}
	return held == 0
}

// proposed waits for the proposals about a device.
func (h *house) proposed(t *testing.T, n int, of func(exception.Exception) bool) []exception.Exception {
	t.Helper()
	var out []exception.Exception
	eventually(t, "proposals", func() bool {
		all, err := h.except.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		out = nil
		for _, e := range all {
			if of(e) {
				out = append(out, e)
			}
		}
		return len(out) == n
	})
	return out
}

func of(device string) func(exception.Exception) bool {
	return func(e exception.Exception) bool { return e.Device == device && e.Seen > 0 }
}

// hourLater is as if all that was approved had been an hour ago.
func (h *house) hourLater(t *testing.T) {
	t.Helper()
	err := h.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE exception SET expires_at = expires_at - ?`, time.Hour.Microseconds())
		return err
	})
	if err == nil {
		err = h.except.Refresh(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func person(name string) custody.Request { return custody.Request{By: name, Reason: "vendor confirms"} }

func TestHabitIsProposedApprovedRevokedAndExpires(t *testing.T) {
	h := fleet(t)
	ct1, ct2 := h.from("CT1"), h.from("CT2")
	if h.passes(t, ct1, oddImage(t, []byte("dose 5 mGy"))) {
		t.Fatal("delivered before anybody approved it")
	}
	e := h.proposed(t, 1, of("ct-1"))[0]
	held := h.inState(custody.Held)[0]
	if e.State != exception.Proposed || e.Finding != "container-mismatch" || e.Place != "(0009,1001)" || e.Example != held.ID || e.ProposedBy != "" {
		t.Fatalf("%+v", e)
	}
	if h.passes(t, ct1, oddImage(t, []byte("dose 6 mGy"))) {
		t.Fatal("a proposal took effect")
	}

	if _, err := h.except.Approve(t.Context(), e.ID, person("Ann Able"), 0); err != nil {
		t.Fatal(err)
	}
	if !h.passes(t, ct1, oddImage(t, []byte("dose 7 mGy"))) {
		t.Error("held though it is excepted")
	}
	if h.passes(t, ct2, oddImage(t, []byte("dose 7 mGy"))) {
		t.Error("another device's object was delivered")
	}
	if h.passes(t, h.from("CT9"), oddImage(t, []byte("dose 8 mGy"))) {
		t.Error("a learned device's object was delivered")
	}
	if h.passes(t, ct1, newImage(t, []byte(eicar))) {
		t.Error("a payload was delivered")
	}
	delivered := h.recorded("object.delivered")
	if n := len(delivered); n != 1 {
		t.Fatalf("%d deliveries", n)
	}
	if named, _ := delivered[0]["exceptions"].([]any); len(named) != 1 || named[0] != e.ID {
		t.Errorf("the ledger does not name the exception: %v", delivered[0])
	}
	if found, _ := delivered[0]["findings"].([]any); len(found) == 0 {
		t.Errorf("the ledger does not name the finding: %v", delivered[0])
	}

	if _, err := h.except.Revoke(t.Context(), e.ID, person("Ben Birk")); err != nil {
		t.Fatal(err)
	}
	if h.passes(t, ct1, oddImage(t, []byte("dose 9 mGy"))) {
		t.Error("delivered after it was revoked, on an association that was open before")
	}

	if _, err := h.except.Approve(t.Context(), e.ID, person("Ann Able"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if !h.passes(t, ct1, oddImage(t, []byte("dose 10 mGy"))) {
		t.Error("held though it is approved again")
	}
	h.hourLater(t)
	if h.passes(t, ct1, oddImage(t, []byte("dose 11 mGy"))) {
		t.Error("delivered after it had expired")
	}
	for _, kind := range []string{"exception.proposed", "exception.approved", "exception.revoked"} {
		if len(h.recorded(kind)) == 0 {
			t.Errorf("%s is not on the ledger", kind)
		}
	}
}

// Something harmful in the very element that is excepted is held.
func TestExceptionLetsNoPayloadThrough(t *testing.T) {
	h := fleet(t)
	c := h.from("CT1")
	e, err := h.except.Propose(t.Context(), policy.Origin{Device: "ct-1"}, "container-mismatch", "", person("Ann Able"))
	if err == nil {
		_, err = h.except.Approve(t.Context(), e.ID, person("Ann Able"), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !h.passes(t, c, oddImage(t, []byte("harmless"))) {
		t.Fatal("held though it is excepted")
	}
	if h.passes(t, c, oddImage(t, []byte(eicar))) {
		t.Error("a payload inside what is excepted was delivered")
	}
	if rsp := send(t, c, image{class: dicom.CTImageStorage, uid: newUID(), data: oddImage(t, []byte("x")).data}); rsp.Status != statusWrongInstance {
		t.Errorf("another instance than announced: status %04X", uint16(rsp.Status))
	}
	cut := oddImage(t, []byte("cut"))
	cut.data = cut.data[:len(cut.data)-100]
	if h.passes(t, c, cut) {
		t.Error("an object without its end was delivered")
	}
}

// A learned device is who it says from where it calls, and no other.
func TestLearnedDevicesHabit(t *testing.T) {
	h := fleet(t)
	c := h.from("US7")
	if h.passes(t, c, oddImage(t, []byte("a"))) {
		t.Fatal("delivered before anybody approved it")
	}
	e := h.proposed(t, 1, of(""))[0]
	if e.CallingAE != "US7" || e.Address != "127.0.0.1" {
		t.Fatalf("%+v", e)
	}
	if _, err := h.except.Approve(t.Context(), e.ID, person("Ann Able"), 0); err != nil {
		t.Fatal(err)
	}
	if !h.passes(t, c, oddImage(t, []byte("b"))) {
		t.Error("held though it is excepted")
	}
	if h.passes(t, h.from("US8"), oddImage(t, []byte("c"))) {
		t.Error("another title's object was delivered")
	}
	if got := h.except.For(policy.Origin{CallingAE: "US7", Address: netip.MustParseAddr("192.0.2.1")}, time.Now()); got != nil {
		t.Errorf("at another address: %v", got)
	}
}

func TestNothingIsProposedThatCannotBeExcepted(t *testing.T) {
	h := fleet(t)
	c := h.from("CT1")
	h.passes(t, c, newImage(t, []byte(eicar)))
	h.passes(t, c, oddImage(t, []byte(eicar)))
	h.passes(t, c, oddImage(t, []byte("last"))) // proposals are made in order
	e := h.proposed(t, 1, of("ct-1"))[0]
	if e.Seen != 1 {
		t.Errorf("%+v", e)
	}
}

// In monitor mode everything is delivered, and habits are learned before
// anything is held for them.
func TestMonitorModeLearnsHabits(t *testing.T) {
	h := start(t, func(c *Config) {
		c.Site.Devices = []policy.Device{{Name: "ct-1", AETitle: "CT1", Monitor: true}}
	})
	if !h.passes(t, h.from("CT1"), oddImage(t, []byte("a"))) {
		t.Error("held in monitor mode")
	}
	if e := h.proposed(t, 1, of("ct-1"))[0]; e.Example != "" || e.Seen != 1 {
		t.Errorf("%+v", e)
	}
}

// The exception of an object that waits for its archive is on the ledger, too.
func TestExceptedObjectIsSpooledUnderItsException(t *testing.T) {
	h := fleet(t)
	c := h.from("CT1")
	e, err := h.except.Propose(t.Context(), policy.Origin{Device: "ct-1"}, "container-mismatch", "(0009,1001)", person("Ann Able"))
	if err == nil {
		_, err = h.except.Approve(t.Context(), e.ID, person("Ann Able"), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	h.archive.down()
	send(t, c, oddImage(t, []byte("a")))
	spooled := h.inState(custody.Spooled)
	if len(spooled) != 1 || finding.Exceptions(spooled[0].Findings)[0] != e.ID {
		t.Fatalf("%+v", spooled)
	}
	if r := h.recorded("object.spooled"); len(r) != 1 || r[0]["exceptions"] == nil {
		t.Errorf("%v", r)
	}
}
