package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"cordon/asset"
	"cordon/commitment"
	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/web"
	"cordon/exception"
	"cordon/gateway"
	"cordon/inspect/compose"
	"cordon/judge"
	"cordon/ledger"
	"cordon/mpps"
	"cordon/policy"
	database "cordon/store"
	"cordon/webgate"
)

// webFront is the DICOMweb server of a Cordon, in this process, before an Orthanc.
type webFront struct {
	url     string
	custody *custody.Custody
	ledger  *ledger.Ledger
}

// startWebFront starts one before an Orthanc that is asked over HTTP, or, if it speaks DIMSE alone, by a gateway.
func startWebFront(t *testing.T, orthanc *peer, overHTTP bool) *webFront {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := database.OpenDB(ctx, filepath.Join(dir, "cordon.db"), []database.Migrations{
		ledger.Migrations(), custody.Migrations(), exception.Migrations(), asset.Migrations(), commitment.Migrations(), mpps.Migrations(), gateway.Migrations(), webgate.Migrations(),
	})
	must(err)
	f := &webFront{}
	f.ledger, err = ledger.Open(ctx, db, filepath.Join(dir, "ledger.key"), "test")
	must(err)
	f.custody, err = custody.Open(ctx, db, dir, f.ledger, custody.Options{})
	must(err)
	except, err := exception.Open(ctx, db, f.ledger)
	must(err)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	j := judge.New(judge.Config{Rules: policy.DefaultRules()})
	site := policy.Site{AETitle: cordonTitle, Unknown: policy.LearnUnknown, Archives: []policy.Archive{{Name: "pacs", AETitle: orthanc.AETitle}}}
	parts := webgate.Parts{DB: db, Custody: f.custody, Ledger: f.ledger, Judge: j, Exceptions: except, Log: log, Who: webgate.NewIdentify(nil)}
	up := webgate.Upstream{Name: "pacs"}
	if overHTTP {
		up.Web, err = web.NewClient(web.ClientConfig{Base: orthanc.HTTP + "/dicom-web"})
		must(err)
	} else {
		parts.Archives, err = gateway.New(ctx, gateway.Config{Site: site, Upstreams: []gateway.Upstream{{Name: "pacs", AETitle: orthanc.AETitle, Address: orthanc.Address}}},
			gateway.Parts{DB: db, Custody: f.custody, Ledger: f.ledger, Judge: j, Exceptions: except, Log: log})
		must(err)
	}
	s, err := webgate.New(ctx, webgate.Config{Site: func() policy.Site { return site }, Upstreams: []webgate.Upstream{up}}, parts)
	must(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	f.url = "http://" + l.Addr().String() + "/dicom-web"
	run, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { s.Serve(run, l, nil) })
	t.Cleanup(func() { stop(); running.Wait(); must(db.Close()) })
	return f
}

// curl asks with the program of that name, and returns the status and the body.
func curl(t *testing.T, args ...string) (status int, header http.Header, body []byte) {
	t.Helper()
	dir := t.TempDir()
	out, head := filepath.Join(dir, "body"), filepath.Join(dir, "header")
	said := run(t, "curl", append([]string{"-sS", "-m", "60", "-o", out, "-D", head, "-w", "%{http_code}"}, args...)...)
	if _, err := fmt.Sscan(said, &status); err != nil {
		t.Fatalf("curl says %q", said)
	}
	text, err := os.ReadFile(out)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	lines, err := os.ReadFile(head)
	if err != nil {
		t.Fatal(err)
	}
	header = http.Header{}
	for line := range strings.Lines(string(lines)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			header.Add(name, value)
		}
	}
	return status, header, text
}

// stowFile writes a STOW-RS body of files, and returns where it is, and its type.
func stowFile(t *testing.T, files ...[]byte) (path, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range files {
		p, err := w.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/dicom"}})
		if err != nil {
			t.Fatal(err)
		}
		p.Write(f)
	}
	w.Close()
	path = filepath.Join(t.TempDir(), "body")
	write(t, path, b.String())
	return path, fmt.Sprintf(`multipart/related; type="application/dicom"; boundary=%s`, w.Boundary())
}

