package webgate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/textproto"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/web"
	"cordon/exception"
	"cordon/inspect/compose"
	"cordon/judge"
	"cordon/ledger"
	"cordon/policy"
	"cordon/store"
)

// house is a whole server in a temporary directory, before a scripted archive.
type house struct {
	t       testing.TB
	dir     string
	db      *store.DB
	custody *custody.Custody
	ledger  *ledger.Ledger
	server  *Server
	url     string // of the services
	archive *webArchive
	dimse   *dimseArchive
	stop    func()
	closed  bool // its database is
}

// open opens a house before the upstream given.
func open(t testing.TB, dir string, up Upstream, archives Archives, change ...func(*Config, *Parts)) *house {
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
	h.db, err = store.OpenDB(ctx, filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), custody.Migrations(), exception.Migrations(), Migrations()})
	must(err)
	h.ledger, err = ledger.Open(ctx, h.db, filepath.Join(dir, "ledger.key"), "test")
	must(err)
	h.custody, err = custody.Open(ctx, h.db, dir, h.ledger, custody.Options{})
	must(err)
	except, err := exception.Open(ctx, h.db, h.ledger)
	must(err)
	site := policy.Site{
		AETitle: "CORDON", Unknown: policy.LearnUnknown,
		Archives: []policy.Archive{{Name: "pacs", AETitle: "PACS"}},
	}
	c := Config{
		Site: func() policy.Site { return site }, Upstreams: []Upstream{up},
		Stall: 2 * time.Second, Quiet: 50 * time.Millisecond, RetryMin: 50 * time.Millisecond, RetryMax: 100 * time.Millisecond, Grace: time.Second,
	}
	parts := Parts{
		DB: h.db, Custody: h.custody, Ledger: h.ledger, Exceptions: except, Archives: archives,
		Judge: judge.New(judge.Config{Rules: policy.DefaultRules()}),
		Log:   slog.New(slog.NewTextHandler(t.Output(), nil)),
		Who: func(r *http.Request) (policy.WebPeer, error) {
			return policy.WebPeer{Address: netip.MustParseAddrPort(r.RemoteAddr).Addr()}, nil
		},
	}
	for _, f := range change {
		f(&c, &parts)
	}
	h.server, err = New(ctx, c, parts)
	must(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	h.url = "http://" + l.Addr().String() + "/dicom-web"
	run, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { h.server.Serve(run, l, nil) })
	h.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if h.closed {
			return
		}
		h.listed()
		must(h.db.Close())
	})
	t.Cleanup(h.stop)
	return h
}

// start opens a house before a scripted archive that speaks DICOMweb.
func start(t testing.TB, change ...func(*Config, *Parts)) *house {
	t.Helper()
	a := newWebArchive(t)
	h := open(t, t.TempDir(), Upstream{Name: "pacs", Web: a.client(t)}, nil, change...)
	h.archive = a
	return h
}

// startDIMSE opens one before an archive that speaks DIMSE.
func startDIMSE(t testing.TB, change ...func(*Config, *Parts)) *house {
	t.Helper()
	a := &dimseArchive{objects: map[dicom.UID]*compose.Object{}}
	h := open(t, t.TempDir(), Upstream{Name: "pacs"}, a, change...)
	h.dimse = a
	return h
}

// listed holds every record against the ledger's catalogue of kinds.
func (h *house) listed() {
	h.t.Helper()
	for _, r := range h.records() {
		if err := ledger.Listed(r); err != nil && !strings.HasPrefix(r.Kind, "test.") {
			h.t.Errorf("record %d: %v", r.Seq, err)
		}
	}
}

