package review

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"cordon/store"
)

// What is read of a content: all of it, or what it is about.
const (
	whole   = `content`
	outline = `json_remove(content, '$.items', '$.devices', '$.people')`
)

func query(tx *store.Tx, content, rest string, args ...any) ([]Review, error) {
	rows, err := tx.Query(`SELECT id, made_at, due_at, `+content+`, COALESCE(json_array_length(content, '$.items'), 0), sha256, signed_by, signed_at, note FROM review `+rest, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Review
	for rows.Next() {
		var r Review
		var content string
		var made, due, signed int64
		if err := rows.Scan(&r.ID, &made, &due, &content, &r.Unusual, &r.SHA256, &r.SignedBy, &signed, &r.Note); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(content), &r.Content); err != nil {
			return nil, fmt.Errorf("review %s: %w", r.ID, err)
		}
		r.MadeAt, r.Due, r.SignedAt = moment(made), moment(due), moment(signed)
		all = append(all, r)
	}
	return all, rows.Err()
}

// moment is a time as rows keep it: microseconds since 1970, 0 for never.
func moment(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// get returns ErrNotFound if there is none.
func get(tx *store.Tx, id string) (Review, error) {
	all, err := query(tx, whole, `WHERE id = ?`, id)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%w: %.40q", ErrNotFound, id)
	}
	if err != nil {
		return Review{}, err
	}
	return all[0], nil
}

// bounds are the records of the last periods, the first one first.
func bounds(tx *store.Tx, n int) ([][2]int64, error) {
	rows, err := tx.Query(`SELECT first_record, end_record FROM (SELECT first_record, end_record, ends_at FROM review ORDER BY ends_at DESC LIMIT ?) ORDER BY ends_at`, n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all [][2]int64
	for rows.Next() {
		var b [2]int64
		if err := rows.Scan(&b[0], &b[1]); err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, rows.Err()
}

// last returns where the last review ended; false if there is none.
func last(tx *store.Tx) (record int64, ends time.Time, ok bool, err error) {
	var micros int64
	err = tx.QueryRow(`SELECT end_record, ends_at FROM review ORDER BY ends_at DESC LIMIT 1`).Scan(&record, &micros)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, time.Time{}, false, nil
	}
	return record, moment(micros), err == nil, err
}
