package gateway

import (
	"context"
	"errors"
	"io"

	"cordon/custody"
	"cordon/dicom"
)

// openFiles finds the data sets of those objects that are whole files, as they
// were held at the media gate, and gives these objects the transfer syntax that
// their file names. A file that holds nothing to be sent needs a person: it is
// taken out of its series.
func (g *Gateway) openFiles(ctx context.Context, series [][]custody.Object) (map[string]dicom.Beginning, error) {
	files := map[string]dicom.Beginning{}
	for i, objects := range series {
		kept := objects[:0]
		for _, o := range objects {
			if o.TransferSyntaxUID == "" {
				b, err := g.openFile(ctx, o)
				switch {
				case errors.Is(err, dicom.ErrNoObject), errors.Is(err, custody.ErrDamaged):
					if err := g.needsPerson(ctx, o, custody.Failure{Err: err}); err != nil {
						return nil, err
					}
					continue
				case err != nil:
					return nil, err
				}
				files[o.ID] = b
				o.TransferSyntaxUID = string(b.TransferSyntaxUID)
			}
			kept = append(kept, o)
		}
		series[i] = kept
	}
	return files, nil
}

// openFile reads the beginning of a whole file. It must be the object that was judged.
func (g *Gateway) openFile(ctx context.Context, o custody.Object) (dicom.Beginning, error) {
	blob, err := g.parts.Custody.OpenBlob(ctx, o.ID)
	if err != nil {
		return dicom.Beginning{}, err
	}
	defer blob.Close()
	b, err := dicom.ReadBeginning(blob, o.Bytes)
	if err == nil && (string(b.SOPClassUID) != o.SOPClassUID || string(b.SOPInstanceUID) != o.SOPInstanceUID) {
		err = dicom.ErrNoObject
	}
	return b, err
}

// message is what a message carries of a blob of size bytes, and its length: all
// of it, or the data set of a whole file.
func message(blob io.Reader, size int64, file dicom.Beginning) (io.Reader, int64) {
	if file.TransferSyntaxUID == "" {
		return blob, size
	}
	length := size - file.DataSet
	return file.Message(&after{blob, file.DataSet}, length), length + file.Padding(length)
}

// after reads what comes after the first skip bytes.
type after struct {
	r    io.Reader
	skip int64
}

func (a *after) Read(p []byte) (int, error) {
	if a.skip > 0 {
		n, err := io.CopyN(io.Discard, a.r, a.skip)
		if a.skip -= n; err != nil {
			return 0, err
		}
	}
	return a.r.Read(p)
}
