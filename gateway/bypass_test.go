package gateway

import (
	"bytes"
	"context"
	"io"
	"sync/atomic"
	"testing"

	"cordon/custody"
	"cordon/dicom/dimse"
	"cordon/engine"
	"cordon/finding"
	"cordon/judge"
	"cordon/policy"
)

// copies notes what the gateway hands on to be judged again.
type copies struct {
	t        *testing.T
	objects  []custody.Object
	data     [][]byte
	bypassed []bool
}

func (c *copies) passed(b *custody.Buffer, o custody.Object, bypassed bool) {
	r, err := b.Open()
	if err != nil {
		c.t.Error(err)
		return
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		c.t.Error(err)
	}
	c.objects, c.data, c.bypassed = append(c.objects, o), append(c.data, data), append(c.bypassed, bypassed)
}

// deadEngine scans nothing.
type deadEngine struct{ asked atomic.Int32 }

func (*deadEngine) Name() string                       { return "dead" }
func (*deadEngine) Signatures(context.Context) string  { return "" }
func (*deadEngine) State(context.Context) engine.State { return engine.State{Name: "dead"} }
func (e *deadEngine) Scan(context.Context, io.Reader, int64) finding.EngineResult {
	e.asked.Add(1)
	return finding.EngineResult{Name: "dead", Detail: "down"}
}

func TestUnscannedObjectLeavesACopyOnceItIsDelivered(t *testing.T) {
	h := start(t)
	c := &copies{t: t}
	h.gateway.parts.Passed = c.passed
	h.gateway.parts.Judge = judge.New(judge.Config{Rules: policy.DefaultRules(), Engines: []judge.Engine{&deadEngine{}}})
	m := h.modality()
	im, refused, hostile := newImage(t, []byte("a private value for the engine")), newImage(t, []byte("another for the engine")), newImage(t, []byte(eicar))
	h.archive.answer = func(n int, s stored) (dimse.Command, bool) {
		if s.command.AffectedSOPInstanceUID == refused.uid {
			return dimse.Command{Status: 0xC123}, true
		}
		return dimse.Command{}, true
	}
	for _, i := range []image{im, refused, hostile} {
		send(t, m, i)
	}
	release(t, m)
	if len(c.objects) != 1 { // neither what the archive refused nor what is held
		t.Fatalf("%d copies", len(c.objects))
	}
	if o := c.objects[0]; !bytes.Equal(c.data[0], im.data) || c.bypassed[0] || o.SOPInstanceUID != string(im.uid) || o.StudyInstanceUID != string(im.study) ||
		o.CallingAE != "CT1" || o.Archive != "pacs" || o.Bytes != int64(len(im.data)) || len(o.Engines) != 1 {
		t.Errorf("%+v", o)
	}

	h.archive.down()
	m = h.modality()
	later := newImage(t, []byte("a third for the engine"))
	send(t, m, later)
	if len(c.objects) != 2 || !bytes.Equal(c.data[1], later.data) || len(h.inState(custody.Spooled)) != 1 {
		t.Errorf("what waits for its archive left no copy: %d", len(c.objects))
	}
}

func TestScannedObjectsLeaveNoCopy(t *testing.T) {
	h := start(t)
	c := &copies{t: t}
	h.gateway.parts.Passed = c.passed
	m := h.modality()
	send(t, m, newImage(t, nil))
	release(t, m)
	if len(c.objects) != 0 {
		t.Errorf("%+v", c.objects)
	}
}

func TestBypassDeliversWhatWouldBeHeld(t *testing.T) {
	h := start(t)
	c := &copies{t: t}
	var on atomic.Bool
	dead := &deadEngine{}
	h.gateway.parts.Judge = judge.New(judge.Config{Rules: policy.DefaultRules(), Engines: []judge.Engine{dead}})
	h.gateway.parts.Passed = c.passed
	h.gateway.parts.Bypassed = func(device, calling string) bool { return on.Load() && calling == "CT1" }
	m := h.modality()
	before, during, after := newImage(t, []byte(eicar)), newImage(t, []byte(eicar)), newImage(t, []byte(eicar))
	send(t, m, before)
	asked := dead.asked.Load()
	on.Store(true) // on an association that is open already
	send(t, m, during)
	other := newImage(t, nil)
	announced := other
	announced.uid = newUID()
	if rsp := send(t, m, image{announced.class, announced.uid, "", "", other.data}); rsp.Status != statusWrongInstance {
		t.Errorf("another instance than announced: status %04X", uint16(rsp.Status))
	}
	if dead.asked.Load() != asked {
		t.Error("an engine was asked under the bypass")
	}
	on.Store(false)
	send(t, m, after)
	release(t, m)
	if !h.archive.holds(during) || h.archive.holds(before) || h.archive.holds(after) {
		t.Error("delivered other than what was bypassed")
	}
	if len(c.objects) != 1 || !c.bypassed[0] || c.objects[0].SOPInstanceUID != string(during.uid) {
		t.Errorf("%+v", c.objects)
	}
	eventually(t, "the delivery on the ledger", func() bool { return len(h.recorded("object.delivered")) == 1 })
	if r := h.recorded("object.delivered")[0]; r["alarm"] != true || r["reason"] != "bypass: malicious: eicar" {
		t.Errorf("%v", r)
	}
}
