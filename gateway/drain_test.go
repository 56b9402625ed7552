package gateway

import (
	"context"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/policy"
)

// fill stores images, so many of each series, while the archive is away.
func (h *house) fill(series, each int) (images [][]image) {
	h.t.Helper()
	c := h.modality()
	for range series {
		first := newImage(h.t, nil)
		var all []image
		for range each {
			im := first
			im.uid = newUID()
			im.data = im.encode(h.t, nil)
			if rsp := send(h.t, c, im); rsp.Status != dimse.Success {
				h.t.Fatalf("status %04X", uint16(rsp.Status))
			}
			all = append(all, im)
		}
		images = append(images, all)
	}
	c.Close()
	return images
}

// busiest counts how many objects an archive has on their way to it at a time.
type busiest struct{ now, most atomic.Int64 }

func (b *busiest) during(d time.Duration) {
	n := b.now.Add(1)
	for most := b.most.Load(); n > most && !b.most.CompareAndSwap(most, n); most = b.most.Load() {
	}
	time.Sleep(d)
	b.now.Add(-1)
}

// Several associations empty the spool at a time, and each series arrives in the
// order in which it was sent.
func TestSpoolGoesOnSeveralAssociationsInOrderOfEachSeries(t *testing.T) {
	h := start(t, func(c *Config) { c.Upstreams[0].Associations = 3 })
	h.archive.down()
	images := h.fill(6, 5)
	var busy busiest
	h.archive.began = func() { busy.during(20 * time.Millisecond) }
	h.archive.up(h.archive.address)
	eventually(t, "all deliveries", func() bool { return len(h.archive.has()) == 30 })
	if n := busy.most.Load(); n < 2 || n > 3 {
		t.Errorf("%d associations at a time, want 3", n)
	}
	at := map[dicom.UID]int{}
	for i, s := range h.archive.has() {
		at[s.command.AffectedSOPInstanceUID] = i
	}
	for _, series := range images {
		for i := range series[1:] {
			if at[series[i].uid] > at[series[i+1].uid] {
				t.Errorf("object %d of a series came after the next", i)
			}
		}
	}
}

// What is urgent overtakes what waits, even what a delivery under way has before it.
func TestUrgentObjectOvertakesTheBacklog(t *testing.T) {
	h := start(t, func(c *Config) { c.Upstreams[0].Associations = 1 }, delivered(SpoolFirst))
	h.archive.down()
	h.fill(3, 20)
	var begun atomic.Int64
	sent := make(chan struct{})
	h.archive.began = func() {
		if begun.Add(1) > 3 { // one is on its way when the urgent one comes
			<-sent
		}
		time.Sleep(20 * time.Millisecond)
	}
	h.archive.up(h.archive.address)
	eventually(t, "the first deliveries", func() bool { return len(h.archive.has()) > 2 && begun.Load() > 3 })
	im := newImage(t, nil)
	urgent := dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.uid, Priority: dimse.High}
	before := len(h.archive.has())
	if s := sendOn(t, h.modality(), 3, urgent, im.data); s != dimse.Success {
		t.Fatalf("status %04X", uint16(s))
	}
	close(sent)
	eventually(t, "the urgent object", func() bool { return h.archive.holds(im) })
	if n := len(h.archive.has()) - before; n > 10 {
		t.Errorf("%d objects went before it", n)
	}
	eventually(t, "the rest", func() bool { return len(h.archive.has()) == 61 })
}

// While modalities send to the archive, the spool has one association, for half of
// the time at the most, and empties all the same.
func TestDrainGivesWayToLiveTraffic(t *testing.T) {
	const each = 20 * time.Millisecond
	h := start(t, func(c *Config) { c.Upstreams[0].Associations = 4 })
	h.archive.down()
	h.fill(8, 25)
	var busy busiest
	h.archive.began = func() { busy.during(each) }
	h.archive.up(h.archive.address)
	eventually(t, "the archive", func() bool { return !h.gateway.archives["pacs"].resting() })
	c := h.modality()
	live, began := 0, time.Now()
	for ; time.Since(began) < 20*each; live++ { // until the others have ended
		send(t, c, newImage(t, nil))
	}
	busy.most.Store(0)
	waiting := len(h.inState(custody.Spooled))
	live, began = 0, time.Now()
	for ; time.Since(began) < 2*time.Second; live++ {
		send(t, c, newImage(t, nil))
	}
	took := time.Since(began)
	if n := busy.most.Load(); n > 2 {
		t.Errorf("%d objects at a time, want one of the modality's and one of the spool's", n)
	}
	drained := waiting - len(h.inState(custody.Spooled))
	t.Logf("%d live, %d from the spool in %v of an archive that takes %v for each", live, drained, took, each)
	if drained == 0 {
		t.Error("the spool does not empty")
	}
	if float64(drained) > 0.6*took.Seconds()/each.Seconds() {
		t.Errorf("%d objects of the spool in %v, more than half of the time", drained, took)
	}
}

