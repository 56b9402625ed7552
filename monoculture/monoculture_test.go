package monoculture

import (
	"math"
	"strings"
	"testing"

	"cordon/asset"
)

func hospital() []Device {
	us := func(name, os string) Device {
		return Device{name, asset.Inventory{Vendor: "Acme", Model: "Sono 5", Modality: "US", OS: os, VendorAccess: "VPN of Acme", Software: []string{"DICOM kit 3.1"}}}
	}
	return []Device{
		us("us-1", "Windows 2000 SP4"), us("us-2", "windows  2000 sp4"), us("us-3", "Windows 2000 SP4"),
		{"ct-1", asset.Inventory{Vendor: "Beta", Model: "T64", Modality: "CT", OS: "Windows 10 LTSC", Criticality: asset.Life, Software: []string{"dicom kit 3.1", "recon 2"}}},
		{"mr-1", asset.Inventory{Vendor: "Beta", Model: "M3", Modality: "MR", OS: "Linux 5.10"}},
		{"xr-1", asset.Inventory{}},
	}
}

func find(t *testing.T, r Report, id string) Attribute {
	t.Helper()
	for _, a := range r.Attributes {
		if a.ID == id {
			return a
		}
	}
	t.Fatalf("no attribute %s", id)
	return Attribute{}
}

func TestOneAttackTakesAllUltrasound(t *testing.T) {
	r := Of(hospital())
	os := find(t, r, "os")
	if g := os.Groups[0]; g.Value != "Windows 2000 SP4" || len(g.Devices) != 3 || !strings.Contains(g.Says, "No examination with US is left.") {
		t.Errorf("%+v", g)
	}
	if len(os.Unknown) != 1 || os.Unknown[0] != "xr-1" {
		t.Errorf("unknown: %v", os.Unknown)
	}
	family := find(t, r, "os_family")
	if g := family.Groups[0]; g.Value != "Windows" || len(g.Devices) != 4 || !strings.Contains(g.Says, "No examination with US, CT is left.") {
		t.Errorf("%+v", g)
	}
	if r.Worst == nil || r.Worst.Value != "Windows" || r.Described != 5 || r.Devices != 6 {
		t.Errorf("%+v", r)
	}
	if g := find(t, r, "software").Groups[0]; len(g.Devices) != 4 {
		t.Errorf("software: %+v", g)
	}
}

func TestIndexIsThatOfHerfindahlAndHirschman(t *testing.T) {
	os := find(t, Of(hospital()), "os") // 3, 1, 1 and one unknown, of 6
	if want := (9.0 + 1 + 1 + 1) / 36; math.Abs(os.Index-want) > 1e-9 {
		t.Errorf("index %f, want %f", os.Index, want)
	}
	if want := (16.0 + 1 + 1) / 36; math.Abs(os.Worst-want) > 1e-9 {
		t.Errorf("worst %f, want %f", os.Worst, want)
	}
	same := []Device{{"a", asset.Inventory{OS: "X 1"}}, {"b", asset.Inventory{OS: "X 1"}}}
	if a := find(t, Of(same), "os"); a.Index != 1 || Word(a.Index) != "alike" {
		t.Errorf("%+v", a)
	}
}

func TestNothingKnownIsSaid(t *testing.T) {
	r := Of([]Device{{Name: "a"}, {Name: "b"}})
	os := find(t, r, "os")
	if r.Worst != nil || r.Described != 0 || len(os.Unknown) != 2 || os.Worst != 1 || !strings.HasPrefix(os.Says, "Nothing is known.") {
		t.Errorf("%+v", os)
	}
	if r := Of(nil); r.Worst != nil || find(t, r, "os").Says != "There are no devices yet." {
		t.Errorf("%+v", r)
	}
}
