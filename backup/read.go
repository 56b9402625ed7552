package backup

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"cordon/store"

	"filippo.io/age"
)

// archive reads the entries of a backup. Everything in it is authentic only as
// far as whoever wrote it knew the recipient, which is no secret: names and
// lengths are held against what a backup has.
type archive struct {
	tar      *tar.Reader
	manifest Manifest
	entries  int64
}

// maxNote bounds manifest.json and end.json, in bytes.
const maxNote = 1 << 20

// open reads as far as the manifest, and refuses what this version cannot
// restore.
func open(r io.Reader, from From) (*archive, error) {
	plain, err := age.Decrypt(r, from.Identities...)
	var other *age.NoIdentityMatchError
	if errors.As(err, &other) {
		return nil, errors.New("this key or passphrase does not open the backup: use the one that it was made for")
	}
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	a := &archive{tar: tar.NewReader(plain)}
	name, body, err := a.next()
	if err != nil {
		return nil, err
	}
	if name != manifestName {
		return nil, errors.New("not a backup of Cordon: it does not begin with a manifest")
	}
	if err := readNote(body, &a.manifest); err != nil {
		return nil, err
	}
	return a, a.manifest.fits(from.Migrations)
}

// fits is ErrNewer if this version does not know all that the backup has.
func (m *Manifest) fits(migrations []store.Migrations) error {
	schema, err := store.SchemaOf(migrations)
	if err != nil {
		return err
	}
	switch {
	case m.Format < 1:
		return errors.New("not a backup of Cordon: its manifest has no format")
	case m.Format > format:
		return fmt.Errorf("%w (made by %s, format %d; this version knows %d)", ErrNewer, m.Version, m.Format, format)
	case m.DataFormat > store.Format:
		return fmt.Errorf("%w (made by %s, data format %d; this version knows %d)", ErrNewer, m.Version, m.DataFormat, store.Format)
	}
	if err := schema.Knows(m.Schema); err != nil {
		return fmt.Errorf("%w (%s: %w)", ErrNewer, m.Version, err)
	}
	return nil
}

// next returns the next entry, whose body is valid until the one after.
func (a *archive) next() (name string, body io.Reader, err error) {
	h, err := a.tar.Next()
	if err != nil {
		return "", nil, fmt.Errorf("%w (%w)", ErrDamaged, unexpected(err))
	}
	if h.Typeflag != tar.TypeReg || !known(h.Name) {
		return "", nil, fmt.Errorf("not a backup of Cordon: entry %.100q", h.Name)
	}
	a.entries++
	return h.Name, damaged{a.tar}, nil
}

// unexpected is err, where an orderly end is none.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// damaged says of an entry that cannot be read that it is damaged.
type damaged struct{ r io.Reader }

func (d damaged) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	return n, err
}

// maxName bounds the path of an entry.
const maxName = 4 << 10

// known reports whether an entry may be called so: it leads nowhere but to where
// files of a data directory are.
func known(name string) bool {
	switch {
	case name == manifestName, name == databaseName, name == endName:
		return true
	case len(name) > maxName, !filepath.IsLocal(name), filepath.ToSlash(filepath.Clean(name)) != name:
		return false
	}
	top, rest, _ := strings.Cut(name, "/")
	if rest == "" {
		return false
	}
	for _, folder := range append([]string{"keys", "objects", "config"}, folders[:]...) {
		if top == folder {
			return true
		}
	}
	return false
}

// readNote reads one of the JSON entries.
func readNote(r io.Reader, v any) error {
	text, err := io.ReadAll(io.LimitReader(r, maxNote+1))
	if err != nil {
		return err
	}
	if len(text) > maxNote {
		return errors.New("not a backup of Cordon: a manifest of more than a mebibyte")
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("not a backup of Cordon: %w", err)
	}
	return nil
}

// finish reads what follows end.json: nothing.
func (a *archive) finish(e end) error {
	if a.entries != e.Entries+1 {
		return fmt.Errorf("%w (%d entries, %d were written)", ErrDamaged, a.entries-1, e.Entries)
	}
	if _, err := a.tar.Next(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w (something follows its end: %w)", ErrDamaged, err)
	}
	return nil
}
