package web_test

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/dicom/web"
)

// exampleResponse is in the form of the example of PS3.18 §10.5.3: one stored, one with a warning, one failed.
const exampleResponse = `{
  "00081190": {"vr": "UR", "Value": ["http://x/studies/1.2"]},
  "00081198": {"vr": "SQ", "Value": [{"00000902": {"vr": "LO", "Value": ["held"]}, "00081150": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
    "00081155": {"vr": "UI", "Value": ["1.5"]}, "00081197": {"vr": "US", "Value": [49153]}}]},
  "00081199": {"vr": "SQ", "Value": [
    {"00081150": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]}, "00081155": {"vr": "UI", "Value": ["1.3"]}, "00081190": {"vr": "UR", "Value": ["http://x/studies/1.2/series/1.9/instances/1.3"]}},
    {"00081150": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]}, "00081155": {"vr": "UI", "Value": ["1.4"]}, "00081196": {"vr": "US", "Value": [45056]}}]},
  "0008119A": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [272]}}]}
}`

func TestStoreResponses(t *testing.T) {
	r := web.ParseStoreResponse(dataSet(t, exampleResponse))
	if got, want := string(r.DataSet().AppendJSON(nil)), string(dataSet(t, exampleResponse).AppendJSON(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for instance, want := range map[string]string{
		"1.3": "{0 0 } true", "1.4": "{0 45056 } true", "1.5": "{49153 0 held} true", "1.6": "{0 0 } false",
	} {
		o, ok := r.Of(dicom.UID(instance))
		if got := fmt.Sprint(o, ok); got != want {
			t.Errorf("%s: got %s, want %s", instance, got, want)
		}
	}
	both := web.StoreResponse{Stored: []web.StoredInstance{{SOPInstanceUID: "1.3"}}, Failed: []web.FailedInstance{{SOPInstanceUID: "1.3", FailureReason: 1}}}
	if o, ok := both.Of("1.3"); !ok || o.Failure != 1 {
		t.Errorf("stored and failed: got %v", o)
	}
	if r := web.ParseStoreResponse(dataSet(t, `{"00081198":{"vr":"SQ","Value":[{}]}}`)); r.Failed[0].FailureReason != 0x0110 {
		t.Errorf("a failure without a reason: got %v", r)
	}
}

// PS3.18 table 10.5.3-1.
func TestStoreStatusCodes(t *testing.T) {
	stored, warned := web.StoredInstance{SOPInstanceUID: "1.3"}, web.StoredInstance{SOPInstanceUID: "1.4", WarningReason: 0xB000}
	failed := web.FailedInstance{SOPInstanceUID: "1.5", FailureReason: 0xC001}
	for _, c := range []struct {
		r    web.StoreResponse
		want int
	}{
		{web.StoreResponse{Stored: []web.StoredInstance{stored}}, 200},
		{web.StoreResponse{Stored: []web.StoredInstance{stored, warned}}, 202},
		{web.StoreResponse{Stored: []web.StoredInstance{stored}, Failed: []web.FailedInstance{failed}}, 202},
		{web.StoreResponse{Stored: []web.StoredInstance{stored}, Other: []uint16{0x0110}}, 202},
		{web.StoreResponse{Failed: []web.FailedInstance{failed}}, 409},
		{web.StoreResponse{Other: []uint16{0x0110}}, 409},
	} {
		if got := c.r.StatusCode(); got != c.want {
			t.Errorf("%+v: got %d, want %d", c.r, got, c.want)
		}
	}
}

func TestProblems(t *testing.T) {
	long := strings.Repeat("why ", 30)
	for name, c := range map[string]struct {
		p                web.Problem
		accept, kind, in string
	}{
		"JSON":        {web.Problem{Status: 400, Why: "no boundary"}, "", web.TypeJSON, `{"00000902":{"vr":"LO","Value":["no boundary"]}}`},
		"plain JSON":  {web.Problem{Status: 400, Why: "x"}, "application/json", web.TypeJSON, `"x"`},
		"XML":         {web.Problem{Status: 409, Why: "held", Reason: 0xC001}, "application/dicom+xml", web.TypeXML, `<Value number="1">49153</Value>`},
		"text":        {web.Problem{Status: 404, Why: "no such resource"}, "text/*", "text/plain; charset=utf-8", "no such resource\n"},
		"nothing fit": {web.Problem{Status: 406, Why: "x"}, "image/png", web.TypeJSON, `"x"`},
		"long":        {web.Problem{Status: 400, Why: long}, "", web.TypeJSON, `"0040A160":{"vr":"UT","Value":["` + long + `"]}`},
	} {
		a, err := web.ParseAccept([]string{c.accept}, "")
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		if err := c.p.Write(w, a); err != nil {
			t.Fatal(err)
		}
		if w.Code != c.p.Status || w.Header().Get("Content-Type") != c.kind || !strings.Contains(w.Body.String(), c.in) || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: got %d %v %s", name, w.Code, w.Header(), w.Body)
		}
	}
	var b bytes.Buffer
	if err := dataSet(t, exampleResponse).WriteXML(&b); err != nil {
		t.Fatal(err)
	}
	d, err := web.ReadXML(&b, web.Limits{})
	if r := web.ParseStoreResponse(d); err != nil || len(r.Stored) != 2 || len(r.Failed) != 1 || len(r.Other) != 1 {
		t.Errorf("as XML: got %+v, %v", r, err)
	}
}

func TestURIRequests(t *testing.T) {
	const ids = "requestType=WADO&studyUID=1.2&seriesUID=1.3&objectUID=1.4"
	for in, want := range map[string]string{
		ids: "/studies/1.2/series/1.3/instances/1.4 []",
		ids + "&contentType=application%2Fdicom&transferSyntax=1.2.840.10008.1.2.1": "/studies/1.2/series/1.3/instances/1.4 application/dicom 1.2.840.10008.1.2.1 []",
		"objectUID=1.4&requestType=WADO&seriesUID=1.3&studyUID=1.2&rows=300&frameNumber=2&contentType=image/jpeg,image/png;q%3D0.5": "/studies/1.2/series/1.3/instances/1.4/frames/2 " +
			"image/jpeg, image/png; q=0.5 [rows=300]",
	} {
		r, err := web.ParseURIRequest(in)
		got := strings.Fields(fmt.Sprint(r.Resource().Path(), " ", r.ContentType, " ", r.TransferSyntax, " ", r.Rendering))
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: got %s, %v, want %s", in, got, err, want)
		}
	}
	if r, _ := web.ParseURIRequest(ids + "&frameNumber=2"); r.Resource().Path() != "/studies/1.2/series/1.3/instances/1.4/frames/2" {
		t.Errorf("got %s", r.Resource().Path())
	}
	for _, in := range []string{
		"", "requestType=WADO", strings.Replace(ids, "WADO", "wado", 1), strings.Replace(ids, "1.4", "../1.4", 1), ids + "&studyUID=1.2", ids + "&frameNumber=0",
		ids + "&contentType=x", ids + "&transferSyntax=x", ids + "&callback=x", ids + "&rows=%00",
	} {
		if r, err := web.ParseURIRequest(in); err == nil {
			t.Errorf("%s: accepted as %+v", in, r)
		}
	}
	if s, err := web.ParseRendering("viewport=512,512&quality=90&accept=image/png"); err != nil || s != "viewport=512%2C512&quality=90" {
		t.Errorf("got %s, %v", s, err)
	}
	if _, err := web.ParseRendering("x=y"); err == nil {
		t.Error("an unknown parameter of rendering was accepted")
	}
}

// FuzzURIRequest: what is accepted names an instance, and nothing else.
func FuzzURIRequest(f *testing.F) {
	f.Add("requestType=WADO&studyUID=1.2&seriesUID=1.3&objectUID=1.4&contentType=image/jpeg&frameNumber=1&region=0,0,1,1")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := web.ParseURIRequest(s)
		if err != nil {
			return
		}
		if _, err := web.ParseResource(r.Resource().Path()); err != nil {
			t.Errorf("%q: names %s: %v", s, r.Resource().Path(), err)
		}
	})
}
