package webgate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/web"
	"cordon/inspect/compose"
)

// study is three images of one series, the second with a payload.
func study() (objects []*compose.Object) {
	first := compose.CT(32, 32)
	for i := range 3 {
		o := compose.CT(32, 32)
		o.Study, o.Series, o.InstanceNumber = first.Study, first.Series, i+1
		if i == 1 {
			compose.PrivateOB.Put(o, compose.EICAR())
		}
		objects = append(objects, o)
	}
	return objects
}

func path(o *compose.Object) string {
	return "/studies/" + string(o.Study) + "/series/" + string(o.Series) + "/instances/" + string(o.Instance)
}

// both runs a test before both kinds of archive, which hold the objects.
func both(t *testing.T, objects []*compose.Object, test func(t *testing.T, h *house), change ...func(*Config, *Parts)) {
	t.Run("DICOMweb", func(t *testing.T) {
		h := start(t, change...)
		for _, o := range objects {
			h.archive.put(o)
		}
		test(t, h)
	})
	t.Run("DIMSE", func(t *testing.T) {
		h := startDIMSE(t, change...)
		for _, o := range objects {
			h.dimse.put(o)
		}
		test(t, h)
	})
}

// A held instance makes it 206, is named, and goes out in no form.
func TestHeldInstanceIsLeftOutAndNamed(t *testing.T) {
	objects := study()
	clean, bad := objects[0], objects[1]
	both(t, objects, func(t *testing.T, h *house) {
		a := h.get("/studies/" + string(clean.Study))
		if a.status != http.StatusPartialContent || !strings.Contains(a.header.Get("Warning"), string(bad.Instance)) {
			t.Fatalf("%d, Warning %q: %s", a.status, a.header.Get("Warning"), a.body)
		}
		parts := a.parts(t)
		if len(parts) != 2 || !bytes.HasSuffix(parts[0], clean.DataSet()) || !bytes.HasSuffix(parts[1], objects[2].DataSet()) {
			t.Errorf("%d parts", len(parts))
		}
		held := h.inState(custody.Held)
		if len(held) != 1 || held[0].SOPInstanceUID != string(bad.Instance) {
			t.Fatalf("held: %+v", held)
		}
		for _, p := range []string{path(bad), path(bad) + "/frames/1", path(bad) + "/bulkdata/7FE00010", path(bad) + "/rendered", path(bad) + "/metadata"} {
			a := h.get(p)
			if a.status/100 == 2 || len(a.body) == 0 || bytes.Contains(a.body, compose.EICAR()) {
				t.Errorf("%s: %d %s", p, a.status, a.body)
			}
		}
		a = h.get("/studies/" + string(clean.Study) + "/metadata")
		if a.status != http.StatusPartialContent || bytes.Contains(a.body, []byte(bad.Instance)) || !bytes.Contains(a.body, []byte(clean.Instance)) {
			t.Errorf("metadata: %d %s", a.status, a.body)
		}
		if sent := h.recorded("instance.sent"); len(sent) != 2 {
			t.Errorf("%d sent on the ledger", len(sent))
		}
		if ended := h.recorded("retrieve.ended"); ended[0]["held"] != float64(1) || ended[0]["completed"] != float64(2) {
			t.Errorf("%v", ended)
		}
	})
}

// What two people released goes out.
func TestReleasedInstanceGoesOut(t *testing.T) {
	bad := hostile()
	h := start(t)
	h.archive.put(bad)
	if a := h.get(path(bad)); a.status != http.StatusForbidden {
		t.Fatalf("%d: %s", a.status, a.body)
	}
	id := h.inState(custody.Held)[0].ID
	for _, by := range []string{"A. Able", "B. Baker"} {
		if _, err := h.custody.Release(context.Background(), id, custody.Request{By: by, Reason: "known"}); err != nil {
			t.Fatal(err)
		}
	}
	if a := h.get(path(bad)); a.status != http.StatusOK || !bytes.Equal(a.parts(t)[0], bad.File()) {
		t.Errorf("%d: %s", a.status, a.body)
	}
}

// What is held on its way in is missing from the archive, and is named as well.
func TestWhatIsHeldOnItsWayInIsNamed(t *testing.T) {
	h := start(t)
	objects := study()
	if a := h.stow("/studies", objects[0].File(), objects[1].File(), objects[2].File()); a.status != http.StatusAccepted {
		t.Fatal(a.status)
	}
	for _, p := range []string{"", "/metadata", "/series/" + string(objects[0].Series)} {
		a := h.get("/studies/" + string(objects[0].Study) + p)
		if a.status != http.StatusPartialContent || !strings.Contains(a.header.Get("Warning"), string(objects[1].Instance)) {
			t.Errorf("%q: %d, %q", p, a.status, a.header.Get("Warning"))
		}
	}
	if a := h.get(path(objects[1])); a.status != http.StatusForbidden {
		t.Errorf("%d: %s", a.status, a.body)
	}
}

