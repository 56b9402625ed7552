package gateway

import (
	"testing"

	"cordon/custody"
	"cordon/dicom/dimse"
)

func delivered(d Delivery) func(*Config) {
	return func(c *Config) { c.Upstreams[0].Delivery = d }
}

// What is spooled first is durable here when its sender is told of success, even
// while the archive answers, and gets there all the same.
func TestSpoolFirstAnswersBeforeTheArchive(t *testing.T) {
	h := start(t, delivered(SpoolFirst))
	answering := make(chan struct{})
	h.archive.began = func() { <-answering }
	im := newImage(t, nil)
	if rsp := send(t, h.modality(), im); rsp.Status != dimse.Success {
		t.Fatalf("status %04X", uint16(rsp.Status))
	}
	if n := len(h.inState(custody.Spooled)); n != 1 {
		t.Errorf("%d objects are durable here", n)
	}
	close(answering)
	eventually(t, "the delivery", func() bool { return h.archive.holds(im) && len(h.inState(custody.Delivered)) == 1 })
}

// Where nothing is to be kept while the archive is away, its senders are told so
// at once and keep their copies.
func TestRefuseWhenDownKeepsNothing(t *testing.T) {
	h := start(t, delivered(RefuseWhenDown))
	c := h.modality()
	if rsp := send(t, c, newImage(t, nil)); rsp.Status != dimse.Success {
		t.Fatalf("status %04X while the archive is up", uint16(rsp.Status))
	}
	h.archive.down()
	if rsp := send(t, c, newImage(t, nil)); rsp.Status != statusAway {
		t.Errorf("status %04X, want A700", uint16(rsp.Status))
	}
	if _, err := h.associate("CT1", "CORDON"); asRejection(t, err) != rejectCongested {
		t.Errorf("a new association: %v", err)
	}
	if n := len(h.inState(custody.Spooled)); n != 0 {
		t.Errorf("%d objects were kept", n)
	}
}

// An archive that is out of resources says so itself.
func TestRefuseWhenDownPassesTheArchivesOwnRefusalOn(t *testing.T) {
	h := start(t, delivered(RefuseWhenDown))
	h.archive.answer = func(int, stored) (dimse.Command, bool) { return dimse.Command{Status: 0xA702}, true }
	if rsp := send(t, h.modality(), newImage(t, nil)); rsp.Status != 0xA702 {
		t.Errorf("status %04X, want A702", uint16(rsp.Status))
	}
}

func TestDeliveryIsReadAsItIsWritten(t *testing.T) {
	for i, name := range Deliveries() {
		if d, err := ParseDelivery(name); err != nil || d != Delivery(i) || d.String() != name {
			t.Errorf("%s: %v, %v", name, d, err)
		}
	}
	if _, err := ParseDelivery("later"); err == nil {
		t.Error("accepts anything")
	}
}
