package reconcile

import (
	"context"
	"encoding/json"
	"fmt"

	"cordon/dicom"
	"cordon/ledger"
)

// entry is what the bodies of the records that are read have, each some of it.
type entry struct {
	ID          string `json:"id"` // of an object in custody
	Association string `json:"association"`
	Visit       string `json:"visit"` // instead, over the web
	Archive     string `json:"archive"`
	Class       string `json:"sop_class_uid"`
	Instance    string `json:"sop_instance_uid"`
	Study       string `json:"study_instance_uid"`
	Series      string `json:"series_instance_uid"`
	SHA256      string `json:"sha256"`
	Began       string `json:"began"` // association.unfinished, visit.unfinished

	Direction string `json:"direction"` // transfer.begin
	Peer      string `json:"peer"`
	Moved     string `json:"study"`
}

// under is the association or visit that a record is of.
func (e entry) under() string {
	if e.Association != "" {
		return e.Association
	}
	return e.Visit
}

// read calls fn with the records of some kinds from number from on, at most up
// to. One whose body was pruned is passed over: it is older than what anybody
// keeps.
func (w *work) read(ctx context.Context, from, to int64, kinds []string, fn func(ledger.Record, entry) error) error {
	wanted := map[string]bool{}
	for _, k := range kinds {
		wanted[k] = true
	}
	return w.parts.Ledger.Scan(ctx, from, to, func(r ledger.Record) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !wanted[r.Kind] || r.Body == nil {
			return nil
		}
		var e entry
		if err := json.Unmarshal(r.Body, &e); err != nil {
			return fmt.Errorf("ledger record %d: %w", r.Seq, err)
		}
		return fn(r, e)
	})
}

// series names one series of an archive's.
type series struct{ study, series string }

// instance is one that an archive answered success for.
type instance struct {
	uid, class, sha256 string
	told               bool // it was missing before, and is an alarm
}

// batch is what an archive is asked about, by series.
type batch map[series]map[string]instance

func (b batch) add(s series, i instance) {
	if b[s] == nil {
		b[s] = map[string]instance{}
	}
	b[s][i.uid] = i
}

// maxUID is the longest that is asked about, in characters (PS3.5 §9.1).
const maxUID = 64

// isUID reports whether a value can stand in an identifier as it is: digits and
// dots. What a record has of a peer may be anything.
func isUID(s string) bool {
	if s == "" || len(s) > maxUID {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c != '.' && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// class is a SOP class as commitment names it.
func (i instance) sopClass() dicom.UID { return dicom.UID(i.class) }
