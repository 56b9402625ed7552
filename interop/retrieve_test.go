package interop

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/inspect/compose"
	"cordon/interop/ports"
)

// What is hostile in an archive already does not reach a workstation: C-MOVE and C-GET bring the rest of the study, and
// say that one is missing, where, without Cordon, they bring all of it.
func TestHostileObjectInTheArchive(t *testing.T) {
	fastDCMTK(t)
	studies := writeStudies(t, 1, 4)
	hostile := addHostile(t, &studies[0])
	c := newCordon(t, nil)
	direct, through := station{"WSD", strconv.Itoa(ports.Free(t))}, station{"WST", strconv.Itoa(ports.Free(t))}
	for _, archive := range []*peer{
		startQueryRetrieve(t, filesOf(studies), destination{"WSD", direct.port}, destination{"WST", c.Port}),
		startOrthanc(t, map[string]any{
			"DicomModalities":     map[string]any{"wsd": modality(t, direct.title, direct.port), "wst": modality(t, through.title, c.Port)},
			"DicomAlwaysAllowGet": true, "DicomAlwaysAllowMove": true,
		}),
	} {
		if archive.HTTP != "" {
			dcmsend(t, archive, filesOf(studies))
		}
		t.Run(string(archive.AETitle), func(t *testing.T) {
			c := newCordonAt(t, c)
			c.add(t, fmt.Sprintf("archives: [{name: pacs, ae_title: %s, address: '%s'}]\ndevices: [{name: ws, ae_title: WST, port: %s, addresses: [127.0.0.1/32]}]\n",
				archive.AETitle, archive.Address, through.port))
			c.start(t)
			gate := *archive
			gate.Host, gate.Port = c.Host, c.Port
			for _, program := range []string{"movescu", "getscu"} {
				if got := retrieved(t, program, archive, direct, studies[0].uid); got != (retrieval{files: 5, completed: 5}) {
					t.Errorf("%s directly: %+v", program, got)
				}
				if got := retrieved(t, program, &gate, through, studies[0].uid); got != (retrieval{files: 4, completed: 4, failed: 1}) {
					t.Errorf("%s through Cordon: %+v", program, got)
				}
			}
			if out, _ := try(t, "movescu", "-d", "-S", "-aet", through.title, "-aec", string(gate.AETitle), "-aem", "ELSEWHERE", "-k", "QueryRetrieveLevel=STUDY",
				"-k", "StudyInstanceUID="+string(studies[0].uid), gate.Host, gate.Port); !strings.Contains(out, "0xa801") {
				t.Errorf("a destination that is not permitted:\n%s", tail([]byte(out)))
			}
			if held := c.held(t); len(held) != 1 || held[hostile].ID == "" {
				t.Errorf("held: %v", held)
			}
			c.process.terminate()
		})
	}
}

// addHostile adds an image with a program in it to a study, and returns its SOP Instance UID.
func addHostile(t *testing.T, s *studyFiles) string {
	t.Helper()
	o := compose.CT(16, 16)
	o.Study = s.uid
	o.SetString(dicom.TagPatientID, dicom.LO, "P0000")
	o.SetString(dicom.TagPatientName, dicom.PN, "DOE^JANE^000")
	compose.PrivateOB.Put(o, compose.EICAR())
	file := filepath.Join(t.TempDir(), "hostile.dcm")
	write(t, file, string(o.File()))
	s.files = append(s.files, file)
	return string(o.Instance)
}

// retrieval is how one ended: the files that came, and what its final response counts.
type retrieval struct{ files, completed, failed int }

var suboperations = regexp.MustCompile(`(Completed|Failed) Suboperations *: (\d+)`)

