package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/inspect/compose"
)

const (
	queryStudies  = 1000 // in the archive, of one small image each
	oneByOne      = 300  // queries for one study each
	everything    = 10   // queries for all of them
	retrieveTimes = 3
)

// The workstation, as the archive knows it on each way.
const (
	directStation  = "DIRECT"
	throughStation = "THROUGH"
)

// queries asks an Orthanc with 1,000 studies, and has it send one large study, directly and through the gateway.
func queries(ctx context.Context, b *bench) error {
	dir := filepath.Join(b.dir, "query")
	h, err := b.startHospital(ctx, dir)
	if err != nil {
		return err
	}
	defer h.stop()
	rows := [][]string{{"operation", "direct", "through", "unit", "through : direct"}}
	for _, m := range [...]struct {
		name, unit string
		run        func(context.Context, way) (float64, error)
	}{
		{"C-FIND, one study each", "queries/s", h.findOne},
		{"C-FIND, 1,000 matches each", "matches/s", h.findAll},
		{"C-MOVE, one study", "images/s", h.move},
		{"C-GET, one study", "images/s", h.get},
	} {
		direct, err := m.run(ctx, h.direct)
		if err != nil {
			return fmt.Errorf("%s, direct: %w", m.name, err)
		}
		through, err := m.run(ctx, h.through)
		if err != nil {
			return fmt.Errorf("%s, through cordon: %w", m.name, err)
		}
		rows = append(rows, []string{m.name, fmt.Sprintf("%.0f", direct), fmt.Sprintf("%.0f", through), m.unit, fmt.Sprintf("%.2f", through/direct)})
	}
	b.table(fmt.Sprintf("%d studies in Orthanc; a study of %d CT images of 525 kB; one association, medians of %d", queryStudies, h.images, retrieveTimes), rows)
	return nil
}

// A way is how the archive is reached, and where it sends to.
type way struct {
	port    string // to ask
	station string // who asks, and receives
	receive string // the port on which it does
}

// A hospital is an archive, and a gateway in front of it.
type hospital struct {
	archive         *upstream
	gateway         *gateway
	direct, through way
	large           dicom.UID // the study of many images
	images          int
	dir             string
}

func (h *hospital) stop() {
	h.gateway.peer.stop()
	h.archive.peer.stop()
}

func (b *bench) startHospital(ctx context.Context, dir string) (*hospital, error) {
	h := &hospital{images: min(b.images, 300), dir: dir}
	for _, w := range []*way{&h.direct, &h.through} {
		var err error
		if w.receive, err = freePort(); err != nil {
			return nil, err
		}
	}
	listen, err := freePort()
	if err != nil {
		return nil, err
	}
	h.direct.station, h.through.station = directStation, throughStation
	h.archive, err = startOrthancWith(ctx, filepath.Join(dir, "archive"), tuned, map[string]any{
		"DicomModalities":      map[string]any{"direct": modality(directStation, h.direct.receive), "through": modality(throughStation, listen)},
		"DicomAlwaysAllowFind": true, "DicomAlwaysAllowGet": true, "DicomAlwaysAllowMove": true,
	})
	if err != nil {
		return nil, err
	}
	if err := h.fill(ctx); err != nil {
		h.archive.peer.stop()
		return nil, err
	}
	h.gateway, err = b.startCordonOn(ctx, listen, filepath.Join(dir, "cordon"), h.archive.title, h.archive.port, fmt.Sprintf(
		"devices: [{name: station, ae_title: %s, port: %s, addresses: [127.0.0.1/32]}]\n", throughStation, h.through.receive))
	if err != nil {
		h.archive.peer.stop()
		return nil, err
	}
	h.direct.port, h.through.port = h.archive.port, h.gateway.port
	return h, nil
}

func modality(title, port string) []any {
	number, _ := strconv.Atoi(port)
	return []any{title, "127.0.0.1", number}
}

// fill stores the small studies and the large one.
func (h *hospital) fill(ctx context.Context) error {
	small := filepath.Join(h.dir, "small")
	if err := os.MkdirAll(small, 0o700); err != nil {
		return err
	}
	for i := range queryStudies {
		o := compose.CT(8, 8)
		o.SetString(dicom.TagPatientID, dicom.LO, patientID(i))
		if err := os.WriteFile(filepath.Join(small, fmt.Sprintf("%05d.dcm", i)), o.File(), 0o600); err != nil {
			return err
		}
	}
	large := filepath.Join(h.dir, "large")
	if err := os.MkdirAll(large, 0o700); err != nil {
		return err
	}
	o := compose.CT(ctSide, ctSide)
	o.SetString(dicom.TagPatientID, dicom.LO, "LARGE")
	for i := range h.images {
		o.Instance, o.InstanceNumber = compose.NewUID(), i+1
		if err := os.WriteFile(filepath.Join(large, fmt.Sprintf("%05d.dcm", i)), o.File(), 0o600); err != nil {
			return err
		}
	}
	h.large = o.Study
	return errors.Join(storescu(ctx, tuned, h.archive.port, h.archive.title, small), storescu(ctx, tuned, h.archive.port, h.archive.title, large))
}

