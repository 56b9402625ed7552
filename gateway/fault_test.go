package gateway

import (
	"bytes"
	"testing"

	"cordon/asset"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/policy"
)

// A fault of ours ends the association that met it, wherever it happens, and is counted; nothing waits for it, and the next
// association is served.
func TestFaultEndsOneAssociationAlone(t *testing.T) {
	find := func(c *requestor) error {
		op, err := c.Begin(t.Context(), 1, findRQ, bytes.NewReader(identifier(t, false)))
		if err == nil {
			_, err = op.Next(t.Context())
		}
		return err
	}
	for name, k := range map[string]struct {
		fault func(*Gateway)
		ask   func(*requestor) error
	}{
		"while an object is read": {
			func(g *Gateway) {
				g.parts.Observe = func(o asset.Observation) {
					if o.Service == policy.ServiceStore {
						panic("a fault")
					}
				}
			},
			func(c *requestor) error {
				im := newImage(t, nil)
				_, err := c.Store(t.Context(), 3, dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.uid}, bytes.NewReader(im.data))
				return err
			},
		},
		"while a query is under way": {
			func(g *Gateway) { g.parts.Bypassed = func(string, string) bool { panic("a fault") } },
			find,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newScriptedPeer(t, nil)
			h := behind(t, p)
			k.fault(h.gateway)
			c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, findClass), explicitly(3, dicom.CTImageStorage)}}, 0)
			if err := k.ask(c); err == nil {
				t.Error("it was answered")
			}
			eventually(t, "the end of the association", func() bool {
				return h.gateway.seats.inUse() == 0 && len(h.recorded("association.end")) == 1
			})
			if n := h.gateway.counts.panics.Load(); n != 1 {
				t.Errorf("%d faults counted", n)
			}
			h.gateway.parts.Observe, h.gateway.parts.Bypassed = nil, nil
			if rsp := last(h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, findClass)}}, 0).ask(1, findRQ, identifier(t, false))); rsp.Command.Status != dimse.Success {
				t.Errorf("the next: %+v", rsp.Command)
			}
		})
	}
}

// Why an association ended before its time is on the ledger.
func TestWhyAnAssociationEndedIsRecorded(t *testing.T) {
	h := behind(t, newScriptedPeer(t, nil))
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, findClass)}}, 0)
	if err := c.Conn().Send(t.Context(), 1, dimse.Command{Field: dimse.CFindRSP, MessageIDBeingRespondedTo: 7}, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reason on the ledger", func() bool {
		ended := h.recorded("association.end")
		return len(ended) == 1 && ended[0]["outcome"] == "aborted" && ended[0]["error"] != nil
	})
}
