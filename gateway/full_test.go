package gateway

import (
	"context"
	"testing"

	"cordon/custody"
	"cordon/dicom/dimse"
	"cordon/ledger"
	"cordon/store"
)

// unwritable makes every write to the ledger fail, as a full disk does, until the
// function that it returns is called.
func (h *house) unwritable() (again func()) {
	h.t.Helper()
	run := func(sql string) {
		err := h.db.Update(context.Background(), func(tx *store.Tx) error { _, err := tx.Exec(sql); return err })
		if err != nil {
			h.t.Fatal(err)
		}
	}
	run(`CREATE TRIGGER full BEFORE INSERT ON ledger_records BEGIN SELECT RAISE(ABORT, 'no space'); END`)
	return func() { run(`DROP TRIGGER full`) }
}

// A site may choose images without a record over no images: the ledger says later
// how much is missing.
func TestImagingGoesOnUnrecordedWhereTheSiteSaysSo(t *testing.T) {
	h := start(t, func(c *Config) { c.Unrecorded = true })
	again := h.unwritable()
	c := h.modality()
	for range 3 {
		if rsp := send(t, c, newImage(t, nil)); rsp.Status != dimse.Success {
			t.Errorf("status %04X", uint16(rsp.Status))
		}
	}
	if len(h.archive.has()) != 3 {
		t.Error("not delivered")
	}
	h.archive.down()
	if rsp := send(t, c, newImage(t, nil)); rsp.Status != statusCannotBeKept {
		t.Errorf("what must be kept: status %04X, want A700", uint16(rsp.Status))
	}
	if n := len(h.inState(custody.Spooled)); n != 0 {
		t.Errorf("%d are kept without a record", n)
	}
	st, err := h.gateway.Status(t.Context())
	if err != nil || st.TurningAway {
		t.Error("turned away", err)
	}
	if h.ledger.Err() == nil {
		t.Error("nobody is told")
	}
	if err := c.Release(t.Context()); err != nil {
		t.Error(err)
	}
	eventually(t, "the end of the association", func() bool {
		st, err := h.gateway.Status(context.Background())
		return err == nil && st.Associations == 0
	})
	again()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.ledger.Run(ctx); err != nil { // which says at its end what was lost
		t.Fatal(err)
	}
	found := false
	err = h.ledger.Tail(t.Context(), 20, func(r ledger.Record) error { found = found || r.Kind == "ledger.lost"; return nil })
	if err != nil || !found {
		t.Error("the gap is not on the ledger", err)
	}
}

// Devices that were turned away may not call again for hours: nobody must have to for
// the status to say that the ledger can be written.
func TestTurningAwayEndsByItself(t *testing.T) {
	h := start(t)
	again := h.unwritable()
	if _, err := h.associate("CT1", "CORDON"); asRejection(t, err) != rejectCongested {
		t.Error(err)
	}
	turning := func() bool {
		t.Helper()
		st, err := h.gateway.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return st.TurningAway
	}
	if h.gateway.recordTurnedAway(t.Context()); !turning() {
		t.Error("nobody is told while the ledger cannot be written")
	}
	again()
	if h.gateway.recordTurnedAway(t.Context()); turning() {
		t.Error("still said to turn away")
	}
	if told := h.recorded("association.turned_away"); len(told) != 1 || told[0]["associations"] != float64(1) {
		t.Errorf("the ledger says %v", told)
	}
}
