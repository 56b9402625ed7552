package webgate

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/web"
	"cordon/inspect/compose"
	"cordon/policy"
)

// What an archive says is not all is not called all.
func TestAnArchiveThatGivesAPart(t *testing.T) {
	h := start(t)
	o := compose.CT(16, 16)
	h.archive.put(o)
	h.archive.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "metadata") {
			return says(206, web.TypeJSON, fmt.Sprintf(`[{"00080018":{"vr":"UI","Value":["%s"]},"0020000D":{"vr":"UI","Value":["%s"]},"0020000E":{"vr":"UI","Value":["%s"]}}]`, o.Instance, o.Study, o.Series))(w, r)
		}
		contentType, body := related("application/dicom", o.File())
		return says(206, contentType, string(body))(w, r)
	}
	for _, path := range []string{"", "/metadata"} {
		a := h.get("/studies/" + string(o.Study) + path)
		if a.status != http.StatusPartialContent || !strings.Contains(a.header.Get("Warning"), "1 left out") {
			t.Errorf("%q: %d %q: %s", path, a.status, a.header.Get("Warning"), a.body)
		}
	}
}

// An instance whose metadata cannot be read does not hide the others of its study.
func TestMetadataOfTheOthers(t *testing.T) {
	h := startDIMSE(t, func(c *Config, _ *Parts) {
		site := c.Site()
		site.Devices = []policy.Device{{Name: "viewer", Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Monitor: true}}
		c.Site = func() policy.Site { return site }
	})
	o, broken := compose.CT(16, 16), compose.CT(16, 16)
	broken.Study, broken.Series = o.Study, o.Series
	h.dimse.tail = map[dicom.UID][]byte{broken.Instance: []byte("\x08\x00\x05\x00CS\x02\x00A ")} // out of order
	h.dimse.put(broken)
	h.dimse.put(o)
	a := h.get("/studies/" + string(o.Study) + "/metadata")
	if a.status != http.StatusPartialContent || !strings.Contains(string(a.body), string(o.Instance)) || !strings.Contains(a.header.Get("Warning"), string(broken.Instance)) {
		t.Errorf("%d %q: %s", a.status, a.header.Get("Warning"), a.body)
	}
}

// The archive chooses whose picture the thumbnail of a study is.
func TestThumbnailOfAStudyWithSomethingHeld(t *testing.T) {
	h := start(t)
	o, bad := compose.CT(16, 16), hostile()
	bad.Study = o.Study
	h.archive.put(o)
	if a := h.get("/studies/" + string(o.Study) + "/thumbnail"); a.status != http.StatusOK {
		t.Fatalf("%d: %s", a.status, a.body)
	}
	if h.stow("/studies", bad.File()); len(h.inState(custody.Held)) != 1 {
		t.Fatal("not held")
	}
	if a := h.get("/studies/" + string(o.Study) + "/thumbnail"); a.status != http.StatusForbidden {
		t.Errorf("%d: %s", a.status, a.body)
	}
}

// Addresses of the archive's inside sequences lead to us as well.
func TestAddressesInSequences(t *testing.T) {
	h := start(t)
	o := compose.CT(16, 16)
	h.archive.answer = says(200, web.TypeJSON, fmt.Sprintf(`[{"00080018":{"vr":"UI","Value":["%[1]s"]},"00081115":{"vr":"SQ","Value":[{"00081190":{"vr":"UR","Value":["http://archive.example/pacs/studies/%[2]s"]}}]},`+
		`"0020000D":{"vr":"UI","Value":["%[2]s"]},"0020000E":{"vr":"UI","Value":["%[3]s"]}}]`, o.Instance, o.Study, o.Series))
	a := h.get("/studies/" + string(o.Study) + "/metadata")
	if a.status != http.StatusOK || strings.Contains(string(a.body), "archive.example") || !strings.Contains(string(a.body), h.url+"/studies/"+string(o.Study)) {
		t.Errorf("%d: %s", a.status, a.body)
	}
}

// Frames that an archive would decode are bounded before it is asked for them.
func TestDecodedFramesAreBounded(t *testing.T) {
	h := start(t, func(c *Config, _ *Parts) { c.MaxAhead = 1000 })
	o := compose.Photo(64, 64)
	h.archive.put(o)
	path := fmt.Sprintf("/studies/%s/series/%s/instances/%s/frames/1", o.Study, o.Series, o.Instance)
	a := h.get(path, `multipart/related; type="application/octet-stream"; transfer-syntax="`+string(dicom.ExplicitVRLittleEndian)+`"`)
	if a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d: %s", a.status, a.body)
	}
}
