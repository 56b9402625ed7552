package inspect_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/finding"
	"cordon/inspect"
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

// A ZIP or PDF in the middle of a value is opened, too.
func TestContainersInTheMiddleAreOpened(t *testing.T) {
	for _, name := range []string{"zip-program", "zip-nested", "pdf-javascript", "pdf-attached-program"} {
		for _, at := range []int{0, 100, 1000, 1020, 1024, 1500, 32 << 10, 33000, 70001} {
			for _, after := range []int{0, 4097, 70000} {
				body := append(bytes.Repeat([]byte{3, 1}, at)[:at:at], hostile(name)...)
				file := put(compose.PrivateOB, append(body, make([]byte, after)...))
				for _, cut := range []int{0, 777} {
					out := judged(inspect.Options{}, file, cut)
					if finding.Worst(out.Findings) < finding.Suspicious {
						t.Errorf("%s at %d, %d after, writes of %d: found %v", name, at, after, cut, out.Findings)
					}
					for _, f := range out.Findings {
						if f.ID == "pdf-javascript" && string(file[f.Offset:f.Offset+11]) != "/JavaScript" {
							t.Errorf("%s at %d: byte %d is not where it is", name, at, f.Offset)
						}
					}
				}
			}
		}
	}
}

// A preamble holds whole documents and scripts of its size.
func TestPreamblesAreOpened(t *testing.T) {
	opened := 0
	for _, c := range compose.Containers() {
		if len(c.Body) > 128 {
			continue
		}
		opened++
		if out := judgedFile(put(compose.Preamble, c.Body)); !has(out, c.ID, "preamble"+c.Path) {
			t.Errorf("%s: found only %v", c.Name, out.Findings)
		}
	}
	if opened < 10 {
		t.Errorf("only %d fit", opened)
	}
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

// Pixel Data without an image's size may be anything, and are judged as such.
func TestPixelDataWithoutASizeAreOpened(t *testing.T) {
	o := compose.CT(64, 64)
	o.Remove(dicom.TagRows)
	o.Set(dicom.TagPixelData, dicom.OW, compose.ZIP("x.exe", compose.WindowsProgram()))
	if out := judgedFile(o.File()); !has(out, "executable", "(7FE0,0010)!member[0]") {
		t.Errorf("%+v", out.Findings)
	}
}

// Frames of Deflated Image Frame Compression are deflated one by one: what is in them is judged, and frames that unfold a
// thousandfold, as masks do, are no bomb.
func TestDeflatedFramesAreOpened(t *testing.T) {
	deflated := func(p []byte) []byte {
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, flate.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(p); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if b.Len()%2 == 1 {
			b.WriteByte(0)
		}
		return b.Bytes()
	}
	object := func(frames ...[]byte) *compose.Object {
		o := compose.CT(64, 64)
		o.TransferSyntax = dicom.DeflatedImageFrameCompression
		o.SetFragments(nil, frames...)
		return o
	}
	mask := deflated(make([]byte, 4<<20))
	for name, payload := range map[string][]byte{"eicar": compose.EICAR(), "executable": compose.WindowsProgram()} {
		out := judgedFile(object(mask, deflated(append(make([]byte, 1000), payload...))).File())
		if !has(out, name, "(7FE0,0010)[2]!member[0]") {
			t.Errorf("%s: %+v", name, out.Findings)
		}
	}
	if out := judgedFile(object(mask, mask, mask).File()); finding.Worst(out.Findings) > finding.Info || out.Fatal {
		t.Errorf("masks: %+v", out.Findings)
	}
	if out := judgedFile(object(mask, []byte("no deflate stream, but what a faulty device might write")).File()); finding.Worst(out.Findings) > finding.Info {
		t.Errorf("a frame that cannot be inflated: %+v", out.Findings)
	}
}

// What is found in containers does not depend on how the network cut the object.
func TestCutsDoNotMatterToContainers(t *testing.T) {
	for _, c := range compose.Containers() {
		for _, place := range []compose.Place{compose.PrivateOB, compose.PrivateOWSwapped, compose.AfterEndOfImage} {
			file := put(place, c.Body)
			want := fmt.Sprint(judgedFile(file).Findings)
			for _, cut := range []int{1, 1000} {
				out := judged(inspect.Options{Decoder: dicom.Options{Size: int64(len(file))}}, file, cut)
				if got := fmt.Sprint(out.Findings); got != want {
					t.Errorf("%s in %s, writes of %d:\n%s\nin one:\n%s", c.Name, place.Name, cut, got, want)
				}
			}
		}
	}
}

// Inspections that share turns open one container after the other.
func TestContainersTakeTurns(t *testing.T) {
	turns := inspect.NewTurns(1)
	turns <- struct{}{}
	file := put(compose.PrivateOB, hostile("zip-program"))
	done := make(chan inspect.Outcome)
	go func() { done <- judged(inspect.Options{Turns: turns}, file, 0) }()
	select {
	case <-done:
		t.Fatal("a container was opened out of turn")
	case <-time.After(50 * time.Millisecond):
	}
	<-turns
	if out := <-done; !has(out, "executable", "") {
		t.Errorf("found %v", out.Findings)
	}
	if len(turns) > 0 {
		t.Error("a turn was not given back")
	}
}

// Containers are kept up to a limit, and let go of when they have been opened.
func TestKeptContainersAreBounded(t *testing.T) {
	in := inspect.New(inspect.Options{Decoder: dicom.Options{TransferSyntax: dicom.JPEGBaseline8Bit}})
	in.Write([]byte("\x08\x00\x05\x00CS\x00\x00"))
	before := heap()
	pdf := append([]byte("%PDF-1.7\n"), bytes.Repeat([]byte("1 0 obj<<>>endobj\n"), 3640)...)
	pdf = pdf[:len(pdf)&^1]
	most := int64(0)
	in.Write([]byte("\xE0\x7F\x10\x00OB\x00\x00\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0\x00\x00\x00\x00"))
	for range 4 { // fragments of 16 MiB, which are pieces for themselves and all together
		in.Write([]byte("\xFE\xFF\x00\xE0"))
		in.Write(binary.LittleEndian.AppendUint32(nil, uint32(256*len(pdf))))
		for range 256 {
			in.Write(pdf)
		}
		most = max(most, heap()-before)
	}
	in.Write([]byte("\xFE\xFF\xDD\xE0\x00\x00\x00\x00"))
	after := heap() - before
	runtime.KeepAlive(in)
	if most > 40<<20 || after > 1<<20 {
		t.Errorf("%d KiB while they come in, %d KiB after", most>>10, after>>10)
	}
	if out := in.Close(); !has(out, "container-limit", "") {
		t.Errorf("found %v", out.Findings)
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

// Texts and containers as vendors and hospitals write them have no finding above info.
func TestPrivateDataOfVendorsIsSpared(t *testing.T) {
	report := strings.Repeat("CT of the chest with contrast.\r\nFindings: no nodule > 5 mm; effusion = none (see series 3, image 41).\r\n"+
		"If symptoms persist, repeat in 3 months. For comparison: study of 2024.\r\nSet 1 of 2; echo normal; function preserved.\r\n", 20)
	for name, p := range map[string][]byte{
		"report":        []byte(report),
		"report in zip": compose.ZIP("report.txt", []byte(report)),
		"protocol": []byte("<XProtocol>\n{\n  <Name> \"PhoenixMetaProtocol\"\n  <ID> 1000002\n  <ParamMap.\"\">\n  {\n    <ParamLong.\"Count\"> { 1 }\n    <ParamString.\"Protocol0\"> { \"" +
			"### ASCCONV BEGIN ###\nulVersion = 0x14b44b6\ntSequenceFileName = \"\"%SiemensSeq%\\\\gre\"\"\nsKSpace.lBaseResolution = 256\nalTR[0] = 8600\n### ASCCONV END ###\" }\n  }\n}\n"),
		"private xml":  []byte(`<?xml version="1.0" encoding="ISO-8859-1"?><!DOCTYPE Exam SYSTEM "exam.dtd"><Exam xmlns:x="urn:vendor"><Script name="AutoAlign" type="internal"><![CDATA[if (a < b) { align(a); }]]></Script><OnLoad href="x"/></Exam>`),
		"json":         []byte(`{"version": "1.2", "function": {"eval": 3, "import": "x"}, "script": ["a", "b"], "path": "C:\\Program Files\\Vendor", "html": "<b>bold</b>", "url": "http://vendor.example/api"}`),
		"ini":          []byte("[Scanner]\r\nModel=X100\r\nPath=%APPDATA%\\Vendor\\\r\nset=1\r\n[Dose]\r\nCTDIvol=3.4\r\n; comment with del / and goto\r\n"),
		"log":          []byte("12:00:01 start scan\r\n12:00:02 exec table move > 30 mm\r\n12:00:05 echo 2 of 3\r\n12:00:09 if (dose < limit) continue\r\n12:00:11 exit /b\r\n"),
		"matlab":       []byte("function y = fit(x)\n% fits a curve\nfor i = 1:10\n  y(i) = exp(-x(i));\nend\nreturn\nend\n"),
		"csv":          []byte(strings.Repeat("0.0,12.5,3,roi,1e-3\n", 40)),
		"obj":          []byte("mtllib part.mtl\no part\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl bone\nf 1 2 3\n"),
		"mtl":          []byte("newmtl bone\nKd 0.9 0.9 0.8\nNs 10\nmap_Kd bone.png\nillum 2\n"),
		"svg":          []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><style>p{}</style><path d="M0 0"/></svg>`),
		"html report":  []byte(`<!DOCTYPE html><html><head><title>Dose</title><style>td{}</style></head><body><table><tr><td>3 &lt; 4</td></tr></table><a href="#top">top</a></body></html>`),
		"icc":          append([]byte("\x00\x00\x02\x30lcms\x02\x10\x00\x00mntrRGB XYZ "), make([]byte, 400)...),
		"gzip":         compose.Gzip([]byte(report)),
		"zip of zip":   compose.ZIP("study.zip", compose.ZIP("IMG001", compose.CT(32, 32).File())),
		"encrypted":    compose.EncryptedZIP(),
		"empty volume": compose.Gzip(make([]byte, 100<<20)),
		"document":     compose.Compound(map[string][]byte{"WordDocument": []byte("x"), "1Table": nil, "\x05SummaryInformation": nil}),
		"rtf":          []byte(`{\rtf1\ansi\deff0{\fonttbl{\f0 Arial;}}\f0\fs20 A report with {\pict\pngblip 89504E47} and {\field{\*\fldinst HYPERLINK "http://hospital.example"}}\par}`),
		"pdf":          compose.PDF("<</Type/Annot/Subtype/Link/A<</S/URI/URI(http://hospital.example)>>>>"),
	} {
		for _, place := range []compose.Place{compose.PrivateOB, compose.PrivateUN, compose.PrivateUT, compose.Fragment} {
			if place.Name == compose.PrivateUT.Name && name == "svg" {
				continue // a text is no drawing: viewers show texts in pages of their own
			}
			if out := judgedFile(put(place, p)); finding.Worst(out.Findings) > finding.Info || out.Fatal {
				t.Errorf("%s in %s: %v", name, place.Name, out.Findings)
			}
		}
	}
}
