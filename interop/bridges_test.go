package interop

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"

	"cordon/dicom"
	"cordon/inspect/compose"
	"cordon/interop/ports"
)

// Both bridges: what a client asks of an archive in a protocol that the archive does not speak is answered as an archive
// that speaks it answers.

// bridged is a hospital with an archive of both kinds, an Orthanc, and a Cordon that knows of it only that it speaks
// DICOMweb. Clients speak DIMSE.
type bridged struct {
	orthanc *peer
	cordon  *cordon
	gate    *peer // the archive, as it is called through Cordon
	d, t    *side
}

func newBridged(t *testing.T) *bridged {
	t.Helper()
	c := newCordon(t, nil)
	b := &bridged{
		cordon: c,
		d:      &side{workstation: station{"WSD", strconv.Itoa(ports.Free(t))}},
		t:      &side{workstation: station{"WST", strconv.Itoa(ports.Free(t))}},
	}
	b.orthanc = startWebOrthanc(t, map[string]any{"DicomModalities": map[string]any{"wsd": modality(t, b.d.workstation.title, b.d.workstation.port)}})
	c.add(t, fmt.Sprintf("archives: [{name: orthanc, ae_title: %s, dicomweb: '%s/dicom-web'}]\ndevices: [{name: ws, ae_title: WST, port: %s, addresses: [127.0.0.1/32]}]\n",
		b.orthanc.AETitle, b.orthanc.HTTP, b.t.workstation.port))
	c.start(t)
	gate := *b.orthanc
	gate.Host, gate.Port, gate.Address, gate.HTTP = c.Host, c.Port, c.Address, ""
	b.gate = &gate
	return b
}

// DCMTK's clients ask an archive that speaks DICOMweb alone, through Cordon, as they ask the same archive directly: the
// same rows, the same objects by their digests.
func TestServicesOfAnArchiveWithDICOMwebAlone(t *testing.T) {
	fastDCMTK(t)
	b := newBridged(t)
	studies := writeStudies(t, 3, 6)
	dcmsend(t, b.orthanc, filesOf(studies[:2]))
	for _, name := range []string{"Germ", "Russ", "Arab", "H31"} {
		run(t, "storescu", "-aec", string(b.orthanc.AETitle), b.orthanc.Host, b.orthanc.Port, filepath.Join(charsetFiles, "chr"+name+".dcm"))
	}
	study, patient := dicom.StudyRootQueryRetrieveInformationModelFind, dicom.PatientRootQueryRetrieveInformationModelFind
	find := func(class dicom.UID, keys ...string) func(*side, *peer) []string {
		return func(_ *side, at *peer) []string { return rowsOf(t, at, class, askFor(t, keys...)) }
	}
	one := "StudyInstanceUID=" + string(studies[0].uid)
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "service\tdirect\tthrough\tsame")
	for _, c := range []struct {
		service string
		least   int
		run     func(*side, *peer) []string
	}{
		{"echo", 1, func(s *side, at *peer) []string {
			return []string{run(t, "echoscu", "-aet", s.workstation.title, "-aec", string(at.AETitle), at.Host, at.Port)}
		}},
		{"store", 6, func(_ *side, at *peer) []string { // the second time it has them already
			return slices.Repeat([]string{"stored"}, dcmsend(t, at, studies[2].files).stored)
		}},
		{"patients", 3, find(patient, "QueryRetrieveLevel=PATIENT", "PatientID=P*", "PatientName")},
		{"studies", 3, find(study, "QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientName=DOE*", "StudyDate=20261120-", "ModalitiesInStudy")},
		{"names in four character sets", 7, find(study, "QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientID", "PatientName")},
		{"a Cyrillic name", 1, find(study, "SpecificCharacterSet=ISO_IR 192", "QueryRetrieveLevel=STUDY", "PatientID", "PatientName=Люкceмбypг")},
		{"series", 2, find(study, "QueryRetrieveLevel=SERIES", one, "SeriesInstanceUID", "Modality")},
		{"images", 6, find(study, "QueryRetrieveLevel=IMAGE", one, "SOPInstanceUID", "InstanceNumber")},
		{"no match", 0, find(study, "QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientName=NOBODY")},
		{"C-GET", 6, func(s *side, at *peer) []string { return getscu(t, s, at, studies[0].uid) }},
		{"C-GET of what was stored", 6, func(s *side, at *peer) []string { return getscu(t, s, at, studies[2].uid) }},
		{"C-MOVE", 6, func(s *side, at *peer) []string { return movescu(t, s, at, studies[1].uid) }},
	} {
		through, direct := c.run(b.t, b.gate), c.run(b.d, b.orthanc)
		slices.Sort(through)
		slices.Sort(direct)
		same := slices.Equal(direct, through)
		if !same || len(direct) < c.least {
			t.Errorf("%s: directly %d, through Cordon %d; at least %d were to come\ndirectly: %q\nthrough:  %q", c.service, len(direct), len(through), c.least, direct, through)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%v\n", c.service, len(direct), len(through), same)
	}
	w.Flush()
	t.Logf("results over the bridge:\n%s", &table)
	var got, want []string
	for _, f := range studies[2].files { // the bytes that were sent, and not what the archive made of them twice
		want = append(want, fmt.Sprintf("%x", sha256.Sum256(dataSetOf(t, f))))
	}
	got = getscu(t, b.t, b.gate, studies[2].uid)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Error("what was stored over the bridge came back changed")
	}
	b.cordon.alive(t)
}