func patientID(i int) string { return fmt.Sprintf("P%05d", i) }

// findOne asks for one study after the other.
func (h *hospital) findOne(ctx context.Context, w way) (float64, error) {
	return rateOf(func() (int, error) {
		return h.find(ctx, w, oneByOne, 1, func(i int) string { return patientID(i) })
	})
}

// findAll asks for all studies again and again.
func (h *hospital) findAll(ctx context.Context, w way) (float64, error) {
	n, err := rateOf(func() (int, error) {
		return h.find(ctx, w, everything, queryStudies, func(int) string { return "P*" })
	})
	return n * queryStudies, err
}

// rateOf is the median of a few runs of what does so much, in units a second.
func rateOf(run func() (int, error)) (float64, error) {
	var rates []float64
	for range retrieveTimes {
		begin := time.Now()
		n, err := run()
		if err != nil {
			return 0, err
		}
		rates = append(rates, float64(n)/time.Since(begin).Seconds())
	}
	slices.Sort(rates)
	return rates[len(rates)/2], nil
}

// find asks n times on one association and checks how many matches come each time.
func (h *hospital) find(ctx context.Context, w way, n, matches int, patient func(int) string) (int, error) {
	const model = dicom.StudyRootQueryRetrieveInformationModelFind
	a, err := ul.Dial(ctx, "127.0.0.1:"+w.port, nil, ul.Request{
		Calling: dicom.AETitle(w.station), Called: dicom.AETitle(h.archive.title),
		Contexts: []ul.ProposedContext{{AbstractSyntax: model, TransferSyntaxes: []dicom.UID{dicom.ExplicitVRLittleEndian}}},
	}, ul.Limits{})
	if err != nil {
		return 0, err
	}
	c := dimse.NewConn(a)
	defer c.Close()
	x := dimse.NewExchange(c, nil)
	go x.Run(ctx) // ends with the association
	for i := range n {
		o, err := x.Begin(ctx, a.Contexts()[0].ID, dimse.Command{Field: dimse.CFindRQ, AffectedSOPClassUID: model}, identifier(patient(i)))
		if err != nil {
			return 0, err
		}
		if got, err := count(ctx, o); err != nil || got != matches {
			return 0, fmt.Errorf("query %d: %d matches, want %d: %w", i, got, matches, err)
		}
	}
	return n, c.Release(ctx)
}

// count counts the matches of a query that ends well.
func count(ctx context.Context, o *dimse.Operation) (int, error) {
	for n := 0; ; n++ {
		r, err := o.Next(ctx)
		switch {
		case err != nil:
			return n, err
		case r.Command.Status == dimse.Success:
			return n, nil
		case r.Command.Status.Class() != dimse.ClassPending:
			return n, fmt.Errorf("status %04X: %s", uint16(r.Command.Status), r.Command.ErrorComment)
		}
	}
}

func identifier(patient string) io.Reader {
	ts, _ := dicom.LookupTransferSyntax(dicom.ExplicitVRLittleEndian)
	var b bytes.Buffer
	w := dicom.NewWriter(&b, ts)
	w.String(dicom.TagStudyDate, dicom.DA, "")
	w.String(dicom.TagQueryRetrieveLevel, dicom.CS, "STUDY")
	w.String(dicom.TagPatientName, dicom.PN, "")
	w.String(dicom.TagPatientID, dicom.LO, patient)
	w.String(dicom.TagStudyInstanceUID, dicom.UI, "")
	_ = w.Close() // a buffer takes everything
	return &b
}

// move has the archive send the large study to a receiver that keeps nothing.
func (h *hospital) move(ctx context.Context, w way) (float64, error) {
	return rateOf(func() (int, error) {
		return h.images, h.retrieve(ctx, w, "movescu", "-aem", w.station, "+P", w.receive)
	})
}

func (h *hospital) get(ctx context.Context, w way) (float64, error) {
	return rateOf(func() (int, error) { return h.images, h.retrieve(ctx, w, "getscu") })
}

// retrieve runs one of DCMTK's retrievers; the images must all come.
func (h *hospital) retrieve(ctx context.Context, w way, program string, more ...string) error {
	args := append([]string{"-v", "-S", "--ignore", "-aet", w.station, "-aec", h.archive.title, "-k", "QueryRetrieveLevel=STUDY",
		"-k", "StudyInstanceUID=" + string(h.large)}, more...)
	cmd := exec.CommandContext(ctx, program, append(args, "127.0.0.1", w.port)...)
	cmd.Env = append(os.Environ(), tuned...)
	out, err := cmd.CombinedOutput()
	if got := bytes.Count(out, []byte("Received Store Request")) + bytes.Count(out, []byte("Received C-STORE Request")); err != nil || got < h.images {
		return fmt.Errorf("%s: %d of %d images: %w: %s", program, got, h.images, err, out[max(0, len(out)-500):])
	}
	return nil
}
