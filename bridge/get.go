package bridge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/dicom/web"
)

// get answers a C-GET (PS3.4 §C.4.3): the objects go back on the same association.
func (s *session) get(ctx, within context.Context, m *dimse.Message, identifier []byte) (dimse.Command, []byte) {
	return s.retrieve(ctx, within, m, identifier, func(*plan) (sink, error) { return back{s}, nil })
}

// retrieve performs a C-GET or C-MOVE and returns its final response.
func (s *session) retrieve(ctx, within context.Context, m *dimse.Message, identifier []byte, to func(*plan) (sink, error)) (dimse.Command, []byte) {
	p, err := s.b.lay(within, m, identifier)
	switch {
	case isCancelled(within):
		return dimse.Command{Status: dimse.Cancel}, nil
	case errors.Is(err, errIdentifier):
		return dimse.Command{Status: dimse.DataSetDoesNotMatchSOPClass, ErrorComment: errIdentifier.Error()}, nil
	case err != nil:
		s.log.Warn("bridge: instances cannot be told", "error", err)
		return dimse.Command{Status: statusCalculate, ErrorComment: "the archive does not say which instances there are"}, nil
	case len(p.instances) == 0:
		return p.counted(dimse.Success), nil
	}
	destination, err := to(p)
	if err != nil {
		s.log.Warn("bridge: move destination", "error", err)
		return dimse.Command{Status: destinationStatus(err), ErrorComment: "the move destination cannot be reached"}, nil
	}
	f := &fetching{
		plan: p, s: s, to: destination,
		stopped:  func() bool { return isCancelled(within) },
		progress: func() error { return s.x.Respond(ctx, m, p.counted(dimse.Pending), nil) },
	}
	if err := f.run(ctx); errors.Is(err, errCancelled) {
		return p.counted(dimse.Cancel), nil
	}
	return p.ended(m.Context.TransferSyntax)
}

// ended is the final response of a retrieve that was not cancelled (PS3.4
// §C.4.2.1.5, §C.4.3.1.4): what remains has failed.
func (p *plan) ended(ts dicom.UID) (dimse.Command, []byte) {
	var names []string
	for _, i := range p.instances {
		if i.state == remaining {
			i.state = failed
		}
		if i.state == failed {
			names = append(names, string(i.at.Instance))
		}
	}
	n := p.counts()
	switch {
	case n[failed] == 0 && n[warned] == 0:
		return p.counted(dimse.Success), nil
	case n[failed] == 0:
		return p.counted(statusSomeFailures), nil
	case n[completed]+n[warned] == 0:
		return p.counted(statusUnperformed), failedList(names, ts)
	}
	return p.counted(statusSomeFailures), failedList(names, ts)
}

// maxFailedList is what an element with a 16-bit length holds, in bytes.
const maxFailedList = 0xFFFE

// failedList is the identifier of a final response: the Failed SOP Instance UID
// List (0008,0058), as far as it goes; nil if it cannot be written.
func failedList(names []string, ts dicom.UID) []byte {
	for len(strings.Join(names, `\`)) > maxFailedList {
		names = names[:len(names)/2]
	}
	var d web.DataSet
	d.SetString(dicom.TagFailedSOPInstanceUIDList, dicom.UI, names...)
	var b bytes.Buffer
	if d.Encode(&b, ts) != nil {
		return nil
	}
	return b.Bytes()
}

// back is the association that a C-GET came on.
type back struct{ s *session }

// takes implements sink. The requestor has to be SCP of the class (PS3.4 §C.5.3).
func (b back) takes(class, ts dicom.UID) bool {
	as := b.s.x.Conn().Association()
	_, ok := contextFor(as, class, ts)
	return ok && slices.ContainsFunc(as.Response().Roles, func(r ul.RoleSelection) bool { return r.SOPClass == class && r.SCP })
}

// store implements sink.
func (b back) store(ctx context.Context, rq dimse.StoreRequest, ts dicom.UID, data io.Reader) (dimse.Status, error) {
	id, _ := contextFor(b.s.x.Conn().Association(), rq.SOPClassUID, ts)
	rsp, err := b.s.x.Store(ctx, id, rq, data)
	return rsp.Status, err
}

// contextFor finds the accepted presentation context with exactly this abstract
// and transfer syntax. Nothing is transcoded, so no other will do.
func contextFor(as *ul.Association, class, ts dicom.UID) (uint8, bool) {
	for _, pc := range as.Contexts() {
		if pc.AbstractSyntax == class && pc.TransferSyntax == ts {
			return pc.ID, true
		}
	}
	return 0, false
}