// retrieved retrieves a study with one of DCMTK's programs.
func retrieved(t *testing.T, program string, at *peer, s station, uid dicom.UID) retrieval {
	t.Helper()
	dir := t.TempDir()
	args := []string{"-d", "-S", "+B", "-aet", s.title, "-aec", string(at.AETitle), "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=" + string(uid)}
	if program == "movescu" {
		args = append(args, "-aem", s.title, "+P", s.port)
	}
	cmd := command(t, program, append(args, at.Host, at.Port)...)
	cmd.Dir = dir
	out, _ := cmd.CombinedOutput() // that some failed is an error to one of them
	var got retrieval
	for _, m := range suboperations.FindAllStringSubmatch(string(out), -1) { // the last of each is the final response's
		n, _ := strconv.Atoi(m[2])
		if m[1] == "Completed" {
			got.completed = n
		} else {
			got.failed = n
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	got.files = len(entries)
	if t.Failed() || got.completed == 0 {
		t.Logf("%s:\n%s", program, tail(out))
	}
	return got
}

func modality(t *testing.T, title, port string) []any {
	t.Helper()
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return []any{title, "127.0.0.1", n}
}

// newCordonAt is another Cordon, where one that has not been started would have listened.
func newCordonAt(t *testing.T, other *cordon) *cordon {
	t.Helper()
	c := newCordon(t, nil)
	text, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, c.config, regexp.MustCompile(regexp.QuoteMeta(c.Address)).ReplaceAllString(string(text), other.Address))
	c.Port, c.Address = other.Port, other.Address
	return c
}

// What the site allows is asked of queries: a key that is not on its list refuses the query, and DCMTK is told which.
func TestSiteLimitsQueries(t *testing.T) {
	worklist := startWorklist(t, 4)
	c := newCordon(t, worklist)
	text, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, c.config, strings.Replace(string(text), "ae_title: CORDON}", "ae_title: CORDON, query: {keys: [PatientName, Modality], max_matches: 3}}", 1))
	c.start(t)
	ask := func(keys ...string) string {
		args := []string{"-d", "-W", "-aec", string(worklist.AETitle), c.Host, c.Port}
		for _, k := range keys {
			args = append(args, "-k", k)
		}
		out, _ := try(t, "findscu", args...)
		return out
	}
	if out := ask("PatientName", "PatientBirthDate"); !strings.Contains(out, "0xc022") || !strings.Contains(out, "(0010,0030)") && !strings.Contains(out, "not a key that this site allows") {
		t.Errorf("a key that is not allowed:\n%s", tail([]byte(out)))
	}
	if out := ask("PatientName", "ScheduledProcedureStepSequence[0].Modality=CT"); strings.Count(out, "0xff0") != 3 || !strings.Contains(out, "0xa700") {
		t.Errorf("more matches than are passed on:\n%s", tail([]byte(out)))
	}
	if out := ask("PatientName=M*A", "ScheduledProcedureStepSequence[0].Modality=CT"); !strings.Contains(out, "0x0000") {
		t.Errorf("what is allowed:\n%s", tail([]byte(out)))
	}
}

// One worklist entry that would run in a viewer is withheld: the others come, and no modality discards the list for a failure.
func TestHostileEntryInAWorklist(t *testing.T) {
	worklist := startWorklist(t, 4)
	hostile := bytes.Replace(worklistEntry(t, 4), []byte("REFERRER^R"), []byte("<script >x"), 1)
	write(t, filepath.Join(worklist.Dir, string(worklist.AETitle), "hostile.wl"), string(hostile))
	c := startCordon(t, worklist)
	gate := *worklist
	gate.Host, gate.Port = c.Host, c.Port
	for at, want := range map[*peer]int{worklist: 5, &gate: 4} {
		out, _ := try(t, "findscu", "-d", "-W", "-aec", string(at.AETitle), "-k", "PatientName", "-k", "ReferringPhysicianName", at.Host, at.Port)
		if n := strings.Count(out, "0xff0"); n != want {
			t.Errorf("%d matches, want %d:\n%s", n, want, tail([]byte(out)))
		}
		if through := at == &gate; strings.Contains(out, "not let through") != through || strings.Contains(out, "0xc015") {
			t.Errorf("the final status:\n%s", tail([]byte(out)))
		}
	}
}
