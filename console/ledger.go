package console

import (
	"fmt"
	"net/http"
	"strconv"

	"cordon/ledger"
)

// maxTail bounds what one request reads from the ledger's end; an export has
// all of it.
const maxTail = 10000

// ledgerTail writes the last ?n=20 records, the oldest first.
func (c *Console) ledgerTail(w http.ResponseWriter, r *http.Request) {
	n := 20
	if text := r.URL.Query().Get("n"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 || n > maxTail {
			refuse(w, fmt.Errorf("%w: n is a number from 1 to %d", errRequest, maxTail))
			return
		}
	}
	out := newLines(w)
	written := false
	err := c.parts.Ledger.Tail(r.Context(), n, func(rec ledger.Record) error {
		written = true
		return out.write(rec)
	})
	switch {
	case err == nil:
	case !written:
		refuse(w, err)
	default:
		panic(http.ErrAbortHandler) // cut, so that the part is not taken for the whole
	}
}

// ledgerExport writes the whole ledger as one canonical file.
func (c *Console) ledgerExport(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	out := newStream(w)
	out.end(c.parts.Ledger.Export(r.Context(), out))
}
