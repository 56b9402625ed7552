package media

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"cordon/dicom"
)

// entry is a directory record under construction; next and lower are indexes of
// records, -1 for none, other negative numbers for offsets that lead nowhere.
type entry struct {
	next, lower int
	file        string
}

// directoryFile builds a DICOMDIR. Offsets need two passes: their length is known.
func directoryFile(first int, records ...entry) []byte {
	offsets := make([]uint32, len(records))
	offset := func(i int) uint32 {
		switch {
		case i >= 0:
			return offsets[i]
		case i == -1:
			return 0
		}
		return uint32(-i)
	}
	var out []byte
	for range 2 {
		var b bytes.Buffer
		dicom.WriteFileMeta(&b, dicom.FileMeta{
			SOPClassUID: dicom.MediaStorageDirectoryStorage, SOPInstanceUID: "1.2.3", TransferSyntaxUID: dicom.ExplicitVRLittleEndian,
		})
		syntax, _ := dicom.LookupTransferSyntax(dicom.ExplicitVRLittleEndian)
		w := dicom.NewWriter(&b, syntax)
		w.Uint32(tagFirstRecord, offset(first))
		w.BeginSequence(dicom.TagDirectoryRecordSequence, dicom.Undefined)
		for i, r := range records {
			offsets[i] = uint32(b.Len())
			w.BeginItem(dicom.Undefined)
			w.Uint32(tagNextRecord, offset(r.next))
			w.Uint32(tagLowerLevel, offset(r.lower))
			w.String(dicom.TagDirectoryRecordType, dicom.CS, "IMAGE")
			if r.file != "" {
				w.String(dicom.TagReferencedFileID, dicom.CS, r.file)
			}
			w.EndItem()
		}
		w.EndSequence()
		w.Close()
		out = b.Bytes()
	}
	return out
}

