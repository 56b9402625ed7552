package inspect

import (
	"testing"

	"cordon/dicom"
	"cordon/finding"
)

// Each kind of the catalogue is raised by an inspector or noticed by the decoder,
// and inspectors raise nothing else.
func TestEveryKindHasAnInspector(t *testing.T) {
	raised := map[string]bool{finding.AnnouncedMismatch: true, finding.EngineDetection: true} // of package judge
	for _, code := range dicom.Codes() {
		raised[string(code)] = true
	}
	for _, i := range New(Options{}).inspectors {
		for _, id := range i.raises() {
			raised[id] = true
			if _, ok := finding.Lookup(id); !ok {
				t.Errorf("%T raises %s, which is not in the catalogue", i, id)
			}
		}
	}
	for _, k := range finding.Catalogue() {
		if !raised[k.ID] {
			t.Errorf("%s: nobody raises it", k.ID)
		}
	}
}

// An anchor is a byte of its patterns, neither too far from their start nor their end.
func TestPatternsAreWellFormed(t *testing.T) {
	for _, a := range anchors {
		for _, p := range a.patterns {
			if p.magic[p.back] != a.b {
				t.Errorf("%q: byte %d is not its anchor %02X", p.magic, p.back, a.b)
			}
			if p.back+8 > sweepBehind || p.back+1 >= len(p.magic) {
				t.Errorf("%q: reaches %d bytes back of %d", p.magic, p.back, len(p.magic))
			}
		}
	}
}
