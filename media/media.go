// Package media reads what comes in on a CD, a USB stick or in a folder (PS3.10
// §8): every file, those that the DICOMDIR names and all others, and nothing
// that is not on the medium.
//
// Ordinary use:
//
//	m, err := media.Open("/media/cdrom")
//	defer m.Close()
//	err = m.Walk(ctx, func(it media.Item) error {
//		if it.Err == nil { f, size, err := m.OpenFile(it.Path); … }
//		return nil
//	})
//
// # Life of a walk
//
// The DICOMDIR at the root is read first, record by record in the order in which
// they lie there: no offset in it is followed, so a circle leads nowhere. Then
// every file on the medium is met, in the order of names. Last come the files that
// the DICOMDIR names and the walk has not met: they are missing, or lead out.
//
// Every name is resolved under the root by the operating system (os.Root): no
// link, no ".." and no absolute name leads out of it. Pipes, devices and
// sockets are never opened. What cannot be read is an item with an error, and the
// walk goes on.
//
// The package does not judge, copy or send anything, and it runs nothing. What
// became of each item is put into its fields by the caller, for the report.
package media

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"cordon/finding"
)

// Outcome is what became of an item. The zero value says nothing.
type Outcome string

// The outcomes.
const (
	Stored     Outcome = "stored"     // an object that the gateway took
	Held       Outcome = "held"       // an object that is in the vault
	Listed     Outcome = "listed"     // stays where it is: not an object for an archive, or refused
	Failed     Outcome = "failed"     // an object that should have been stored or held, and was not
	Unreadable Outcome = "unreadable" // missing, or could not be read to its end
)

// Kind is what an item is.
type Kind string

// The kinds.
const (
	Object    Kind = "object"    // a DICOM object
	Directory Kind = "directory" // a DICOMDIR
	Other     Kind = "other"     // not DICOM: viewers, documents, autorun files
)

// Item is one thing on a medium, or that a medium says is on it.
type Item struct {
	Path   string // on the medium, with slashes
	Listed bool   // the DICOMDIR names it
	Err    error  // it could not be read

	// For whoever judges it.
	Kind    Kind
	Report  finding.Report
	Outcome Outcome
	ID      string // in the vault
	Detail  string // why it failed, or was not stored
}

// IsDirectory reports whether the item has the name of a DICOMDIR.
func (it Item) IsDirectory() bool {
	name := fold(it.Path)
	return name == directoryName || strings.HasSuffix(name, "/"+directoryName)
}

// directoryName is the File ID of every DICOMDIR (PS3.10 §8.6).
const directoryName = "DICOMDIR"

// Medium is an open CD, stick or folder.
type Medium struct {
	root      *os.Root
	directory DirectoryFile
}

// DirectoryFile is what the DICOMDIR at the root says, as far as it could be read.
type DirectoryFile struct {
	Path   string // "" if there is none
	SHA256 string // of the file, 64 lower-case hexadecimal digits; "" if it could not be read
	Records
}

// MaxItems bounds how many items one walk meets.
const MaxItems = 1_000_000

// ErrTooMany is the error of the item that stands for all that were not looked at.
var ErrTooMany = fmt.Errorf("more than %d files: the rest was not looked at", MaxItems)

var (
	errOutside    = errors.New("named in the DICOMDIR, and leads out of the medium")
	errMissing    = errors.New("named in the DICOMDIR, and not on the medium")
	errLink       = errors.New("a link that leads to nothing on the medium")
	errFolderLink = errors.New("a link to a folder is not followed")
)

// Open opens the medium at the folder dir and reads its DICOMDIR, if there is
// one that can be read. The caller closes it.
func Open(dir string) (*Medium, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	m := &Medium{root: root}
	m.readDirectory()
	return m, nil
}

// Close closes the medium.
func (m *Medium) Close() error { return m.root.Close() }

// Directory returns what the DICOMDIR says.
func (m *Medium) Directory() DirectoryFile { return m.directory }

// OpenFile opens a regular file of the medium and returns its size. It never
// waits for the other end of a pipe, and never leaves the medium.
func (m *Medium) OpenFile(path string) (*os.File, int64, error) {
	f, err := m.root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, 0, err
	}
	size, err := RegularSize(f)
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, size, nil
}

