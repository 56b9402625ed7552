package compose

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"
)

// Container is a container or a text with something in it that does not belong
// into a medical object. None does harm: programs are headers, scripts print a line.
type Container struct {
	Name string
	ID   string // of the finding that it must give
	Path string // of that finding, below the place where the container is
	Body []byte
}

// Containers are all of them, by format.
func Containers() []Container {
	program := WindowsProgram()
	return []Container{
		{"zip-program", "executable", "!member[0]", ZIP("report.dat", program)},
		{"zip-stored-program", "executable", "!member[0]", StoredZIP("report.dat", program)},
		{"zip-shell-script", "script", "!member[0]", ZIP("readme", ShellScript())},
		{"zip-shortcut", "shortcut", "!member[0]", ZIP("images", Shortcut())},
		{"zip-eicar", "eicar", "!member[0]", ZIP("a.txt", EICAR())},
		{"zip-runnable-name", "runnable-member", "!member[0]", ZIP("report.pdf.scr", []byte("nothing"))},
		{"zip-traversal", "path-traversal", "!member[0]", ZIP("../../start/report.txt", []byte("nothing"))},
		{"zip-in-zip", "executable", "!member[0]!member[0]", ZIP("a.zip", ZIP("b", program))},
		{"zip-hidden-file", "container-mismatch", "", hiddenZIP(program)},
		{"zip-two-names", "container-mismatch", "", twoNames()},
		{"zip-behind-header", "executable", "!member[0]", append(between(100, nil, 0), ZIP("a", program)...)},
		{"zip-shared-bytes", "container-bomb", "", sharedZIP()},
		{"zip-nested", "container-depth", "!member[0]!member[0]!member[0]!member[0]", nested(program)},
		{"gzip-program", "executable", "!member[0]", Gzip(program)},
		{"tar-gzip-program", "executable", "!member[0]!member[0]", Gzip(tarball("a", program))},
		{"pdf-javascript", "pdf-javascript", "", PDF("<</S/JavaScript/JS(app.alert\\(1\\))>>")},
		{"pdf-javascript-escaped", "pdf-javascript", "", PDF("<</S/J#61va#53cript/JS(1)>>")},
		{"pdf-javascript-in-object-stream", "pdf-javascript", "", PDF(pdfStream("/Type/ObjStm/N 1/First 4", []byte("9 0 <</S/JavaScript/JS(1)>>")))},
		{"pdf-rendition-script", "pdf-javascript", "", PDF("<</S/Rendition/JS(1)>>")},
		{"pdf-launch", "pdf-launch", "", PDF("<</S/Launch/F(calc.exe)>>")},
		{"pdf-open-action", "pdf-open-action", "", PDF("<</Type/Catalog/OpenAction<</S/URI/URI(x)>>>>")},
		{"pdf-attached-program", "executable", "!member[2]", PDF(pdfStream("/Type/EmbeddedFile", program))},
		{"pdf-attached-zip", "executable", "!member[2]!member[0]", PDF(pdfStream("/Type/EmbeddedFile", ZIP("a", program)))},
		{"pdf-flash", "pdf-rich-media", "", PDF("<</Type/Annot/Subtype/RichMedia>>")},
		{"ole-macro", "office-macro", "", Compound(map[string][]byte{"WordDocument": nil, "_VBA_PROJECT": []byte("drill")})},
		{"ole-package", "ole-package", "", Compound(map[string][]byte{"\x01Ole10Native": packaged("a.dat", program)})},
		{"ole-package-program", "executable", "!member[1]", Compound(map[string][]byte{"\x01Ole10Native": packaged("a.dat", program)})},
		{"ole-equation", "equation-editor", "", Compound(map[string][]byte{"Equation Native": make([]byte, 28)})},
		{"ole-macro-sheet", "office-macro", "", Compound(map[string][]byte{"Workbook": {9, 8, 2, 0, 0, 6, 0x85, 0, 8, 0, 0, 0, 0, 0, 0, 1, 1, 'x'}})},
		{"docx-macro", "office-macro", "", office("word/vbaProject.bin", Compound(map[string][]byte{"dir": nil}))},
		{"docx-template", "external-reference", "!member[1]", office("word/_rels/settings.xml.rels", []byte(`<?xml version="1.0"?><Relationships><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate" Target="http://192.0.2.1/a.dotm" TargetMode="External"/></Relationships>`))},
		{"docx-control", "activex", "", office("word/activeX/activeX1.bin", Compound(map[string][]byte{"Contents": nil}))},
		{"docx-embedded-package", "ole-package", "!member[1]", office("word/embeddings/oleObject1.bin", Compound(map[string][]byte{"\x01Ole10Native": packaged("a", nil)}))},
		{"rtf-package", "ole-package", "", RTF("Package", packaged("a.exe", program)[4:])},
		{"rtf-package-program", "executable", "!member[0]", RTF("Package", packaged("a.exe", program)[4:])},
		{"rtf-equation", "equation-editor", "", RTF("Equation.3", make([]byte, 40))},
		{"rtf-ole-macro", "office-macro", "!member[0]", RTF("Word.Document.8", Compound(map[string][]byte{"VBA": nil}))},
		{"rtf-update", "ole-update", "", []byte(`{\rtf1\ansi {\object\objautlink\objupdate{\*\objdata 0105}}}`)},
		{"xml-external-entity", "external-entity", "", []byte(`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>`)},
		{"xml-entity-expansion", "entity-expansion", "", laughs()},
		{"cda-handler", "active-markup", "", cda(`<table onmouseover="alert(1)"><tr/></table>`)},
		{"cda-attached-program", "executable", "!member[0]", cda(`<text mediaType="application/pdf" representation="B64">` + base64.StdEncoding.EncodeToString(program) + `</text>`)},
		{"powershell", "script-text", "", []byte("# drill\r\n$out = $env:TEMP\r\nWrite-Host $out\r\nStart-Process notepad\r\n")},
		{"powershell-utf16", "script-text", "", wide("$out = $env:TEMP\r\nWrite-Host $out\r\nStart-Process notepad\r\n")},
		{"batch", "script-text", "", []byte("rem drill\r\nset target=%TEMP%\\x\r\nif exist \"%target%\" echo there > nul\r\nexit /b 0\r\n")},
		{"vbscript", "script-text", "", []byte("' drill\r\nDim sh\r\nSet sh = CreateObject(\"WScript.Shell\")\r\nWScript.Echo \"drill\"\r\nWScript.Quit\r\n")},
		{"jscript", "script-text", "", []byte("var sh = new ActiveXObject(\"WScript.Shell\");\nvar x = String.fromCharCode(65);\nWScript.Echo(x);\n")},
		{"shell", "script-text", "", []byte("cd /tmp\nfor i in 1 2; do\n  echo $(date) > /dev/null 2>&1\ndone\n")},
		{"python", "script-text", "", []byte("import os\nimport sys\n\ndef main():\n    print(os.path.join(sys.argv[0]))\n\nif __name__ == '__main__':\n    main()\n")},
		{"hta", "script", "", []byte("<html><head><HTA:APPLICATION ID=\"drill\"></head><body>drill</body></html>")},
	}
}

