package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/inspect/compose"
)

// clamFiles is the directory of Debian's clamav-testfiles: a harmless Windows program, packed and wrapped in many ways.
const clamFiles = "/usr/share/clamav-testfiles"

// composition is a payload hidden in an image.
type composition struct {
	name      string
	object    *compose.Object
	payload   []byte // as it is in the object, but for places that swap or cut it
	inDataSet bool   // DIMSE carries it
}

// compositions hides every payload in every place that it fits.
func compositions(t *testing.T, payloads map[string][]byte) []composition {
	t.Helper()
	var all []composition
	for _, place := range compose.Places() {
		for _, name := range slices.Sorted(maps.Keys(payloads)) {
			payload := payloads[name]
			if place.Name == compose.PreambleAndPrivate.Name && !bytes.HasPrefix(payload, []byte("MZ")) || !fits(place, payload) {
				continue
			}
			all = append(all, composed(name, payload, place))
		}
	}
	return all
}

func composed(name string, payload []byte, place compose.Place) composition {
	o := compose.CT(64, 64)
	place.Put(o, payload)
	return composition{name + " in " + place.Name, o, payload, place.InDataSet}
}

// fits says whether a payload is not longer than what a place with a length of 16 bits holds.
func fits(place compose.Place, payload []byte) bool {
	short := []string{compose.PrivateLT.Name, compose.Palette.Name, compose.Overlay.Name}
	return len(payload) < 60000 || !slices.Contains(short, place.Name)
}

// harmless are payloads that do nothing: true programs among them, made by the Go compiler.
func harmless(t *testing.T) map[string][]byte {
	t.Helper()
	return map[string][]byte{
		"windows program": inertProgram(t, "windows"), "linux program": inertProgram(t, "linux"),
		"windows header": compose.WindowsProgram(), "eicar": compose.EICAR(), "shortcut": compose.Shortcut(),
	}
}

// inertProgram compiles a program that does nothing.
func inertProgram(t *testing.T, system string) []byte {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() {}\n")
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", "inert", "main.go")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("compiling a program for %s: %v\n%s", system, err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "inert"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// writeObjects writes objects as files, named by their SOP Instance UIDs, and returns their names by file.
func writeObjects(t *testing.T, dir string, cs []composition) map[string]string {
	t.Helper()
	names := map[string]string{}
	for _, c := range cs {
		file := filepath.Join(dir, string(c.object.Instance)+".dcm")
		write(t, file, string(c.object.File()))
		names[file] = c.name
	}
	return names
}

// verdict is what a line of `cordon inspect --json` says.
type verdict struct {
	Path, Verdict string
	Findings      []struct{ ID, Severity, Where string }
}

// inspectPaths runs `cordon inspect --json` and returns the verdicts by path, and the exit code.
func inspectPaths(t *testing.T, paths ...string) (map[string]verdict, int) {
	t.Helper()
	said := cordonCommand(t, append([]string{"inspect", "--json"}, paths...)...)
	verdicts := map[string]verdict{}
	for line := range strings.Lines(said.out) {
		var v verdict
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("cordon inspect: %v in %q", err, line)
		}
		verdicts[v.Path] = v
	}
	return verdicts, said.code
}

// Every hostile file of the corpus and every composition is held, and the exit code says so.
func TestHostileObjectsAreHeldByInspect(t *testing.T) {
	dir := t.TempDir()
	names := writeObjects(t, dir, compositions(t, harmless(t)))
	inCorpus := filesIn(t, filepath.Join(corpus, "hostile"))
	for _, file := range inCorpus {
		names[file] = file
	}
	verdicts, code := inspectPaths(t, dir, filepath.Join(corpus, "hostile"))
	if code != 1 || len(verdicts) != len(names) {
		t.Errorf("exit code %d, %d verdicts on %d files", code, len(verdicts), len(names))
	}
	for file, name := range names {
		if v := verdicts[file]; v.Verdict != "hold" {
			t.Errorf("%s: verdict %q, findings %v", name, v.Verdict, v.Findings)
		}
	}
	t.Logf("held: all %d hostile files of the corpus, all %d compositions", len(inCorpus), len(names)-len(inCorpus))
}

// ClamAV's own test files, hidden in objects: whatever is a Windows program is held. What only holds one inside another
// container is for an engine to open.
func TestClamAVTestFilesAreHeld(t *testing.T) {
	var programs, containers []composition
	for _, file := range filesIn(t, clamFiles) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, place := range []compose.Place{compose.PrivateOB, compose.EncapsulatedPDF, compose.AfterEndOfImage, compose.Deflated, compose.Appended} {
			c := composed(filepath.Base(file), text, place)
			if bytes.HasPrefix(text, []byte("MZ")) {
				programs = append(programs, c)
			} else {
				containers = append(containers, c)
			}
		}
	}
	heldOf := func(cs []composition) (n int, passed []string) {
		dir := t.TempDir()
		names := writeObjects(t, dir, cs)
		verdicts, _ := inspectPaths(t, dir)
		for file, name := range names {
			if verdicts[file].Verdict == "hold" {
				n++
			} else {
				passed = append(passed, name)
			}
		}
		return n, passed
	}
	ofPrograms, passed := heldOf(programs)
	if ofPrograms < 80 || len(passed) > 0 {
		t.Errorf("held only %d of %d programs; not: %q", ofPrograms, len(programs), passed)
	}
	ofContainers, _ := heldOf(containers)
	t.Logf("held without an engine: %d of %d programs, %d of %d containers", ofPrograms, len(programs), ofContainers, len(containers))
}