func TestInstanceIsTheArchivesBytes(t *testing.T) {
	o := compose.CT(64, 64)
	h := start(t)
	h.archive.put(o)
	a := h.get(path(o), `multipart/related; type="application/dicom"; transfer-syntax=*`)
	if parts := a.parts(t); a.status != http.StatusOK || len(parts) != 1 || !bytes.Equal(parts[0], o.File()) {
		t.Errorf("%d: %d parts", a.status, len(parts))
	}
	a = h.raw(func(w io.Writer) {
		fmt.Fprintf(w, "GET /wado?requestType=WADO&studyUID=%s&seriesUID=%s&objectUID=%s&contentType=application%%2Fdicom HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", o.Study, o.Series, o.Instance)
	})
	if a.status != http.StatusOK || !bytes.Equal(a.body, o.File()) {
		t.Errorf("WADO-URI: %d, %d bytes", a.status, len(a.body))
	}
}

// Frames are cut from what was judged, and are the archive's own pixels.
func TestFrames(t *testing.T) {
	native := compose.CT(32, 16)
	photo := compose.Photo(24, 24)
	both(t, []*compose.Object{native, photo}, func(t *testing.T, h *house) {
		pixels := native.DataSet()[len(native.DataSet())-32*16*2:]
		for _, accept := range []string{"*/*", `multipart/related; type="application/octet-stream"`, "multipart/related; type=application/octet-stream; transfer-syntax=*"} {
			a := h.get(path(native)+"/frames/1", accept)
			if a.status != http.StatusOK || !bytes.Equal(a.parts(t)[0], pixels) {
				t.Errorf("%s: %d %s", accept, a.status, a.body)
			}
		}
		for accept, kind := range map[string]string{
			`multipart/related; type="image/jpeg"`:                                         "image/jpeg",
			"multipart/related; type=application/octet-stream; transfer-syntax=*":          "application/octet-stream",
			`multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50`: "image/jpeg",
		} {
			a := h.get(path(photo)+"/frames/1", accept)
			if a.status != http.StatusOK || !bytes.HasPrefix(a.parts(t)[0], []byte("\xFF\xD8\xFF")) || !strings.Contains(a.header.Get("Content-Type"), kind) {
				t.Errorf("%s: %d %s", accept, a.status, a.header.Get("Content-Type"))
			}
		}
		if a := h.get(path(native) + "/frames/2"); a.status != http.StatusNotFound {
			t.Errorf("frame 2 of 1: %d", a.status)
		}
		if a := h.get(path(native)+"/frames/1", "image/png"); a.status != http.StatusNotAcceptable {
			t.Errorf("%d", a.status)
		}
		if seen := h.recorded("study.accessed"); len(seen) != 2 {
			t.Errorf("%v", seen)
		}
	})
}

// A viewer's frames, at once: the archive is asked for the instance once.
func TestTheShelfAsksTheArchiveOnce(t *testing.T) {
	o := compose.CT(64, 64)
	h := start(t)
	h.archive.put(o)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if a := h.get(path(o) + "/frames/1"); a.status != http.StatusOK {
				t.Errorf("%d", a.status)
			}
		})
	}
	all.Wait()
	if n := len(h.archive.requests()); n != 1 {
		t.Errorf("the archive was asked %d times", n)
	}
}

// Metadata is made anew: the archive's addresses are nowhere in it, and those that
// are lead to what they say.
func TestMetadataLeadsToUs(t *testing.T) {
	o := compose.CT(32, 32)
	o.Set(0x00091010, dicom.OB, bytes.Repeat([]byte{7}, 3000))
	o.SetString(0x00090010, dicom.LO, "TEST")
	both(t, []*compose.Object{o}, func(t *testing.T, h *house) {
		a := h.get(path(o) + "/metadata")
		if a.status != http.StatusOK || bytes.Contains(a.body, []byte("secret")) {
			t.Fatalf("%d: %s", a.status, a.body)
		}
		var rows []map[string]struct{ BulkDataURI string }
		if err := json.Unmarshal(a.body, &rows); err != nil || len(rows) != 1 {
			t.Fatalf("%v: %s", err, a.body)
		}
		for tag, want := range map[string][]byte{"7FE00010": o.DataSet()[len(o.DataSet())-2048:], "00091010": bytes.Repeat([]byte{7}, 3000)} {
			uri := rows[0][tag].BulkDataURI
			if !strings.HasPrefix(uri, h.url) {
				t.Fatalf("%s: %q", tag, uri)
			}
			for _, accept := range []string{"application/octet-stream", `multipart/related; type="application/octet-stream"`} {
				b := h.get(strings.TrimPrefix(uri, h.url), accept)
				got := b.body
				if strings.HasPrefix(accept, "multipart") && b.status == http.StatusOK {
					got = b.parts(t)[0]
				}
				if b.status != http.StatusOK || !bytes.Equal(got, want) {
					t.Errorf("%s: %d, %d bytes, want %d", uri, b.status, len(got), len(want))
				}
			}
		}
		if a := h.get(path(o)+"/metadata", `multipart/related; type="application/dicom+xml"`); a.status != http.StatusOK || !bytes.Contains(a.parts(t)[0], []byte("NativeDicomModel")) {
			t.Errorf("XML: %d %s", a.status, a.body)
		}
	})
}

