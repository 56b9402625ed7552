package web_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cordon/dicom/web"
)

// The resources of PS3.18 tables 10.2-1, 10.4.1-1 to -7, 10.6.1-1 and 11.2-1.
func TestResources(t *testing.T) {
	for path, want := range map[string]string{
		"/studies":                                                       "studies",
		"/studies/1.2":                                                   "study 1.2",
		"/studies/1.2/metadata":                                          "metadata 1.2",
		"/studies/1.2/rendered":                                          "rendered 1.2",
		"/studies/1.2/thumbnail":                                         "thumbnail 1.2",
		"/studies/1.2/bulkdata":                                          "bulk data 1.2 bulkdata",
		"/studies/1.2/series":                                            "series 1.2",
		"/studies/1.2/instances":                                         "instances 1.2",
		"/studies/1.2/series/1.3":                                        "one series 1.2 1.3",
		"/studies/1.2/series/1.3/metadata":                               "metadata 1.2 1.3",
		"/studies/1.2/series/1.3/rendered":                               "rendered 1.2 1.3",
		"/studies/1.2/series/1.3/thumbnail":                              "thumbnail 1.2 1.3",
		"/studies/1.2/series/1.3/instances":                              "instances 1.2 1.3",
		"/studies/1.2/series/1.3/instances/1.4":                          "instance 1.2 1.3 1.4",
		"/studies/1.2/series/1.3/instances/1.4/metadata":                 "metadata 1.2 1.3 1.4",
		"/studies/1.2/series/1.3/instances/1.4/rendered":                 "rendered 1.2 1.3 1.4",
		"/studies/1.2/series/1.3/instances/1.4/thumbnail":                "thumbnail 1.2 1.3 1.4",
		"/studies/1.2/series/1.3/instances/1.4/pixeldata":                "bulk data 1.2 1.3 1.4 pixeldata",
		"/studies/1.2/series/1.3/instances/1.4/bulkdata/7FE00010":        "bulk data 1.2 1.3 1.4 bulkdata/7FE00010",
		"/studies/1.2/series/1.3/instances/1.4/bulk/00400275/1/00420011": "bulk data 1.2 1.3 1.4 bulk/00400275/1/00420011",
		"/studies/1.2/series/1.3/instances/1.4/frames/3":                 "frames 1.2 1.3 1.4 [3]",
		"/studies/1.2/series/1.3/instances/1.4/frames/3,1,2":             "frames 1.2 1.3 1.4 [3 1 2]",
		"/studies/1.2/series/1.3/instances/1.4/frames/3/rendered":        "rendered 1.2 1.3 1.4 [3]",
		"/studies/1.2/series/1.3/instances/1.4/frames/3/thumbnail":       "thumbnail 1.2 1.3 1.4 [3]",
		"/series":                        "series",
		"/instances":                     "instances",
		"/workitems":                     "workitems",
		"/workitems/1.5":                 "workitem 1.5",
		"/workitems/1.5/state":           "workitem state 1.5",
		"/workitems/1.5/cancelrequest":   "workitem cancellation 1.5",
		"/workitems/1.5/subscribers/AET": "subscription 1.5 AET",
		"/workitems/1.2.840.10008.5.1.4.34.5/subscribers/AET/suspend": "subscription suspension 1.2.840.10008.5.1.4.34.5 AET",
	} {
		r, err := web.ParseResource(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if got := describe(r); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
		if r.Path() != path {
			t.Errorf("%s: written as %s", path, r.Path())
		}
	}
}

func describe(r web.Resource) string {
	s := []string{r.Kind.String(), string(r.Study), string(r.Series), string(r.Instance), r.Bulk, string(r.Workitem), string(r.Subscriber)}
	if len(r.Frames) > 0 {
		s = append(s, fmt.Sprint(r.Frames))
	}
	return strings.Join(slices.DeleteFunc(s, func(s string) bool { return s == "" }), " ")
}

func TestHostilePaths(t *testing.T) {
	const instance = "/studies/1.2/series/1.3/instances/1.4"
	for path, status := range map[string]int{
		"":                                      400,
		"studies":                               400,
		"/":                                     400,
		"//studies":                             400,
		"/studies/":                             400,
		"/studies//series":                      400,
		"/studies/1.2/../1.3":                   400,
		"/studies/..":                           400,
		"/studies/./1.2":                        400,
		"/studies/...":                          400,
		"/studies/1.2%2Fseries":                 400,
		"/studies/1.2%2fseries":                 400,
		"/studies/%31.2":                        400,
		"/studies/1.2%00":                       400,
		"/studies/1.2\x00":                      400,
		"/studies/1.2\\series":                  400,
		"/studies/1.2;jsessionid=1":             400,
		"http://archive/studies/1.2":            400,
		"/http://archive/studies/1.2":           400,
		"/studies/1.2?x=y":                      400,
		"/studies/1.2#x":                        400,
		"/studies/01.2":                         400,
		"/studies/1..2":                         400,
		"/studies/1.2.":                         400,
		"/studies/abc":                          400,
		"/studies/" + strings.Repeat("1", 65):   400,
		"/studies/" + strings.Repeat("1", 5000): 414,
		"/studies/1.2/instances/1.4":            404, // an instance has a series
		"/studies/1.2/nonsense":                 404,
		"/studies/1.2/metadata/more":            404,
		"/STUDIES":                              404,
		"/instances/1.4":                        404,
		"/series/1.3":                           404,
		"/patients":                             404,
		"/system":                               404,
		"/tools/execute-script":                 404,
		"/studies/1.2/series/1.3/archive":       404,
		instance + "/attachments/dicom":         404,
		instance + "/frames":                    400,
		instance + "/frames/0":                  400,
		instance + "/frames/01":                 400,
		instance + "/frames/-1":                 400,
		instance + "/frames/1,":                 400,
		instance + "/frames/99999999999":        400,
		instance + "/frames/1/metadata":         404,
		instance + "/frames/1/rendered/x":       404,
		instance + "/frames/" + strings.Repeat("1,", 1000) + "1": 400,
		instance + "/bulkdata/../../x":                           400,
		instance + "/bulkdata/a/1../x":                           400,
		instance + "/bulkdata/./x":                               400,
		"/workitems/abc":                                         400,
		"/workitems/1.5/state/x":                                 404,
		"/workitems/1.5/subscribers":                             400,
		"/workitems/1.5/subscribers/AET/x":                       404,
		"/workitems/1.5/subscribers/" + strings.Repeat("A", 17):  400,
	} {
		r, err := web.ParseResource(path)
		var refusal *web.Refusal
		if !errors.As(err, &refusal) || refusal.Status != status {
			t.Errorf("%.80q: got %v, %v, want status %d", path, r, err, status)
		}
	}
}

// FuzzResource: what is accepted is written as it came.
func FuzzResource(f *testing.F) {
	for _, s := range []string{"/studies/1.2/series/1.3/instances/1.4/frames/1,2/rendered", "/studies/1.2/bulkdata/a/b", "/workitems/1.5/subscribers/A/suspend", "/studies/1%2e2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := web.ParseResource(s)
		if err == nil && r.Path() != s {
			t.Errorf("%q: written as %q", s, r.Path())
		}
		if err == nil && strings.Contains(s, "..") {
			t.Errorf("%q: two dots in %v", s, r)
		}
	})
}

