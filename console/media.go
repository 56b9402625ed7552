package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"time"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/custody"
	"cordon/finding"
	"cordon/media"
	"cordon/people"
)

// importRoutes are those of what comes on a CD, a stick or in a folder.
func (c *Console) importRoutes() []route.Route {
	return []route.Route{
		{Method: "POST", Pattern: "/api/v1/import", May: people.OperateChange, Asserted: true, Handler: c.importDone, Doc: route.Doc{
			Summary: "Record that a medium was imported", Request: Imported{}, Response: Imported{},
			Example: Imported{media.Summary{By: "A. Able", Archive: "pacs", CallingAE: "IMPORT", Complete: true}}}},
		{Method: "POST", Pattern: "/api/v1/import/held", May: people.OperateChange, Asserted: true, Handler: c.importHeld, Doc: route.Doc{
			Summary: "Take a file into the vault: multipart/form-data of the parts object (ImportedFile) and file", Form: ImportedFile{}, Response: custody.VaultItem{}}},
	}
}

// Imported is the sum of an import.
type Imported struct{ media.Summary }

// Asserted is the name that it is made under.
func (r *Imported) Asserted() *string { return &r.By }

// ImportedFile is a file from a CD, a stick or a folder that is to be held, as
// whoever judged it describes it.
type ImportedFile struct {
	CallingAE string                 `json:"calling_ae"`
	CalledAE  string                 `json:"called_ae"`
	Archive   string                 `json:"archive"` // that it would have gone to
	Bytes     int64                  `json:"bytes"`   // as judged, and what comes must be the same
	SHA256    custody.Digest         `json:"sha256"`
	Identity  finding.Identity       `json:"identity"`
	Findings  []finding.Finding      `json:"findings"`
	Engines   []finding.EngineResult `json:"engines,omitempty"`
}

// object is the file as custody keeps it: whole, so without a transfer syntax.
func (f ImportedFile) object() custody.Object {
	return custody.Object{
		State:             custody.Held,
		CallingAE:         f.CallingAE,
		CalledAE:          f.CalledAE,
		Archive:           f.Archive,
		Bytes:             f.Bytes,
		SHA256:            f.SHA256,
		SOPClassUID:       f.Identity.SOPClassUID,
		SOPInstanceUID:    f.Identity.SOPInstanceUID,
		StudyInstanceUID:  f.Identity.StudyInstanceUID,
		SeriesInstanceUID: f.Identity.SeriesInstanceUID,
		Findings:          f.Findings,
		Engines:           f.Engines,
	}
}

// importHeld takes a file into the vault. The body is multipart/form-data: first
// the part "object", an ImportedFile, then the part "file", the bytes. It answers
// with the object once that is durable.
func (c *Console) importHeld(w http.ResponseWriter, r *http.Request) {
	o, err := c.holdFile(w, r)
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, o.VaultItem())
}

func (c *Console) holdFile(w http.ResponseWriter, r *http.Request) (custody.Object, error) {
	r.Body = slowly(w, r.Body)
	parts, err := r.MultipartReader()
	if err != nil {
		return custody.Object{}, fmt.Errorf("%w: %w", answer.ErrRequest, err)
	}
	part, err := next(parts, "object")
	if err != nil {
		return custody.Object{}, err
	}
	var f ImportedFile
	if err := json.NewDecoder(io.LimitReader(part, maxImportedFile)).Decode(&f); err != nil {
		return custody.Object{}, fmt.Errorf("%w: %w", answer.ErrRequest, err)
	}
	if f.SHA256 == (custody.Digest{}) || f.Archive == "" {
		return custody.Object{}, fmt.Errorf("%w: sha256 and archive are needed", answer.ErrRequest)
	}
	if part, err = next(parts, "file"); err != nil {
		return custody.Object{}, err
	}
	b := c.parts.Custody.NewBuffer()
	defer b.Discard()
	if _, err := io.Copy(b, part); err != nil {
		return custody.Object{}, err
	}
	return c.parts.Custody.Keep(r.Context(), b, f.object())
}

// maxImportedFile bounds an ImportedFile; findings are at most 16 of a kind.
const maxImportedFile = 4 << 20

// next is the next part, which must have the given name.
func next(parts *multipart.Reader, name string) (*multipart.Part, error) {
	part, err := parts.NextPart()
	if err != nil {
		return nil, fmt.Errorf("%w: part %q: %w", answer.ErrRequest, name, err)
	}
	if part.FormName() != name {
		return nil, fmt.Errorf("%w: part %q where %q was expected", answer.ErrRequest, part.FormName(), name)
	}
	return part, nil
}

// slowly gives whoever sends a long body another minute with each piece of it.
func slowly(w http.ResponseWriter, body io.ReadCloser) io.ReadCloser {
	return slowBody{body, http.NewResponseController(w)}
}

type slowBody struct {
	io.ReadCloser
	control *http.ResponseController
}

func (b slowBody) Read(p []byte) (int, error) {
	at := time.Now().Add(time.Minute)
	err := b.control.SetReadDeadline(at)
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	if err := b.control.SetWriteDeadline(at); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return b.ReadCloser.Read(p)
}

// importDone records that a medium was imported.
func (c *Console) importDone(w http.ResponseWriter, r *http.Request) {
	var s Imported
	err := answer.Read(w, r, &s)
	if err == nil && s.By == "" {
		err = fmt.Errorf("%w: by is needed", answer.ErrRequest)
	}
	if err == nil {
		err = c.parts.Ledger.Record(r.Context(), "media.import", s)
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, s)
}
