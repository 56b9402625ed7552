package inspect_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/finding"
	"cordon/inspect"
	"cordon/inspect/compose"
)

// vector is an object that fires a kind of finding, and one that looks like it
// and must not.
type vector struct {
	id            string
	fires, spares []byte
	options       inspect.Options
}

// elsewhere are the kinds that this package does not raise, with who does.
var elsewhere = map[string]string{finding.AnnouncedMismatch: "judge", finding.EngineDetection: "judge"}

// Every row of the catalogue has an object that fires it and a near miss that
// does not.
func TestCatalogueHasVectors(t *testing.T) {
	all := slices.Concat(payloadVectors(), contentVectors(), containerVectors(), geometryVectors(), codestreamVectors(), encodingVectors(), limitVectors())
	tested := map[string]bool{}
	for _, v := range all {
		tested[v.id] = true
		v.options.Decoder.Size = int64(len(v.fires))
		if out := judged(v.options, v.fires, 0); !has(out, v.id, "") {
			t.Errorf("%s: does not fire, found %v", v.id, out.Findings)
		}
		v.options.Decoder.Size = int64(len(v.spares))
		if out := judged(v.options, v.spares, 0); has(out, v.id, "") {
			t.Errorf("%s: does not spare its near miss, found %v", v.id, out.Findings)
		}
	}
	for _, k := range finding.Catalogue() {
		if elsewhere[k.ID] == "" && !tested[k.ID] {
			t.Errorf("%s: no vector", k.ID)
		}
	}
}

// Every anomaly that the decoder can notice is in the catalogue.
func TestAnomaliesAreInTheCatalogue(t *testing.T) {
	for _, code := range dicom.Codes() {
		if _, ok := finding.Lookup(string(code)); !ok {
			t.Errorf("%s: not in the catalogue", code)
		}
	}
}

// ct is a small clean CT image with a change.
func ct(change func(o *compose.Object)) []byte {
	o := compose.CT(16, 16)
	change(o)
	return o.File()
}

// put is a small clean CT image with a payload in a place.
func put(p compose.Place, payload []byte) []byte {
	return ct(func(o *compose.Object) { p.Put(o, payload) })
}

// text is a small clean CT image with a private element of the VR.
func text(vr dicom.VR, value string) []byte {
	return ct(func(o *compose.Object) {
		o.SetString(0x00090010, dicom.LO, "VENDOR")
		o.SetString(0x00091001, vr, value)
	})
}

func payloadVectors() []vector {
	spoiled := compose.WindowsProgram()
	spoiled[132] = 0xEE // no such machine
	eicar := compose.EICAR()
	eicar[30] ^= 1
	bad := ct(func(o *compose.Object) { o.Set(0x00091001, dicom.OB, []byte("listed content")) })
	sum := sha256.Sum256([]byte("listed content"))
	list, _ := inspect.ReadHashList(strings.NewReader(fmt.Sprintf("# known\n%x  Sample.A\n", sum)))
	half := compose.Shortcut()
	half[19] = 0
	return []vector{
		{id: "eicar", fires: put(compose.PrivateLT, compose.EICAR()), spares: put(compose.PrivateLT, eicar)},
		{id: "hash-listed", fires: bad, spares: ct(func(o *compose.Object) { o.Set(0x00091001, dicom.OB, []byte("listed contents ")) }), options: inspect.Options{Hashes: list}},
		{id: "preamble-executable", fires: put(compose.PreambleAndPrivate, compose.WindowsProgram()), spares: put(compose.Preamble, append(spoiled[:64:64], make([]byte, 64)...))},
		{id: "preamble-executable", fires: put(compose.Preamble, compose.LinuxProgram()), spares: put(compose.Preamble, []byte("\x7FELF"))},
		{id: "preamble-script", fires: put(compose.Preamble, compose.ShellScript()), spares: put(compose.Preamble, []byte("# made by a viewer"))},
		{id: "executable", fires: put(compose.PrivateOB, compose.WindowsProgram()), spares: put(compose.PrivateOB, spoiled)},
		{id: "shortcut", fires: put(compose.PrivateOB, compose.Shortcut()), spares: put(compose.PrivateOB, half)},
		{id: "script", fires: put(compose.PrivateUT, compose.ShellScript()), spares: put(compose.PrivateUT, append([]byte("see: "), compose.ShellScript()...))},
		{id: "preamble-executable-magic", fires: put(compose.Preamble, []byte("MZ")), spares: put(compose.Preamble, []byte(" MZ"))},
		{id: "preamble-tiff", fires: put(compose.Preamble, []byte("MM\x00\x2B\x00\x08")), spares: put(compose.Preamble, []byte("MM\x2B\x00"))},
		{id: "preamble-content", fires: put(compose.Preamble, []byte("Vendor 1.0")), spares: put(compose.Preamble, nil)},
		{id: "executable-magic", fires: put(compose.PrivateOB, spoiled), spares: put(compose.PrivateOB, spoiled[1:])},
		{id: "not-dicom", fires: []byte("a letter"), spares: compose.CT(4, 4).File()},
	}
}

