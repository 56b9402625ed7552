package interop

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cordon/dicom"
)

// garbledByDCMTK are files whose UIDs are labelled UN. DCMTK reads them as numbers and sends commands that name the
// instance "31", which is refused. Sent by a sender that reads them they arrive as all others.
var garbledByDCMTK = []string{"explicit_VR-UN.dcm", "rtdose_rle.dcm", "rtdose_rle_1frame.dcm"}

// broken are files of pydicom's that end in the middle of an element, or hold other deliberate damage. They are held.
var broken = []string{"MR_truncated.dcm", "rtplan_truncated.dcm"}

// realImages lists every file of the corpus that is to be admitted, and every test file of pydicom's.
func realImages(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, root := range []string{filepath.Join(corpus, "valid"), filepath.Join(corpus, "odd"), testFiles, filepath.Join(pydicomData, "charset_files")} {
		files = append(files, filesIn(t, root)...)
	}
	return files
}

// fastDCMTK makes DCMTK's programs send without delay, for the time of the test. What they send is the same.
func fastDCMTK(t *testing.T) {
	t.Setenv("TCP_NODELAY", "1")
	t.Setenv("TCP_BUFFER_LENGTH", "1048576")
}

// Every real image that DCMTK can send arrives at a storage provider through Cordon with the bytes with which it arrives
// without it.
func TestEveryRealImageArrivesByteExactAtStorescp(t *testing.T) {
	fastDCMTK(t)
	direct := startStoreSCP(t, "+B", "+uf", "+xa")
	archive := startStoreSCP(t, "+B", "+uf", "+xa")
	c := startCordon(t, archive)
	files := withoutNames(realImages(t), garbledByDCMTK)
	sentDirectly, sent := dcmsend(t, direct, files).stored, dcmsend(t, &c.peer, files).stored

	want, got := storedSums(t, direct.Dir), storedSums(t, archive.Dir)
	compareArrivals(t, want, got)
	if sent != sentDirectly || total(got) != sent || sent < 170 {
		t.Errorf("directly %d were sent and %d arrived, through Cordon %d and %d", sentDirectly, total(want), sent, total(got))
	}
	noneHeld(t, c, answers{stored: sent}, 0)
	t.Logf("of %d files DCMTK sent %d; %d arrived through Cordon, byte for byte; 0 held", len(files), sent, total(got))
}

// The same with Orthanc, which keeps one object for a SOP Instance UID: files that share one go one after the other.
func TestEveryRealImageArrivesByteExactAtOrthanc(t *testing.T) {
	fastDCMTK(t)
	direct, archive := startOrthanc(t, nil), startOrthanc(t, nil)
	c := startCordon(t, archive)
	var sentDirectly, sent answers
	arrived := 0
	rounds := distinctInstances(t, withoutNames(realImages(t), garbledByDCMTK))
	for _, files := range rounds {
		sentDirectly = sentDirectly.plus(dcmsend(t, direct, files))
		sent = sent.plus(dcmsend(t, &c.peer, files))
		want, got := takeFromOrthanc(t, direct), takeFromOrthanc(t, archive)
		compareArrivals(t, want, got)
		arrived += total(got)
	}
	if sent.refused != 0 || sent.stored != sentDirectly.stored+sentDirectly.refused || arrived != sentDirectly.stored || arrived < 170 {
		t.Errorf("directly %+v, through Cordon %+v, %d arrived", sentDirectly, sent, arrived)
	}
	noneHeld(t, c, sent, sentDirectly.refused)
	t.Logf("in %d rounds DCMTK sent %d; %d arrived through Cordon, byte for byte; 0 held; %d that Orthanc answers with A700 (directly too) wait in the spool",
		len(rounds), sent.stored, arrived, sentDirectly.refused)
}

