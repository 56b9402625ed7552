package inspect_test

import (
	"testing"

	"cordon/inspect/compose"
	"cordon/inspect/container"
)

// Every container is opened in every place where it can be hidden, and the finding says where.
func TestContainersAreOpenedWhereverTheyHide(t *testing.T) {
	compositions := 0
	for _, place := range []compose.Place{
		compose.PrivateOB, compose.PrivateUN, compose.PrivateOWSwapped, compose.PrivateNested, compose.PublicUN, compose.EncapsulatedPDF,
		compose.Waveform, compose.Fragment, compose.AfterEndOfImage, compose.AfterLastFrame, compose.Deflated, compose.TrailingPadding, compose.Appended,
	} {
		for _, c := range compose.Containers() {
			compositions++
			o := compose.CT(64, 64)
			place.Put(o, c.Body)
			where := place.Where
			if place.Name == compose.Fragment.Name {
				where += "[2]"
			}
			if place.Name == compose.AfterEndOfImage.Name {
				where += "[1]"
			}
			swapped := place.Name == compose.PrivateOWSwapped.Name
			if swapped && (container.Recognise(c.Body) == container.Text || c.Name == "zip-behind-header") {
				continue // in another byte order only magic numbers at the start count
			}
			if out := judgedFile(o.File()); !has(out, c.ID, where+c.Path) {
				t.Errorf("%s in %s: found only %v", c.Name, place.Name, out.Findings)
			}
		}
	}
	for _, c := range compose.Containers() {
		out := judgedFile(c.Body)
		if c.ID != "active-markup" && !has(out, c.ID, "file"+c.Path) || out.IsDICOM || out.Fatal {
			t.Errorf("%s as a plain file: found only %v", c.Name, out.Findings)
		}
	}
	t.Logf("%d compositions", compositions)
}

// A container that begins in one fragment behind an image goes on in the next ones.
func TestContainersAreJoinedOverFragments(t *testing.T) {
	for _, image := range [][]byte{compose.JPEG(64, 64), nil} {
		body := hostile("zip-program")
		fragments := [][]byte{image, body[:60], body[60:100], body[100:]}
		if image == nil {
			fragments = fragments[1:]
		}
		o := compose.Photo(64, 64)
		o.SetFragments(nil, fragments...)
		file := o.File()
		out := judgedFile(file)
		if !has(out, "executable", "(7FE0,0010)!member[0]") {
			t.Errorf("found only %v", out.Findings)
		}
		for _, f := range out.Findings {
			if f.ID == "executable" && string(file[f.Offset:f.Offset+4]) != "PK\x03\x04" {
				t.Errorf("byte %d is not where the member begins", f.Offset)
			}
		}
	}
}

// hostile returns the body of a container by its name.
func hostile(name string) []byte {
	for _, c := range compose.Containers() {
		if c.Name == name {
			return c.Body
		}
	}
	panic(name)
}

