package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/web"
)

// sink is where the objects of a retrieve go.
type sink interface {
	// takes reports whether an object of this class and transfer syntax can be sent.
	takes(class, ts dicom.UID) bool
	// store sends one object. An error means that nothing more can be sent.
	store(ctx context.Context, rq dimse.StoreRequest, ts dicom.UID, data io.Reader) (dimse.Status, error)
}

// fetching is a retrieve under way.
type fetching struct {
	*plan
	s        *session
	to       sink
	stopped  func() bool  // the other side has cancelled it
	progress func() error // told after each sub-operation
	away     int          // how often in a row the archive was
}

// errLost is why a retrieve ended before its time: the other side is gone.
var errLost = errors.New("whoever is to get the objects is gone")

// run retrieves everything: whole studies or series first, then one by one what
// that did not bring. What is still missing then has failed.
func (f *fetching) run(ctx context.Context) error {
	for _, r := range f.whole {
		if err := f.fetch(ctx, r, web.Related(web.TypeDICOM, "*")); f.over(ctx, err) {
			return err
		}
	}
	for _, i := range f.instances {
		if i.state != remaining {
			continue
		}
		if f.stopped() {
			return errCancelled
		}
		if err := f.fetch(ctx, i.at, f.wants(i)); f.over(ctx, err) {
			return err
		}
		if i.state == remaining && i.syntax != "" && f.to.takes(i.class, dicom.ExplicitVRLittleEndian) {
			if err := f.fetch(ctx, i.at, web.Related(web.TypeDICOM, dicom.ExplicitVRLittleEndian)); f.over(ctx, err) {
				return err
			}
		}
		if i.state == remaining {
			if err := f.done(i, failed); err != nil {
				return err
			}
		}
	}
	return nil
}

// wants is what an instance is asked for in: as it is stored, unless it is known
// that the other side does not take that. Then the archive may transcode it.
func (f *fetching) wants(i *instance) web.MediaType {
	if i.syntax != "" && f.to.takes(i.class, dicom.ExplicitVRLittleEndian) {
		return web.Related(web.TypeDICOM, dicom.ExplicitVRLittleEndian)
	}
	return web.Related(web.TypeDICOM, "*")
}

// maxAway is how often in a row the archive may be away before a retrieve ends: a
// stream that broke off is no reason not to ask again.
const maxAway = 3

// over reports whether nothing more is to be retrieved. An archive that did not
// give something may give the rest.
func (f *fetching) over(ctx context.Context, err error) bool {
	switch {
	case err == nil:
		f.away = 0
	case errors.Is(err, web.ErrAway):
		f.away++
	}
	if err != nil {
		f.s.log.Warn("bridge: retrieving", "error", err)
	}
	return ctx.Err() != nil || errors.Is(err, errLost) || errors.Is(err, errCancelled) || f.away == maxAway
}

// fetch retrieves a resource and sends what of it is wanted and was not sent yet.
func (f *fetching) fetch(ctx context.Context, r web.Resource, as web.MediaType) error {
	return f.s.b.heard(ctx, f.s.b.config.Client.Retrieve(ctx, r, web.Accept{as}, func(part *web.Part) error {
		if f.stopped() {
			return errCancelled
		}
		return f.part(ctx, part)
	}))
}

// part sends one object, if it is one of those wanted.
func (f *fetching) part(ctx context.Context, part *web.Part) error {
	o, err := open(part)
	if errors.Is(err, dicom.ErrNoObject) {
		f.s.log.Warn("bridge: archive sent a part that is no object")
		return nil
	}
	if err != nil {
		return err
	}
	i := f.byUID[o.SOPInstanceUID]
	switch {
	case i == nil || i.class != "" && i.class != o.SOPClassUID:
		f.s.log.Warn("bridge: archive sent another instance than was asked for")
		return nil
	case i.state != remaining:
		return nil // it came twice
	case !f.to.takes(o.SOPClassUID, o.TransferSyntaxUID):
		i.syntax = o.TransferSyntaxUID
		return nil
	}
	status, err := f.to.store(ctx, dimse.StoreRequest{SOPClassUID: o.SOPClassUID, SOPInstanceUID: o.SOPInstanceUID}, o.TransferSyntaxUID, o.data)
	switch {
	case o.data.err != nil:
		return o.data.err // of the archive's side: it is asked once more
	case err != nil:
		return fmt.Errorf("%w: %w", errLost, err)
	case status.Class() == dimse.ClassSuccess:
		return f.done(i, completed)
	case status.Class() == dimse.ClassWarning:
		return f.done(i, warned)
	}
	f.s.log.Warn("bridge: object not taken", "status", uint16(status))
	return f.done(i, failed)
}

// done notes the end of a sub-operation.
func (f *fetching) done(i *instance, s state) error {
	i.state = s
	if err := f.progress(); err != nil {
		return fmt.Errorf("%w: %w", errLost, err)
	}
	return nil
}

// object is a Part 10 file that is being read: what its data set says it is, and
// the data set as a message carries it.
type object struct {
	dicom.Beginning
	data *dataSet
}

// open reads a file as far as its SOP Instance UID. The error is that of r, or
// dicom.ErrNoObject.
func open(r io.Reader) (object, error) {
	var head bytes.Buffer
	b, err := dicom.ReadBeginning(io.TeeReader(r, &head), unknownSize)
	if err != nil {
		return object{}, err
	}
	if b.DataSet > int64(head.Len()) {
		return object{}, dicom.ErrNoObject
	}
	head.Next(int(b.DataSet))
	ts, _ := dicom.LookupTransferSyntax(b.TransferSyntaxUID)
	return object{b, &dataSet{r: io.MultiReader(&head, r), even: ts.Deflated}}, nil
}

// unknownSize is a file size that no length is held against.
const unknownSize = 1 << 62

// dataSet reads a data set and remembers why it could not. A deflated one of odd
// length gets the NULL byte that evens it out (PS3.5 §A.5).
type dataSet struct {
	r     io.Reader
	even  bool
	bytes int64
	ended bool
	err   error
}

func (d *dataSet) Read(p []byte) (int, error) {
	if d.ended {
		return 0, io.EOF
	}
	n, err := d.r.Read(p)
	d.bytes += int64(n)
	switch {
	case err == io.EOF && n < len(p) && d.even && d.bytes%2 == 1:
		d.ended = true
		p[n] = 0
		return n + 1, nil
	case err != nil && err != io.EOF:
		d.err = err
	}
	return n, err
}