// One association carries clean and hostile instances: the sender sees success for all, the clean ones arrive, the
// hostile ones are in the vault and nowhere else.
func TestHostileObjectsAreHeldAndTheRestOfTheStudyArrives(t *testing.T) {
	fastDCMTK(t)
	for sender, send := range map[string]func(t *testing.T, c *cordon, dir string) (stored int){
		"DCMTK": func(t *testing.T, c *cordon, dir string) int {
			return dcmsend(t, &c.peer, filesIn(t, dir)).stored
		},
		"a sender that changes no byte": func(t *testing.T, c *cordon, dir string) int {
			return cordonSend(t, &c.peer, dir)
		},
	} {
		t.Run(sender, func(t *testing.T) { studyWithHostileInstances(t, send) })
	}
}

func studyWithHostileInstances(t *testing.T, send func(*testing.T, *cordon, string) int) {
	archive := startStoreSCP(t, "+B", "+xa")
	c := startCordon(t, archive)
	dir := t.TempDir()
	hostile := slices.DeleteFunc(compositions(t, harmless(t)), func(c composition) bool { return !c.inDataSet })
	var clean []composition
	for range 20 {
		clean = append(clean, composition{name: "clean", object: compose.CT(64, 64)})
	}
	all := writeObjects(t, dir, slices.Concat(hostile, clean))
	if n := send(t, c, dir); n != len(all) {
		t.Errorf("%d of %d were answered with success", n, len(all))
	}
	vault, arrived := c.held(t), instancesIn(t, archive.Dir)
	for _, o := range clean {
		if id := string(o.object.Instance); arrived[id] == "" || vault[id].State != "" {
			t.Errorf("clean instance: arrived as %q, vault %v", arrived[id], vault[id])
		}
	}
	disarmed := 0
	for _, o := range hostile {
		switch id := string(o.object.Instance); {
		case arrived[id] == "" && vault[id].State == "held":
		case arrived[id] != "" && vault[id].State == "" && !bytes.Contains(readFile(t, arrived[id]), o.payload[:32]):
			disarmed++ // the sender left the payload out
		default:
			t.Errorf("%s: arrived as %q, vault %v", o.name, arrived[id], vault[id])
		}
	}
	if disarmed > 5 { // DCMTK sends no Data Set Trailing Padding
		t.Errorf("%d hostile instances lost their payload before they were sent", disarmed)
	}
	t.Logf("%d instances: all answered with success, %d clean arrived, %d hostile held, %d left the sender without their payload",
		len(all), len(arrived)-disarmed, len(vault), disarmed)
}

// cordonSend sends a folder with `cordon send`, each data set as it is in its file, and returns how many were stored.
func cordonSend(t *testing.T, to *peer, paths ...string) int {
	t.Helper()
	said := cordonCommand(t, append([]string{"send", to.Address, "--calling", "CT1", "--called", string(to.AETitle)}, paths...)...)
	var stored, not int
	if _, err := fmt.Sscanf(said.out, "%d stored, %d not", &stored, &not); err != nil || not > 0 {
		t.Errorf("cordon send: exit code %d, %q\n%s", said.code, said.out, said.err)
	}
	return stored
}

// instancesIn lists what storescp has stored, its files by SOP Instance UID.
func instancesIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		if _, uid, ok := strings.Cut(e.Name(), "."); ok && dicom.UID(uid).Validate() == nil {
			files[uid] = filepath.Join(dir, e.Name())
		}
	}
	return files
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// DIMSE carries data sets. A payload before or after the data set of a file stays where the file is; if a sender takes
// what follows the data set for a part of it, that is held.
func TestPreamblesAndTrailersDoNotArrive(t *testing.T) {
	fastDCMTK(t)
	archive := startStoreSCP(t, "+B", "+xa")
	c := startCordon(t, archive)
	var before, after []composition
	for name, payload := range harmless(t) {
		before = append(before, composed(name, payload, compose.Preamble))
		after = append(after, composed(name, payload, compose.Appended))
	}
	dirBefore, dirAfter := t.TempDir(), t.TempDir()
	writeObjects(t, dirBefore, before)
	writeObjects(t, dirAfter, after)
	if n := dcmsend(t, &c.peer, filesIn(t, dirBefore)).stored; n != len(before) {
		t.Errorf("DCMTK sent %d of %d", n, len(before))
	}
	withTrailer := dcmsend(t, &c.peer, filesIn(t, dirAfter)).stored // not those whose trailer it cannot read
	if n := cordonSend(t, &c.peer, dirBefore, dirAfter); n != len(before)+len(after) {
		t.Errorf("cordon sent %d of %d", n, len(before)+len(after))
	}
	arrived, vault := instancesIn(t, archive.Dir), c.held(t)
	for _, o := range slices.Concat(before, after) {
		if file := arrived[string(o.object.Instance)]; file != "" && bytes.Contains(readFile(t, file), o.payload[:32]) {
			t.Errorf("%s: the payload arrived", o.name)
		}
	}
	if len(arrived) != len(before)+withTrailer || len(vault) != len(after) {
		t.Errorf("%d arrived, %d are held", len(arrived), len(vault))
	}
	t.Logf("%d objects with a payload in the preamble and %d with one after the data set arrived without it; sent as part of the data set, the payloads of %d were held",
		len(before), withTrailer, len(vault))
}
