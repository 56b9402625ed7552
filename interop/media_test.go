package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cordon/inspect/compose"
)

// imported is a line of `cordon import --json`.
type imported struct {
	Path     string
	Outcome  string
	Verdict  string
	Listed   bool `json:"in_dicomdir"`
	ID       string
	Detail   string
	Findings []struct{ ID string }
}

func importedItems(t *testing.T, out string) map[string]imported {
	t.Helper()
	all := map[string]imported{}
	for line := range strings.Lines(out) {
		var it imported
		if err := json.Unmarshal([]byte(line), &it); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		all[it.Path] = it
	}
	return all
}

// patientCD makes a CD with a DICOMDIR of DCMTK's: clean images, images with
// payloads, one image that the DICOMDIR does not name, a viewer. It returns the
// objects by path.
func patientCD(t *testing.T) (dir string, objects map[string]*compose.Object) {
	t.Helper()
	dir, objects = t.TempDir(), map[string]*compose.Object{}
	study, series := compose.NewUID(), compose.NewUID()
	image := func(name string, places ...compose.Place) {
		o := compose.CT(64, 64)
		o.Study, o.Series, o.InstanceNumber = study, series, len(objects)+1
		for _, p := range places {
			p.Put(o, compose.WindowsProgram())
		}
		objects["IMAGES/"+name] = o
		write(t, filepath.Join(dir, "IMAGES", name), string(o.File()))
	}
	if err := os.Mkdir(filepath.Join(dir, "IMAGES"), 0o700); err != nil {
		t.Fatal(err)
	}
	image("CLEAN1")
	image("CLEAN2")
	image("PRIVATE", compose.PrivateOB)
	image("PREAMBLE", compose.Preamble)
	image("PADDING", compose.TrailingPadding)
	named := []string{}
	for name := range objects {
		named = append(named, name)
	}
	image("UNNAMED")
	run(t, "dcmmkdir", append([]string{"+I", "-Nxc", "+D", filepath.Join(dir, "DICOMDIR"), "+id", dir}, named...)...)
	write(t, filepath.Join(dir, "autorun.inf"), "[autorun]\r\nopen=viewer.exe\r\n")
	write(t, filepath.Join(dir, "viewer.exe"), string(compose.WindowsProgram()))
	return dir, objects
}

// What is clean is in the archive, what is not is in the vault, and no program has left the CD.
func TestPatientCDIsImported(t *testing.T) {
	archive := startOrthanc(t, nil)
	c := startCordon(t, archive)
	cd, objects := patientCD(t)
	page := filepath.Join(t.TempDir(), "report.html")
	said := c.cli(t, "import", "--json", "--as", "ada", "--report", page, cd)
	if said.code != 1 {
		t.Errorf("exit code %d: %s", said.code, said.err)
	}
	items := importedItems(t, said.out)
	there, held := archive.instances(t), c.held(t)
	for path, o := range objects {
		it, clean := items[path], !strings.HasPrefix(path, "IMAGES/P")
		if want := map[bool]string{true: "stored", false: "held"}[clean]; it.Outcome != want {
			t.Errorf("%s: %s, %s", path, it.Outcome, it.Detail)
		}
		if it.Listed != (path != "IMAGES/UNNAMED") {
			t.Errorf("%s: in the DICOMDIR: %v", path, it.Listed)
		}
		if there[string(o.Instance)] != clean {
			t.Errorf("%s: in the archive: %v", path, !clean)
		}
		if _, ok := held[string(o.Instance)]; ok == clean {
			t.Errorf("%s: held: %v", path, ok)
		}
	}
	if len(there) != 3 || len(items) != len(objects)+3 {
		t.Errorf("%d objects in the archive, %d items", len(there), len(items))
	}
	for path, verdict := range map[string]string{"DICOMDIR": "admit", "autorun.inf": "hold", "viewer.exe": "hold"} {
		if it := items[path]; it.Outcome != "listed" || it.Verdict != verdict {
			t.Errorf("%s: %+v", path, it)
		}
	}
	released := objects["IMAGES/PREAMBLE"]
	for _, name := range []string{"ada", "ben"} {
		if said := c.cli(t, "vault", "release", held[string(released.Instance)].ID, "--as", name, "--reason", "seen"); said.code != 0 {
			t.Error(said.err)
		}
	}
	await(t, "the released file's object", func() bool { return archive.instances(t)[string(released.Instance)] })
	if text, err := os.ReadFile(page); err != nil || !bytes.Contains(text, []byte("3 objects held, 3 objects stored.")) {
		t.Errorf("report: %v", err)
	}
	if said := c.cli(t, "ledger", "verify"); said.code != 0 {
		t.Errorf("ledger: %s%s", said.out, said.err)
	}
}

