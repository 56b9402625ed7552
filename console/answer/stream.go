package answer

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// Lines writes many JSON objects, one a line, as they come. The write deadline
// moves on with every line, so that a long answer to a live reader is no
// timeout.
type Lines struct {
	w       http.ResponseWriter
	control *http.ResponseController
	encoder *json.Encoder
}

// NewLines begins an answer of lines.
func NewLines(w http.ResponseWriter) Lines {
	w.Header().Set("Content-Type", "application/x-ndjson")
	return Lines{w, http.NewResponseController(w), json.NewEncoder(w)}
}

// Write writes one. An error means that the reader has gone.
func (l Lines) Write(v any) error {
	if err := Patience(l.control); err != nil {
		return err
	}
	return l.encoder.Encode(v)
}

// List answers with one JSON object a line.
func List[T any](w http.ResponseWriter, all []T) {
	out := NewLines(w)
	for _, one := range all {
		if out.Write(one) != nil {
			return // the reader has gone
		}
	}
}

// Stream is an answer of any length.
type Stream struct {
	Control *http.ResponseController
	w       http.ResponseWriter
	written bool
}

// NewStream begins an answer of any length.
func NewStream(w http.ResponseWriter) *Stream {
	return &Stream{w: w, Control: http.NewResponseController(w)}
}

// Write gives the reader another minute with each piece.
func (s *Stream) Write(p []byte) (int, error) {
	s.written = true
	if err := Patience(s.Control); err != nil {
		return 0, err
	}
	return s.w.Write(p)
}

// End answers an error with a problem if nothing has been written yet. After
// that the connection is cut, so that the reader cannot take the part for the
// whole.
func (s *Stream) End(err error) {
	switch {
	case err == nil:
	case !s.written:
		Refuse(s.w, err)
	default:
		panic(http.ErrAbortHandler)
	}
}

// Patience gives the reader of an answer another minute. An answer that goes to
// memory has no deadline to move.
func Patience(control *http.ResponseController) error {
	err := control.SetWriteDeadline(time.Now().Add(time.Minute))
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// endingKey is where WithEnding keeps when the server stops.
type endingKey struct{}

// WithEnding is a context of requests to a server that stops when stop ends, for
// Ending (http.Server.BaseContext).
func WithEnding(ctx, stop context.Context) context.Context {
	return context.WithValue(ctx, endingKey{}, stop.Done())
}

// Ending is closed when the server stops, which waits for answers that are under
// way: one that has no end of its own ends then.
func Ending(r *http.Request) <-chan struct{} {
	done, _ := r.Context().Value(endingKey{}).(<-chan struct{})
	return done
}

// KeepOpen moves the deadline of an answer on until it is stopped.
func KeepOpen(ctx context.Context, control *http.ResponseController) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { // ends with stop, or with the request
		defer close(ended)
		for Patience(control) == nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(10 * time.Second):
			}
		}
	}()
	return func() { cancel(); <-ended }
}
