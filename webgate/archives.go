package webgate

import (
	"context"
	"io"
	"net/http"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/policy"
)

// Archives are the archives that speak DIMSE, as web requests reach them. An
// error that is a dimse.ErrAway says that an archive cannot be had now, one that is
// a dimse.ErrNotAccepted that it does not do what it is asked.
type Archives interface {
	// Store sends one data set, of size bytes, to an archive.
	Store(ctx context.Context, archive string, calling dicom.AETitle, rq dimse.StoreRequest, ts dicom.UID, data io.Reader, size int64) (dimse.Command, error)
	// Find asks for what matches an identifier in Explicit VR Little Endian. An
	// error of match ends it and is returned.
	Find(ctx context.Context, archive string, calling dicom.AETitle, class dicom.UID, identifier []byte, match func(data []byte, ts dicom.UID) error) (dimse.Command, error)
	// Retrieve has each object that an identifier names handed to object, one at
	// a time, by C-GET or by C-MOVE.
	Retrieve(ctx context.Context, archive string, calling dicom.AETitle, identifier []byte, object func(rq dimse.StoreRequest, ts dicom.UID, data io.Reader) dimse.Status) (dimse.Command, error)
	// Away reports whether an archive did not answer when it was last called.
	Away(archive string) bool
}

// Identify says who sends a request, by its connection, certificate and token.
// An error that is a *Denied is answered as it says.
type Identify func(*http.Request) (policy.WebPeer, error)

// Denied says why somebody who shows a token or a certificate is not believed.
type Denied struct {
	Status          int    // 401 or 403; 0 is 401
	WWWAuthenticate string // of the answer (RFC 6750 §3); "": none
	Why             string // for the body, the log and the ledger; holds no token
}

func (d *Denied) Error() string { return d.Why }