// A sender that does not re-encode: what arrives are the bytes of the files themselves, of transfer syntaxes and SOP
// classes too that DCMTK does not know, without preamble, without File Meta Information.
func TestEveryRealImageArrivesAsItIsInItsFile(t *testing.T) {
	c := startCordon(t, nil)
	files := withoutNames(realImages(t), broken)
	said := cordonCommand(t, append([]string{"send", c.Address, "--called", cordonTitle}, files...)...)
	notSent := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^not stored: (.*): (?:names no SOP class|the peer does not take Media Storage Directory)`).FindAllStringSubmatch(said.err, -1) {
		notSent[m[1]] = true
	}
	want := map[string][]string{}
	for _, file := range files {
		if !notSent[file] {
			data := dataSetInFile(t, file)
			sum := fmt.Sprintf("%x", sha256.Sum256(data))
			want[sum] = append(want[sum], file)
		}
	}
	got := storedSums(t, filepath.Join(c.Dir, "archive"))
	compareArrivals(t, want, got)
	if len(notSent) > 40 || len(want) < 170 {
		t.Errorf("%d files were not sent, %d distinct data sets were:\n%s", len(notSent), len(want), said.err)
	}
	noneHeld(t, c, answers{stored: len(files) - len(notSent)}, 0)
	t.Logf("of %d files %d are objects with a SOP class and instance; their %d distinct data sets arrived as they are in the files; 0 held",
		len(files), len(files)-len(notSent), len(got))
}

func withoutNames(files, names []string) []string {
	return slices.DeleteFunc(slices.Clone(files), func(f string) bool { return slices.Contains(names, filepath.Base(f)) })
}

// answers counts the instances of a transfer by the class of the peer's answer.
type answers struct{ stored, refused int }

func (a answers) plus(b answers) answers { return answers{a.stored + b.stored, a.refused + b.refused} }

// dcmsend sends the files with DCMTK, each in its own transfer syntax. Files that DCMTK cannot send it leaves out.
func dcmsend(t *testing.T, to *peer, files []string) answers {
	t.Helper()
	args := []string{"-v", "+f", "-dn", "-nuc", "--no-halt", "-aec", string(to.AETitle), to.Host, to.Port}
	out, _ := try(t, "dcmsend", append(args, files...)...)
	if !strings.Contains(out, "Status Summary") {
		t.Fatalf("dcmsend to %s:\n%s", to.AETitle, tail([]byte(out)))
	}
	var a answers
	for _, m := range regexp.MustCompile(`\* with status (\w+) *: (\d+)`).FindAllStringSubmatch(out, -1) {
		n, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		if m[1] == "SUCCESS" || m[1] == "WARNING" {
			a.stored += n
		} else {
			a.refused += n
		}
	}
	return a
}

// distinctInstances splits the files so that no two of a round share a SOP Instance UID.
func distinctInstances(t *testing.T, files []string) [][]string {
	t.Helper()
	var rounds [][]string
	seen := map[string]int{}
	for _, file := range files {
		instance := readByUs(t, file)["(0008,0018)"].sum
		round := seen[instance]
		if instance != "" {
			seen[instance]++
		}
		if round == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[round] = append(rounds[round], file)
	}
	return rounds
}

// storedSums returns the SHA-256 of the data sets of all Part 10 files in a tree, each with the files that have it.
func storedSums(t *testing.T, dir string) map[string][]string {
	t.Helper()
	sums := map[string][]string{}
	for _, file := range filesIn(t, dir) {
		sum := fmt.Sprintf("%x", sha256.Sum256(dataSetOf(t, file)))
		sums[sum] = append(sums[sum], file)
	}
	return sums
}

// takeFromOrthanc takes out everything that an Orthanc has stored.
func takeFromOrthanc(t *testing.T, o *peer) map[string][]string {
	t.Helper()
	var ids []string
	if err := json.Unmarshal(o.get(t, "/instances"), &ids); err != nil {
		t.Fatal(err)
	}
	sums := map[string][]string{}
	for _, id := range ids {
		file := filepath.Join(t.TempDir(), id)
		write(t, file, string(o.get(t, "/instances/"+id+"/file")))
		sum := fmt.Sprintf("%x", sha256.Sum256(dataSetOf(t, file)))
		sums[sum] = append(sums[sum], id)
		o.remove(t, "/instances/"+id)
	}
	return sums
}

// compareArrivals compares data sets by their sums and by how often each is there.
func compareArrivals(t *testing.T, want, got map[string][]string) {
	t.Helper()
	for sum, files := range want {
		if len(got[sum]) == 0 || len(got[sum]) != len(files) && len(got[sum]) != 1 {
			t.Errorf("%q did not arrive as it was sent (%d with its bytes did)", files, len(got[sum]))
		}
	}
	for sum, files := range got {
		if len(want[sum]) == 0 {
			t.Errorf("%q arrived and was not sent so", files)
		}
	}
}

func total(sums map[string][]string) int {
	n := 0
	for files := range maps.Values(sums) {
		n += len(files)
	}
	return n
}

// noneHeld checks what Cordon itself says about a transfer of which nothing was to be held, and some was to wait.
func noneHeld(t *testing.T, c *cordon, sent answers, waiting int) {
	t.Helper()
	for uid, item := range c.held(t) {
		t.Errorf("%s is held: %v", uid, item.Findings)
	}
	o := c.status(t).Objects
	if o.Received != sent.stored+sent.refused || o.Delivered != sent.stored-waiting || o.Refused != sent.refused || o.Spooled != waiting || o.Panics != 0 {
		t.Errorf("answered %+v, Cordon counts %+v", sent, o)
	}
}

// dataSetInFile is the data set of any file: with or without preamble and File Meta Information.
func dataSetInFile(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	v := &startOfDataSet{}
	if bytes.HasPrefix(text[min(len(text), 128):], []byte("DICM")) {
		v.at = 132
	}
	d := dicom.NewDecoder(v, dicom.Options{Size: int64(len(text))})
	d.Write(text)
	d.Close()
	if data := text[v.at:]; !d.TransferSyntax().Deflated || len(data)%2 == 0 {
		return data
	}
	return append(text[v.at:], 0) // what evens it out for messages (PS3.5 §A.5)
}

// startOfDataSet is a visitor that looks where the File Meta Information ends.
type startOfDataSet struct{ at int64 }

func (v *startOfDataSet) Begin(e *dicom.Element) {
	if e.Meta {
		v.at = e.ValueOffset + int64(e.Length)
	}
}

func (v *startOfDataSet) Value(*dicom.Element, []byte)          {}
func (v *startOfDataSet) End(*dicom.Element)                    {}
func (v *startOfDataSet) Anomaly(*dicom.Element, dicom.Anomaly) {}
