package held

import (
	"bufio"
	"bytes"
	"context"
	"io"

	"cordon/custody"
	"cordon/dicom"
)

// Export writes an object as a Part 10 file; one that came as a file is written as
// it came. Who does it and why is on the ledger before the first byte.
func Export(ctx context.Context, c *custody.Custody, o custody.Object, rq custody.Request, w io.Writer) error {
	buffered := bufio.NewWriterSize(w, 64<<10)
	err := c.Export(ctx, o.ID, rq, &file{w: buffered, object: o})
	if err == nil {
		err = buffered.Flush()
	}
	return err
}

// file puts the file meta information before an object's first byte, unless the
// object is a file of its own.
type file struct {
	w      io.Writer
	object custody.Object
	begun  bool
}

func (f *file) Write(b []byte) (int, error) {
	if !f.begun {
		f.begun = true
		if err := f.meta(); err != nil {
			return 0, err
		}
	}
	return f.w.Write(b)
}

func (f *file) meta() error {
	if f.object.TransferSyntaxUID == "" {
		return nil
	}
	var meta bytes.Buffer
	err := dicom.WriteFileMeta(&meta, dicom.FileMeta{
		SOPClassUID:       dicom.UID(f.object.SOPClassUID),
		SOPInstanceUID:    dicom.UID(f.object.SOPInstanceUID),
		TransferSyntaxUID: dicom.UID(f.object.TransferSyntaxUID),
		SourceAETitle:     dicom.AETitle(f.object.CallingAE),
	})
	if err != nil {
		return err
	}
	_, err = f.w.Write(meta.Bytes())
	return err
}