func contentVectors() []vector {
	with := func(t dicom.Tag, vr dicom.VR, value string) []byte {
		return ct(func(o *compose.Object) { o.SetString(t, vr, value) })
	}
	twice := func(t dicom.Tag, one, other string) []byte {
		return ct(func(o *compose.Object) {
			o.SetFunc(t, func(w *dicom.Writer) {
				w.String(t, dicom.UI, one)
				w.String(t, dicom.UI, other)
			})
		})
	}
	mismatch := compose.CT(16, 16)
	mismatch.SetString(dicom.TagSOPInstanceUID, dicom.UI, "1.2.3")
	missing := compose.CT(16, 16)
	missing.SOPClass = ""
	clean := compose.CT(16, 16).File()
	withPrivate := bytes.Replace(clean, []byte("\x02\x00\x12\x00UI"), []byte("\x02\x00\x12\x00LO"), 1)
	directory := compose.New(dicom.MediaStorageDirectoryStorage)
	directory.SetString(dicom.TagReferencedFileID, dicom.CS, "IMAGES", "CT_1")
	const fileID, retrieve = dicom.TagReferencedFileID, dicom.TagRetrieveAETitle
	return []vector{
		{id: "active-markup", fires: with(0x00081030, dicom.LO, `chest<img src=x onerror=alert(1)>`), spares: with(0x00081030, dicom.LO, `T <b onset = 5 mm, on = both sides>`)},
		{id: "active-markup", fires: text(dicom.LT, `<ScRiPt >x</script>`), spares: text(dicom.LT, `<b>Description</b> of <subscript>`)},
		{id: "path-traversal", fires: with(dicom.TagSOPInstanceUID, dicom.UI, "../../etc/cron.d/x"), spares: with(dicom.TagSOPInstanceUID, dicom.UI, "1.2..3")},
		{id: "path-traversal", fires: with(0x00080058, dicom.UI, `1.2\..\..\x`), spares: with(0x00080058, dicom.UI, `1.2\1.3`)},
		{id: "path-traversal", fires: with(dicom.TagStudyInstanceUID, dicom.UI, "1.2;reboot"), spares: with(dicom.TagStudyInstanceUID, dicom.UI, "N/A (null)")},
		{id: "path-traversal", fires: with(dicom.TagStudyInstanceUID, dicom.UI, `C:\1.2`), spares: with(dicom.TagStudyInstanceUID, dicom.UI, "12:30")},
		{id: "path-traversal", fires: with(fileID, dicom.CS, `IMAGES\..\..\CT`), spares: with(fileID, dicom.CS, `IMAGES\CT..1`)},
		{id: "path-traversal", fires: with(retrieve, dicom.AE, `../../x`), spares: with(retrieve, dicom.AE, `PACS-1`)},
		{id: "ambiguous-element", fires: twice(dicom.TagSOPInstanceUID, "1.2.3", "1.2.4"), spares: twice(dicom.TagSOPInstanceUID, "1.2.3", "1.2.3")},
		{id: "ambiguous-element", fires: twice(0x00280008, "1", "9"), spares: twice(0x00280009, "1", "9")},
		{id: "uid-irregular", fires: with(dicom.TagStudyInstanceUID, dicom.UI, "1.2.03"), spares: with(dicom.TagStudyInstanceUID, dicom.UI, "1.2.0.3")},
		{id: "ae-title-irregular", fires: with(retrieve, dicom.AE, "AN-AE-TITLE-OF-20-CHARS"), spares: with(retrieve, dicom.AE, "16-CHARACTERS-AE")},
		{id: "file-id-irregular", fires: with(fileID, dicom.CS, "image.dcm"), spares: directory.File()},
		{id: "identity-missing", fires: missing.File(), spares: directory.File()},
		{id: "identity-mismatch", fires: mismatch.File(), spares: clean},
		{id: "meta-vr", fires: withPrivate, spares: clean},
	}
}

