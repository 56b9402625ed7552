package bridge

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/web"
)

// values are those of one attribute, sorted.
func values(rows []web.DataSet, t dicom.Tag) []string {
	var out []string
	for _, row := range rows {
		out = append(out, row.String(t))
	}
	slices.Sort(out)
	return out
}

func TestFindAtEachLevel(t *testing.T) {
	h := start(t)
	a, b := series(t, 3, "1", "Müller^Jörg"), series(t, 2, "2", "Иванов^Иван=伊万=イワン")
	again := series(t, 1, "1", "Müller^Jörg")
	h.archive.fill(slices.Concat(a, b, again)...)
	p := h.peer()
	patient := dimse.Command{Field: dimse.CFindRQ, AffectedSOPClassUID: dicom.PatientRootQueryRetrieveInformationModelFind}
	for name, c := range map[string]struct {
		context uint8
		rq      dimse.Command
		keys    web.DataSet
		tag     dicom.Tag
		want    []string
	}{
		"patients":            {13, patient, keys("PATIENT", dicom.TagPatientID, "", dicom.TagPatientName, ""), dicom.TagPatientName, []string{"Müller^Jörg", "Иванов^Иван=伊万=イワン"}},
		"a patient":           {13, patient, keys("PATIENT", dicom.TagPatientID, "2"), dicom.TagPatientID, []string{"2"}},
		"studies":             {5, findRQ, keys("STUDY", dicom.TagStudyInstanceUID, "", dicom.TagPatientID, ""), dicom.TagPatientID, []string{"1", "1", "2"}},
		"studies by a name":   {5, findRQ, keys("STUDY", dicom.TagStudyInstanceUID, "", dicom.TagPatientName, "Мü*"), dicom.TagPatientID, nil},
		"studies by its name": {5, findRQ, keys("STUDY", dicom.TagPatientID, "", dicom.TagPatientName, "Иван*"), dicom.TagPatientID, []string{"2"}},
		"series":              {5, findRQ, keys("SERIES", dicom.TagStudyInstanceUID, a[0].study, dicom.TagSeriesInstanceUID, ""), dicom.TagSeriesInstanceUID, []string{string(a[0].series)}},
		"images":              {5, findRQ, keys("IMAGE", dicom.TagStudyInstanceUID, b[0].study, dicom.TagSeriesInstanceUID, b[0].series, dicom.TagInstanceNumber, ""), dicom.TagInstanceNumber, []string{"0", "1"}},
		"nothing":             {5, findRQ, keys("STUDY", dicom.TagPatientID, "4711"), dicom.TagPatientID, nil},
	} {
		all := p.ask(c.context, c.rq, c.keys)
		got := rows(t, all)
		if last(all).Command.Status != dimse.Success || !slices.Equal(values(got, c.tag), c.want) {
			t.Errorf("%s: %04X, %q", name, uint16(last(all).Command.Status), values(got, c.tag))
		}
		for _, row := range got {
			if row.String(dicom.TagQueryRetrieveLevel) != c.keys.String(dicom.TagQueryRetrieveLevel) || row.String(dicom.TagRetrieveAETitle) != "CLOUD" {
				t.Errorf("%s: %v", name, row)
			}
		}
	}
}

func TestFindPagesThroughAndNeverCallsAPartTheWhole(t *testing.T) {
	h := start(t, func(a *webArchive) { a.page = 2 })
	images := series(t, 7, "1", "Doe^Jane")
	h.archive.fill(images...)
	p := h.peer()
	identifier := keys("IMAGE", dicom.TagStudyInstanceUID, images[0].study, dicom.TagSeriesInstanceUID, images[0].series, dicom.TagSOPInstanceUID, "")
	all := p.ask(5, findRQ, identifier)
	if got := rows(t, all); len(got) != 7 || last(all).Command.Status != dimse.Success {
		t.Errorf("%d matches, %04X", len(got), uint16(last(all).Command.Status))
	}
	h.archive.onFind = func(w http.ResponseWriter, q web.Query) bool { // which has no offset
		q.Offset = 0
		h.archive.find(w, q)
		return true
	}
	all = p.ask(5, findRQ, identifier)
	if got := rows(t, all); len(got) != 2 || last(all).Command.Status != dimse.OutOfResources {
		t.Errorf("%d matches, %04X", len(got), uint16(last(all).Command.Status))
	}
}

func TestStatusesOfAFind(t *testing.T) {
	for status, want := range map[int]dimse.Status{
		200: dimse.Success, 204: dimse.Success, 302: statusUnreadable, 400: dimse.DataSetDoesNotMatchSOPClass, 401: dimse.OutOfResources,
		404: dimse.OutOfResources, 406: statusUnreadable, 413: dimse.OutOfResources, 418: statusUnreadable, 500: statusUnreadable, 503: dimse.OutOfResources,
	} {
		h := start(t, func(a *webArchive) {
			a.onFind = func(w http.ResponseWriter, _ web.Query) bool {
				w.Header().Set("Content-Type", web.TypeJSON)
				w.WriteHeader(status)
				return true
			}
		})
		all := h.peer().ask(5, findRQ, keys("STUDY", dicom.TagStudyInstanceUID, ""))
		if got := last(all).Command.Status; got != want || len(all) != 1 {
			t.Errorf("%d: %04X, want %04X", status, uint16(got), uint16(want))
		}
	}
	for _, body := range []string{"garbage", `[{"00100020":`, `[{"00100020":{"vr":"LO","Value":[{}]}}]`, strings.Repeat("[", 100_000)} {
		h := start(t, func(a *webArchive) {
			a.onFind = func(w http.ResponseWriter, _ web.Query) bool {
				w.Header().Set("Content-Type", web.TypeJSON)
				w.Write([]byte(body))
				return true
			}
		})
		all := h.peer().ask(5, findRQ, keys("STUDY", dicom.TagStudyInstanceUID, ""))
		if got := last(all).Command.Status; got != statusUnreadable {
			t.Errorf("%.20q: %04X", body, uint16(got))
		}
	}
	h := start(t)
	p := h.peer()
	for name, d := range map[string]web.DataSet{"level of another model": keys("PATIENT", dicom.TagPatientID, "1"), "no level": keys("", dicom.TagPatientID, "1")} {
		if got := last(p.ask(5, findRQ, d)).Command.Status; got != dimse.DataSetDoesNotMatchSOPClass {
			t.Errorf("%s: %04X", name, uint16(got))
		}
	}
	if asked := h.archive.requests(); len(asked) != 0 {
		t.Errorf("the archive was asked %q", asked)
	}
}

func TestFindIsCancelled(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan struct{})
	h := start(t, func(a *webArchive) {
		a.onFind = func(w http.ResponseWriter, _ web.Query) bool {
			w.Header().Set("Content-Type", web.TypeJSON)
			w.Write([]byte(`[{"00100020":{"vr":"LO","Value":["1"]}}`))
			w.(http.Flusher).Flush()
			close(begun)
			<-ended
			return true
		}
	})
	defer close(ended)
	p := h.peer()
	op := p.begin(5, findRQ, keys("STUDY", dicom.TagPatientID, ""))
	<-begun
	began := time.Now()
	if err := op.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := last(p.rest(op)).Command.Status; got != dimse.Cancel || time.Since(began) > 3*time.Second {
		t.Errorf("%04X after %v", uint16(got), time.Since(began))
	}
	if rsp := p.ask(5, findRQ, keys("PATIENT", dicom.TagPatientID, "")); len(rsp) != 1 {
		t.Error("the association is of no more use")
	}
}
