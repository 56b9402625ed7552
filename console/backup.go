package console

import (
	"encoding/json"
	"net/http"
	"time"

	"cordon/backup"
)

// BackupRequest says whom a backup is encrypted to: recipients, or a passphrase.
type BackupRequest struct {
	To         []string `json:"to,omitempty"`
	Passphrase string   `json:"passphrase,omitempty"`
}

// BackupTrailer is the trailer that says what a backup holds: backup.Made, as
// JSON. Without it the answer is no backup.
const BackupTrailer = "Cordon-Backup"

// beforeTheFirstByte is how long the copy of the database may take.
const beforeTheFirstByte = time.Hour

// backup streams a backup. One that fails is cut.
func (c *Console) backup(w http.ResponseWriter, r *http.Request) {
	var rq BackupRequest
	if err := read(w, r, &rq); err != nil {
		refuse(w, err)
		return
	}
	to, err := backup.ParseTo(rq.To, rq.Passphrase, caller(r))
	if err != nil {
		refuse(w, err)
		return
	}
	out := newStream(w)
	if err := out.control.SetWriteDeadline(time.Now().Add(beforeTheFirstByte)); err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Trailer", BackupTrailer)
	made, err := c.parts.Backup.Write(r.Context(), out, to)
	if err == nil {
		var text []byte
		text, err = json.Marshal(made)
		w.Header().Set(BackupTrailer, string(text))
	}
	out.end(err)
}
