package folder

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"cordon/dicom"
	"cordon/store"
)

// blockSize is how much is written to the disk at a time, in bytes.
const blockSize = 256 << 10

// keep writes one object and returns once it survives a power failure. Nothing
// is left of one whose data ends in an error.
func (a *Archive) keep(meta dicom.FileMeta, data io.Reader) error {
	file, err := store.NewFile(filepath.Join(a.dir, "object"), 0o600)
	if err != nil {
		return err
	}
	defer file.Discard()
	block := bufio.NewWriterSize(file, blockSize)
	if err := dicom.WriteFileMeta(block, meta); err != nil {
		return fmt.Errorf("writing file meta information: %w", store.Explain(err))
	}
	digest := sha256.New()
	digest.Write([]byte(meta.TransferSyntaxUID)) // the same bytes mean something else in another syntax
	if _, err := io.Copy(io.MultiWriter(block, digest), data); err != nil {
		return fmt.Errorf("writing data set: %w", store.Explain(err))
	}
	if err := errors.Join(block.Flush(), file.Sync()); err != nil {
		return fmt.Errorf("writing data set: %w", store.Explain(err))
	}
	return a.name(file.Name(), meta.SOPInstanceUID, digest.Sum(nil))
}

// name links the synced file at temporary to the name that its identity and
// content give it. If a file has that name already it is this object, and is
// left as it is.
func (a *Archive) name(temporary string, instance dicom.UID, content []byte) error {
	identity := sha256.Sum256([]byte(instance))
	dir := filepath.Join(a.dir, hex.EncodeToString(identity[:1]))
	if err := store.MakeDir(dir); err != nil {
		return err
	}
	path := filepath.Join(dir, hex.EncodeToString(identity[:16])+"-"+hex.EncodeToString(content[:16])+".dcm")
	if err := os.Link(temporary, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("naming %s: %w", path, store.Explain(err))
	}
	return store.SyncDir(dir)
}