// ZIP returns an archive with one compressed file.
func ZIP(name string, content []byte) []byte { return zipOf(zip.Deflate, name, content) }

// StoredZIP returns an archive with one file as it is.
func StoredZIP(name string, content []byte) []byte { return zipOf(zip.Store, name, content) }

// zipOf writes files, given as name and content by turns, into memory, where
// nothing fails.
func zipOf(method uint16, files ...any) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, _ := z.CreateHeader(&zip.FileHeader{Name: files[i].(string), Method: method})
		w.Write(files[i+1].([]byte))
	}
	z.Close()
	return b.Bytes()
}

// EncryptedZIP returns an archive whose one file says that it is encrypted.
func EncryptedZIP() []byte {
	b := StoredZIP("a", []byte("twelve bytes of header and then content"))
	b[6] |= 1
	b[bytes.LastIndex(b, []byte("PK\x01\x02"))+8] |= 1
	return b
}

// Bomb returns an archive that unfolds to n zeros.
func Bomb(n int) []byte { return ZIP("zeros", make([]byte, n)) }

// hiddenZIP has a file that the directory does not list.
func hiddenZIP(content []byte) []byte {
	hidden := StoredZIP("hidden", content)
	hidden = hidden[:bytes.LastIndex(hidden, []byte("PK\x01\x02"))]
	return append(hidden, ZIP("shown.txt", []byte("nothing to see"))...)
}