func geometryVectors() []vector {
	const rows, frames = 0x00280010, 0x00280008
	long := func(extra int) []byte {
		return ct(func(o *compose.Object) { o.Set(dicom.TagPixelData, dicom.OW, make([]byte, 16*16*2+extra)) })
	}
	bitmap := func(frames string, size int) []byte { // 1 bit: 5×5 pixels, frames packed without a gap
		return ct(func(o *compose.Object) {
			o.SetUint16(0x00280010, 5)
			o.SetUint16(0x00280011, 5)
			o.SetUint16(0x00280100, 1)
			o.SetString(0x00280008, dicom.IS, frames)
			o.Set(dicom.TagPixelData, dicom.OB, make([]byte, size))
		})
	}
	subsampled := func(photometric string) []byte {
		return ct(func(o *compose.Object) {
			o.SetUint16(0x00280002, 3)
			o.SetUint16(0x00280100, 8)
			o.SetString(0x00280004, dicom.CS, photometric)
			o.Set(dicom.TagPixelData, dicom.OB, make([]byte, 16*16*2))
		})
	}
	palette := func(bytes int) []byte {
		return ct(func(o *compose.Object) {
			o.SetUint16(0x00281101, 256, 0, 16)
			o.Set(0x00281201, dicom.OW, make([]byte, bytes))
		})
	}
	overlay := func(bytes int) []byte {
		return ct(func(o *compose.Object) {
			o.SetUint16(0x60020010, 10)
			o.SetUint16(0x60020011, 10)
			o.Set(0x60023000, dicom.OW, make([]byte, bytes))
		})
	}
	return []vector{
		{id: "geometry-vr", fires: ct(func(o *compose.Object) { o.Set(rows, dicom.UL, []byte{16, 0, 0, 0}) }), spares: ct(func(o *compose.Object) { o.Set(rows, dicom.UN, []byte{16, 0}) })},
		{id: "geometry-overflow", fires: ct(func(o *compose.Object) { o.SetString(frames, dicom.IS, "16777217") }), spares: ct(func(o *compose.Object) { o.SetString(frames, dicom.IS, "1") })},
		{id: "geometry-overflow", fires: ct(func(o *compose.Object) {
			o.Set(rows, dicom.UL, []byte{0xFF, 0xFF, 0xFF, 0xFF})
			o.Set(0x00280011, dicom.UL, []byte{0xFF, 0xFF, 0xFF, 0xFF})
		}), spares: long(0)},
		{id: "geometry-missing", fires: ct(func(o *compose.Object) { o.Remove(rows) }), spares: ct(func(o *compose.Object) { o.Remove(rows); o.Remove(dicom.TagPixelData) })},
		{id: "pixel-data-short", fires: long(-2), spares: long(0)},
		{id: "pixel-data-short", fires: bitmap("3", 8), spares: bitmap("3", 10)},
		{id: "pixel-data-short", fires: subsampled("RGB"), spares: subsampled("YBR_FULL_422")},
		{id: "pixel-data-long", fires: long(2), spares: long(0)},
		{id: "pixel-data-long", fires: bitmap("3", 14), spares: bitmap("3", 12)}, // frames padded to bytes: 3 × 4
		{id: "lookup-table-short", fires: palette(254), spares: palette(256)},
		{id: "lookup-table-depth", fires: palette(510), spares: palette(512)},
		{id: "overlay-short", fires: overlay(12), spares: overlay(14)},
	}
}

