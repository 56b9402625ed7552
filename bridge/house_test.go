package bridge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/dicom/web"
)

// house is a bridge before a scripted archive.
type house struct {
	t       *testing.T
	archive *webArchive
	*Bridge
}

func start(t *testing.T, change ...func(*webArchive)) *house {
	t.Helper()
	a := newWebArchive(t)
	for _, f := range change {
		f(a)
	}
	b := New(Config{Name: "cloud", AETitle: "CLOUD", Client: a.client(t, web.ClientLimits{Connect: time.Second, Answer: 5 * time.Second, Stall: 5 * time.Second})}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.Serve(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return &house{t, a, b}
}

// peer is the other side of an association, and what it was sent.
type peer struct {
	t *testing.T
	*dimse.Exchange
	mu    sync.Mutex
	taken []sent
}

// sent is one message that a peer was sent.
type sent struct {
	command dimse.Command
	ts      dicom.UID
	data    []byte
}

// exchange talks on an association, and answers what comes on it with success.
func exchange(t *testing.T, as *ul.Association) *peer {
	p := &peer{t: t}
	c := dimse.NewConn(as)
	p.Exchange = dimse.NewExchange(c, func(ctx context.Context, m *dimse.Message) error {
		s := sent{command: m.Command, ts: m.Context.TransferSyntax}
		if m.Data != nil {
			var err error
			if s.data, err = io.ReadAll(m.Data); err != nil {
				return err
			}
		}
		p.mu.Lock()
		p.taken = append(p.taken, s)
		p.mu.Unlock()
		return p.Respond(ctx, m, dimse.Command{EventTypeID: m.Command.EventTypeID}, nil)
	})
	var running sync.WaitGroup
	running.Go(func() { p.Run(context.Background()) })
	t.Cleanup(func() { c.Close(); running.Wait() })
	return p
}

func (p *peer) has() []sent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.taken)
}

var (
	explicit = []dicom.UID{dicom.ExplicitVRLittleEndian}
	findRQ   = dimse.Command{Field: dimse.CFindRQ, AffectedSOPClassUID: dicom.StudyRootQueryRetrieveInformationModelFind}
	getRQ    = dimse.Command{Field: dimse.CGetRQ, AffectedSOPClassUID: dicom.StudyRootQueryRetrieveInformationModelGet}
	moveRQ   = dimse.Command{Field: dimse.CMoveRQ, AffectedSOPClassUID: dicom.StudyRootQueryRetrieveInformationModelMove, MoveDestination: "WS1"}
)

// associate opens an association, with a context for everything.
func (h *house) associate(contexts ...ul.ProposedContext) (*ul.Association, error) {
	nc, err := h.Dial(h.t.Context())
	if err != nil {
		return nil, err
	}
	if contexts == nil {
		contexts = []ul.ProposedContext{
			{ID: 1, AbstractSyntax: dicom.Verification, TransferSyntaxes: explicit},
			{ID: 3, AbstractSyntax: dicom.CTImageStorage, TransferSyntaxes: explicit},
			{ID: 5, AbstractSyntax: findRQ.AffectedSOPClassUID, TransferSyntaxes: explicit},
			{ID: 7, AbstractSyntax: getRQ.AffectedSOPClassUID, TransferSyntaxes: explicit},
			{ID: 9, AbstractSyntax: moveRQ.AffectedSOPClassUID, TransferSyntaxes: explicit},
			{ID: 11, AbstractSyntax: dicom.StorageCommitmentPushModel, TransferSyntaxes: explicit},
			{ID: 13, AbstractSyntax: dicom.PatientRootQueryRetrieveInformationModelFind, TransferSyntaxes: explicit},
		}
	}
	return ul.Associate(h.t.Context(), nc, ul.Request{
		Calling: "CT1", Called: "CLOUD", Contexts: contexts,
		Roles: []ul.RoleSelection{{SOPClass: dicom.CTImageStorage, SCU: true, SCP: true}},
	}, ul.Limits{})
}

func (h *house) peer(contexts ...ul.ProposedContext) *peer {
	h.t.Helper()
	as, err := h.associate(contexts...)
	if err != nil {
		h.t.Fatal(err)
	}
	return exchange(h.t, as)
}

// send stores an image.
func (p *peer) send(im image) dimse.Command {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	rsp, err := p.Store(ctx, 3, dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.uid}, bytes.NewReader(im.data))
	if err != nil {
		p.t.Fatal(err)
	}
	return rsp
}

// ask sends a request with an identifier, and returns all responses.
func (p *peer) ask(id uint8, rq dimse.Command, identifier web.DataSet) []dimse.Reply {
	p.t.Helper()
	return p.rest(p.begin(id, rq, identifier))
}

func (p *peer) begin(id uint8, rq dimse.Command, identifier web.DataSet) *dimse.Operation {
	p.t.Helper()
	var b bytes.Buffer
	if err := identifier.Encode(&b, dicom.ExplicitVRLittleEndian); err != nil {
		p.t.Fatal(err)
	}
	op, err := p.Begin(p.t.Context(), id, rq, &b)
	if err != nil {
		p.t.Fatal(err)
	}
	return op
}

func (p *peer) rest(op *dimse.Operation) (all []dimse.Reply) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	for {
		reply, err := op.Next(ctx)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			p.t.Fatal(err)
		}
		all = append(all, reply)
	}
}

// keys is an identifier.
func keys(level string, values ...any) web.DataSet {
	var d web.DataSet
	d.SetString(dicom.TagQueryRetrieveLevel, dicom.CS, level)
	for i := 0; i < len(values); i += 2 {
		tag := values[i].(dicom.Tag)
		attribute, _ := dicom.LookupAttribute(tag)
		switch v := values[i+1].(type) {
		case dicom.UID:
			d.SetString(tag, attribute.VRs[0], string(v))
		case string:
			d.SetString(tag, attribute.VRs[0], v)
		}
	}
	return d
}

// rows are the matches of a C-FIND.
func rows(t *testing.T, all []dimse.Reply) (out []web.DataSet) {
	t.Helper()
	for _, r := range all[:len(all)-1] {
		d, err := web.ReadDataSet(r.Data, dicom.ExplicitVRLittleEndian, web.Limits{})
		if err != nil || r.Command.Status != dimse.Pending {
			t.Fatalf("%04X, %v", uint16(r.Command.Status), err)
		}
		out = append(out, d)
	}
	return out
}

func last(all []dimse.Reply) dimse.Reply { return all[len(all)-1] }

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within 10 s: %s", what)
}
