package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"cordon/asset"
	"cordon/backup"
	"cordon/bypass"
	"cordon/commitment"
	"cordon/custody"
	"cordon/deadman"
	"cordon/evidence"
	"cordon/exception"
	"cordon/mpps"
	"cordon/pki"
	"cordon/review"
)

// maxRequest bounds the body of a request; it holds a name and a reason.
const maxRequest = 64 << 10

// Problem is the body of an answer that is not a success.
type Problem struct {
	Error string `json:"error"` // a sentence for the person who asked
}

// reply writes one JSON object on one line.
func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// refuse answers with a problem and the status that fits the error.
func refuse(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	switch {
	case errors.Is(err, custody.ErrNotFound), errors.Is(err, commitment.ErrNotFound), errors.Is(err, mpps.ErrNotFound), errors.Is(err, exception.ErrNotFound), errors.Is(err, review.ErrNotFound), errors.Is(err, asset.ErrNotFound):
		code = http.StatusNotFound
	case errors.Is(err, custody.ErrState), errors.Is(err, custody.ErrSamePerson), errors.Is(err, custody.ErrNotEmergency), errors.Is(err, bypass.ErrState), errors.Is(err, pki.ErrState),
		errors.Is(err, exception.ErrState), errors.Is(err, exception.ErrNotExceptable), errors.Is(err, review.ErrState), errors.Is(err, asset.ErrDeclared), errors.Is(err, backup.ErrBusy), errors.Is(err, deadman.ErrState):
		code = http.StatusConflict
	case errors.Is(err, errRequest), errors.Is(err, evidence.ErrRequest), errors.Is(err, custody.ErrRequest), errors.Is(err, bypass.ErrRequest), errors.Is(err, pki.ErrRequest), errors.Is(err, backup.ErrRequest), errors.Is(err, deadman.ErrRequest):
		code = http.StatusBadRequest
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(Problem{err.Error()})
}

var errRequest = errors.New("not a valid request")

// read reads the body of a request.
func read(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", errRequest, err)
	}
	return nil
}

// lines writes many JSON objects, one a line, as they come. The write deadline
// moves on with every line, so that a long answer to a live reader is no
// timeout.
type lines struct {
	w       http.ResponseWriter
	control *http.ResponseController
	encoder *json.Encoder
}

func newLines(w http.ResponseWriter) lines {
	w.Header().Set("Content-Type", "application/x-ndjson")
	return lines{w, http.NewResponseController(w), json.NewEncoder(w)}
}

func (l lines) write(v any) error {
	if err := patience(l.control); err != nil {
		return err
	}
	return l.encoder.Encode(v)
}

// stream is an answer of any length.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	written bool
}

func newStream(w http.ResponseWriter) *stream {
	return &stream{w: w, control: http.NewResponseController(w)}
}

func (s *stream) Write(p []byte) (int, error) {
	s.written = true
	if err := patience(s.control); err != nil {
		return 0, err
	}
	return s.w.Write(p)
}

// end answers an error with a problem if nothing has been written yet. After
// that the connection is cut, so that the reader cannot take the part for the
// whole.
func (s *stream) end(err error) {
	switch {
	case err == nil:
	case !s.written:
		refuse(s.w, err)
	default:
		panic(http.ErrAbortHandler)
	}
}

// patience gives the reader of an answer another minute. An answer that goes to
// memory has no deadline to move.
func patience(control *http.ResponseController) error {
	err := control.SetWriteDeadline(time.Now().Add(time.Minute))
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}