// twoNames has another name in the file's header than in the directory.
func twoNames() []byte {
	b := ZIP("report.txt", []byte("nothing"))
	copy(b[30:], "report.htm")
	return b
}

// sharedZIP lists one file twice.
func sharedZIP() []byte {
	b := ZIP("a", []byte("nothing"))
	at, end := bytes.LastIndex(b, []byte("PK\x01\x02")), bytes.LastIndex(b, []byte("PK\x05\x06"))
	entry, tail := bytes.Clone(b[at:end]), bytes.Clone(b[end:])
	b = append(append(b[:end:end], entry...), tail...)
	le := binary.LittleEndian
	le.PutUint16(b[len(b)-14:], 2)
	le.PutUint16(b[len(b)-12:], 2)
	le.PutUint32(b[len(b)-10:], uint32(2*len(entry)))
	return b
}

func nested(p []byte) []byte {
	for range 5 {
		p = ZIP("a.zip", p)
	}
	return p
}

// Gzip returns p compressed.
func Gzip(p []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(p)
	w.Close()
	return b.Bytes()
}

func tarball(name string, content []byte) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o600, Typeflag: tar.TypeReg})
	w.Write(content)
	w.Close()
	return b.Bytes()
}

// PDF returns a document with one page that is empty, and the given object, number 2.
func PDF(object string) []byte {
	return fmt.Appendf(nil, "%%PDF-1.7\n%%\xE2\xE3\xCF\xD3\n1 0 obj\n<</Type/Catalog/Pages 3 0 R>>\nendobj\n2 0 obj\n%s\nendobj\n"+
		"3 0 obj\n<</Type/Pages/Count 1/Kids[4 0 R]>>\nendobj\n4 0 obj\n<</Type/Page/Parent 3 0 R/MediaBox[0 0 612 792]>>\nendobj\n"+
		"trailer\n<</Root 1 0 R/Size 5>>\n%%%%EOF\n", object)
}

// pdfStream returns a compressed stream object with entries in its dictionary.
func pdfStream(entries string, content []byte) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write(content)
	w.Close()
	return fmt.Sprintf("<<%s/Filter/FlateDecode/Length %d>>\nstream\n%s\nendstream", entries, b.Len(), b.Bytes())
}