// Script in what an archive finds does not reach a viewer.
func TestHostileResultsAreLeftOut(t *testing.T) {
	good, bad := compose.CT(16, 16), compose.CT(16, 16)
	bad.SetString(dicom.TagPatientID, dicom.LO, "<script>alert(1)</script>")
	h := start(t)
	h.archive.put(good)
	h.archive.put(bad)
	a := h.get("/studies?PatientName=*")
	if a.status != http.StatusPartialContent || bytes.Contains(a.body, []byte("script")) || !bytes.Contains(a.body, []byte(good.Study)) {
		t.Errorf("%d: %s", a.status, a.body)
	}
	if q := h.recorded("query.answered"); len(q) != 1 || q[0]["held"] != float64(1) || q[0]["identifier"] == nil {
		t.Errorf("%v", q)
	}
}

func TestSearchPages(t *testing.T) {
	var objects []*compose.Object
	first := compose.CT(16, 16)
	for range 10 {
		o := compose.CT(16, 16)
		o.Study, o.Series = first.Study, first.Series
		objects = append(objects, o)
	}
	both(t, objects, func(t *testing.T, h *house) {
		count := func(a answer) (n int) {
			if err := web.ReadJSON(bytes.NewReader(a.body), web.Limits{}, func(web.DataSet) error { n++; return nil }); err != nil {
				t.Fatal(err)
			}
			return n
		}
		below := "/studies/" + string(first.Study) + "/instances"
		a := h.get(below)
		if a.status != http.StatusOK || count(a) != 4 || !strings.Contains(a.header.Get("Warning"), "additional results") {
			t.Errorf("%d, %d results, %q", a.status, count(a), a.header.Get("Warning"))
		}
		if a := h.get(below + "?limit=3"); count(a) != 3 {
			t.Errorf("%d results", count(a))
		}
		if !bytes.Contains(a.body, []byte(h.url+path(objects[0]))) || bytes.Contains(a.body, []byte("/pacs/")) {
			t.Error("no retrieve URL of ours")
		}
	}, func(c *Config, _ *Parts) { c.MaxMatches = 4 })
}

// A response that began before all was judged is broken off by a hold: nobody takes
// it for whole.
func TestLateHoldBreaksTheResponseOff(t *testing.T) {
	objects := study()
	slices.Reverse(objects)
	objects[0], objects[1] = objects[1], objects[0]
	slices.Reverse(objects) // the payload comes last
	h := start(t, func(c *Config, _ *Parts) { c.MaxAhead = 1 })
	for _, o := range objects {
		h.archive.put(o)
	}
	a := h.get("/studies/" + string(objects[0].Study))
	if a.err == nil {
		t.Errorf("%d: the response ended as if it were whole, %d bytes", a.status, len(a.body))
	}
	if bytes.Contains(a.body, compose.EICAR()) {
		t.Error("the payload went out")
	}
}

func TestRenderedIsAPictureOfAJudgedInstance(t *testing.T) {
	o := compose.CT(16, 16)
	h := start(t)
	h.archive.put(o)
	a := h.get(path(o)+"/rendered?quality=90", "image/jpeg")
	if a.status != http.StatusOK || !bytes.HasPrefix(a.body, []byte("\xFF\xD8\xFF")) || a.header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("%d: %s", a.status, a.header)
	}
	h.archive.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/rendered") {
			return false
		}
		return says(200, "image/jpeg", "GIF89a<script>")(w, r)
	}
	if a := h.get(path(o)+"/rendered", "image/jpeg"); a.status != http.StatusBadGateway || strings.Contains(string(a.body), "script") {
		t.Errorf("another kind of picture: %d", a.status)
	}
	if a := h.get(path(o) + "/rendered?evil=1"); a.status != http.StatusBadRequest {
		t.Errorf("%d", a.status)
	}
}

