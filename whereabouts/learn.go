package whereabouts

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"cordon/ledger"
	"cordon/store"
)

// entry is what the bodies of the records that are read have, each some of it.
type entry struct {
	Archive   string   `json:"archive"`
	Study     string   `json:"study_instance_uid"`
	Series    string   `json:"series_instance_uid"`
	Instance  string   `json:"sop_instance_uid"`
	Instances []string `json:"sop_instance_uids"` // association.accounted
	Device    string   `json:"device"`
	CallingAE string   `json:"calling_ae"`

	Moved     string `json:"study"` // transfer.begin, transfer.end
	Direction string `json:"direction"`
	Peer      string `json:"peer"`
	PeerAE    string `json:"peer_ae"`
	Patient   string `json:"patient"` // sealed

	Erased string `json:"id"` // ledger.erased: a subject
}

// becomes is the state that a record of a kind gives its instance.
var becomes = map[string]State{
	"object.delivered":          Delivered,
	"object.there_again":        Delivered,
	"association.accounted":     Delivered,
	"object.spooled":            Spooled,
	"object.released":           Spooled,
	"object.requeued":           Spooled,
	"object.held":               Held,
	"object.refused":            Refused,
	"object.refused_by_archive": Refused,
	"object.destroyed":          Destroyed,
	"object.missing":            Missing,
}

// fact is what one record says.
type fact struct {
	entry
	at     time.Time
	record int64
	state  State    // 0: it is not about instances
	names  []string // digests of patient ID and accession number
	of     string   // the subject that they are sealed for
}

// learn takes up a batch of records.
func (x *Index) learn(ctx context.Context, batch []ledger.Record) error {
	var facts []fact
	for _, r := range batch {
		if f, ok := x.read(ctx, r); ok {
			facts = append(facts, f)
		}
	}
	if len(facts) > 0 {
		err := x.db.Update(ctx, func(tx *store.Tx) error {
			for _, f := range facts {
				if err := keep(tx, f); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(batch) < 256 { // more will come
		pause(ctx, gather)
	}
	return nil
}

// read is what a record says about a study, if anything. Bodies that are pruned
// say nothing: what they said is known, or too old.
func (x *Index) read(ctx context.Context, r ledger.Record) (f fact, ok bool) {
	state, about := becomes[r.Kind]
	moved := r.Kind == "transfer.begin" || r.Kind == "transfer.end"
	if !about && !moved && r.Kind != "ledger.erased" || json.Unmarshal(r.Body, &f.entry) != nil {
		return f, false
	}
	f.at, f.record, f.state = r.Time, r.Seq, state
	if moved {
		f.Study = f.Moved
		f.names, f.of = x.names(ctx, f.Patient)
	}
	if r.Kind != "ledger.erased" {
		f.Erased = ""
	}
	return f, f.Study != "" || f.Erased != ""
}

// names are the digests by which a patient and a request are found.
func (x *Index) names(ctx context.Context, sealed string) (digests []string, subject string) {
	var p struct{ ID, Accession string }
	if sealed == "" || x.ledger.Unseal(ctx, sealed, &p) != nil {
		return nil, "" // erased
	}
	if parts := strings.Split(sealed, ":"); len(parts) > 2 {
		subject = parts[2]
	}
	for kind, text := range map[string]string{ofPatient: p.ID, ofAccession: p.Accession} {
		if d := x.digest(kind, text); d != "" {
			digests = append(digests, d)
		}
	}
	return digests, subject
}

const (
	ofPatient   = "patient"
	ofAccession = "accession"
)

// digest is what stands for a patient ID or accession number; "" for none.
func (x *Index) digest(kind, text string) string {
	if text = strings.TrimSpace(text); text == "" {
		return ""
	}
	return x.ledger.Digest("whereabouts\x00" + kind + "\x00" + text)
}

// keep writes what a record says.
func keep(tx *store.Tx, f fact) error {
	if f.Erased != "" {
		_, err := tx.Exec(`DELETE FROM whereabouts_name WHERE subject = ?`, f.Erased)
		return err
	}
	study, err := studyOf(tx, f)
	if err != nil {
		return err
	}
	for _, d := range f.names {
		if _, err := tx.Exec(`INSERT INTO whereabouts_name (digest, study, subject) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, d, study, f.of); err != nil {
			return err
		}
	}
	if len(f.names) > 0 {
		if _, err := tx.Exec(`UPDATE whereabouts_study SET patient_record = ? WHERE id = ?`, f.record, study); err != nil {
			return err
		}
	}
	if f.state == 0 {
		return nil
	}
	archive, err := archiveOf(tx, f.Archive)
	if err != nil {
		return err
	}
	for _, uid := range append(f.Instances, f.Instance) {
		if uid == "" {
			continue
		}
		_, err := tx.Exec(`INSERT INTO whereabouts_instance (study, instance, archive, series, state, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
			ON CONFLICT DO UPDATE SET state = ?5, record = ?6, series = ?4 WHERE NOT (state = ?7 AND ?5 = ?8)`,
			study, short(uid), archive, short(f.Series), int(f.state), f.record, int(Delivered), int(Refused))
		if err != nil {
			return err
		}
		if err := settle(tx, study, short(uid), archive, f.state); err != nil {
			return err
		}
	}
	return nil
}

// settle takes out what an instance was before anybody knew for which archive.
func settle(tx *store.Tx, study, instance, archive int64, s State) error {
	if s == Refused || archive == nowhere {
		return nil
	}
	_, err := tx.Exec(`DELETE FROM whereabouts_instance WHERE study = ? AND instance = ? AND archive = ?`, study, instance, nowhere)
	return err
}

// nowhere is the archive of what was refused before one was chosen.
const nowhere = 0

// studyOf is the row of a study, and notes that it was heard of.
func studyOf(tx *store.Tx, f fact) (id int64, err error) {
	device := f.Device
	switch {
	case f.Moved != "" && f.Direction == "received" && f.Peer != "":
		device = f.Peer
	case f.Moved != "" && f.Direction == "received":
		device = f.PeerAE
	case device == "":
		device = f.CallingAE
	}
	at := f.at.UnixMicro()
	err = tx.QueryRow(`INSERT INTO whereabouts_study (uid, first_seen, last_seen, device) VALUES (?1, ?2, ?2, ?3)
		ON CONFLICT (uid) DO UPDATE SET last_seen = max(last_seen, ?2), device = CASE ?3 WHEN '' THEN device ELSE ?3 END
		RETURNING id`, f.Study, at, device).Scan(&id)
	return id, err
}

func archiveOf(tx *store.Tx, name string) (id int64, err error) {
	if name == "" {
		return nowhere, nil
	}
	err = tx.QueryRow(`SELECT id FROM whereabouts_archive WHERE name = ?`, name).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = tx.QueryRow(`INSERT INTO whereabouts_archive (name) VALUES (?) RETURNING id`, name).Scan(&id)
	}
	return id, err
}

// short stands for a UID.
func short(uid string) int64 {
	sum := sha256.Sum256([]byte(uid))
	return int64(binary.BigEndian.Uint64(sum[:]))
}
