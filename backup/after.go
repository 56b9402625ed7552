package backup

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"cordon/ledger"
)

// Acknowledged is an object whose sender was told success after the backup was
// made, so that a directory restored from it knows nothing of it.
type Acknowledged struct {
	Time             time.Time `json:"time"`
	ID               string    `json:"id,omitempty"` // custody's; "" if it went straight to the archive
	SOPInstanceUID   string    `json:"sop_instance_uid"`
	StudyInstanceUID string    `json:"study_instance_uid"`
	CallingAE        string    `json:"calling_ae"`
	Archive          string    `json:"archive"`
	Where            string    `json:"where"` // "archive"; "destroyed" by two people; or "lost": held or spooled in the directory that is gone
}

// Later is what happened between a backup and the end of an export.
type Later struct {
	Records int64          // that the restored ledger lacks
	Objects []Acknowledged // in the order in which they were acknowledged
}

// maxLater bounds the objects that After lists.
const maxLater = 1_000_000

// After reads an export of the ledger that is of a later time than the backup,
// one that was kept elsewhere, and says what the backup does not know. The
// export must be of the same ledger, grown from the backup's.
func After(export io.ReadSeeker, m Manifest) (later Later, err error) {
	result, err := ledger.Verify(export, ledger.VerifyOptions{Since: []byte(m.Checkpoint)})
	if err != nil {
		return later, fmt.Errorf("comparing with the export: %w", err)
	}
	if _, err := export.Seek(0, io.SeekStart); err != nil {
		return later, err
	}
	later.Records = max(0, result.Records-m.Records)
	at := map[string]int{} // where an object of custody's is in the list
	err = ledger.ReadRecords(export, m.Records, func(r ledger.Record) error {
		return later.add(r, at)
	})
	if err != nil {
		return later, fmt.Errorf("comparing with the export: %w", err)
	}
	return later, nil
}

// add follows one record. What a backup has spooled or held already is in it,
// whatever became of it afterwards.
func (l *Later) add(r ledger.Record, at map[string]int) error {
	switch r.Kind {
	case "object.delivered", "object.spooled", "object.held", "object.destroyed", "object.requeued":
	default:
		return nil
	}
	if r.Body == nil {
		return nil // pruned: years old
	}
	var o struct {
		Acknowledged
		From, To string // states of custody; "" if it went straight to the archive
	}
	if err := json.Unmarshal(r.Body, &o); err != nil {
		return fmt.Errorf("record %d: %w", r.Seq, err)
	}
	if i, seen := at[o.ID]; seen {
		l.Objects[i].Where = where(o.To)
		return nil
	}
	if o.From != "" && o.From != "receiving" {
		return nil // in the backup
	}
	if len(l.Objects) == maxLater {
		return fmt.Errorf("more than %d objects were acknowledged since the backup", maxLater)
	}
	if o.From != "" {
		at[o.ID] = len(l.Objects)
	}
	o.Time, o.Where = r.Time, where(o.To)
	l.Objects = append(l.Objects, o.Acknowledged)
	return nil
}

// where an object of that state is, now that the directory has gone.
func where(state string) string {
	switch state {
	case "", "delivered":
		return "archive"
	case "destroyed":
		return "destroyed"
	}
	return "lost"
}

// Lost are those that nobody has any more but their senders.
func (l Later) Lost() []Acknowledged {
	return slices.DeleteFunc(slices.Clone(l.Objects), func(o Acknowledged) bool { return o.Where != "lost" })
}
