package commit_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/dicom/commit"
)

var syntaxes = []dicom.UID{dicom.ImplicitVRLittleEndian, dicom.ExplicitVRLittleEndian, dicom.ExplicitVRBigEndian, dicom.DeflatedExplicitVRLittleEndian}

func reference(i int) commit.Reference {
	return commit.Reference{SOPClassUID: dicom.CTImageStorage, SOPInstanceUID: dicom.UID(fmt.Sprintf("2.25.1%06d", i))}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	report := commit.Report{
		TransactionUID: "2.25.7",
		Committed:      []commit.Reference{reference(1), reference(2)},
		Failed:         []commit.Failure{{Reference: reference(3), Reason: commit.NoSuchObjectInstance}},
	}
	action := commit.Action{TransactionUID: commit.NewTransactionUID(), References: []commit.Reference{reference(1), reference(1)}}
	if err := action.TransactionUID.Validate(); err != nil {
		t.Error(err)
	}
	for _, ts := range syntaxes {
		var b bytes.Buffer
		if err := report.Write(&b, ts); err != nil {
			t.Fatal(err)
		}
		got, err := commit.ReadReport(&b, ts)
		if err != nil || !reflect.DeepEqual(got, report) {
			t.Errorf("%s: %+v, %v", ts, got, err)
		}
		b.Reset()
		if err := action.Write(&b, ts); err != nil {
			t.Fatal(err)
		}
		again, err := commit.ReadAction(&b, ts)
		if err != nil || !reflect.DeepEqual(again, action) {
			t.Errorf("%s: %+v, %v", ts, again, err)
		}
	}
	if report.EventType() != commit.FailuresExist || (commit.Report{}).EventType() != commit.Successful {
		t.Error("event types")
	}
}

// item lays out one item of a sequence by hand.
func item(w *dicom.Writer, class, instance string) {
	w.BeginItem(dicom.Defined)
	if class != "" {
		w.String(dicom.TagReferencedSOPClassUID, dicom.UI, class)
	}
	if instance != "" {
		w.String(dicom.TagReferencedSOPInstanceUID, dicom.UI, instance)
	}
	w.EndItem()
}

func TestRequestsThatCannotBeMeant(t *testing.T) {
	syntax, _ := dicom.LookupTransferSyntax(dicom.ExplicitVRLittleEndian)
	transaction := func(w *dicom.Writer) { w.String(0x00081195, dicom.UI, "2.25.1") }
	references := func(w *dicom.Writer, class, instance string) {
		w.BeginSequence(dicom.TagReferencedSOPSequence, dicom.Defined)
		item(w, class, instance)
		w.EndSequence()
	}
	for name, lay := range map[string]func(*dicom.Writer){
		"nothing":            func(*dicom.Writer) {},
		"no transaction":     func(w *dicom.Writer) { references(w, "1.2", "1.3") },
		"no references":      transaction,
		"no instance":        func(w *dicom.Writer) { transaction(w); references(w, "1.2", "") },
		"no class":           func(w *dicom.Writer) { transaction(w); references(w, "", "1.3") },
		"UID too long":       func(w *dicom.Writer) { transaction(w); references(w, "1.2", strings.Repeat("1", 66)) },
		"two instances":      func(w *dicom.Writer) { transaction(w); references(w, "1.2", `1.3\1.4`) },
		"control characters": func(w *dicom.Writer) { transaction(w); references(w, "1.2", "1.3\x1b[2J") },
		"sequence never ends": func(w *dicom.Writer) {
			transaction(w)
			references(w, "1.2", "1.3")
			w.Header(0x00081200, dicom.SQ, dicom.UndefinedLength)
		},
		"noise after it": func(w *dicom.Writer) { transaction(w); references(w, "1.2", "1.3"); w.Raw([]byte("\x00\x00\x00")) },
	} {
		var b bytes.Buffer
		w := dicom.NewWriter(&b, syntax)
		lay(w)
		if a, err := commit.ReadAction(&b, syntax.UID); err == nil {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if _, err := commit.ReadAction(strings.NewReader(""), "1.2.3"); err == nil {
		t.Error("a transfer syntax that nobody knows")
	}
}

func TestReferencesOfOtherSequencesAreNotMeant(t *testing.T) {
	syntax, _ := dicom.LookupTransferSyntax(dicom.ExplicitVRLittleEndian)
	var b bytes.Buffer
	w := dicom.NewWriter(&b, syntax)
	w.BeginSequence(0x00081111, dicom.Undefined) // Referenced Performed Procedure Step Sequence
	item(w, "1.2.840.10008.3.1.2.3.3", "1.9")
	w.EndSequence()
	w.String(0x00081195, dicom.UI, "2.25.1")
	w.BeginSequence(dicom.TagReferencedSOPSequence, dicom.Undefined)
	item(w, "1.2", "1.3")
	w.EndSequence()
	a, err := commit.ReadAction(&b, syntax.UID)
	if err != nil || len(a.References) != 1 || a.References[0].SOPInstanceUID != "1.3" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestLongRequestsEndAtTheLimit(t *testing.T) {
	a := commit.Action{TransactionUID: "2.25.1"}
	for i := range commit.MaxReferences {
		a.References = append(a.References, reference(i))
	}
	var b bytes.Buffer
	if err := a.Write(&b, dicom.ImplicitVRLittleEndian); err != nil {
		t.Fatal(err)
	}
	if got, err := commit.ReadAction(&b, dicom.ImplicitVRLittleEndian); err != nil || len(got.References) != commit.MaxReferences {
		t.Errorf("%d references, %v", len(got.References), err)
	}
	b.Reset()
	a.References = append(a.References, reference(commit.MaxReferences))
	if err := a.Write(&b, dicom.ImplicitVRLittleEndian); err != nil {
		t.Fatal(err)
	}
	if _, err := commit.ReadAction(&b, dicom.ImplicitVRLittleEndian); !errors.Is(err, commit.ErrTooLong) {
		t.Errorf("one too many: %v", err)
	}
	endless := io.MultiReader(strings.NewReader("\x08\x00\x05\x00\xf0\xff\xff\xff"), zeros{})
	if _, err := commit.ReadAction(endless, dicom.ImplicitVRLittleEndian); !errors.Is(err, commit.ErrTooLong) {
		t.Errorf("an endless value: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// FuzzReport reads results. What is accepted is written and read again as it is.
func FuzzReport(f *testing.F) {
	for _, ts := range syntaxes[:2] {
		var b bytes.Buffer
		r := commit.Report{TransactionUID: "2.25.7", Committed: []commit.Reference{reference(1)}, Failed: []commit.Failure{{Reference: reference(3), Reason: 0x0112}}}
		if err := r.Write(&b, ts); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes(), ts == dicom.ImplicitVRLittleEndian)
	}
	f.Fuzz(func(t *testing.T, p []byte, implicit bool) {
		ts := dicom.ExplicitVRLittleEndian
		if implicit {
			ts = dicom.ImplicitVRLittleEndian
		}
		r, err := commit.ReadReport(bytes.NewReader(p), ts)
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := r.Write(&b, ts); err != nil {
			t.Fatal(err)
		}
		again, err := commit.ReadReport(&b, ts)
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}
