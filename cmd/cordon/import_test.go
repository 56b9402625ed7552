package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"cordon/dicom"
	"cordon/inspect/compose"
)

// medium makes a patient's CD: two clean images, one with a program in a private
// element, one with a program in its preamble, one that a reader would not bear;
// a viewer that starts by itself; and a DICOMDIR that runs in a circle, misses
// one image, names one that is not there, and one outside.
func medium(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Join(dir, "IMAGES"), 0o755))
	of := compose.NewUID()
	image := func(name string, change func(*compose.Object)) {
		o := compose.CT(64, 64)
		o.Study = of
		change(o)
		ts.Check(os.WriteFile(filepath.Join(dir, "IMAGES", name), o.File(), 0o644))
	}
	image("CLEAN1", func(*compose.Object) {})
	image("CLEAN2", func(*compose.Object) {})
	image("PRIVATE", func(o *compose.Object) { compose.PrivateOB.Put(o, compose.WindowsProgram()) })
	image("PREAMBLE", func(o *compose.Object) { compose.Preamble.Put(o, compose.LinuxProgram()) })
	image("ROWS", func(o *compose.Object) { o.SetUint16(dicom.TagRows, 4096) })
	write := func(name string, p []byte) { ts.Check(os.WriteFile(filepath.Join(dir, name), p, 0o644)) }
	write("autorun.inf", []byte("[autorun]\r\nopen=viewer.exe\r\n"))
	write("viewer.exe", compose.WindowsProgram())
	write("README.TXT", []byte("Dear patient"))
	write("DICOMDIR", circularDirectory(`IMAGES\CLEAN1`, `IMAGES\PRIVATE`, `IMAGES\GONE`, `..\images\hostile.dcm`))
}

// circularDirectory is a DICOMDIR whose every record leads to the first.
func circularDirectory(files ...string) []byte {
	var b bytes.Buffer
	dicom.WriteFileMeta(&b, dicom.FileMeta{
		SOPClassUID: dicom.MediaStorageDirectoryStorage, SOPInstanceUID: compose.NewUID(), TransferSyntaxUID: dicom.ExplicitVRLittleEndian,
	})
	syntax, _ := dicom.LookupTransferSyntax(dicom.ExplicitVRLittleEndian)
	w := dicom.NewWriter(&b, syntax)
	first := uint32(b.Len() + 12 + 12) // after this element and the sequence's header
	w.Uint32(0x00041200, first)
	w.BeginSequence(dicom.TagDirectoryRecordSequence, dicom.Undefined)
	for _, f := range files {
		w.BeginItem(dicom.Undefined)
		w.Uint32(0x00041400, first)
		w.String(dicom.TagReferencedFileID, dicom.CS, f)
		w.EndItem()
	}
	w.EndSequence()
	w.Close()
	return b.Bytes()
}

func TestGatewayIsCalledOnThisMachine(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:11112": "127.0.0.1:11112",
		":11112":          "127.0.0.1:11112",
		"0.0.0.0:11112":   "127.0.0.1:11112",
		"[::]:11112":      "127.0.0.1:11112",
		"[::1]:11112":     "[::1]:11112",
		"gw.example:104":  "gw.example:104",
	} {
		if got := dialable(listen); got != want {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
}