// What is hostile in an archive that speaks DICOMweb alone does not reach a workstation: the rest of the study comes, and
// one is said to be missing.
func TestHostileObjectInAnArchiveWithDICOMwebAlone(t *testing.T) {
	fastDCMTK(t)
	b := newBridged(t)
	studies := writeStudies(t, 1, 4)
	hostile := addHostile(t, &studies[0])
	dcmsend(t, b.orthanc, filesOf(studies))
	for _, program := range []string{"movescu", "getscu"} {
		if got := retrieved(t, program, b.orthanc, b.d.workstation, studies[0].uid); got != (retrieval{files: 5, completed: 5}) {
			t.Errorf("%s directly: %+v", program, got)
		}
		if got := retrieved(t, program, b.gate, b.t.workstation, studies[0].uid); got != (retrieval{files: 4, completed: 4, failed: 1}) {
			t.Errorf("%s through Cordon: %+v", program, got)
		}
	}
	if held := b.cordon.held(t); len(held) != 1 || held[hostile].ID == "" {
		t.Errorf("held: %v", held)
	}
}

// Nothing that was answered with success is lost while an archive that speaks DICOMweb alone is killed and comes back, and
// what a modality is told of commitment is what the archive has.
func TestPromisesHoldOverABridge(t *testing.T) {
	o := startWebOrthanc(t, nil)
	c := newCordon(t, nil)
	c.add(t, fmt.Sprintf("archives: [{name: orthanc, ae_title: %s, dicomweb: '%s/dicom-web'}]\n", o.AETitle, o.HTTP))
	s := newCommitter(t)
	c.knowing(t, s)
	c.start(t)
	s.listen()
	clean, hostile, missing := []*compose.Object{compose.CT(64, 64), compose.CT(64, 64)}, compose.CT(64, 64), compose.CT(64, 64)
	compose.PrivateOB.Put(hostile, compose.EICAR())
	s.store(c, append(clean, hostile)...)
	r := s.told(s.mustAsk(c, refsOf(append(clean, hostile, missing)...)...))
	reasons := map[dicom.UID]uint16{}
	for _, f := range r.Failed {
		reasons[f.SOPInstanceUID] = f.Reason
	}
	if len(r.Committed) != 2 || len(r.Failed) != 2 || reasons[hostile.Instance] != 0x0110 || reasons[missing.Instance] != 0x0112 {
		t.Errorf("%+v", r)
	}

	killOrthanc(t, o)
	var late []*compose.Object
	for range 20 {
		im := compose.CT(64, 64)
		late = append(late, im)
		s.store(c, im)
	}
	if st := c.status(t); st.Spooled != len(late) {
		t.Errorf("%d spooled of %d", st.Spooled, len(late))
	}
	waiting := s.mustAsk(c, refsOf(late...)...)
	c.process.kill()
	c.start(t)
	start(t, o.Dir, "Orthanc", filepath.Join(o.Dir, "orthanc.json"))
	o.awaitREST(t)
	c.awaitDrained(t)
	if r := s.told(waiting); len(r.Committed) != len(late) {
		t.Errorf("after Orthanc is back: %d committed, %+v", len(r.Committed), r.Failed)
	}
	got := o.instances(t)
	for _, im := range append(late, clean...) {
		if !got[string(im.Instance)] {
			t.Errorf("%s was answered with success, and is not there", im.Instance)
		}
	}
	if got[string(hostile.Instance)] {
		t.Error("the archive has what is held")
	}
	c.alive(t)
}

