package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/asset"
	"cordon/commitment"
	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/exception"
	"cordon/judge"
	"cordon/ledger"
	"cordon/mpps"
	"cordon/policy"
	"cordon/store"
)

// eicar is the harmless test string that every scanner knows, in two parts so
// that this source file is not one.
const eicar = `X5O!P%@AP[4\PZX54(P^)7CC)7}$` + `EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`

// house is a whole gateway in a temporary directory, before a scripted archive.
type house struct {
	t       testing.TB
	dir     string
	db      *store.DB
	custody *custody.Custody
	except  *exception.Exceptions
	ledger  *ledger.Ledger
	gateway *Gateway
	archive *scriptedArchive
	address string
	stop    func() // ends the gateway in order; may be called twice
}

func open(t testing.TB, dir string, c Config, wire ...func(*house, *Parts)) *house {
	t.Helper()
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	h := &house{t: t, dir: dir}
	var err error
	h.db, err = store.OpenDB(ctx, filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), custody.Migrations(), exception.Migrations(), asset.Migrations(), commitment.Migrations(), mpps.Migrations(), Migrations()})
	must(err)
	h.ledger, err = ledger.Open(ctx, h.db, filepath.Join(dir, "ledger.key"), "test")
	must(err)
	h.custody, err = custody.Open(ctx, h.db, dir, h.ledger, custody.Options{})
	must(err)
	h.except, err = exception.Open(ctx, h.db, h.ledger)
	must(err)
	parts := Parts{
		DB: h.db, Custody: h.custody, Ledger: h.ledger,
		Judge: judge.New(judge.Config{Rules: policy.DefaultRules()}),
		Log:   slog.New(slog.NewTextHandler(t.Output(), nil)),

		Exceptions: h.except,
	}
	for _, w := range wire {
		w(h, &parts)
	}
	h.gateway, err = New(ctx, c, parts)
	must(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	h.address = l.Addr().String()
	run, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { h.gateway.Serve(run, l) })
	running.Go(func() { h.gateway.Deliver(run) })
	h.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		h.listed()
		must(h.db.Close())
	})
	t.Cleanup(h.stop)
	return h
}

// listed holds every record of the house against the ledger's catalogue of kinds.
func (h *house) listed() {
	h.t.Helper()
	if err := h.db.Update(context.Background(), func(*store.Tx) error { return nil }); err != nil { // takes along what is queued
		return // a test has closed it
	}
	err := h.ledger.Tail(context.Background(), 1<<20, func(r ledger.Record) error {
		if err := ledger.Listed(r); err != nil && !strings.HasPrefix(r.Kind, "test.") {
			h.t.Errorf("record %d: %v", r.Seq, err)
		}
		return nil
	})
	if err != nil {
		h.t.Error(err)
	}
}

// start opens a house in front of a scripted archive that takes everything.
func start(t *testing.T, change ...func(*Config)) *house {
	t.Helper()
	a := newScriptedArchive(t)
	h := open(t, t.TempDir(), config(a.address, change...))
	h.archive = a
	return h
}