// A file that was held whole survives a power failure, and is exported as it was on the CD.
func TestHeldFileIsWholeAndDurable(t *testing.T) {
	c := startCordon(t, nil)
	cd, objects := patientCD(t)
	c.cli(t, "import", cd)
	c.process.kill()
	c.start(t)
	id := c.held(t)[string(objects["IMAGES/PREAMBLE"].Instance)].ID
	out := filepath.Join(t.TempDir(), "exported")
	if said := c.cli(t, "vault", "export", id, "-o", out, "--as", "ada", "--reason", "analysis"); said.code != 0 {
		t.Fatal(said.err)
	}
	got, err := os.ReadFile(out)
	if err != nil || !bytes.Equal(got, objects["IMAGES/PREAMBLE"].File()) {
		t.Errorf("%v, %d bytes", err, len(got))
	}
}

// A medium whose device fails: files are there, and reading some of them is an
// error. So it is with attributes that a loopback interface does not have.
func TestMediumThatCannotBeReadHalfway(t *testing.T) {
	c := startCordon(t, nil)
	said := c.cli(t, "import", "--json", "/sys/class/net/lo")
	items := importedItems(t, said.out)
	if it := items["speed"]; said.code != 2 || it.Outcome != "unreadable" || !strings.Contains(it.Detail, "invalid argument") {
		t.Errorf("exit code %d, %+v", said.code, it)
	}
	if it := items["statistics/tx_bytes"]; it.Outcome != "listed" {
		t.Errorf("after it: %+v", it)
	}
}

// An archive that is away loses nothing of a CD.
func TestCDIsImportedWhileTheArchiveIsAway(t *testing.T) {
	archive := newPeer(t, "AWAY") // nothing listens there yet
	c := startCordon(t, archive)
	cd, objects := patientCD(t)
	if said := c.cli(t, "import", cd); said.code != 1 || !strings.Contains(said.out, "3 stored for pacs, 3 held") {
		t.Fatalf("exit code %d: %s%s", said.code, said.out, said.err)
	}
	start(t, archive.Dir, "storescp", "-od", archive.Dir, "-aet", string(archive.AETitle), "--prefer-uncompr", archive.Port)
	c.awaitDrained(t)
	files, err := filepath.Glob(filepath.Join(archive.Dir, "CT*"))
	if err != nil || len(files) != 3 {
		t.Errorf("%v, %d of %d objects arrived", err, len(files), len(objects))
	}
}

// DCMTK reads of a disarmed file what it read of the original, but for padding.
func TestDisarmedFilesReadAlike(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	in := t.TempDir()
	for i, place := range []compose.Place{compose.Preamble, compose.TrailingPadding} {
		o := compose.CT(64, 64)
		place.Put(o, compose.LinuxProgram())
		write(t, filepath.Join(in, fmt.Sprint(i)), string(o.File()))
	}
	said := cordonCommand(t, "disarm", "--json", "-o", out, in, filepath.Join(testFiles, "dicomdirtests"),
		filepath.Join(testFiles, "CT_small.dcm"), filepath.Join(testFiles, "MR_small.dcm"), filepath.Join(testFiles, "JPEG2000.dcm"),
		filepath.Join(testFiles, "image_dfl.dcm"), filepath.Join(testFiles, "ExplVR_BigEnd.dcm"))
	compared := 0
	for line := range strings.Lines(said.out) {
		var d struct{ Path, Output string }
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatal(err)
		}
		before, _ := try(t, "dcmdump", "+L", d.Path)
		after, _ := try(t, "dcmdump", "+L", d.Output)
		if withoutPadding(before) != withoutPadding(after) || after == "" {
			t.Errorf("%s: reads differently", d.Path)
		}
		compared++
	}
	if compared < 50 {
		t.Errorf("%d files compared: %s", compared, said.err)
	}
}

// withoutPadding is a dump without Data Set Trailing Padding, and without what
// dcmdump says of the file as such.
func withoutPadding(dump string) string {
	var kept []string
	for line := range strings.Lines(dump) {
		if !strings.HasPrefix(line, "(fffc,fffc)") && strings.HasPrefix(strings.TrimSpace(line), "(") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}
