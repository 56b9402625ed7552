package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestGeneratedFilesAreCurrent generates again and compares. It needs the Debian packages
// libdcmtk17 and python3-pydicom.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	files, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what its sources give: run go generate ./dicom", name)
		}
	}
}

func TestReadAttributes(t *testing.T) {
	const source = "# comment\n" +
		"(0028,0106)\txs\tSmallestImagePixelValue\t1\tDICOM\n" +
		"(0010,0010)\tPN\tPatientName\t1\tDICOM\n" +
		"(6000-60FF,3000)\tox\tOverlayData\t1\tDICOM\n" +
		"(0020,3100-31FF)\tCS\tRETIRED_SourceImageIDs\t1-n\tDICOM/retired\n" +
		"(0009-o-FFFF,0000)\tUL\tPrivateGroupLength\t1\tPRIVATE\n"
	single, ranges, err := readAttributes(source, map[uint32]string{0x00100010: "Patient's Name"})
	if err != nil || len(single) != 2 || len(ranges) != 2 {
		t.Fatalf("%v, %v, %v", single, ranges, err)
	}
	if a := single[0]; a.name != "Patient's Name" || a.first != 0x00100010 || a.vrs != "PN" {
		t.Errorf("%+v", a)
	}
	if a := single[1]; a.name != "Smallest Image Pixel Value" || a.vrs != "US SS" {
		t.Errorf("%+v", a)
	}
	if a := ranges[0]; a.first != 0x00203100 || a.last != 0x002031FF || !a.retired || a.keyword != "SourceImageIDs" {
		t.Errorf("%+v", a)
	}
	if a := ranges[1]; a.first != 0x60003000 || a.last != 0x60FF3000 || a.vrs != "OB OW" {
		t.Errorf("%+v", a)
	}
}
