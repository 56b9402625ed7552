package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/inspect/compose"
)

// A sample is an object that our own generator sends again and again, each
// time under another SOP Instance UID.
type sample struct {
	name  string
	class dicom.UID
	ts    dicom.UID
	head  []byte // of the data set, up to the end of the UID's digits
	tail  func() io.Reader
	size  int64 // of the data set, in bytes
}

// uidPrefix and twelve digits are the SOP Instance UID of a sample.
const uidPrefix = "1.2.826.0.1.3680043.10.543.1"

const uidDigits = 12

// ctSample is a CT image of the height and width given.
func ctSample(side int) (*sample, error) {
	return newSample(compose.CT(side, side), 0)
}

// framesSample is an image of so many frames of 2 MiB.
func framesSample(frames int) (*sample, error) {
	o := multiFrame(frames)
	n := int64(frames) * frameBytes
	o.SetFunc(dicom.TagPixelData, func(w *dicom.Writer) { w.Header(dicom.TagPixelData, dicom.OW, uint32(n)) })
	return newSample(o, n)
}

// newSample makes one of an object that is followed by pixels bytes of pixels.
func newSample(o *compose.Object, pixels int64) (*sample, error) {
	o.Instance = dicom.UID(uidPrefix + fmt.Sprintf("%0*d", uidDigits, 0))
	data := o.DataSet()
	at := bytes.Index(data, []byte(o.Instance))
	if at < 0 {
		return nil, errors.New("the data set does not name its instance")
	}
	at += len(o.Instance)
	rest := data[at:]
	s := &sample{class: o.SOPClass, ts: o.TransferSyntax, head: data[:at], size: int64(len(data)) + pixels}
	s.tail = func() io.Reader {
		if pixels == 0 {
			return bytes.NewReader(rest)
		}
		return io.MultiReader(bytes.NewReader(rest), io.LimitReader(&noise{}, pixels))
	}
	switch {
	case s.size < 1e6:
		s.name = fmt.Sprintf("%d kB", (s.size+500)/1000)
	case s.size < 1e9:
		s.name = fmt.Sprintf("%d MB", (s.size+500_000)/1_000_000)
	default:
		s.name = fmt.Sprintf("%.0f GiB", float64(s.size)/(1<<30))
	}
	return s, nil
}

// noise reads as the pixels of a CT image, over and over.
type noise struct{ at int }

var noiseBlock = compose.CT(ctSide, ctSide).DataSet()[4<<10:][:512<<10]

func (n *noise) Read(p []byte) (int, error) {
	if n.at == len(noiseBlock) {
		n.at = 0
	}
	k := copy(p, noiseBlock[n.at:])
	n.at += k
	return k, nil
}

// instances counts the SOP instances that were sent by this run.
var instances atomic.Int64

// next is the data set under a new SOP Instance UID.
func (s *sample) next() (dicom.UID, io.Reader) {
	digits := fmt.Appendf(nil, "%0*d", uidDigits, instances.Add(1))
	head := append(append([]byte(nil), s.head[:len(s.head)-uidDigits]...), digits...)
	return dicom.UID(uidPrefix) + dicom.UID(digits), io.MultiReader(bytes.NewReader(head), s.tail())
}

// A generator is our own sender: associations that each store one object after
// the other.
type generator struct {
	port, called string
	sample       *sample
	apart        []*sample // one for each association, instead
	associations int
	pause        time.Duration // from the beginning of one object to that of the next; 0: none
}

// send stores each objects on each association, and returns how long that took,
// without the associations' begin and end, and how long each object did, in
// seconds.
func (g generator) send(ctx context.Context, each int) (time.Duration, []float64, error) {
	conns := make([]*dimse.Conn, g.associations)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	for i := range conns {
		as, err := ul.Dial(ctx, net.JoinHostPort("127.0.0.1", g.port), nil, ul.Request{
			Calling: dicom.AETitle(fmt.Sprintf("GEN%d", i)), Called: dicom.AETitle(g.called),
			Contexts: []ul.ProposedContext{{AbstractSyntax: g.sample.class, TransferSyntaxes: []dicom.UID{g.sample.ts}}},
		}, ul.Limits{})
		if err != nil {
			return 0, nil, err
		}
		conns[i] = dimse.NewConn(as)
	}
	seen := make([][]float64, len(conns))
	errs := make([]error, len(conns))
	var senders sync.WaitGroup
	begin := time.Now()
	for i, c := range conns {
		senders.Go(func() { seen[i], errs[i] = g.store(ctx, c, each, i) })
	}
	senders.Wait()
	took := time.Since(begin)
	for _, c := range conns {
		errs = append(errs, c.Release(ctx))
	}
	var all []float64
	for _, s := range seen {
		all = append(all, s...)
	}
	return took, all, errors.Join(errs...)
}

// store sends objects on one association, the i-th of all.
func (g generator) store(ctx context.Context, c *dimse.Conn, objects, i int) ([]float64, error) {
	var seen []float64
	due := time.Now().Add(g.pause * time.Duration(i) / time.Duration(g.associations))
	sample := g.sample
	if g.apart != nil {
		sample = g.apart[i]
	}
	for range objects {
		time.Sleep(time.Until(due)) // none of a due time that has passed
		begin := time.Now()
		uid, data := sample.next()
		rsp, err := c.Store(ctx, 1, dimse.StoreRequest{SOPClassUID: sample.class, SOPInstanceUID: uid}, data)
		if err == nil && rsp.Status != dimse.Success {
			err = fmt.Errorf("C-STORE: status %04X", uint16(rsp.Status))
		}
		if err != nil {
			return seen, err
		}
		seen = append(seen, time.Since(begin).Seconds())
		due = due.Add(g.pause)
	}
	return seen, nil
}