func containerVectors() []vector {
	private := func(p []byte) []byte { return put(compose.PrivateOB, p) }
	pdf := func(object string) []byte { return put(compose.EncapsulatedPDF, compose.PDF(object)) }
	xml := func(s string) []byte { return private([]byte(`<?xml version="1.0" encoding="UTF-8"?>` + s)) }
	text := func(s string) []byte { return private([]byte(s)) }
	zeros := make([]byte, 9<<20)
	return []vector{
		{id: "executable", fires: private(hostile("zip-program")), spares: private(compose.ZIP("report.dat", []byte("MZ or PE is no program")))},
		{id: "script", fires: private(hostile("hta")), spares: private([]byte("<html><head><title>HTA: application</title></head><body>about HTAs</body></html>"))},
		{id: "path-traversal", fires: private(hostile("zip-traversal")), spares: private(compose.ZIP("a..b/c../d.txt", nil))},
		{id: "active-markup", fires: private(hostile("cda-handler")), spares: xml(`<Workflow><Script onLoad="x"/><onBegin handler="javascript"/></Workflow>`)},
		{id: "active-markup", fires: private([]byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`)), spares: private([]byte(`<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0L9 9"/></svg>`))},
		{id: "office-macro", fires: private(hostile("ole-macro")), spares: private(compose.Compound(map[string][]byte{"WordDocument": nil, "VB": nil}))},
		{id: "office-macro", fires: private(hostile("docx-macro")), spares: private(compose.ZIP("word/vbaProject.bin", []byte("no office document")))},
		{id: "office-macro", fires: private(hostile("ole-macro-sheet")), spares: private(compose.Compound(map[string][]byte{"Workbook": {0x85, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1, 1, 'x'}}))},
		{id: "pdf-javascript", fires: pdf("<</S/JavaScript/JS(1)>>"), spares: pdf("<</Title(how to /JavaScript in \\) a PDF)/Font<</JS 5 0 R>>>>")},
		{id: "pdf-javascript", fires: private(hostile("pdf-javascript-in-object-stream")), spares: pdf("<</Length 26>>\nstream\nBT(/S /JavaScript /JS)Tj ET\nendstream")},
		{id: "pdf-launch", fires: pdf("<</S/Launch/F(a)>>"), spares: pdf("<</Title(/S /Launch)/Launch 1>>")},
		{id: "pdf-open-action", fires: pdf("<</OpenAction 9 0 R>>"), spares: pdf("<</OpenAction[3 0 R/Fit]>>")},
		{id: "pdf-open-action", fires: pdf("<</AA<</O 9 0 R>>>>"), spares: pdf("<</OpenAction <</S/GoTo/D[3 0 R/Fit]>> >>")},
		{id: "pdf-embedded-file", fires: pdf("<</Names<</EmbeddedFiles 9 0 R>>>>"), spares: pdf("<</Names<</Dests 9 0 R>>>>")},
		{id: "pdf-rich-media", fires: pdf("<</Subtype/RichMedia>>"), spares: pdf("<</Subtype/Link/Contents(/Subtype/RichMedia)>>")},
		{id: "encrypted-document", fires: pdf("<</Encrypt 9 0 R>>"), spares: pdf("<</Title(/Encrypt 9 0 R)>>")},
		{id: "encrypted-document", fires: put(compose.EncapsulatedPDF, compose.EncryptedZIP()), spares: private(compose.EncryptedZIP())},
		{id: "encrypted-container", fires: private(compose.EncryptedZIP()), spares: private(compose.ZIP("a", []byte("content")))},
		{id: "runnable-member", fires: private(hostile("zip-runnable-name")), spares: private(compose.ZIP("report.exe.pdf", nil))},
		{id: "ole-package", fires: private(hostile("ole-package")), spares: private(compose.Compound(map[string][]byte{"Package": nil, "Ole10Native": nil}))},
		{id: "ole-update", fires: private(hostile("rtf-update")), spares: private([]byte(`{\rtf1\ansi about \\objupdate and objautlink}`))},
		{id: "embedded-object", fires: private(hostile("rtf-ole-macro")), spares: private([]byte(`{\rtf1\ansi\deff0 a report without any object in it}`))},
		{id: "equation-editor", fires: private(hostile("rtf-equation")), spares: private(compose.RTF("Excel.Sheet.8", make([]byte, 40)))},
		{id: "activex", fires: private(hostile("docx-control")), spares: private(compose.ZIP("word/activeX/activeX1.bin", nil))},
		{id: "external-reference", fires: private(hostile("docx-template")), spares: private(compose.ZIP("word/_rels/document.xml.rels", []byte(`<?xml version="1.0"?><Relationships><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink" Target="http://192.0.2.1/" TargetMode="External"/></Relationships>`)))},
		{id: "external-entity", fires: private(hostile("xml-external-entity")), spares: xml(`<!DOCTYPE a [<!ENTITY system "system 'x'">]><a>SYSTEM "file:///etc" &amp;</a>`)},
		{id: "external-entity", fires: xml(`<a xmlns:x="http://www.w3.org/2001/XInclude"><x:include href="/etc/hostname"/></a>`), spares: xml(`<a><include href="other.xml"/></a>`)},
		{id: "external-dtd", fires: xml(`<!DOCTYPE protocol SYSTEM "protocol.dtd"><protocol/>`), spares: xml(`<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd"><html/>`)},
		{id: "entity-expansion", fires: private(hostile("xml-entity-expansion")), spares: xml(`<!DOCTYPE a [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;"><!ENTITY c "&lt;">]><a>&b;&b;&b;&b;&b;&b;&b;</a>`)},
		{id: "container-bomb", fires: private(hostile("zip-shared-bytes")), spares: private(hostile("zip-hidden-file"))},
		{id: "container-bomb", fires: private(compose.Bomb(130 << 20)), spares: private(compose.Bomb(64 << 20))},
		{id: "container-depth", fires: private(hostile("zip-nested")), spares: private(hostile("zip-in-zip"))},
		{id: "container-mismatch", fires: private(hostile("zip-hidden-file")), spares: private(hostile("zip-behind-header"))},
		{id: "container-mismatch", fires: private(hostile("zip-two-names")), spares: private(hostile("zip-program"))},
		{id: "container-limit", fires: private(append(compose.ZIP("a", nil), zeros...)), spares: private(compose.ZIP("a", zeros[:4<<20]))},
		{id: "container-unread", fires: private([]byte("Rar!\x1A\x07\x01\x00 and so on, packed")), spares: private([]byte("Rar! is what they shouted on that day."))},
		{id: "script-text", fires: private(hostile("powershell")), spares: text("$env:TEMP was full, says the service report.\r\nWrite-Host showed nothing.\r\nPlease restart the reconstruction.\r\n")},
		{id: "script-text", fires: private(hostile("batch")), spares: text("@dose = 5 mGy\r\nset 1: 120 kV\r\nset 2: 80 kV, pitch 1%1\r\npause 5 s\r\nstart inject\r\n")},
		{id: "script-text", fires: private(hostile("vbscript")), spares: text("Set 1 of 3\r\nDim light reflex.\r\nNext control in 3 months.\r\nFunction of the valve is normal, end function follows.\r\n")},
		{id: "script-text", fires: private(hostile("jscript")), spares: text("var dose = 5;\nvar time = 3;\nfunction total() { return dose * time; }\nif (total() > 4) { warn('limit'); }\n")},
		{id: "script-text", fires: private(hostile("shell")), spares: text("for head and neck\ndo not swallow\nthen hold breath\nexport to PACS\necho time 5 ms; $(none)\n")},
		{id: "script-text", fires: private(hostile("python")), spares: text("import of images from CD\nfrom outside hospital\nfor comparison\nprint(1) copy\nreturn to sender\n")},
	}
}