// Compound returns a compound file (MS-CFB) with the given streams under its root, each
// padded to the length from which streams have sectors of their own.
func Compound(streams map[string][]byte) []byte {
	const sector, none, end = 512, 0xFFFFFFFF, 0xFFFFFFFE
	le := binary.LittleEndian
	directory := (len(streams) + 4) / 4 // sectors; the first sector is the table
	header := append([]byte("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"), make([]byte, sector-8)...)
	for at, v := range map[int]uint16{24: 0x3E, 26: 3, 28: 0xFFFE, 30: 9, 32: 6} {
		le.PutUint16(header[at:], v)
	}
	for at, v := range map[int]uint32{44: 1, 48: 1, 56: 4096, 60: end, 68: end} {
		le.PutUint32(header[at:], v)
	}
	for at := 80; at < sector; at += 4 {
		le.PutUint32(header[at:], none)
	}
	table := []uint32{0xFFFFFFFD}
	extend := func(sectors int) {
		for range sectors - 1 {
			table = append(table, uint32(len(table)+1))
		}
		table = append(table, end)
	}
	extend(directory)
	entries := compoundEntry("Root Entry", 5, end, 0)
	var body []byte
	for _, name := range slices.Sorted(maps.Keys(streams)) {
		content := streams[name]
		content = append(bytes.Clone(content), make([]byte, max(4096-len(content), -len(content)&(sector-1)))...)
		entries = append(entries, compoundEntry(name, 2, uint32(len(table)), len(content))...)
		extend(len(content) / sector)
		body = append(body, content...)
	}
	entries = append(entries, make([]byte, directory*sector-len(entries))...)
	out := header
	for i := range sector / 4 {
		v := uint32(none)
		if i < len(table) {
			v = table[i]
		}
		out = le.AppendUint32(out, v)
	}
	return append(append(out, entries...), body...)
}

func compoundEntry(name string, kind byte, start uint32, size int) []byte {
	le := binary.LittleEndian
	e := make([]byte, 128)
	for i, u := range utf16.Encode([]rune(name)) {
		le.PutUint16(e[2*i:], u)
	}
	le.PutUint16(e[64:], uint16(2*len(name)+2))
	e[66], e[67] = kind, 1
	for _, at := range []int{68, 72, 76} { // siblings and child
		le.PutUint32(e[at:], 0xFFFFFFFF)
	}
	le.PutUint32(e[116:], start)
	le.PutUint32(e[120:], uint32(size))
	return e
}

// packaged returns what the Packager stores for a file, in an Ole10Native stream.
func packaged(name string, content []byte) []byte {
	le := binary.LittleEndian
	b := []byte{2, 0}
	b = append(b, name+"\x00"+name+"\x00"...)
	b = append(b, 0, 0, 3, 0)
	b = le.AppendUint32(b, uint32(len(name)+1))
	b = append(b, name+"\x00"...)
	b = le.AppendUint32(b, uint32(len(content)))
	b = append(b, content...)
	return append(le.AppendUint32(nil, uint32(len(b))), b...)
}

// RTF returns a text with an embedded object of a class.
func RTF(class string, content []byte) []byte {
	le := binary.LittleEndian
	object := []byte{1, 5, 0, 0, 2, 0, 0, 0}
	object = le.AppendUint32(object, uint32(len(class)+1))
	object = append(object, class+"\x00"...)
	object = append(object, make([]byte, 8)...) // topic, item
	object = le.AppendUint32(object, uint32(len(content)))
	digits := hex.EncodeToString(append(object, content...))
	return []byte(`{\rtf1\ansi{\object\objemb{\*\objdata ` + digits[:20] + "\r\n{\\*\\x " + digits[20:] + "}}}}")
}

func office(name string, content []byte) []byte {
	return zipOf(zip.Deflate, "[Content_Types].xml", []byte(`<?xml version="1.0"?><Types/>`), name, content)
}

func laughs() []byte {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY x0 \"ha\">")
	for i := range 5 {
		fmt.Fprintf(&b, "<!ENTITY x%d \"%s\">", i+1, strings.Repeat(fmt.Sprintf("&x%d;", i), 10))
	}
	b.WriteString("]><a>&x5;</a>")
	return []byte(b.String())
}

func cda(body string) []byte {
	return []byte(`<?xml version="1.0" encoding="UTF-8"?><?xml-stylesheet type="text/xsl" href="CDA.xsl"?><ClinicalDocument xmlns="urn:hl7-org:v3"><component><nonXMLBody>` + body + `</nonXMLBody></component></ClinicalDocument>`)
}

func wide(s string) []byte {
	b := []byte{0xFF, 0xFE}
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}
