package witness

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"cordon/ledger"

	"golang.org/x/mod/sumdb/tlog"
)

// addPath is where checkpoints are added.
const addPath = "/add-checkpoint"

// Handler serves the witness. Who asks is known by the signature of the ledger.
func (w *Witness) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+addPath, func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequest))
		if err != nil {
			http.Error(rw, "request is too long or was cut off", http.StatusBadRequest)
			return
		}
		a := w.answer(r.Context(), body)
		kind := "text/plain; charset=utf-8"
		if a.status == http.StatusConflict {
			kind = sizeType
		}
		rw.Header().Set("Content-Type", kind)
		rw.WriteHeader(a.status)
		io.WriteString(rw, a.text)
	})
	return mux
}

// Client is a witness that is reached over HTTP: a ledger.Witness.
type Client struct {
	URL    string // without the last path element
	Opens  *ledger.WitnessKey
	Client *http.Client
}

// Key opens its cosignatures.
func (c Client) Key() *ledger.WitnessKey { return c.Opens }

// Add asks for a cosignature.
func (c Client) Add(ctx context.Context, old int64, proof []tlog.Hash, signed []byte) ([]byte, error) {
	rq, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+addPath, bytes.NewReader(formatRequest(old, proof, signed)))
	if err != nil {
		return nil, err
	}
	rsp, err := c.Client.Do(rq)
	if err != nil {
		return nil, fmt.Errorf("asking the witness: %w", err)
	}
	defer rsp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(rsp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("asking the witness: %w", err)
	}
	return answer{rsp.StatusCode, string(text)}.read()
}
