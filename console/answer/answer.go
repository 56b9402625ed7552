// Package answer is how the handlers of the console read a request and answer it:
// one JSON object, many of them, a stream of bytes, or a problem.
//
// Ordinary use:
//
//	var rq VaultRequest
//	if err := answer.Read(w, r, &rq); err != nil { // rq.By is now the name of whoever signed in
//		answer.Refuse(w, err)
//		return
//	}
//	answer.JSON(w, decision)
//
// It will not answer pages, and it knows nobody's permissions: the guard has
// asked before a handler runs.
package answer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"cordon/people"
)

// MaxRequest bounds the body of a request in bytes; it holds a name and a reason.
const MaxRequest = 64 << 10

// ErrRequest means that a request is not valid. Its text says what to change.
var ErrRequest = errors.New("not a valid request")

// ErrMedia means that the body of a request is not JSON.
var ErrMedia = errors.New("the body is not application/json")

// Problem is the body of an answer that is not a success.
type Problem struct {
	Error string `json:"error"` // a sentence for the person who asked
}

// JSON writes one JSON object on one line.
func JSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// Refuse answers with a problem and the status that fits the error.
func Refuse(w http.ResponseWriter, err error) { Say(w, Status(err), err.Error()) }

// Say answers with a problem.
func Say(w http.ResponseWriter, status int, sentence string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(Problem{sentence})
}

// Named is a request that says under whose name it is made.
type Named interface {
	Asserted() *string // the field that the name is in
}

// Read reads the body of a request, one JSON object of no unknown keys. If the
// request is Named, its name is then that of whoever signed in (see
// people.Identity.By), or the one given at the control socket.
func Read(w http.ResponseWriter, r *http.Request, v any) error {
	return ReadUpTo(w, r, v, MaxRequest)
}

// ReadUpTo is Read for a body of at most so many bytes.
func ReadUpTo(w http.ResponseWriter, r *http.Request, v any, most int64) error {
	if err := isJSON(r); err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows the JSON object", ErrRequest)
	}
	return Name(r, v)
}

// Name puts the name of whoever signed in into a request that is Named.
func Name(r *http.Request, v any) error {
	n, ok := v.(Named)
	if !ok {
		return nil
	}
	by, err := people.From(r.Context()).By(*n.Asserted())
	if err == nil {
		*n.Asserted() = by
	}
	return err
}

// isJSON is an error if a request says that its body is something else.
func isJSON(r *http.Request) error {
	text := r.Header.Get("Content-Type")
	if text == "" {
		return nil
	}
	if media, _, err := mime.ParseMediaType(text); err != nil || media != "application/json" {
		return fmt.Errorf("%w but %.80q", ErrMedia, text)
	}
	return nil
}
