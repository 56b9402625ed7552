package interop

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cordon/dicom"
)

// findscu queries with DCMTK and returns the digests of the matches' data sets.
func findscu(t *testing.T, s *side, at *peer, model string, keys ...string) []string {
	t.Helper()
	dir := t.TempDir()
	args := []string{model, "-X", "-od", dir, "-aet", s.workstation.title, "-aec", string(at.AETitle), at.Host, at.Port}
	for _, k := range keys {
		args = append(args, "-k", k)
	}
	run(t, "findscu", args...)
	return digests(t, dir)
}

// movescu retrieves a study with DCMTK to itself and returns the digests of the data sets that came.
func movescu(t *testing.T, s *side, at *peer, uid dicom.UID) []string {
	t.Helper()
	dir := t.TempDir()
	runIn(t, dir, "movescu", "-S", "+B", "+xa", "-aet", s.workstation.title, "-aem", s.workstation.title, "+P", s.workstation.port,
		"-aec", string(at.AETitle), "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID="+string(uid), at.Host, at.Port)
	return digests(t, dir)
}

// runIn is run in a directory: DCMTK's retrievers, when they keep each byte, forget the one they are told.
func runIn(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := command(t, name, args...)
	cmd.Dir = dir
	timer := time.AfterFunc(runLimit, func() { cmd.Process.Kill() })
	defer timer.Stop()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, tail(out))
	}
}

// getscu retrieves a study with DCMTK over its own association.
func getscu(t *testing.T, s *side, at *peer, uid dicom.UID) []string {
	t.Helper()
	dir := t.TempDir()
	runIn(t, dir, "getscu", "-S", "+B", "-aet", s.workstation.title, "-aec", string(at.AETitle),
		"-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID="+string(uid), at.Host, at.Port)
	return digests(t, dir)
}

// digests returns the digest of each data set in a directory.
func digests(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, fmt.Sprintf("%x", sha256.Sum256(dataSetOf(t, filepath.Join(dir, e.Name())))))
	}
	return all
}

// stores stores a study of the side's own and returns what DCMTK counted.
func (m *matrix) stores(t *testing.T, s *side, at *peer) []string {
	t.Helper()
	a := dcmsend(t, at, s.own().files)
	return slices.Repeat([]string{fmt.Sprintf("%d refused", a.refused)}, a.stored)
}

// storedPrint makes a stored print of an image, as a file.
func storedPrint(t *testing.T, image string, printer *peer) string {
	t.Helper()
	dir := t.TempDir()
	run(t, "dcmpsprt", "-c", printConfig(t, dir, dir, "PRINTER", printer), "-p", "PRINTER", image)
	prints, err := filepath.Glob(filepath.Join(dir, "SP_*.dcm"))
	if err != nil || len(prints) != 1 {
		t.Fatalf("dcmpsprt made %d stored prints, %v", len(prints), err)
	}
	return prints[0]
}

// prints prints with DCMTK and returns the digests of the pixels that the printer has got.
func (m *matrix) prints(t *testing.T, s *side) []string {
	t.Helper()
	var got []string
	for _, file := range newFiles(t, filepath.Join(m.printer.Dir, "HG_*.dcm"), func() {
		config := printConfig(t, t.TempDir(), filepath.Dir(m.printed), "PRINTER", s.printer)
		run(t, "dcmprscu", "-c", config, "-p", "PRINTER", m.printed)
	}) {
		got = append(got, readByUs(t, file)["(7FE0,0010)"].sum)
	}
	return got
}

// sends sends a study of the side's own with DCMTK's viewer, and returns which of its images another has got as they are.
func (m *matrix) sends(t *testing.T, s *side) []string {
	t.Helper()
	one := s.own()
	sent := map[string]int{}
	for i, file := range one.files {
		sent[fmt.Sprintf("%x", sha256.Sum256(dataSetOf(t, file)))] = i
	}
	var got []string
	for _, file := range newFiles(t, filepath.Join(m.receiver.Dir, "CT_*.dcm"), func() {
		dir := t.TempDir()
		run(t, "dcmqridx", append([]string{dir}, one.files...)...)
		run(t, "dcmpssnd", viewerConfig(t, dir, "STORAGE", s.receiver), "VIEWER", string(one.uid))
	}) {
		image, ok := sent[fmt.Sprintf("%x", sha256.Sum256(dataSetOf(t, file)))]
		got = append(got, fmt.Sprintf("image %d, as sent %v", image, ok))
	}
	return got
}

// own is the next study that only this side has.
func (s *side) own() studyFiles {
	one := s.news[0]
	s.news = s.news[1:]
	return one
}

// newFiles lists the files of a pattern that were not there before do.
func newFiles(t *testing.T, pattern string, do func()) []string {
	t.Helper()
	before, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	do()
	after, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(after, func(f string) bool { return slices.Contains(before, f) })
}

// moves asks with dcmjs-dimse for a study to be sent to the box, and returns what the box has got and the answer.
func (m *matrix) moves(t *testing.T, s *side, at *peer, uid dicom.UID) []string {
	t.Helper()
	if err := errors.Join(os.RemoveAll(s.boxDir), os.Mkdir(s.boxDir, 0o700)); err != nil {
		t.Fatal(err)
	}
	answers := nodeSCU(t, "move", at, s.box.title, asJSON(t, map[string]any{"destination": s.box.title, "study": uid}))
	return append(digests(t, s.boxDir), answers[len(answers)-1])
}