// readDirectory looks for the DICOMDIR, whatever the case of its name: mounted
// without extensions, a CD's names are lower case. What goes wrong is met again,
// and told, when the file is judged.
func (m *Medium) readDirectory() {
	entries, _ := fs.ReadDir(m.root.FS(), ".") // whatever could be read of it
	for _, e := range entries {
		if fold(e.Name()) == directoryName && e.Type().IsRegular() {
			m.directory.Path = e.Name()
			break
		}
	}
	if m.directory.Path == "" {
		return
	}
	f, size, err := m.OpenFile(m.directory.Path)
	if err != nil {
		return
	}
	defer f.Close()
	digest := sha256.New()
	m.directory.Records, err = ReadRecords(io.TeeReader(f, digest), size)
	if err == nil {
		m.directory.SHA256 = hex.EncodeToString(digest.Sum(nil))
	}
}

// Walk calls fn for every item. An error of fn, or the end of ctx, ends it.
func (m *Medium) Walk(ctx context.Context, fn func(Item) error) error {
	w := walk{medium: m, ctx: ctx, fn: fn, named: map[string]bool{}}
	for _, id := range m.directory.FileIDs {
		w.named[id.key()] = false
	}
	err := fs.WalkDir(m.root.FS(), ".", w.entry)
	if errors.Is(err, ErrTooMany) {
		return fn(Item{Path: ".", Err: ErrTooMany})
	}
	if err != nil {
		return err
	}
	return w.rest()
}

// walk is a walk under way.
type walk struct {
	medium *Medium
	ctx    context.Context // of the one call of Walk
	fn     func(Item) error
	named  map[string]bool // by key: what the DICOMDIR names, and whether it was met
	met    int
}

// entry is what fs.WalkDir met.
func (w *walk) entry(path string, e fs.DirEntry, err error) error {
	if w.ctx.Err() != nil {
		return w.ctx.Err()
	}
	if err == nil && e.IsDir() {
		return nil
	}
	if w.met++; w.met > MaxItems {
		return ErrTooMany
	}
	it := Item{Path: path, Err: err}
	key := fold(path)
	if _, it.Listed = w.named[key]; it.Listed {
		w.named[key] = true
	}
	if err == nil {
		it.Err = w.problem(path, e.Type())
	}
	return w.fn(it)
}

// problem says why what is at path cannot be read, as far as that shows before it is opened.
func (w *walk) problem(path string, mode fs.FileMode) error {
	if mode&fs.ModeSymlink != 0 {
		info, err := w.medium.root.Stat(path)
		switch {
		case err != nil:
			return errLink
		case info.IsDir():
			return errFolderLink
		}
		mode = info.Mode().Type()
	}
	if !mode.IsRegular() {
		return fmt.Errorf("%s, not a regular file", nature(mode))
	}
	return nil
}

// rest tells of what the DICOMDIR names and the walk has not met.
func (w *walk) rest() error {
	for _, id := range w.medium.directory.FileIDs {
		if w.named[id.key()] {
			continue
		}
		w.named[id.key()] = true // told once
		if w.ctx.Err() != nil {
			return w.ctx.Err()
		}
		if err := w.fn(Item{Path: id.String(), Listed: true, Err: w.unmet(id)}); err != nil {
			return err
		}
	}
	return nil
}

// unmet says why the walk has not met a file: nil if it is there after all,
// behind a link to a folder of the medium.
func (w *walk) unmet(id FileID) error {
	if !id.isLocal() {
		return errOutside
	}
	info, err := w.medium.root.Stat(id.String())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errMissing
	case err != nil:
		return errOutside
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s, not a regular file", nature(info.Mode()))
	}
	return nil
}

// RegularSize is the size in bytes of a regular file, and an error for anything else.
func RegularSize(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%s is %s, not a regular file", f.Name(), nature(info.Mode()))
	}
	return info.Size(), nil
}

// nature says what kind of thing is at a path.
func nature(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a folder"
	case m&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "something else"
}

// fold is a name as file systems of CDs tell names apart: without regard to
// case, version (ISO 9660 §7.5.1) and a dot at its end.
func fold(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		p, _, _ = strings.Cut(p, ";")
		parts[i] = strings.ToUpper(strings.TrimSuffix(p, "."))
	}
	return strings.Join(parts, "/")
}