func codestreamVectors() []vector {
	photo := func(table []byte, fragments ...[]byte) []byte {
		o := compose.Photo(32, 24)
		o.SetFragments(table, fragments...)
		return o.File()
	}
	ts := func(uid dicom.UID, fragments ...[]byte) []byte {
		o := compose.Photo(32, 24)
		o.TransferSyntax = uid
		o.SetFragments(nil, fragments...)
		return o.File()
	}
	offsets := func(v ...uint32) []byte {
		var b []byte
		for _, o := range v {
			b = binary.LittleEndian.AppendUint32(b, o)
		}
		return b
	}
	image := compose.JPEG(32, 24)
	next := uint32(8 + (len(image)+1)&^1)
	broken := bytes.Clone(image)
	broken[4], broken[5] = 0, 1 // a segment shorter than its own length
	rle := func(segments ...uint32) []byte {
		header := binary.LittleEndian.AppendUint32(nil, uint32(len(segments)))
		header = append(header, offsets(segments...)...)
		return append(header, make([]byte, 128-len(header))...)
	}
	siz := func(width, height, tile uint32) []byte {
		b := append([]byte("\xFF\x4F\xFF\x51"), make([]byte, 60)...)
		for i, v := range []uint32{width, height, 0, 0, tile, tile} {
			binary.BigEndian.PutUint32(b[8+4*i:], v)
		}
		b[41] = 1
		return b
	}
	extended := func(v uint64) []byte {
		o := compose.Photo(32, 24)
		o.Set(dicom.TagExtendedOffsetTable, dicom.OV, binary.LittleEndian.AppendUint64(nil, v))
		return o.File()
	}
	native := compose.Photo(32, 24)
	native.Set(dicom.TagPixelData, dicom.OB, make([]byte, 32*24))
	return []vector{
		{id: "codestream-size", fires: photo(nil, compose.JPEG(33, 24)), spares: photo(nil, image)},
		{id: "codestream-size", fires: ts(dicom.JPEG2000, siz(25, 32, 64)), spares: ts(dicom.JPEG2000, siz(24, 32, 64))},
		{id: "codestream-size-differs", fires: photo(nil, compose.JPEG(31, 24)), spares: photo(nil, image)},
		{id: "codestream-format", fires: ts(dicom.JPEG2000Lossless, image), spares: ts(dicom.JPEG2000Lossless, siz(24, 32, 64))},
		{id: "codestream-markers", fires: photo(nil, broken), spares: photo(nil, append([]byte("\xFF\xD8\xFF\xFF\x01"), image[2:]...))},
		{id: "codestream-markers", fires: ts(dicom.JPEG2000, siz(4000000000, 32, 1)), spares: ts(dicom.JPEG2000, siz(24, 32, 1))},
		{id: "codestream-trailing", fires: photo(nil, append(bytes.Clone(image), "junk"...)), spares: photo(nil, append(bytes.Clone(image), 0, 0, 0, 0xFF))},
		{id: "encapsulation", fires: native.File(), spares: photo(nil, image)},
		{id: "offset-table-range", fires: photo(offsets(0, 2*next), image, image), spares: photo(offsets(0, next), image, image)},
		{id: "offset-table-range", fires: extended(1 << 40), spares: extended(0)},
		{id: "offset-table-order", fires: photo(offsets(0, next-2), image, image), spares: photo(offsets(0, next), image, image)},
		{id: "offset-table-order", fires: photo(offsets(next, 0), image, image), spares: photo(nil, image, image)},
		{id: "rle-header", fires: ts(dicom.RLELossless, rle(64, 200)), spares: ts(dicom.RLELossless, rle(64, 100))},
		{id: "rle-header", fires: ts(dicom.RLELossless, rle(64, 64)), spares: ts(dicom.RLELossless, rle(64))},
		{id: "rle-header", fires: ts(dicom.RLELossless, append([]byte{16, 0, 0, 0}, make([]byte, 100)...)), spares: ts(dicom.RLELossless, rle(64), make([]byte, 80))},
		{id: "rle-header", fires: ts(dicom.RLELossless, rle(64, 250), make([]byte, 80)), spares: ts(dicom.RLELossless, rle(64, 200), make([]byte, 80))},
	}
}