// stow stores files with curl.
func stow(t *testing.T, url string, files ...[]byte) (status int, body []byte) {
	t.Helper()
	path, contentType := stowFile(t, files...)
	status, _, body = curl(t, "-H", "Content-Type: "+contentType, "-H", "Accept: application/dicom+json", "--data-binary", "@"+path, url+"/studies")
	return status, body
}

// partDigests are those of the parts of a multipart body, in an order of their own; of files, those of their data sets.
func partDigests(t *testing.T, header http.Header, body []byte) (out []string) {
	t.Helper()
	_, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		t.Fatalf("%v: %.300s", err, body)
	}
	for r := multipart.NewReader(bytes.NewReader(body), params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			slices.Sort(out)
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := dicom.ReadBeginning(bytes.NewReader(text), int64(len(text))); err == nil {
			text = text[b.DataSet:]
		}
		out = append(out, fmt.Sprintf("%x", sha256.Sum256(text)))
	}
}

// A DICOMweb client sees through Cordon what it sees without: the same objects, frames and rows, whether the archive
// speaks DICOMweb or DIMSE alone.
func TestDICOMwebThroughCordonIsTheArchives(t *testing.T) {
	orthanc := startWebOrthanc(t, nil)
	studies := writeStudies(t, 2, 4)
	photo := compose.Photo(24, 24)
	for name, overHTTP := range map[string]bool{"DICOMweb": true, "DIMSE": false} {
		t.Run(name, func(t *testing.T) {
			f := startWebFront(t, orthanc, overHTTP)
			var files [][]byte
			for _, file := range filesOf(studies) {
				files = append(files, readFile(t, file))
			}
			if status, body := stow(t, f.url, append(files, photo.File())...); status != http.StatusOK {
				t.Fatalf("%d: %s", status, body)
			}
			direct := orthanc.HTTP + "/dicom-web"
			study := "/studies/" + string(studies[0].uid)
			for _, c := range []struct{ path, accept string }{
				{study, `multipart/related; type="application/dicom"; transfer-syntax=*`},
				{"/studies/" + string(photo.Study) + "/series/" + string(photo.Series) + "/instances/" + string(photo.Instance), `multipart/related; type="application/dicom"; transfer-syntax=*`},
			} {
				status, header, body := curl(t, "-H", "Accept: "+c.accept, f.url+c.path)
				wantStatus, wantHeader, want := curl(t, "-H", "Accept: "+c.accept, direct+c.path)
				if status != wantStatus || !slices.Equal(partDigests(t, header, body), partDigests(t, wantHeader, want)) {
					t.Errorf("%s: %d, not as directly (%d)", c.path, status, wantStatus)
				}
			}
			instance := instanceOf(t, files[0])
			for _, c := range []struct{ path, accept string }{
				{instance + "/frames/1", `multipart/related; type="application/octet-stream"`},
			} {
				status, header, body := curl(t, "-H", "Accept: "+c.accept, f.url+c.path)
				_, wantHeader, want := curl(t, "-H", "Accept: "+c.accept, direct+c.path)
				if status != http.StatusOK || !slices.Equal(partDigests(t, header, body), partDigests(t, wantHeader, want)) {
					t.Errorf("%s: %d, not as directly", c.path, status)
				}
			}
			for _, query := range []string{"/studies?PatientID=P*", "/studies?PatientName=DOE*", study + "/series", study + "/instances", "/studies?StudyDate=20261120-20261121", "/studies?PatientID=NOBODY"} {
				status, _, body := curl(t, "-H", "Accept: application/dicom+json", f.url+query)
				_, _, want := curl(t, "-H", "Accept: application/dicom+json", direct+query)
				got, wanted := rowsIn(t, body, strings.HasSuffix(query, "s")), rowsIn(t, want, strings.HasSuffix(query, "s"))
				if status != http.StatusOK || !slices.Equal(got, wanted) {
					t.Errorf("%s: %d, %d rows, %d directly\n%s\n%s", query, status, len(got), len(wanted), got, wanted)
				}
			}
			status, _, body := curl(t, "-H", "Accept: application/dicom+json", f.url+study+"/metadata")
			if status != http.StatusOK || len(rowsIn(t, body, true)) != 4 || bytes.Contains(body, []byte(orthanc.HTTP)) {
				t.Errorf("metadata: %d, %d rows", status, len(rowsIn(t, body, true)))
			}
			if status, header, body := curl(t, "-H", "Accept: image/jpeg", f.url+instance+"/rendered"); overHTTP && (status != http.StatusOK || !bytes.HasPrefix(body, []byte("\xFF\xD8\xFF"))) {
				t.Errorf("rendered: %d %s", status, header)
			}
		})
	}
}

