package bridge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"sync"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/web"
)

// store stores the object of a C-STORE request (PS3.7 §9.1.1) by a Store
// transaction (PS3.18 §10.5) of one part, whose bytes are passed on as they come.
func (s *session) store(ctx context.Context, m *dimse.Message) (dimse.Status, string) {
	rq := m.Command
	switch {
	case m.Data == nil:
		return dimse.CannotUnderstand, "no data set"
	case rq.AffectedSOPClassUID != m.Context.AbstractSyntax:
		return dimse.SOPClassNotSupported, "not the SOP class of the presentation context"
	case rq.AffectedSOPInstanceUID == "": // an irregular one names its object well enough
		return dimse.InvalidSOPInstance, "no SOP Instance UID"
	}
	var head bytes.Buffer
	err := dicom.WriteFileMeta(&head, dicom.FileMeta{
		SOPClassUID:       rq.AffectedSOPClassUID,
		SOPInstanceUID:    rq.AffectedSOPInstanceUID,
		TransferSyntaxUID: m.Context.TransferSyntax,
		SourceAETitle:     s.calling,
	})
	if err != nil {
		return dimse.ProcessingFailure, "file meta information cannot be written"
	}
	data := &lent{r: m.Data}
	defer data.takeBack() // an archive may answer before it has read everything
	answer, err := s.b.config.Client.Store(ctx, "", one(web.StorePart{
		Data: io.MultiReader(&head, data), // which name the transfer syntax; some archives take no header that does
	}))
	var status dimse.Status
	var comment string
	if s.b.heard(ctx, err) != nil {
		status, comment = unstored(err)
	} else {
		status, comment = stored(answer, rq.AffectedSOPClassUID, rq.AffectedSOPInstanceUID)
	}
	if status != dimse.Success {
		s.log.Warn("bridge: not stored as it was to be", "status", uint16(status), "reason", comment, "error", err)
	}
	return status, comment[:min(len(comment), 64)]
}

// one is a sequence of one part.
func one(p web.StorePart) iter.Seq2[web.StorePart, error] {
	return func(yield func(web.StorePart, error) bool) { yield(p, nil) }
}

// lent is a reader that somebody else reads, in a goroutine of his own, until it
// is taken back.
type lent struct {
	mu   sync.Mutex
	r    io.Reader
	over bool
}

var errTakenBack = errors.New("read after the answer")

func (l *lent) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return 0, errTakenBack
	}
	return l.r.Read(p)
}

// takeBack waits for a read that is under way, and lets no other begin.
func (l *lent) takeBack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}