func TestURIsOfAnArchive(t *testing.T) {
	at := web.Resource{Kind: web.KindMetadata, Study: "1.2", Series: "1.3", Instance: "1.4"}
	for uri, want := range map[string]string{
		"http://orthanc:8042/dicom-web/studies/1.2/series/1.3/instances/1.4/bulk/7fe00010": "/studies/1.2/series/1.3/instances/1.4/bulk/7fe00010",
		"https://x/v1/projects/p/dicomWeb/studies/1.2":                                     "/studies/1.2",
		"/dicom-web/studies/1.2/bulkdata/3":                                                "/studies/1.2/bulkdata/3",
		"bulkdata/00420011":                                                                "/studies/1.2/series/1.3/instances/1.4/bulkdata/00420011",
		"../1.5/bulkdata/00420011":                                                         "/studies/1.2/series/1.3/instances/1.5/bulkdata/00420011",
		"../../../../../../../../studies/1.2":                                              "/studies/1.2",
		"http://169.254.169.254/latest/meta-data":                                          "",
		"file:///studies/1.2":                                                              "",
		"javascript:alert(1)":                                                              "",
		"http://user:secret@x/studies/1.2":                                                 "",
		"http://x/studies/1.2?a=b":                                                         "",
		"http://x/studies/1.2#a":                                                           "",
		"http://x/studies/1.2/%2e%2e":                                                      "",
		"urn:uuid:1234":                                                                    "",
		"":                                                                                 "",
	} {
		r, err := web.ParseURI(uri, at)
		if got := r.Path(); err == nil && got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", uri, got, err, want)
		}
	}
}

func TestRewrittenURIsLeadToNobodyElse(t *testing.T) {
	d := dataSet(t, `{"00081190":{"vr":"UR","Value":["http://archive/x/studies/1.2"]},
		"00081199":{"vr":"SQ","Value":[{"00081190":{"vr":"UR","Value":["http://elsewhere/"]}}]},
		"00420011":{"vr":"OB","BulkDataURI":"file:///etc/passwd"},
		"7FE00010":{"vr":"OW","BulkDataURI":"bulkdata/7FE00010"}}`)
	d.RewriteURIs(web.Resource{Kind: web.KindMetadata, Study: "1.2", Series: "1.3", Instance: "1.4"}, func(r web.Resource) string {
		return "https://us" + r.Path()
	})
	want := `{"00081190":{"vr":"UR","Value":["https://us/studies/1.2"]},"00081199":{"vr":"SQ","Value":[{"00081190":{"vr":"UR"}}]},` +
		`"00420011":{"vr":"OB"},"7FE00010":{"vr":"OW","BulkDataURI":"https://us/studies/1.2/series/1.3/instances/1.4/bulkdata/7FE00010"}}`
	if got := string(d.AppendJSON(nil)); got != want {
		t.Errorf("got %s", got)
	}
}

// dataSet reads one data set in JSON.
func dataSet(t testing.TB, s string) web.DataSet {
	t.Helper()
	var out web.DataSet
	if err := web.ReadJSON(strings.NewReader(s), web.Limits{}, func(d web.DataSet) error { out = d; return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}