// instanceOf is the path of a file's instance.
func instanceOf(t *testing.T, file []byte) string {
	t.Helper()
	o, err := web.ReadObject(bytes.NewReader(file), web.Limits{}, func(string) string { return "x" })
	if err != nil {
		t.Fatal(err)
	}
	r := web.Resource{Kind: web.KindInstance, Study: o.DataSet.UID(dicom.TagStudyInstanceUID), Series: o.DataSet.UID(dicom.TagSeriesInstanceUID), Instance: o.DataSet.UID(dicom.TagSOPInstanceUID)}
	return r.Path()
}

// rowsIn are what identifies the results of a search, in an order of their own. Below the study Orthanc answers more
// over HTTP than the standard asks for: what is of other levels is left out there.
func rowsIn(t *testing.T, body []byte, below bool) (out []string) {
	t.Helper()
	err := web.ReadJSON(bytes.NewReader(body), web.Limits{}, func(d web.DataSet) error {
		var of []string
		tags := []dicom.Tag{dicom.TagStudyInstanceUID, dicom.TagSeriesInstanceUID, dicom.TagSOPInstanceUID}
		if !below {
			tags = append(tags, dicom.TagPatientID, dicom.TagPatientName, dicom.TagStudyDate)
		}
		for _, tag := range tags {
			of = append(of, d.String(tag))
		}
		out = append(out, strings.Join(of, "|"))
		return nil
	})
	if err != nil {
		t.Fatalf("%v: %.300s", err, body)
	}
	slices.Sort(out)
	return out
}

// Every hostile file of the corpus and every composition, by STOW-RS: none is stored, all are said to be held or refused,
// and the archive has nothing.
func TestHostileObjectsByDICOMweb(t *testing.T) {
	t.Parallel()
	orthanc := startWebOrthanc(t, nil)
	f := startWebFront(t, orthanc, true)
	var files [][]byte
	for _, c := range compositions(t, harmless(t)) {
		files = append(files, c.object.File())
	}
	composed := len(files)
	for _, path := range filesIn(t, filepath.Join(corpus, "hostile")) {
		files = append(files, readFile(t, path))
	}
	clean := compose.CT(16, 16)
	for part := range slices.Chunk(files, 20) {
		status, body := stow(t, f.url, append(slices.Clone(part), clean.File())...)
		var rsp web.StoreResponse
		if err := web.ReadJSON(bytes.NewReader(body), web.Limits{}, func(d web.DataSet) error {
			rsp = web.ParseStoreResponse(d)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if status != http.StatusAccepted || len(rsp.Stored) != 1 || len(rsp.Failed)+len(rsp.Other) != len(part) {
			t.Errorf("%d: %d stored, %d failed of %d", status, len(rsp.Stored), len(rsp.Failed)+len(rsp.Other), len(part)+1)
		}
	}
	if arrived := orthanc.instances(t); len(arrived) != 1 {
		t.Errorf("the archive has %d instances", len(arrived))
	}
	held, err := f.custody.List(context.Background(), custody.Filter{States: []custody.State{custody.Held}})
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	err = f.ledger.Tail(context.Background(), 1<<20, func(r ledger.Record) error {
		var body struct{ Omitted int }
		if r.Kind == "object.refused" {
			refused++
		}
		return json.Unmarshal(r.Body, &body)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(held)+refused < len(files) {
		t.Errorf("%d held and %d refused of %d", len(held), refused, len(files))
	}
	t.Logf("%d compositions and %d files of the corpus: %d held, %d refused, none stored; the clean instance beside them was stored each time", composed, len(files)-composed, len(held), refused)
}
