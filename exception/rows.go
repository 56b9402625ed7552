package exception

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"cordon/policy"
	"cordon/store"
)

// habit is what one row is about.
type habit struct {
	subject        policy.Origin
	finding, place string
}

// maxPlace bounds a place, in bytes: sequences in sequences, and containers.
const maxPlace = 512

var placeForm = regexp.MustCompile(`^((preamble|trailer|object|file|\([0-9A-F]{4},[0-9A-F]{4}\)(\.\([0-9A-F]{4},[0-9A-F]{4}\))*)(!member)*)?$`)

// validPlace reports whether a finding can be there.
func validPlace(place string) bool { return len(place) <= maxPlace && placeForm.MatchString(place) }

// key is the habit as its row has it.
func (h habit) key() []any {
	address := ""
	if h.subject.Address.IsValid() {
		address = h.subject.Address.String()
	}
	return []any{h.subject.Device, string(h.subject.CallingAE), address, h.finding, h.place}
}

const ofHabit = `WHERE device = ? AND calling_ae = ? AND address = ? AND finding = ? AND place = ?`

func query(tx *store.Tx, where string, args ...any) ([]Exception, error) {
	rows, err := tx.Query(`SELECT id, state, device, calling_ae, address, finding, place, seen, first_seen, last_seen, example,
		proposed_by, proposed_at, decided_by, decided_at, reason, expires_at FROM exception `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Exception
	for rows.Next() {
		var e Exception
		var decided string
		var first, last, proposed, at, expires int64
		if err := rows.Scan(&e.ID, &e.State, &e.Device, &e.CallingAE, &e.Address, &e.Finding, &e.Place, &e.Seen, &first, &last, &e.Example,
			&e.ProposedBy, &proposed, &decided, &at, &e.Reason, &expires); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(decided), &e.DecidedBy); err != nil {
			return nil, fmt.Errorf("exception %s: %w", e.ID, err)
		}
		e.FirstSeen, e.LastSeen, e.ProposedAt, e.DecidedAt, e.Expires = moment(first), moment(last), moment(proposed), moment(at), moment(expires)
		if e.State == Approved && !time.Now().Before(e.Expires) {
			e.State = Expired
		}
		all = append(all, e)
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

// one returns the only row that where can find, or ErrNotFound.
func one(tx *store.Tx, where string, args ...any) (Exception, error) {
	all, err := query(tx, where, args...)
	if err != nil {
		return Exception{}, err
	}
	if len(all) == 0 {
		return Exception{}, ErrNotFound
	}
	return all[0], nil
}

func get(tx *store.Tx, id string) (Exception, error) {
	e, err := one(tx, `WHERE id = ?`, id)
	if errors.Is(err, ErrNotFound) {
		return e, fmt.Errorf("%w: %.40q", err, id)
	}
	return e, err
}

// insert proposes a habit that has no row yet. by is "" for the gateway.
func (x *Exceptions) insert(tx *store.Tx, h habit, by, reason string) (Exception, error) {
	id := strings.ToLower(rand.Text()[:10])
	args := append([]any{id}, h.key()...)
	_, err := tx.Exec(`INSERT INTO exception (id, state, device, calling_ae, address, finding, place, proposed_by, proposed_at, reason)
		VALUES (?, 'proposed', ?, ?, ?, ?, ?, ?, ?, ?)`, append(args, by, time.Now().UnixMicro(), reason)...)
	if err != nil {
		return Exception{}, err
	}
	e, err := get(tx, id)
	if err != nil {
		return e, err
	}
	return e, x.record(tx, "exception.proposed", e, map[string]any{"by": by, "reason": reason})
}

// find returns the habit's row, and false if there is none.
func find(tx *store.Tx, h habit) (Exception, bool, error) {
	e, err := one(tx, ofHabit, h.key()...)
	if errors.Is(err, ErrNotFound) {
		return e, false, nil
	}
	return e, err == nil, err
}

// set writes what people decided, and journals it.
func (x *Exceptions) set(tx *store.Tx, e Exception, kind string, more map[string]any) (Exception, error) {
	by, err := json.Marshal(e.DecidedBy)
	if err != nil {
		return e, err
	}
	var expires int64
	if !e.Expires.IsZero() {
		expires = e.Expires.UnixMicro()
		more["expires"] = e.Expires.Format(time.RFC3339)
	}
	_, err = tx.Exec(`UPDATE exception SET state = ?, proposed_by = ?, decided_by = ?, decided_at = ?, reason = ?, expires_at = ? WHERE id = ?`,
		string(e.State), e.ProposedBy, string(by), time.Now().UnixMicro(), e.Reason, expires, e.ID)
	if err != nil {
		return e, err
	}
	if e, err = get(tx, e.ID); err != nil {
		return e, err
	}
	return e, x.record(tx, kind, e, more)
}

func (x *Exceptions) record(tx *store.Tx, kind string, e Exception, more map[string]any) error {
	body := map[string]any{"id": e.ID, "finding": e.Finding}
	for name, value := range map[string]string{"device": e.Device, "calling_ae": e.CallingAE, "address": e.Address, "place": e.Place} {
		if value != "" {
			body[name] = value
		}
	}
	for name, value := range more {
		if value != "" {
			body[name] = value
		}
	}
	return x.journal.Append(tx, kind, body)
}

// scalar reads one number.
func scalar(tx *store.Tx, sql string, args ...any) (n int, err error) {
	err = tx.QueryRow(sql, args...).Scan(&n)
	return n, err
}
