package alarm

import (
	"time"

	"cordon/store"
)

const columns = `id, kind, subject, source, severity, state, says, link, count, first_at, last_at, raised_at, ended_at,
	acknowledged_by, assigned_to, snoozed_until, snoozed_by`

func query(tx *store.Tx, where string, args ...any) ([]Item, error) {
	rows, err := tx.Query(`SELECT `+columns+` FROM alarm `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Item
	for rows.Next() {
		var i Item
		var first, last, raised, ended, snoozed int64
		if err := rows.Scan(&i.ID, &i.Kind, &i.Subject, &i.source, &i.Severity, &i.State, &i.Text, &i.Link, &i.Count, &first, &last, &raised, &ended,
			&i.AcknowledgedBy, &i.AssignedTo, &snoozed, &i.SnoozedBy); err != nil {
			return nil, err
		}
		kind, _ := Lookup(i.Kind)
		i.Lasting = i.source != "" || kind.Lasting
		i.First, i.Last, i.Raised, i.Ended, i.SnoozedUntil = moment(first), moment(last), moment(raised), moment(ended), moment(snoozed)
		all = append(all, i)
	}
	return all, rows.Err()
}

// put writes an alarm's row.
func put(tx *store.Tx, i Item) error {
	_, err := tx.Exec(`INSERT OR REPLACE INTO alarm (`+columns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		i.ID, i.Kind, i.Subject, i.source, int(i.Severity), string(i.State), i.Text, i.Link, i.Count,
		micros(i.First), micros(i.Last), micros(i.Raised), micros(i.Ended), i.AcknowledgedBy, i.AssignedTo, micros(i.SnoozedUntil), i.SnoozedBy)
	return err
}

// step writes what was done about an alarm, and forgets what is too long ago.
func step(tx *store.Tx, id int64, s Step) error {
	_, err := tx.Exec(`INSERT INTO alarm_step (alarm, at, by, what, note) VALUES (?, ?, ?, ?, ?)`, id, micros(s.At), s.By, s.What, s.Note)
	if err == nil {
		_, err = tx.Exec(`DELETE FROM alarm_step WHERE alarm = ? AND id <= (SELECT id FROM alarm_step WHERE alarm = ? ORDER BY id DESC LIMIT 1 OFFSET ?)`, id, id, maxSteps)
	}
	return err
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
