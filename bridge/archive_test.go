package bridge

import (
	"bytes"
	"crypto/rand"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"cordon/dicom"
	"cordon/dicom/web"
)

// webArchive is a DICOMweb archive in memory, whose answers a test may change.
type webArchive struct {
	t      testing.TB
	server *httptest.Server

	mu      sync.Mutex
	objects map[dicom.UID]kept // by SOP instance
	asked   []string           // requests, as "GET /path?query"

	// May be set before any request.
	page    int                                               // matches of one answer at the most; 0: all
	onStore func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
	onFind  func(w http.ResponseWriter, q web.Query) bool     // the same
	onGet   func(w http.ResponseWriter, r web.Resource, as web.MediaType) bool
}

// kept is one object of an archive's.
type kept struct {
	about web.DataSet
	ts    dicom.UID
	file  []byte
}

func newWebArchive(t testing.TB) *webArchive {
	a := &webArchive{t: t, objects: map[dicom.UID]kept{}}
	a.server = httptest.NewServer(a)
	t.Cleanup(a.server.Close)
	return a
}

func (a *webArchive) client(t testing.TB, l web.ClientLimits) *web.Client {
	t.Helper()
	c, err := web.NewClient(web.ClientConfig{Base: a.server.URL + "/dicom-web", Limits: l})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (a *webArchive) ServeHTTP(w http.ResponseWriter, rq *http.Request) {
	a.mu.Lock()
	a.asked = append(a.asked, rq.Method+" "+rq.URL.RequestURI())
	a.mu.Unlock()
	r, err := web.ParseResource(strings.TrimPrefix(rq.URL.EscapedPath(), "/dicom-web"))
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	switch {
	case rq.Method == http.MethodPost:
		if a.onStore == nil || !a.onStore(w, rq) {
			a.store(w, rq)
		}
	case r.Kind == web.KindStudies || r.Kind == web.KindSeriesList || r.Kind == web.KindInstances:
		q, err := web.ParseQuery(r, rq.URL.RawQuery)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if a.onFind == nil || !a.onFind(w, q) {
			a.find(w, q)
		}
	default:
		as, err := web.ParseAccept(rq.Header["Accept"], "")
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if a.onGet == nil || !a.onGet(w, r, as[0]) {
			a.get(w, r)
		}
	}
}

func (a *webArchive) store(w http.ResponseWriter, rq *http.Request) {
	var answer web.StoreResponse
	m, err := web.NewMultipartReader(rq.Body, rq.Header.Get("Content-Type"), web.MultipartLimits{})
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for {
		part, err := m.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return // broken off
		}
		file, err := io.ReadAll(part)
		if err != nil {
			return
		}
		k := a.keep(file)
		answer.Stored = append(answer.Stored, web.StoredInstance{SOPClassUID: k.about.UID(dicom.TagSOPClassUID), SOPInstanceUID: k.about.UID(dicom.TagSOPInstanceUID)})
	}
	web.WriteDataSet(w, answer.StatusCode(), web.Single(web.TypeJSON), answer.DataSet())
}

// keep takes a Part 10 file in.
func (a *webArchive) keep(file []byte) kept {
	b, err := dicom.ReadBeginning(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		a.t.Error(err)
	}
	o, err := web.ReadObject(bytes.NewReader(file), web.Limits{}, func(string) string { return "http://archive/bulk" })
	if err != nil {
		a.t.Error(err)
	}
	k := kept{o.DataSet, b.TransferSyntaxUID, file}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.objects[b.SOPInstanceUID] = k
	return k
}

func (a *webArchive) has() map[dicom.UID]kept {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.objects)
}

func (a *webArchive) requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}

// ordered are the objects, by their instances.
func (a *webArchive) ordered() []kept {
	objects := a.has()
	var out []kept
	for _, u := range slices.Sorted(maps.Keys(objects)) {
		out = append(out, objects[u])
	}
	return out
}

func (a *webArchive) find(w http.ResponseWriter, q web.Query) {
	var rows []web.DataSet
	seen := map[string]bool{}
	for _, k := range a.ordered() {
		if key := uniqueKey(max(q.Level, web.LevelStudy), k.about); matches(k.about, q) && !seen[key] {
			seen[key] = true
			rows = append(rows, k.about)
		}
	}
	rows = rows[min(q.Offset, len(rows)):]
	if a.page > 0 && len(rows) > a.page {
		rows = rows[:a.page]
		w.Header().Set("Warning", `299 archive: There are additional results that can be requested`)
	}
	w.Header().Set("Content-Type", web.TypeJSON)
	x := web.NewJSONWriter(w)
	for _, row := range rows {
		x.Write(row)
	}
	x.Close()
}