// An archive that died while nobody used it is not shown as answering, and one
// that is back is noticed.
func TestIdleArchiveIsProbed(t *testing.T) {
	h := start(t, func(c *Config) { c.Upstreams[0].Probe = 100 * time.Millisecond })
	up := func() bool {
		st, err := h.gateway.Status(context.Background())
		return err == nil && st.Archives[0].Asked && st.Archives[0].Up
	}
	eventually(t, "the first probe", up)
	h.archive.down()
	eventually(t, "the loss of the archive", func() bool { return !up() })
	h.archive.up(h.archive.address)
	eventually(t, "the archive", up)
	h.archive.mu.Lock()
	h.archive.reject = &rejectCalling // it does not know the gateway's own title
	h.archive.mu.Unlock()
	time.Sleep(300 * time.Millisecond)
	if !up() {
		t.Error("an archive that does not know the gateway's title is taken for away")
	}
}

func TestRetriesAreSpreadByChance(t *testing.T) {
	const least, most = time.Second, time.Minute
	for failures, top := range []time.Duration{least, 2 * least, 4 * least, 8 * least, 16 * least, 32 * least, most, most} {
		seen := map[time.Duration]bool{}
		for range 100 {
			pause := backOff(failures, least, most)
			if pause < top/2 || pause > top {
				t.Fatalf("%v after %d failures", pause, failures)
			}
			seen[pause] = true
		}
		if len(seen) < 50 {
			t.Errorf("%d different pauses of 100", len(seen))
		}
	}
}

// A device that hangs keeps no other device's objects waiting.
func TestDevicesAreDeliveredToSideBySide(t *testing.T) {
	hanging, quick := newScriptedArchive(t), newScriptedArchive(t)
	stuck := make(chan struct{})
	t.Cleanup(func() { close(stuck) })
	h := start(t, func(c *Config) {
		c.ResponseTimeout = 20 * time.Second
		for name, a := range map[string]*scriptedArchive{"ct-1": hanging, "ct-2": quick} {
			at := netip.MustParseAddrPort(a.address)
			c.Site.Devices = append(c.Site.Devices, policy.Device{
				Name: name, AETitle: dicom.AETitle(strings.ToUpper(name)), Addresses: []netip.Prefix{netip.PrefixFrom(at.Addr(), 32)}, Port: at.Port(),
			})
		}
	})
	began := make(chan struct{})
	hanging.began = func() { close(began); <-stuck }
	h.keepFor(newImage(t, nil), outletName("ct-1"))
	h.gateway.Wake()
	select {
	case <-began:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing goes to the first device")
	}
	im := newImage(t, nil)
	h.keepFor(im, outletName("ct-2"))
	h.gateway.Wake()
	eventually(t, "the second device's object", func() bool { return quick.holds(im) })
}

// keepFor puts an object into the spool, as a release does.
func (h *house) keepFor(im image, archive string) {
	h.t.Helper()
	b := h.custody.NewBuffer()
	defer b.Discard()
	if _, err := b.Write(im.data); err != nil {
		h.t.Fatal(err)
	}
	_, err := h.custody.Keep(context.Background(), b, custody.Object{
		State: custody.Spooled, Archive: archive, CallingAE: "PACS", CalledAE: "CT",
		SOPClassUID: string(im.class), SOPInstanceUID: string(im.uid), TransferSyntaxUID: string(dicom.ExplicitVRLittleEndian),
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// An archive with one place for us is emptied to by one association: that it has
// none for more is no reason to take it for away, and to keep back what modalities
// send to it themselves.
func TestDrainOfAnArchiveWithOnePlaceLeavesItUp(t *testing.T) {
	for name, says := range map[string]bool{"says so": true, "lets others wait": false} {
		t.Run(name, func(t *testing.T) {
			h := open(t, t.TempDir(), config(archiveWithOnePlace(t, says), func(c *Config) {
				c.Upstreams[0].Associations, c.ConnectTimeout = 3, 200*time.Millisecond
			}))
			a := h.gateway.archives[h.gateway.config.Upstreams[0].Name]
			for range 20 {
				h.keepFor(newImage(t, nil), a.upstream.Name)
			}
			away := false
			a.wakeUp()
			eventually(t, "all deliveries", func() bool {
				away = away || a.resting()
				return len(h.inState(custody.Delivered)) == 20
			})
			if away || says && !a.isFull() {
				t.Errorf("taken for away: %v, for full: %v", away, a.isFull())
			}
		})
	}
}

// An archive that takes its time for a long object is not asked meanwhile whether
// it is there.
func TestAnArchiveAtWorkIsNotProbed(t *testing.T) {
	h := start(t, func(c *Config) { c.Upstreams[0].Probe = 100 * time.Millisecond })
	var before, after int
	h.archive.mu.Lock()
	h.archive.began = func() {
		before = h.archive.requested()
		time.Sleep(500 * time.Millisecond)
		after = h.archive.requested()
	}
	h.archive.mu.Unlock()
	c := h.modality()
	defer c.Close()
	if rsp := send(t, c, newImage(t, nil)); rsp.Status != dimse.Success || before != after {
		t.Errorf("%04X; it was called %d times", uint16(rsp.Status), after-before)
	}
}
