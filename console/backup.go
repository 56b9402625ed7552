package console

import (
	"encoding/json"
	"net/http"
	"time"

	"cordon/backup"
	"cordon/console/answer"
	"cordon/console/route"
	"cordon/people"
)

// BackupRequest says whom a backup is encrypted to: recipients, or a passphrase.
type BackupRequest struct {
	To         []string `json:"to,omitempty"`
	Passphrase string   `json:"passphrase,omitempty"`
}

func (c *Console) backupRoutes() []route.Route {
	if c.parts.Backup == nil {
		return nil
	}
	return []route.Route{{Method: "POST", Pattern: "/api/v1/backup", May: people.OperateChange, Fresh: true, Asserted: true, Handler: c.backup, Doc: route.Doc{
		Summary: "A backup, encrypted; the trailer Cordon-Backup says what it holds, and without it it is none", Request: BackupRequest{}, Media: "application/octet-stream",
		Example: BackupRequest{Passphrase: "correct horse battery staple"}}}}
}

// BackupTrailer is the trailer that says what a backup holds: backup.Made, as
// JSON. Without it the answer is no backup.
const BackupTrailer = "Cordon-Backup"

// beforeTheFirstByte is how long the copy of the database may take.
const beforeTheFirstByte = time.Hour

// backup streams a backup. One that fails is cut.
func (c *Console) backup(w http.ResponseWriter, r *http.Request) {
	var rq BackupRequest
	if err := answer.Read(w, r, &rq); err != nil {
		answer.Refuse(w, err)
		return
	}
	to, err := backup.ParseTo(rq.To, rq.Passphrase, answer.Caller(r))
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	out := answer.NewStream(w)
	if err := out.Control.SetWriteDeadline(time.Now().Add(beforeTheFirstByte)); err != nil {
		answer.Refuse(w, err)
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
	out.End(err)
}