// curl asks an archive that speaks DIMSE alone, through Cordon, as it asks one with the same objects that speaks DICOMweb:
// the same rows and objects. One archive has C-GET; the other moves what is retrieved to Cordon.
func TestDICOMwebOfAnArchiveWithDIMSEAlone(t *testing.T) {
	reference := startWebOrthanc(t, nil)
	studies := writeStudies(t, 2, 6)
	dcmsend(t, reference, filesOf(studies))
	for _, name := range []string{"an archive with C-GET", "an archive without"} {
		t.Run(name, func(t *testing.T) {
			c := newCordon(t, nil)
			front := fmt.Sprintf("127.0.0.1:%d", ports.Free(t))
			c.replace(t, "ae_title: CORDON}", fmt.Sprintf("ae_title: CORDON, web: {listen: '%s'}}", front))
			var archive *peer
			if name == "an archive with C-GET" {
				archive = startOrthanc(t, map[string]any{"DefaultEncoding": "Utf8", "DicomAlwaysAllowFind": true, "DicomAlwaysAllowGet": true})
			} else {
				archive = startQueryRetrieveWith(t, []string{"--disable-get"}, nil, destination{cordonTitle, c.Port})
			}
			c.add(t, fmt.Sprintf("archives: [{name: pacs, ae_title: %s, address: '%s', addresses: [127.0.0.1/32]}]\n", archive.AETitle, archive.Address))
			c.start(t)
			through, direct := "http://"+front+"/dicom-web", reference.HTTP+"/dicom-web"
			for _, s := range studies {
				var files [][]byte
				for _, f := range s.files {
					files = append(files, readFile(t, f))
				}
				if status, body := stow(t, through, files...); status != http.StatusOK {
					t.Fatalf("%d: %s", status, body)
				}
			}
			one := "/studies/" + string(studies[0].uid)
			for _, query := range []string{"/studies?PatientID=P*", "/studies?PatientName=DOE*", one + "/series", one + "/instances", "/studies?StudyDate=20261120-20261121", "/studies?PatientID=NOBODY"} {
				_, _, want := curl(t, "-H", "Accept: application/dicom+json", direct+query)
				status, _, body := curl(t, "-H", "Accept: application/dicom+json", through+query)
				below := strings.HasPrefix(query, one)
				if got, wanted := rowsIn(t, body, below), rowsIn(t, want, below); status != http.StatusOK || !slices.Equal(got, wanted) {
					t.Errorf("%s: %d, %d rows, %d directly\n%s\n%s", query, status, len(got), len(wanted), got, wanted)
				}
			}
			for _, s := range studies {
				accept := `Accept: multipart/related; type="application/dicom"; transfer-syntax=*`
				_, wantHeader, want := curl(t, "-H", accept, direct+"/studies/"+string(s.uid))
				status, header, body := curl(t, "-H", accept, through+"/studies/"+string(s.uid))
				if status != http.StatusOK || !bytes.Contains(body, []byte("DICM")) || !slices.Equal(partDigests(t, header, body), partDigests(t, wantHeader, want)) {
					t.Errorf("%d: not the objects that are retrieved directly: %.300s", status, body)
				}
			}
			c.alive(t)
		})
	}
}

// replace changes the configuration of a Cordon that has not been started.
func (c *cordon) replace(t *testing.T, from, to string) {
	t.Helper()
	before := string(readFile(t, c.config))
	after := strings.Replace(before, from, to, 1)
	if after == before {
		t.Fatalf("%q is not in the configuration", from)
	}
	write(t, c.config, after)
}