func config(archive string, change ...func(*Config)) Config {
	c := Config{
		Site:            policy.Site{AETitle: "CORDON", Unknown: policy.LearnUnknown, Archives: []policy.Archive{{Name: "pacs", AETitle: "PACS"}}},
		Upstreams:       []Upstream{{Name: "pacs", AETitle: "PACS", Address: archive}},
		ConnectTimeout:  2 * time.Second,
		ResponseTimeout: 2 * time.Second,
		Grace:           2 * time.Second,
		RetryMin:        50 * time.Millisecond,
		RetryMax:        200 * time.Millisecond,
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

// ledgerKinds lists the kinds of all records, after what is queued is written.
func (h *house) records() []ledger.Record {
	h.t.Helper()
	if err := h.ledger.Record(context.Background(), "test.flush", map[string]any{}); err != nil {
		h.t.Fatal(err)
	}
	var out []ledger.Record
	err := h.ledger.Tail(context.Background(), 100000, func(r ledger.Record) error {
		out = append(out, r)
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func (h *house) recorded(kind string) []map[string]any {
	h.t.Helper()
	var out []map[string]any
	for _, r := range h.records() {
		if r.Kind == kind {
			body := map[string]any{}
			if err := json.Unmarshal(r.Body, &body); err != nil {
				h.t.Fatal(err)
			}
			out = append(out, body)
		}
	}
	return out
}

func (h *house) inState(s custody.State) []custody.Object {
	h.t.Helper()
	out, err := h.custody.List(context.Background(), custody.Filter{States: []custody.State{s}})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// modality associates with the gateway.
func (h *house) modality(contexts ...ul.ProposedContext) *dimse.Conn {
	h.t.Helper()
	c, err := h.associate("CT1", "CORDON", contexts...)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (h *house) associate(calling, called dicom.AETitle, contexts ...ul.ProposedContext) (*dimse.Conn, error) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if contexts == nil {
		contexts = []ul.ProposedContext{
			{ID: 1, AbstractSyntax: dicom.Verification, TransferSyntaxes: []dicom.UID{dicom.ImplicitVRLittleEndian}},
			{ID: 3, AbstractSyntax: dicom.CTImageStorage, TransferSyntaxes: []dicom.UID{dicom.ExplicitVRLittleEndian, dicom.ImplicitVRLittleEndian}},
		}
	}
	as, err := ul.Dial(ctx, h.address, nil, ul.Request{Calling: calling, Called: called, Contexts: contexts}, ul.Limits{})
	if err != nil {
		return nil, err
	}
	c := dimse.NewConn(as)
	h.t.Cleanup(func() { c.Close() })
	return c, nil
}

// image is a small CT data set in explicit VR little endian.
type image struct {
	class, uid, study, series dicom.UID
	data                      []byte
}

func newUID() dicom.UID {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err)
	}
	return dicom.UID("2.25." + n.String())
}

// newImage builds a data set; extra is the value of a private OB element, if any.
func newImage(t testing.TB, extra []byte) image {
	t.Helper()
	im := image{class: dicom.CTImageStorage, uid: newUID(), study: newUID(), series: newUID()}
	im.data = im.encode(t, extra)
	return im
}

func (im image) encode(t testing.TB, extra []byte) []byte {
	t.Helper()
	ts, _ := dicom.LookupTransferSyntax(dicom.ExplicitVRLittleEndian)
	var b bytes.Buffer
	w := dicom.NewWriter(&b, ts)
	w.String(0x00080016, dicom.UI, string(im.class))
	w.String(0x00080018, dicom.UI, string(im.uid))
	w.String(0x00080060, dicom.CS, "CT")
	if extra != nil {
		w.String(0x00090010, dicom.LO, "CORDON TEST")
		w.Element(0x00091001, dicom.OB, extra)
	}
	w.String(0x0020000D, dicom.UI, string(im.study))
	w.String(0x0020000E, dicom.UI, string(im.series))
	w.Uint16(0x00280002, 1)
	w.String(0x00280004, dicom.CS, "MONOCHROME2")
	w.Uint16(0x00280010, 16)
	w.Uint16(0x00280011, 16)
	w.Uint16(0x00280100, 16)
	w.Uint16(0x00280101, 16)
	w.Uint16(0x00280102, 15)
	w.Uint16(0x00280103, 0)
	w.Element(0x7FE00010, dicom.OW, make([]byte, 512))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// send stores the image on context 3 and returns the response.
func send(t testing.TB, c *dimse.Conn, im image) dimse.Command {
	t.Helper()
	rsp, err := trySend(c, im)
	if err != nil {
		t.Fatal(err)
	}
	return rsp
}

func trySend(c *dimse.Conn, im image) (dimse.Command, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return c.Store(ctx, 3, dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.uid}, bytes.NewReader(im.data))
}

func release(t *testing.T, c *dimse.Conn) {
	t.Helper()
	if err := c.Release(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within 15 s: %s", what)
}

// stored is one object that the scripted archive took.
type stored struct {
	command dimse.Command
	context ul.Context
	calling dicom.AETitle
	data    []byte
}

// scriptedArchive is a real C-STORE SCP whose answers a test decides.
type scriptedArchive struct {
	t       testing.TB
	address string

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
	objects  []stored
	requests []*ul.Request

	// May be set before any association. They run under mu.
	accept func(ul.ProposedContext) ul.AcceptedContext
	reject *ul.Rejection
	answer func(n int, s stored) (dimse.Command, bool) // n counts from 0; false hangs up instead
	began  func()                                      // a message of an object has arrived
	forget bool                                        // keep no objects
}

func newScriptedArchive(t testing.TB) *scriptedArchive {
	a := &scriptedArchive{
		t: t,
		accept: func(p ul.ProposedContext) ul.AcceptedContext {
			return ul.AcceptedContext{ID: p.ID, TransferSyntax: p.TransferSyntaxes[0]}
		},
		answer: func(int, stored) (dimse.Command, bool) { return dimse.Command{}, true },
	}
	a.up("127.0.0.1:0")
	t.Cleanup(a.down)
	return a
}

// up starts to listen; after down, at the same address again.
func (a *scriptedArchive) up(address string) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		a.t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.listener, a.address = l, l.Addr().String()
	go a.run(l) // ends when down closes l
}

func (a *scriptedArchive) run(l net.Listener) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		a.mu.Lock()
		a.conns = append(a.conns, nc)
		a.mu.Unlock()
		go a.serve(nc) // ends with its connection
	}
}

// down hangs up on everybody.
func (a *scriptedArchive) down() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.listener.Close()
	a.hangUp()
}

// hangUp needs mu.
func (a *scriptedArchive) hangUp() {
	for _, nc := range a.conns {
		nc.Close()
	}
	a.conns = nil
}

func (a *scriptedArchive) serve(nc net.Conn) {
	defer nc.Close()
	ctx := context.Background()
	in, err := ul.Receive(ctx, nc, ul.Limits{})
	if err != nil {
		return
	}
	a.mu.Lock()
	a.requests = append(a.requests, &in.Request)
	reject := a.reject
	var rs ul.Response
	for _, p := range in.Request.Contexts {
		rs.Contexts = append(rs.Contexts, a.accept(p))
	}
	a.mu.Unlock()
	if reject != nil {
		in.Reject(*reject)
		return
	}
	as, err := in.Accept(rs)
	if err != nil {
		return
	}
	c := dimse.NewConn(as)
	defer c.Close()
	for {
		m, err := c.Receive(ctx)
		if err != nil {
			return
		}
		if m.Data == nil { // a C-ECHO
			if c.Respond(ctx, m, dimse.Command{}, nil) != nil {
				return
			}
			continue
		}
		if a.began != nil {
			a.began()
		}
		s := stored{command: m.Command, context: m.Context, calling: in.Request.Calling}
		if a.forget {
			_, err = io.Copy(io.Discard, m.Data)
		} else {
			s.data, err = io.ReadAll(m.Data)
		}
		if err != nil {
			return
		}
		a.mu.Lock()
		rsp, ok := a.answer(len(a.objects), s)
		if !a.forget {
			a.objects = append(a.objects, s)
		}
		a.mu.Unlock()
		if !ok {
			return
		}
		rsp.Field = dimse.CStoreRSP
		rsp.MessageIDBeingRespondedTo = m.Command.MessageID
		if rsp.AffectedSOPInstanceUID == "" {
			rsp.AffectedSOPInstanceUID = m.Command.AffectedSOPInstanceUID
		}
		rsp.AffectedSOPClassUID = m.Command.AffectedSOPClassUID
		if c.Send(ctx, m.ContextID, rsp, nil) != nil {
			return
		}
	}
}

func (a *scriptedArchive) has() []stored {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.objects)
}

// holds reports whether the archive has exactly this object's bytes.
func (a *scriptedArchive) holds(im image) bool {
	return slices.ContainsFunc(a.has(), func(s stored) bool {
		return s.command.AffectedSOPInstanceUID == im.uid && bytes.Equal(s.data, im.data)
	})
}

func asRejection(t *testing.T, err error) ul.Rejection {
	t.Helper()
	var r *ul.Rejection
	if !errors.As(err, &r) {
		t.Fatalf("got %v, want a rejection", err)
	}
	return *r
}