// Under a bypass everything goes through, in both directions, and each is an alarm.
func TestBypassDeliversWhatWouldBeHeld(t *testing.T) {
	h := start(t, func(c *Config, p *Parts) { p.Bypassed = func(string, string) bool { return true } })
	bad := hostile()
	if a := h.stow("/studies", bad.File()); a.status != http.StatusOK || h.archive.has(bad.Instance) == nil {
		t.Errorf("%d: %s", a.status, a.body)
	}
	if a := h.get(path(bad)); a.status != http.StatusOK {
		t.Errorf("%d", a.status)
	}
	if d := h.recorded("object.delivered"); len(d) != 1 || d[0]["alarm"] != true || !strings.HasPrefix(d[0]["reason"].(string), "bypass") {
		t.Errorf("%v", d)
	}
}

// Instances that are sent as metadata and bulk data are put together, judged, and
// delivered as files.
func TestMetadataAndBulkDataAreJudgedAsOneObject(t *testing.T) {
	metadata := func(o *compose.Object) string {
		parsed, err := web.ReadObject(bytes.NewReader(o.File()), web.Limits{}, func(p string) string { return "bulk/" + p })
		if err != nil {
			t.Fatal(err)
		}
		return "[" + string(parsed.DataSet.AppendJSON(nil)) + "]"
	}
	for name, payload := range map[string][]byte{"clean": nil, "hostile": compose.WindowsProgram()} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			o := compose.CT(32, 32)
			if payload != nil {
				o.SetString(0x00090010, dicom.LO, "TEST")
				o.Set(0x00091010, dicom.OB, append(bytes.Clone(payload), make([]byte, 2000)...))
			}
			var b bytes.Buffer
			part := func(kind, location string, data []byte) {
				fmt.Fprintf(&b, "--b\r\nContent-Type: %s\r\nContent-Location: %s\r\n\r\n%s\r\n", kind, location, data)
			}
			part(web.TypeJSON, "metadata", []byte(metadata(o)))
			part("application/octet-stream", "bulk/7FE00010", o.DataSet()[len(o.DataSet())-2048:])
			if payload != nil {
				part("application/octet-stream", "bulk/00091010", append(bytes.Clone(payload), make([]byte, 2000)...))
			}
			b.WriteString("--b--\r\n")
			a := h.post(`multipart/related; type="application/dicom+json"; boundary=b`, b.String())
			if payload != nil {
				if a.status != http.StatusConflict || h.archive.has(o.Instance) != nil || len(h.inState(custody.Held)) != 1 {
					t.Errorf("%d: %s", a.status, a.body)
				}
				return
			}
			file := h.archive.has(o.Instance)
			if a.status != http.StatusOK || file == nil || !bytes.HasSuffix(file, o.DataSet()[len(o.DataSet())-2048:]) {
				t.Errorf("%d: %s", a.status, a.body)
			}
		})
	}
}

// Workitems are read, judged and made anew; what has no route does not exist.
func TestWorkitemsGoByAllowList(t *testing.T) {
	h := start(t)
	const item = `[{"00741000":{"vr":"CS","Value":["SCHEDULED"]},"00404041":{"vr":"CS","Value":["READY"]}}]`
	h.archive.answer = says(http.StatusCreated, web.TypeJSON, "")
	a := h.do(http.MethodPost, "/workitems?1.2.3.4", map[string]string{"Content-Type": web.TypeJSON}, strings.NewReader(item))
	if a.status != http.StatusCreated {
		t.Errorf("%d: %s", a.status, a.body)
	}
	h.archive.answer = says(http.StatusOK, web.TypeJSON, item)
	if a := h.get("/workitems?limit=1"); a.status != http.StatusOK || !strings.Contains(string(a.body), "SCHEDULED") {
		t.Errorf("%d: %s", a.status, a.body)
	}
	n := len(h.archive.requests())
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{http.MethodPost, "/workitems/1.2.3/subscribers/X", "", 501},
		{http.MethodDelete, "/workitems/1.2.3", "", 405},
		{http.MethodPost, "/workitems", `[{"00100010":{"vr":"PN","Value":[{"Alphabetic":"<script>alert(1)</script>"}]}}]`, 403},
		{http.MethodPost, "/workitems", `[]`, 400},
		{http.MethodPost, "/workitems", `[{"00420011":{"vr":"OB","BulkDataURI":"http://evil.example/x"}}]`, 400},
		{http.MethodPost, "/workitems", `[{"0040A730":{"vr":"SQ","Value":[{"00420011":{"vr":"OB","BulkDataURI":"http://evil.example/x"}}]}}]`, 400},
		{http.MethodGet, "/workitems?evil=1", "", 400},
	} {
		if a := h.do(c.method, c.path, map[string]string{"Content-Type": web.TypeJSON}, strings.NewReader(c.body)); a.status != c.status {
			t.Errorf("%s %s: %d, want %d: %s", c.method, c.path, a.status, c.status, a.body)
		}
	}
	if len(h.archive.requests()) != n {
		t.Error("the archive was asked")
	}
}