func records(t *testing.T, p []byte) Records {
	t.Helper()
	r, err := ReadRecords(bytes.NewReader(p), int64(len(p)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDirectoryNamesItsFiles(t *testing.T) {
	r := records(t, directoryFile(0, entry{-1, 1, ""}, entry{2, -1, `A\B`}, entry{-1, -1, `A\C`}))
	if got := fmt.Sprint(r.FileIDs); got != "[A/B A/C]" {
		t.Errorf("names %s", got)
	}
	if r.Count != 3 || r.Circular || r.Broken || r.Unreached != 0 || r.Cut {
		t.Errorf("%+v", r)
	}
}

// No offset is followed to find a file, so none is missed and none is met twice.
func TestOddDirectoriesEndAndMissNothing(t *testing.T) {
	for name, c := range map[string]struct {
		file []byte
		want Records
	}{
		"circle of one":         {directoryFile(0, entry{0, -1, "A"}), Records{Circular: true}},
		"circle of two":         {directoryFile(0, entry{1, -1, "A"}, entry{0, -1, "B"}), Records{Circular: true}},
		"own lower level":       {directoryFile(0, entry{-1, 1, "A"}, entry{-1, 0, "B"}), Records{Circular: true}},
		"leads nowhere":         {directoryFile(0, entry{-7, -1, "A"}), Records{Broken: true}},
		"leads out":             {directoryFile(0, entry{-1 << 31, -1, "A"}), Records{Broken: true}},
		"no first record":       {directoryFile(-1, entry{1, -1, "A"}, entry{-1, -1, "B"}), Records{Unreached: 2}},
		"ends in the middle":    {directoryFile(0, entry{1, -1, "A"}, entry{-1, -1, "B"})[:420], Records{Cut: true}},
		"not a DICOMDIR":        {[]byte("[autorun]"), Records{Cut: true}},
		"nothing":               {nil, Records{Cut: true}},
		"no records":            {directoryFile(-1), Records{}},
		"same file named twice": {directoryFile(0, entry{1, -1, "A"}, entry{-1, -1, "A"}), Records{}},
	} {
		r := records(t, c.file)
		if c.want.Count, c.want.FileIDs = r.Count, r.FileIDs; fmt.Sprint(r) != fmt.Sprint(c.want) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestMillionRecordsAreBounded(t *testing.T) {
	all := make([]entry, maxRecords+10)
	for i := range all {
		all[i] = entry{i + 1, -1, ""}
	}
	all[len(all)-1].next = 0
	r := records(t, directoryFile(0, all...))
	if r.Count != maxRecords || !r.Cut {
		t.Errorf("%d records, cut %v", r.Count, r.Cut)
	}
}

// walked lists what a walk met.
func walked(t *testing.T, dir string) map[string]Item {
	t.Helper()
	m, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	all := map[string]Item{}
	err = m.Walk(t.Context(), func(it Item) error {
		if _, twice := all[it.Path]; twice {
			t.Errorf("%s twice", it.Path)
		}
		if it.Err == nil {
			f, _, err := m.OpenFile(it.Path)
			if err != nil {
				t.Errorf("%s: %v", it.Path, err)
			} else {
				f.Close()
			}
		}
		all[it.Path] = it
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// tree makes files; names that end with / are folders, and "a -> b" is a link.
func tree(t *testing.T, names ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "medium")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		name, target, isLink := strings.Cut(name, " -> ")
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		switch {
		case err != nil:
		case isLink:
			err = os.Symlink(target, path)
		default:
			err = os.WriteFile(path, []byte(name), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func names(all map[string]Item) (readable, bad []string) {
	for path, it := range all {
		if it.Err == nil {
			readable = append(readable, path)
		} else {
			bad = append(bad, path)
		}
	}
	slices.Sort(readable)
	slices.Sort(bad)
	return readable, bad
}

func TestEveryFileIsMet(t *testing.T) {
	dir := tree(t, "IMAGES/A", "IMAGES/B", "autorun.inf", "viewer/viewer.exe")
	os.WriteFile(filepath.Join(dir, "DICOMDIR"), directoryFile(0, entry{1, -1, `IMAGES\A`}, entry{-1, -1, `IMAGES\GONE`}), 0o600)
	all := walked(t, dir)
	readable, bad := names(all)
	if want := []string{"DICOMDIR", "IMAGES/A", "IMAGES/B", "autorun.inf", "viewer/viewer.exe"}; !slices.Equal(readable, want) {
		t.Errorf("met %q", readable)
	}
	if !slices.Equal(bad, []string{"IMAGES/GONE"}) || !errors.Is(all["IMAGES/GONE"].Err, errMissing) {
		t.Errorf("missing %q", bad)
	}
	if !all["IMAGES/A"].Listed || all["IMAGES/B"].Listed || !all["IMAGES/GONE"].Listed {
		t.Error("listed is wrong")
	}
}

// ISO 9660 without extensions: lower case when mounted, with versions, or a dot.
func TestNamesAreMatchedAsCDsHaveThem(t *testing.T) {
	dir := tree(t, "images/im000001", "images/IM000002;1", "images/im000003.")
	os.WriteFile(filepath.Join(dir, "dicomdir"), directoryFile(0,
		entry{1, -1, `IMAGES\IM000001`}, entry{2, -1, `IMAGES\IM000002`}, entry{-1, -1, `IMAGES\IM000003`}), 0o600)
	all := walked(t, dir)
	if _, bad := names(all); len(bad) > 0 {
		t.Errorf("not found: %q", bad)
	}
	for path, it := range all {
		if strings.HasPrefix(path, "images/") && !it.Listed {
			t.Errorf("%s is not listed", path)
		}
	}
}

// Nothing outside of the medium is ever opened, whoever points at it and how.
func TestNothingLeadsOut(t *testing.T) {
	dir := tree(t, "IMAGES/A", "up -> ..", "secret -> ../secret", "absolute -> /etc/passwd",
		"IMAGES/folder -> ../..", "through -> IMAGES/folder/secret", "loop -> loop", "again -> .", "fine -> IMAGES/A", "inner -> IMAGES")
	if err := os.WriteFile(filepath.Join(dir, "..", "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	var all []entry
	for i, id := range []string{`..\secret`, `IMAGES\..\..\secret`, `UP\SECRET`, `up\secret`, `IMAGES\folder\secret`, `\etc\passwd`, `/etc/passwd`,
		`IMAGES/../../secret`, `.`, `..`, `secret`, `again\again\again\IMAGES\A`, `inner\A`} {
		all = append(all, entry{i + 1, -1, id})
	}
	all[len(all)-1].next = -1
	if err := os.WriteFile(filepath.Join(dir, "DICOMDIR"), directoryFile(0, all...), 0o600); err != nil {
		t.Fatal(err)
	}
	readable, bad := names(walked(t, dir))
	if want := []string{"DICOMDIR", "IMAGES/A", "again/again/again/IMAGES/A", "fine", "inner/A"}; !slices.Equal(readable, want) {
		t.Errorf("met %q", readable)
	}
	for _, path := range []string{"up", "secret", "absolute", "IMAGES/folder", "through", "loop", "again", "../secret", "UP/SECRET", "IMAGES/folder/secret", "/etc/passwd"} {
		if !slices.Contains(bad, path) {
			t.Errorf("%s is not among the bad, %q", path, bad)
		}
	}
}

func TestOnlyRegularFilesAreOpened(t *testing.T) {
	dir := tree(t, "image", "link -> pipe")
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	os.WriteFile(filepath.Join(dir, "DICOMDIR"), directoryFile(0, entry{1, -1, "PIPE"}, entry{-1, -1, "image"}), 0o600)
	all := walked(t, dir)
	readable, bad := names(all)
	if !slices.Equal(readable, []string{"DICOMDIR", "image"}) || !slices.Equal(bad, []string{"link", "pipe", "socket"}) {
		t.Errorf("met %q, bad %q", readable, bad)
	}
	if why := all["pipe"].Err; why == nil || !strings.Contains(why.Error(), "named pipe") {
		t.Errorf("pipe: %v", why)
	}
}

// A medium that stops giving: the file is there, and reading it is an error of
// the device. The process's own memory, read at 0, is such a file.
func TestUnreadableFileIsToldAndTheRestIsRead(t *testing.T) {
	m, err := Open("/proc/self")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	f, _, err := m.OpenFile("mem")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := ReadRecords(f, 0); !errors.Is(err, syscall.EIO) {
		t.Errorf("%v", err)
	}
	r, _ := ReadRecords(io.MultiReader(bytes.NewReader(directoryFile(0, entry{-1, -1, "A"})[:400]), f), 0)
	if !r.Cut {
		t.Error("a directory that ended in an error is not said to be cut")
	}
}

func TestWalkEndsWithItsContext(t *testing.T) {
	m, err := Open(tree(t, "a", "b", "c"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	err = m.Walk(ctx, func(Item) error {
		n++
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || n != 1 {
		t.Errorf("%v after %d", err, n)
	}
}

func TestMediumIsAFolder(t *testing.T) {
	if m, err := Open(filepath.Join(tree(t, "a"), "a")); err == nil {
		m.Close()
		t.Error("a file was opened as a medium")
	}
}

// FuzzReadRecords: no panic, no circle without end, and no more records than bytes.
func FuzzReadRecords(f *testing.F) {
	f.Add(directoryFile(0, entry{0, 1, `A\B`}, entry{-9, 0, `..\C`}))
	f.Add(binary.LittleEndian.AppendUint32(nil, 7))
	f.Fuzz(func(t *testing.T, p []byte) {
		r, err := ReadRecords(bytes.NewReader(p), int64(len(p)))
		if err != nil || r.Count > len(p)/8 || len(r.FileIDs) > len(p)/8 || r.Unreached > r.Count {
			t.Fatalf("%v, %d records, %d names", err, r.Count, len(r.FileIDs))
		}
		for _, id := range r.FileIDs {
			if id.isLocal() && !filepath.IsLocal(id.String()) {
				t.Fatalf("%q is not local", id)
			}
		}
	})
}
