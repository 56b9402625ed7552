package gateway

import (
	"context"
	"sync"
	"time"

	"cordon/dicom"
	"cordon/store"
)

// accepted is one context that an archive has accepted for a calling AE title.
type accepted struct {
	archive  string
	calling  dicom.AETitle
	abstract dicom.UID
	transfer dicom.UID
}

// maxRemembered bounds the contexts kept for one archive and calling AE title:
// 128 contexts of an association, a few transfer syntaxes each.
const maxRemembered = 1024

// maxKnown bounds them over all archives and titles, since anybody can make up
// a title. What does not fit is not learned.
const maxKnown = 64 << 10

// memory knows which contexts the archives have accepted, on disk and in
// memory, so that the same can be accepted while an archive is away.
type memory struct {
	db *store.DB

	mu     sync.Mutex
	known  map[accepted]bool
	counts map[accepted]int // per archive and calling title, the other fields empty
}

func newMemory(db *store.DB) *memory {
	return &memory{db: db, known: map[accepted]bool{}, counts: map[accepted]int{}}
}

func (m *memory) load(ctx context.Context) error {
	return m.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT archive, calling_ae, abstract_syntax, transfer_syntax FROM gateway_context`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var a accepted
			if err := rows.Scan(&a.archive, &a.calling, &a.abstract, &a.transfer); err != nil {
				return err
			}
			m.add(a)
		}
		return rows.Err()
	})
}

// add reports whether a is new and there is room for it.
func (m *memory) add(a accepted) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	of := accepted{archive: a.archive, calling: a.calling}
	if m.known[a] || m.counts[of] >= maxRemembered || len(m.known) >= maxKnown {
		return false
	}
	m.known[a] = true
	m.counts[of]++
	return true
}

// remember keeps contexts that an archive has just accepted. Nobody waits for
// the disk: what a crash forgets is learned again.
func (m *memory) remember(as []accepted, onErr func(error)) {
	var fresh []accepted
	for _, a := range as {
		if m.add(a) {
			fresh = append(fresh, a)
		}
	}
	if len(fresh) == 0 {
		return
	}
	now := time.Now().UnixMicro()
	m.db.Later(func(tx *store.Tx) error {
		for _, a := range fresh {
			if _, err := tx.Exec(`INSERT OR IGNORE INTO gateway_context VALUES (?, ?, ?, ?, ?)`,
				a.archive, string(a.calling), string(a.abstract), string(a.transfer), now); err != nil {
				return err
			}
		}
		return nil
	}, onErr)
}

// choose picks, from the transfer syntaxes that a modality proposes, one that
// the archive is known to accept, else an uncompressed one, else none. It may
// refuse what the archive would have accepted, never the other way round but
// for the uncompressed ones that every archive has.
func (m *memory) choose(archive string, calling dicom.AETitle, abstract dicom.UID, proposed []dicom.UID) (dicom.UID, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, ts := range proposed {
		if m.known[accepted{archive, calling, abstract, ts}] {
			return ts, true
		}
	}
	for _, ts := range proposed {
		if ts == dicom.ExplicitVRLittleEndian || ts == dicom.ImplicitVRLittleEndian {
			return ts, true
		}
	}
	return "", false
}
