package bridge

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/dicom/web"
)

// outcome is what a final response says.
type outcome struct {
	status                    dimse.Status
	completed, failed, warned int
	list                      []string
}

func outcomeOf(t *testing.T, r dimse.Reply) outcome {
	t.Helper()
	n := func(v *uint16) int {
		if v == nil {
			return -1
		}
		return int(*v)
	}
	o := outcome{r.Command.Status, n(r.Command.NumberOfCompletedSuboperations), n(r.Command.NumberOfFailedSuboperations), n(r.Command.NumberOfWarningSuboperations), nil}
	if r.Data != nil {
		d, err := web.ReadDataSet(r.Data, dicom.ExplicitVRLittleEndian, web.Limits{})
		if err != nil {
			t.Error(err)
		}
		o.list = strings.Split(d.String(dicom.TagFailedSOPInstanceUIDList), `\`)
	}
	return o
}

// brought reports whether a peer was sent exactly these images.
func brought(p *peer, images []image) bool {
	got := p.has()
	for _, im := range images {
		if !slices.ContainsFunc(got, func(s sent) bool {
			return s.command.AffectedSOPInstanceUID == im.uid && s.command.AffectedSOPClassUID == im.class && s.ts == im.ts && bytes.Equal(s.data, im.data)
		}) {
			return false
		}
	}
	return len(got) == len(images)
}

func TestGetAtEachLevel(t *testing.T) {
	h := start(t, func(a *webArchive) { a.page = 3 })
	a, b := series(t, 5, "1", "Doe^Jane"), series(t, 2, "1", "Doe^Jane")
	for i := range b {
		b[i].study = a[0].study
		b[i].data = b[i].encode(t, "1", "Doe^Jane", i)
	}
	foreign := series(t, 1, "2", "Doe^John")
	h.archive.fill(slices.Concat(a, b, foreign)...)
	for name, c := range map[string]struct {
		keys web.DataSet
		want []image
	}{
		"a study":  {keys("STUDY", dicom.TagStudyInstanceUID, a[0].study), slices.Concat(a, b)},
		"studies":  {keys("STUDY", dicom.TagStudyInstanceUID, string(a[0].study)+`\`+string(foreign[0].study)), slices.Concat(a, b, foreign)},
		"a series": {keys("SERIES", dicom.TagStudyInstanceUID, a[0].study, dicom.TagSeriesInstanceUID, b[0].series), b},
		"an image": {keys("IMAGE", dicom.TagStudyInstanceUID, a[0].study, dicom.TagSeriesInstanceUID, a[0].series, dicom.TagSOPInstanceUID, a[3].uid), a[3:4]},
		"images":   {keys("IMAGE", dicom.TagStudyInstanceUID, a[0].study, dicom.TagSOPInstanceUID, string(a[1].uid)+`\`+string(b[0].uid)), []image{a[1], b[0]}},
		"no study": {keys("STUDY", dicom.TagStudyInstanceUID, "1.2.3"), nil},
	} {
		p := h.peer()
		all := p.ask(7, getRQ, c.keys)
		got := outcomeOf(t, last(all))
		if got.status != dimse.Success || got.completed != len(c.want) || got.failed != 0 || !brought(p, c.want) {
			t.Errorf("%s: %+v, %d objects", name, got, len(p.has()))
		}
		if len(all) != len(c.want)+1 {
			t.Errorf("%s: %d responses", name, len(all))
		}
	}
	p := h.peer()
	for name, d := range map[string]web.DataSet{
		"no key":      keys("STUDY", dicom.TagPatientID, "1"),
		"no study":    keys("SERIES", dicom.TagSeriesInstanceUID, a[0].series),
		"a wildcard":  keys("STUDY", dicom.TagStudyInstanceUID, "1.2.*"),
		"the patient": keys("PATIENT", dicom.TagPatientID, "1"),
	} {
		if got := last(p.ask(7, getRQ, d)).Command.Status; got != dimse.DataSetDoesNotMatchSOPClass {
			t.Errorf("%s: %04X", name, uint16(got))
		}
	}
}

// What the archive gives under another name than it was asked for is nobody's, and
// what it does not give has failed.
func TestGetTakesOnlyWhatWasAskedFor(t *testing.T) {
	images, foreign := series(t, 3, "1", "Doe^Jane"), series(t, 1, "2", "Doe^John")
	lie := images[2]
	lie.class = dicom.MRImageStorage
	lie.data = lie.encode(t, "1", "Doe^Jane", 2)
	for name, c := range map[string]struct {
		missing int
		send    func(a *webArchive, w io.Writer, m *web.MultipartWriter)
	}{
		"another instance": {2, func(_ *webArchive, w io.Writer, m *web.MultipartWriter) { write(m, foreign[0].file(t)) }},
		"another class":    {2, func(_ *webArchive, w io.Writer, m *web.MultipartWriter) { write(m, lie.file(t)) }},
		"garbage": {2, func(_ *webArchive, w io.Writer, m *web.MultipartWriter) {
			write(m, bytes.Repeat([]byte("garbage "), 500))
		}},
		"nothing":              {2, func(_ *webArchive, w io.Writer, m *web.MultipartWriter) {}},
		"one of them twice":    {2, func(_ *webArchive, w io.Writer, m *web.MultipartWriter) { write(m, images[0].file(t)) }},
		"an empty part":        {2, func(_ *webArchive, w io.Writer, m *web.MultipartWriter) { write(m, nil) }},
		"a file without a UID": {2, func(_ *webArchive, w io.Writer, m *web.MultipartWriter) { write(m, images[2].file(t)[:400]) }},
	} {
		h := start(t, func(a *webArchive) {
			a.onGet = func(w http.ResponseWriter, r web.Resource, _ web.MediaType) bool {
				m := web.NewMultipartWriter(w, web.Related(web.TypeDICOM, ""))
				w.Header().Set("Content-Type", m.ContentType())
				switch {
				case r.Kind == web.KindStudy:
					write(m, images[0].file(t))
					c.send(a, w, m)
					write(m, images[1].file(t))
				case r.Instance == images[c.missing].uid:
					c.send(a, w, m)
				}
				m.Close()
				return true
			}
		})
		h.archive.fill(images...)
		p := h.peer()
		got := outcomeOf(t, last(p.ask(7, getRQ, keys("STUDY", dicom.TagStudyInstanceUID, images[0].study))))
		if got.status != dimse.WarningCoercion || got.completed != 2 || got.failed != 1 || !slices.Equal(got.list, []string{string(images[c.missing].uid)}) || !brought(p, images[:2]) {
			t.Errorf("%s: %+v, %d objects", name, got, len(p.has()))
		}
	}
}

func write(m *web.MultipartWriter, file []byte) {
	if part, err := m.Part(web.Single(web.TypeDICOM), ""); err == nil {
		part.Write(file)
	}
}

// An archive that dies in the middle of an object has not given it.
func TestGetOfAnArchiveThatDiesInTheMiddle(t *testing.T) {
	images := series(t, 2, "1", "Doe^Jane")
	h := start(t, func(a *webArchive) {
		a.onGet = func(w http.ResponseWriter, r web.Resource, _ web.MediaType) bool {
			m := web.NewMultipartWriter(w, web.Related(web.TypeDICOM, ""))
			w.Header().Set("Content-Type", m.ContentType())
			write(m, images[0].file(t))
			part, _ := m.Part(web.Single(web.TypeDICOM), "")
			file := images[1].file(t)
			part.Write(file[:len(file)-100])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	})
	h.archive.fill(images...)
	p := h.peer()
	op := p.begin(7, getRQ, keys("STUDY", dicom.TagStudyInstanceUID, images[0].study))
	for {
		reply, err := op.Next(t.Context())
		if err != nil {
			break // the association is aborted: nothing else ends a data set before its end
		}
		if reply.Command.Status.Class() == dimse.ClassSuccess {
			t.Fatal("success")
		}
	}
	for _, s := range p.has() {
		if s.command.AffectedSOPInstanceUID != images[0].uid {
			t.Error("a part was taken for the whole")
		}
	}
}

// An object in a syntax that the other side does not take is asked for in one that
// it does; if the archive has no other, it has failed.
func TestGetInASyntaxThatIsTaken(t *testing.T) {
	images := series(t, 2, "1", "Doe^Jane")
	compressed := images[1]
	compressed.ts = dicom.JPEG2000Lossless
	for _, transcodes := range []bool{true, false} {
		h := start(t, func(a *webArchive) {
			a.onGet = func(w http.ResponseWriter, r web.Resource, as web.MediaType) bool {
				if !transcodes || as.TransferSyntax() != dicom.ExplicitVRLittleEndian {
					return false
				}
				m := web.NewMultipartWriter(w, web.Related(web.TypeDICOM, ""))
				w.Header().Set("Content-Type", m.ContentType())
				write(m, images[1].file(t))
				m.Close()
				return true
			}
		})
		h.archive.fill(images[0])
		h.archive.keep(compressed.file(t))
		p := h.peer()
		got := outcomeOf(t, last(p.ask(7, getRQ, keys("STUDY", dicom.TagStudyInstanceUID, images[0].study))))
		want, of := outcome{dimse.Success, 2, 0, 0, nil}, images
		if !transcodes {
			want, of = outcome{dimse.WarningCoercion, 1, 1, 0, []string{string(images[1].uid)}}, images[:1]
		}
		if got.status != want.status || got.completed != want.completed || got.failed != want.failed || !slices.Equal(got.list, want.list) || !brought(p, of) {
			t.Errorf("transcodes %v: %+v, %d objects", transcodes, got, len(p.has()))
		}
	}
}

// devices takes what the archive moves, as a gateway does for devices.
type devices struct {
	mu       sync.Mutex
	requests []ul.Request
	taken    []sent
}

func (h *house) devices(t *testing.T, reject *ul.Rejection, answer func(n int) (dimse.Status, bool)) *devices {
	d := &devices{}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			nc, err := h.Calls().Accept()
			if err != nil {
				return
			}
			in, err := ul.Receive(ctx, nc, ul.Limits{})
			if err != nil {
				continue
			}
			d.mu.Lock()
			d.requests = append(d.requests, in.Request)
			d.mu.Unlock()
			if reject != nil {
				in.Reject(*reject)
				continue
			}
			as, err := in.Accept(in.Request.Respond(func(c ul.ProposedContext) ul.AcceptedContext {
				return ul.AcceptedContext{ID: c.ID, TransferSyntax: c.TransferSyntaxes[0]}
			}))
			if err == nil {
				d.receive(ctx, dimse.NewConn(as), answer)
			}
		}
	})
	t.Cleanup(func() { cancel(); h.Calls().Close(); running.Wait() })
	return d
}

func (d *devices) receive(ctx context.Context, c *dimse.Conn, answer func(n int) (dimse.Status, bool)) {
	defer c.Close()
	for {
		m, err := c.Receive(ctx)
		if err != nil {
			return
		}
		data, err := io.ReadAll(m.Data)
		if err != nil {
			return
		}
		d.mu.Lock()
		n := len(d.taken)
		d.taken = append(d.taken, sent{m.Command, m.Context.TransferSyntax, data})
		d.mu.Unlock()
		status, goes := answer(n)
		if !goes || c.Respond(ctx, m, dimse.Command{Status: status}, nil) != nil {
			return
		}
	}
}

func succeeds(int) (dimse.Status, bool) { return dimse.Success, true }

func TestMoveIsTheArchivesOwnAssociation(t *testing.T) {
	h := start(t)
	images := series(t, 3, "1", "Doe^Jane")
	h.archive.fill(images...)
	d := h.devices(t, nil, succeeds)
	p := h.peer()
	op := p.begin(9, moveRQ, keys("STUDY", dicom.TagStudyInstanceUID, images[0].study))
	if got := outcomeOf(t, last(p.rest(op))); got.status != dimse.Success || got.completed != 3 {
		t.Fatalf("%+v", got)
	}
	if len(d.requests) != 1 || d.requests[0].Calling != "CLOUD" || d.requests[0].Called != "WS1" || len(d.taken) != 3 {
		t.Fatalf("%+v, %d objects", d.requests, len(d.taken))
	}
	for _, s := range d.taken {
		if s.command.MoveOriginatorAETitle != "CT1" || s.command.MoveOriginatorMessageID == nil || *s.command.MoveOriginatorMessageID != op.MessageID() {
			t.Errorf("%+v", s.command)
		}
	}
}

func TestMoveDestinations(t *testing.T) {
	images := series(t, 3, "1", "Doe^Jane")
	for name, c := range map[string]struct {
		reject *ul.Rejection
		answer func(int) (dimse.Status, bool)
		want   outcome
	}{
		"unknown":         {&rejectCalled, succeeds, outcome{statusDestination, -1, -1, -1, nil}},
		"away":            {&rejectAway, succeeds, outcome{statusUnperformed, -1, -1, -1, nil}},
		"refuses one":     {nil, func(n int) (dimse.Status, bool) { return []dimse.Status{0, 0xA900, 0}[n], true }, outcome{dimse.WarningCoercion, 2, 1, 0, nil}},
		"warns of one":    {nil, func(n int) (dimse.Status, bool) { return []dimse.Status{0, 0xB006, 0}[n], true }, outcome{dimse.WarningCoercion, 2, 0, 1, nil}},
		"refuses all":     {nil, func(int) (dimse.Status, bool) { return 0xA900, true }, outcome{statusUnperformed, 0, 3, 0, nil}},
		"hangs up at one": {nil, func(n int) (dimse.Status, bool) { return 0, n != 1 }, outcome{dimse.WarningCoercion, 2, 1, 0, nil}},
		"always hangs up": {nil, func(int) (dimse.Status, bool) { return 0, false }, outcome{statusUnperformed, 0, 3, 0, nil}},
	} {
		h := start(t)
		h.archive.fill(images...)
		h.devices(t, c.reject, c.answer)
		got := outcomeOf(t, last(h.peer().ask(9, moveRQ, keys("STUDY", dicom.TagStudyInstanceUID, images[0].study))))
		if len(got.list) != max(c.want.failed, 0) {
			t.Errorf("%s: %v", name, got.list)
		}
		if got.list = nil; got.status != c.want.status || got.completed != c.want.completed || got.failed != c.want.failed || got.warned != c.want.warned {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestRetrieveIsCancelledBetweenObjects(t *testing.T) {
	h := start(t)
	images := series(t, 50, "1", "Doe^Jane")
	h.archive.fill(images...)
	first, goOn := make(chan struct{}, 50), make(chan struct{})
	h.devices(t, nil, func(int) (dimse.Status, bool) {
		first <- struct{}{}
		<-goOn
		return dimse.Success, true
	})
	p := h.peer()
	op := p.begin(9, moveRQ, keys("STUDY", dicom.TagStudyInstanceUID, images[0].study))
	<-first
	if err := op.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // until it is heard
	close(goOn)
	final := last(p.rest(op)).Command
	if final.Status != dimse.Cancel || final.NumberOfRemainingSuboperations == nil || *final.NumberOfRemainingSuboperations == 0 {
		t.Errorf("%+v", final)
	}
}
