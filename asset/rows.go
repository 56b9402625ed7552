package asset

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"cordon/dicom"
	"cordon/store"
)

// peer is a row of asset_peer.
type peer struct {
	id                             int64
	name, address                  string
	calling                        dicom.AETitle
	certificate, subject, device   string
	first, last                    time.Time
	associations, secured          int
	requests, refused, wouldRefuse int
	untold                         int
}

func peers(tx *store.Tx, where string, args ...any) ([]peer, error) {
	rows, err := tx.Query(`SELECT id, name, calling_ae, address, certificate, subject, device, first_seen, last_seen,
		associations, secured, requests, refused, would_refuse, untold FROM asset_peer `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []peer
	for rows.Next() {
		var p peer
		var first, last int64
		if err := rows.Scan(&p.id, &p.name, &p.calling, &p.address, &p.certificate, &p.subject, &p.device, &first, &last,
			&p.associations, &p.secured, &p.requests, &p.refused, &p.wouldRefuse, &p.untold); err != nil {
			return nil, err
		}
		p.first, p.last = time.UnixMicro(first).UTC(), time.UnixMicro(last).UTC()
		out = append(out, p)
	}
	return out, rows.Err()
}

// Use is one thing that a device was seen to do.
type Use struct {
	Kind      Kind      `json:"kind"`
	Value     string    `json:"value"`
	Seen      int       `json:"seen"` // times
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
}

// uses reads what peers do, all of them as one.
func uses(tx *store.Tx, ps []peer) ([]Use, error) {
	all := map[use]Use{}
	for _, p := range ps {
		of, err := usesOf(tx, p.id)
		if err != nil {
			return nil, err
		}
		for _, u := range of {
			k := use{u.Kind, u.Value}
			if before, ok := all[k]; ok {
				u = u.and(before)
			}
			all[k] = u
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b Use) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
	}), nil
}

// and is the same thing seen in both places.
func (u Use) and(v Use) Use {
	u.Seen += v.Seen
	if v.FirstSeen.Before(u.FirstSeen) {
		u.FirstSeen = v.FirstSeen
	}
	if v.LastSeen.After(u.LastSeen) {
		u.LastSeen = v.LastSeen
	}
	return u
}

func usesOf(tx *store.Tx, peer int64) ([]Use, error) {
	rows, err := tx.Query(`SELECT kind, value, seen, first_seen, last_seen FROM asset_use WHERE peer = ?`, peer)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Use
	for rows.Next() {
		var u Use
		var first, last int64
		if err := rows.Scan(&u.Kind, &u.Value, &u.Seen, &first, &last); err != nil {
			return nil, err
		}
		u.FirstSeen, u.LastSeen = time.UnixMicro(first).UTC(), time.UnixMicro(last).UTC()
		out = append(out, u)
	}
	return out, rows.Err()
}

// services reads the services that each peer uses, by its row.
func services(tx *store.Tx) (map[int64][]string, error) {
	rows, err := tx.Query(`SELECT peer, value FROM asset_use WHERE kind = ? ORDER BY value`, string(Service))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[int64][]string{}
	for rows.Next() {
		var id int64
		var value string
		if err := rows.Scan(&id, &value); err != nil {
			return nil, err
		}
		out[id] = append(out[id], value)
	}
	return out, rows.Err()
}
