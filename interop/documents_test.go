package interop

import (
	"os"
	"path/filepath"
	"testing"

	"cordon/finding"
	"cordon/inspect/compose"
)

// clinicalDocument is a CDA document as hospitals write them: a stylesheet, tables, a
// picture in base 64, addresses.
const clinicalDocument = `<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="CDA.xsl"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:hl7-org:v3 CDA.xsd">
 <typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
 <id root="2.25.1"/>
 <code code="18748-4" codeSystem="2.16.840.1.113883.6.1" displayName="Diagnostic Imaging Report"/>
 <title>CT of the chest, &lt; 5 mm</title>
 <effectiveTime value="20260101"/>
 <confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>
 <recordTarget><patientRole><id root="2.25.1" extension="DRILL-1"/><patient><name><given>Harmless</given><family>Drill</family></name></patient></patientRole></recordTarget>
 <component><structuredBody><component><section>
  <title>Findings</title>
  <text><paragraph styleCode="Bold">Onset = 3 days ago</paragraph><table border="1"><tbody><tr><td>nodule</td><td>4 mm</td></tr></tbody></table>
  <renderMultiMedia referencedObject="MM1"/><linkHtml href="https://example.org/study?load=1">study</linkHtml></text>
  <entry><observationMedia classCode="OBS" moodCode="EVN" ID="MM1"><value mediaType="image/gif" representation="B64">R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7</value></observationMedia></entry>
 </section></component></structuredBody></component>
</ClinicalDocument>
`

// Documents that DCMTK encapsulates are admitted with nothing above info.
func TestDocumentsOfDCMTKAreAdmitted(t *testing.T) {
	dir := t.TempDir()
	binarySolid := append(make([]byte, 80), 1, 0, 0, 0)
	binarySolid = append(binarySolid, make([]byte, 50)...)
	for _, d := range []struct {
		name, tool string
		content    []byte
	}{
		{"report.pdf", "pdf2dcm", compose.PDF("<</Type/Metadata/Title(Report)>>")},
		{"destination.pdf", "pdf2dcm", compose.PDF("<</Type/Catalog/OpenAction[4 0 R/XYZ null null 0]/PageMode/UseNone>>")},
		{"archive.pdf", "pdf2dcm", compose.PDF("<</Names<</EmbeddedFiles<</Names[(invoice.xml)5 0 R]>>>>/AF[5 0 R]>>")},
		{"report.xml", "cda2dcm", []byte(clinicalDocument)},
		{"binary.stl", "stl2dcm", binarySolid},
	} {
		in, out := filepath.Join(dir, d.name), filepath.Join(dir, d.name+".dcm")
		if err := os.WriteFile(in, d.content, 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, d.tool, in, out)
		if o := inspected(t, out); held(o) {
			t.Errorf("%s: fatal %v, found %v", d.name, o.Fatal, o.Findings)
		}
	}
}

// The program of Debian's clamav-testfiles is found in every container that is opened.
func TestContainersOfClamAVTestFilesAreHeld(t *testing.T) {
	for _, name := range []string{
		"clam.zip", "clam.bz2.zip", "clam.d64.zip", "clam.impl.zip", "clam.exe.bz2", "clam.tar.gz", "clam_cache_emax.tgz",
		"clam.pdf", "clam.ole.doc", "clam.exe.rtf",
	} {
		p, err := os.ReadFile(filepath.Join("/usr/share/clamav-testfiles", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, place := range []compose.Place{compose.PrivateUN, compose.EncapsulatedPDF, compose.Deflated, compose.TrailingPadding} {
			o := compose.CT(64, 64)
			place.Put(o, p)
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, o.File(), 0o600); err != nil {
				t.Fatal(err)
			}
			if out := inspected(t, path); finding.Worst(out.Findings) == finding.Info {
				t.Errorf("%s in %s: found %v", name, place.Name, out.Findings)
			}
		}
	}
}