// steps creates and completes a procedure step with dcmjs-dimse, and returns both sides' words.
func (m *matrix) steps(t *testing.T, s *side) []string {
	t.Helper()
	const instance = "2.25.4711"
	before := len(m.provider.took())
	answers := nodeSCU(t, "step", s.provider, s.box.title, asJSON(t, map[string]any{
		"instance": instance + "." + strconv.Itoa(before),
		"create":   map[string]any{"PatientID": "P0001", "PerformedProcedureStepID": "1", "PerformedProcedureStepStatus": "IN PROGRESS", "Modality": "CT"},
		"set":      map[string]any{"PerformedProcedureStepStatus": "COMPLETED"},
	}))
	for _, line := range m.provider.took()[before:] {
		answers = append(answers, strings.Replace(line, instance+"."+strconv.Itoa(before), instance, 1))
	}
	return answers
}

// retrieves has the viewer, an Orthanc, retrieve a study, and returns the digests of what it has got.
func (s *side) retrieves(t *testing.T, from string, uid dicom.UID) []string {
	t.Helper()
	takeFromOrthanc(t, s.viewer)
	var answer struct{ ID string }
	unmarshal(t, s.viewer.post(t, "/modalities/"+from+"/query", asJSON(t, map[string]any{"Level": "Study", "Query": map[string]any{"StudyInstanceUID": uid}})), &answer)
	s.viewer.post(t, "/queries/"+answer.ID+"/retrieve", asJSON(t, map[string]any{"TargetAet": s.viewer.AETitle, "Synchronous": true}))
	var all []string
	for sum, ids := range takeFromOrthanc(t, s.viewer) {
		all = append(all, slices.Repeat([]string{sum}, len(ids))...)
	}
	return all
}

// commits has the viewer ask for storage commitment of a study, and returns what is committed and how it ended.
func (s *side) commits(t *testing.T, of studyFiles) []string {
	t.Helper()
	var instances [][2]dicom.UID
	for _, file := range of.files {
		im := readImage(t, file)
		instances = append(instances, [2]dicom.UID{im.class, im.instance})
	}
	var asked struct{ Path string }
	unmarshal(t, s.viewer.post(t, "/modalities/archive/storage-commitment", asJSON(t, map[string]any{"DicomInstances": instances})), &asked)
	var report struct {
		Status  string
		Success []struct{ SOPInstanceUID string }
	}
	await(t, "the report of storage commitment", func() bool {
		unmarshal(t, string(s.viewer.get(t, asked.Path)), &report)
		return report.Status != "Pending"
	})
	all := []string{report.Status}
	for _, i := range report.Success {
		all = append(all, i.SOPInstanceUID)
	}
	return all
}

// know makes an Orthanc know a modality.
func (p *peer) know(t *testing.T, name string, other *peer) {
	t.Helper()
	port, _ := strconv.Atoi(other.Port)
	p.send(t, http.MethodPut, "/modalities/"+name, asJSON(t, map[string]any{"AET": other.AETitle, "Host": other.Host, "Port": port}))
}

// query has an Orthanc query a modality and returns the answers.
func (p *peer) query(t *testing.T, from, query string) []string {
	t.Helper()
	var answer struct{ ID string }
	unmarshal(t, p.post(t, "/modalities/"+from+"/query", query), &answer)
	return each(t, string(p.get(t, "/queries/"+answer.ID+"/answers?expand&simplify")))
}

func (p *peer) post(t *testing.T, path, body string) string {
	t.Helper()
	return p.send(t, http.MethodPost, path, body)
}

// send does a request to Orthanc's REST interface, which must succeed.
func (p *peer) send(t *testing.T, method, path, body string) string {
	t.Helper()
	rq, err := http.NewRequestWithContext(t.Context(), method, p.HTTP+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	rsp, err := http.DefaultClient.Do(rq)
	if err != nil {
		t.Fatal(err)
	}
	defer rsp.Body.Close()
	text, err := io.ReadAll(rsp.Body)
	if err != nil || rsp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s, %v: %s", method, path, rsp.Status, err, tail(text))
	}
	return string(text)
}

// each splits a JSON list into its elements, as compact text.
func each(t *testing.T, list string) []string {
	t.Helper()
	var all []json.RawMessage
	unmarshal(t, list, &all)
	var texts []string
	for _, one := range all {
		var b bytes.Buffer
		if err := json.Compact(&b, one); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, b.String())
	}
	return texts
}

func unmarshal(t *testing.T, text string, to any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), to); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// add writes more into the configuration of a Cordon that has not been started.
func (c *cordon) add(t *testing.T, text string) {
	t.Helper()
	before, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, c.config, string(before)+text)
}

// awaitPort returns once the peer, which answers no C-ECHO, accepts connections.
func (p *peer) awaitPort(t *testing.T) {
	t.Helper()
	var err error
	for end := time.Now().Add(readyLimit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var nc net.Conn
		if nc, err = net.Dial("tcp", p.Address); err == nil {
			nc.Close()
			return
		}
	}
	t.Fatalf("%s at %s did not become ready: %v", p.AETitle, p.Address, err)
}