func matches(d web.DataSet, q web.Query) bool {
	for _, m := range q.Matches {
		values := strings.Split(m.Value, `\`)
		if got := d.String(m.Path[0]); !slices.ContainsFunc(values, func(v string) bool {
			prefix, wild := strings.CutSuffix(v, "*")
			return got == v || wild && strings.HasPrefix(got, prefix)
		}) {
			return false
		}
	}
	return (q.Study == "" || d.UID(dicom.TagStudyInstanceUID) == q.Study) && (q.Series == "" || d.UID(dicom.TagSeriesInstanceUID) == q.Series)
}

func (a *webArchive) get(w http.ResponseWriter, r web.Resource) {
	a.send(w, func(d web.DataSet) bool {
		return d.UID(dicom.TagStudyInstanceUID) == r.Study &&
			(r.Series == "" || d.UID(dicom.TagSeriesInstanceUID) == r.Series) &&
			(r.Instance == "" || d.UID(dicom.TagSOPInstanceUID) == r.Instance)
	})
}

// send answers with the objects that are wanted.
func (a *webArchive) send(w http.ResponseWriter, wanted func(web.DataSet) bool) {
	m := web.NewMultipartWriter(w, web.Related(web.TypeDICOM, ""))
	w.Header().Set("Content-Type", m.ContentType())
	for _, k := range a.ordered() {
		if !wanted(k.about) {
			continue
		}
		part, err := m.Part(web.Single(web.TypeDICOM), "")
		if err == nil {
			_, err = part.Write(k.file)
		}
		if err != nil {
			return
		}
	}
	m.Close()
}

// image is an object to send.
type image struct {
	class, uid, study, series dicom.UID
	ts                        dicom.UID
	data                      []byte
}

func newUID(t testing.TB) dicom.UID {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatal(err)
	}
	return dicom.UID("2.25." + n.String())
}

// series makes images of one series of a patient.
func series(t testing.TB, n int, patient, name string) []image {
	t.Helper()
	study, one := newUID(t), newUID(t)
	out := make([]image, n)
	for i := range out {
		out[i] = image{class: dicom.CTImageStorage, uid: newUID(t), study: study, series: one, ts: dicom.ExplicitVRLittleEndian}
		out[i].data = out[i].encode(t, patient, name, i)
	}
	return out
}

func (im image) encode(t testing.TB, patient, name string, number int) []byte {
	t.Helper()
	ts, _ := dicom.LookupTransferSyntax(im.ts)
	var b bytes.Buffer
	w := dicom.NewWriter(&b, ts)
	w.String(dicom.TagSpecificCharacterSet, dicom.CS, "ISO_IR 192")
	w.String(dicom.TagSOPClassUID, dicom.UI, string(im.class))
	w.String(dicom.TagSOPInstanceUID, dicom.UI, string(im.uid))
	w.String(dicom.TagModality, dicom.CS, "CT")
	w.String(dicom.TagPatientName, dicom.PN, name)
	w.String(dicom.TagPatientID, dicom.LO, patient)
	w.String(dicom.TagStudyInstanceUID, dicom.UI, string(im.study))
	w.String(dicom.TagSeriesInstanceUID, dicom.UI, string(im.series))
	w.String(dicom.TagInstanceNumber, dicom.IS, strconv.Itoa(number))
	w.Element(dicom.TagPixelData, dicom.OW, bytes.Repeat([]byte{byte(number)}, 512))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// file is the image as a Part 10 file.
func (im image) file(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := dicom.WriteFileMeta(&b, dicom.FileMeta{SOPClassUID: im.class, SOPInstanceUID: im.uid, TransferSyntaxUID: im.ts}); err != nil {
		t.Fatal(err)
	}
	b.Write(im.data)
	return b.Bytes()
}

// fill puts images into the archive.
func (a *webArchive) fill(images ...image) {
	for _, im := range images {
		a.keep(im.file(a.t))
	}
}