func (h *house) records() (out []ledger.Record) {
	h.t.Helper()
	if err := h.ledger.Record(context.Background(), "test.flush", map[string]any{}); err != nil {
		h.t.Fatal(err)
	}
	err := h.ledger.Tail(context.Background(), 100000, func(r ledger.Record) error {
		out = append(out, r)
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func (h *house) recorded(kind string) (out []map[string]any) {
	h.t.Helper()
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

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error // of the body
}

// store is the body as the response of a store.
func (a answer) store(t testing.TB) web.StoreResponse {
	t.Helper()
	var out web.StoreResponse
	if err := web.ReadJSON(bytes.NewReader(a.body), web.Limits{}, func(d web.DataSet) error {
		out = web.ParseStoreResponse(d)
		return nil
	}); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return out
}

// parts are the parts of a multipart body.
func (a answer) parts(t testing.TB) (out [][]byte) {
	t.Helper()
	_, params, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	for r := multipart.NewReader(bytes.NewReader(a.body), params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
}

func (h *house) do(method, path string, header map[string]string, body io.Reader) answer {
	h.t.Helper()
	rq, err := http.NewRequest(method, h.url+path, body)
	if err != nil {
		h.t.Fatal(err)
	}
	for k, v := range header {
		rq.Header.Set(k, v)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	rsp, err := (&http.Client{Transport: &http.Transport{DisableCompression: true}}).Do(rq.WithContext(ctx))
	if err != nil {
		return answer{err: err}
	}
	defer rsp.Body.Close()
	b, err := io.ReadAll(rsp.Body)
	return answer{rsp.StatusCode, rsp.Header, b, err}
}

func (h *house) get(path string, accept ...string) answer {
	h.t.Helper()
	return h.do(http.MethodGet, path, map[string]string{"Accept": strings.Join(accept, ", ")}, nil)
}

// related is a body of multipart/related, and its type.
func related(kind string, files ...[]byte) (contentType string, body []byte) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range files {
		p, _ := w.CreatePart(textproto.MIMEHeader{"Content-Type": {kind}})
		p.Write(f)
	}
	w.Close()
	return fmt.Sprintf(`multipart/related; type="%s"; boundary=%s`, kind, w.Boundary()), b.Bytes()
}

// stow stores files.
func (h *house) stow(path string, files ...[]byte) answer {
	h.t.Helper()
	contentType, body := related("application/dicom", files...)
	return h.do(http.MethodPost, path, map[string]string{"Content-Type": contentType}, bytes.NewReader(body))
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within 15 s: %s", what)
}

// webArchive is a DICOMweb archive whose answers a test decides.
type webArchive struct {
	*httptest.Server

	mu      sync.Mutex
	objects map[dicom.UID][]byte // files, by instance
	order   []dicom.UID
	seen    []*http.Request // and their headers
	refuse  map[dicom.UID]uint16

	answer func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
}

func newWebArchive(t testing.TB) *webArchive {
	a := &webArchive{objects: map[dicom.UID][]byte{}, refuse: map[dicom.UID]uint16{}}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *webArchive) client(t testing.TB) *web.Client {
	t.Helper()
	c, err := web.NewClient(web.ClientConfig{Base: a.URL + "/pacs", Limits: web.ClientLimits{Connect: time.Second, Answer: 2 * time.Second, Stall: 2 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// put has the archive hold an object.
func (a *webArchive) put(o *compose.Object) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keep(o.Instance, o.File())
}

// keep needs mu.
func (a *webArchive) keep(uid dicom.UID, file []byte) {
	if a.objects[uid] == nil {
		a.order = append(a.order, uid)
	}
	a.objects[uid] = file
}

func (a *webArchive) has(uid dicom.UID) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.objects[uid]
}

func (a *webArchive) requests() []*http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.seen)
}

func (a *webArchive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.seen = append(a.seen, r)
	answer := a.answer
	a.mu.Unlock()
	if answer != nil && answer(w, r) {
		return
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/pacs")
	resource, err := web.ParseResource(path)
	if err != nil {
		http.Error(w, "vendor", http.StatusTeapot)
		return
	}
	switch {
	case r.Method == http.MethodPost && resource.Kind <= web.KindStudy:
		a.store(w, r)
	case resource.Kind == web.KindMetadata, resource.Kind == web.KindStudies, resource.Kind == web.KindSeriesList, resource.Kind == web.KindInstances:
		a.rows(w, resource)
	case resource.Kind == web.KindRendered, resource.Kind == web.KindThumbnail:
		w.Header().Set("Content-Type", "image/jpeg")
		w.Write(compose.JPEG(16, 16))
	default:
		a.give(w, resource)
	}
}

func (a *webArchive) store(w http.ResponseWriter, r *http.Request) {
	m, err := web.NewMultipartReader(r.Body, r.Header.Get("Content-Type"), web.MultipartLimits{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var rsp web.StoreResponse
	for {
		p, err := m.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return
		}
		file, err := io.ReadAll(p)
		if err != nil {
			return
		}
		b, err := dicom.ReadBeginning(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			rsp.Other = append(rsp.Other, 0xC000)
			continue
		}
		a.mu.Lock()
		if reason := a.refuse[b.SOPInstanceUID]; reason != 0 {
			rsp.Failed = append(rsp.Failed, web.FailedInstance{SOPClassUID: b.SOPClassUID, SOPInstanceUID: b.SOPInstanceUID, FailureReason: reason})
		} else {
			a.keep(b.SOPInstanceUID, file)
			rsp.Stored = append(rsp.Stored, web.StoredInstance{SOPClassUID: b.SOPClassUID, SOPInstanceUID: b.SOPInstanceUID})
		}
		a.mu.Unlock()
	}
	web.WriteDataSet(w, rsp.StatusCode(), web.Single(web.TypeJSON), rsp.DataSet())
}

// matching are the files of a resource.
func (a *webArchive) matching(r web.Resource) (out [][]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, uid := range a.order {
		o, err := web.ReadObject(bytes.NewReader(a.objects[uid]), web.Limits{}, func(string) string { return "x" })
		if err != nil {
			continue
		}
		d := o.DataSet
		if within(r, identityOf(d)) {
			out = append(out, a.objects[uid])
		}
	}
	return out
}

func (a *webArchive) give(w http.ResponseWriter, r web.Resource) {
	files := a.matching(r)
	if len(files) == 0 {
		http.Error(w, "none", http.StatusNotFound)
		return
	}
	contentType, body := related("application/dicom", files...)
	w.Header().Set("Content-Type", contentType)
	w.Write(body)
}

func (a *webArchive) rows(w http.ResponseWriter, r web.Resource) {
	out := []byte("[")
	for i, file := range a.matching(r) {
		o, err := web.ReadObject(bytes.NewReader(file), web.Limits{}, func(path string) string { return a.URL + "/secret/" + path })
		if err != nil {
			continue
		}
		if i > 0 {
			out = append(out, ',')
		}
		id := identityOf(o.DataSet)
		o.DataSet.SetString(tagRetrieveURL, dicom.UR, a.URL+"/pacs/studies/"+id.StudyInstanceUID+"/series/"+id.SeriesInstanceUID+"/instances/"+id.SOPInstanceUID)
		out = o.DataSet.AppendJSON(out)
	}
	w.Header().Set("Content-Type", web.TypeJSON)
	w.Write(append(out, ']'))
}

// dimseArchive is an archive that speaks DIMSE, as the gateway asks it.
type dimseArchive struct {
	mu      sync.Mutex
	objects map[dicom.UID]*compose.Object
	order   []dicom.UID
	got     map[dicom.UID][]byte // data sets that were stored
	down    bool
	status  dimse.Status
	tail    map[dicom.UID][]byte // that it adds to data sets it gives
}

func (a *dimseArchive) put(o *compose.Object) {
	a.objects[o.Instance] = o
	a.order = append(a.order, o.Instance)
}

func (a *dimseArchive) Away(string) bool { return false }

func (a *dimseArchive) Store(_ context.Context, _ string, _ dicom.AETitle, rq dimse.StoreRequest, _ dicom.UID, data io.Reader, size int64) (dimse.Command, error) {
	b, err := io.ReadAll(data)
	if err != nil {
		return dimse.Command{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.down:
		return dimse.Command{}, fmt.Errorf("%w: test", dimse.ErrAway)
	case int64(len(b)) != size:
		return dimse.Command{}, errors.New("announced another length")
	}
	if a.got == nil {
		a.got = map[dicom.UID][]byte{}
	}
	if a.status.Class() != dimse.ClassFailure {
		a.got[rq.SOPInstanceUID] = b
	}
	return dimse.Command{Status: a.status}, nil
}

func (a *dimseArchive) each(identifier []byte, fn func(*compose.Object) error) error {
	d, err := web.ReadDataSet(identifier, dicom.ExplicitVRLittleEndian, web.Limits{})
	if err != nil {
		return err
	}
	r := web.Resource{Study: d.UID(dicom.TagStudyInstanceUID), Series: d.UID(dicom.TagSeriesInstanceUID), Instance: d.UID(dicom.TagSOPInstanceUID)}
	for _, uid := range a.order {
		o := a.objects[uid]
		if r.Study != "" && r.Study != o.Study || r.Series != "" && r.Series != o.Series || r.Instance != "" && r.Instance != o.Instance {
			continue
		}
		if err := fn(o); err != nil {
			return err
		}
	}
	return nil
}

func (a *dimseArchive) Find(_ context.Context, _ string, _ dicom.AETitle, _ dicom.UID, identifier []byte, match func([]byte, dicom.UID) error) (dimse.Command, error) {
	if a.down {
		return dimse.Command{}, dimse.ErrAway
	}
	err := a.each(identifier, func(o *compose.Object) error {
		var d web.DataSet
		d.SetString(dicom.TagStudyInstanceUID, dicom.UI, string(o.Study))
		d.SetString(dicom.TagSeriesInstanceUID, dicom.UI, string(o.Series))
		d.SetString(dicom.TagSOPInstanceUID, dicom.UI, string(o.Instance))
		d.SetString(dicom.TagQueryRetrieveLevel, dicom.CS, "IMAGE")
		var b bytes.Buffer
		if err := d.Encode(&b, dicom.ImplicitVRLittleEndian); err != nil {
			return err
		}
		return match(b.Bytes(), dicom.ImplicitVRLittleEndian)
	})
	return dimse.Command{}, err
}

func (a *dimseArchive) Retrieve(_ context.Context, _ string, _ dicom.AETitle, identifier []byte, object func(dimse.StoreRequest, dicom.UID, io.Reader) dimse.Status) (dimse.Command, error) {
	if a.down {
		return dimse.Command{}, dimse.ErrAway
	}
	return dimse.Command{Status: a.status}, a.each(identifier, func(o *compose.Object) error {
		object(dimse.StoreRequest{SOPClassUID: o.SOPClass, SOPInstanceUID: o.Instance}, o.TransferSyntax, io.MultiReader(bytes.NewReader(o.DataSet()), bytes.NewReader(a.tail[o.Instance])))
		return nil
	})
}
