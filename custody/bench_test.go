package custody_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cordon/custody"
	"cordon/ledger"
	"cordon/store"
)

func BenchmarkKeep(b *testing.B) {
	for _, size := range []int{512 << 10, 8 << 20} {
		for _, callers := range []int{1, 16} {
			b.Run(fmt.Sprintf("%dKiB/%dcallers", size>>10, callers), func(b *testing.B) {
				k := newKeeper(b, noise(size))
				b.SetBytes(int64(size))
				b.ResetTimer()
				var next atomic.Int64
				inParallel(callers, func() {
					for next.Add(1) <= int64(b.N) {
						k.keep()
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "objects/s")
			})
		}
	}
}

// What is kept in a second, encrypted and with its row and record, beside what
// as many writers of the same bytes make durable on the same disk; in turns, since
// nobody has the disk alone.
func BenchmarkKeepBesideSyncedWriters(b *testing.B) {
	const callers = 16
	data := noise(525 << 10)
	k, w := newKeeper(b, data), newSyncedWriter(b, data)
	var kept, written float64
	for b.Loop() {
		kept += rate(callers, k.keep)
		written += rate(callers, w.write)
	}
	b.ReportMetric(kept/float64(b.N), "kept/s")
	b.ReportMetric(written/float64(b.N), "written/s")
	b.ReportMetric(kept/written, "kept/written")
}

// rate is how often fn runs in a second of so many callers.
func rate(callers int, fn func()) float64 {
	var n atomic.Int64
	began := time.Now()
	inParallel(callers, func() {
		for time.Since(began) < time.Second {
			fn()
			n.Add(1)
		}
	})
	return float64(n.Load()) / time.Since(began).Seconds()
}

func inParallel(n int, fn func()) {
	var all sync.WaitGroup
	for range n {
		all.Go(fn)
	}
	all.Wait()
}

type keeper struct {
	b    *testing.B
	db   *store.DB
	l    *ledger.Ledger
	c    *custody.Custody
	data []byte
}

func newKeeper(b *testing.B, data []byte) keeper {
	dir := b.TempDir()
	db := openDB(b, dir)
	l, err := ledger.Open(b.Context(), db, filepath.Join(dir, "keys", "ledger.key"), "test")
	if err != nil {
		b.Fatal(err)
	}
	c, err := custody.Open(b.Context(), db, dir, l, custody.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return keeper{b, db, l, c, data}
}

func (k keeper) keep() {
	buffer := k.c.NewBuffer()
	defer buffer.Discard()
	buffer.Expect()
	for part := range slices.Chunk(k.data, 16<<10) {
		if _, err := buffer.Write(part); err != nil {
			k.b.Error(err)
		}
	}
	if _, err := k.c.Keep(k.b.Context(), buffer, spooled("1.2")); err != nil {
		k.b.Error(err)
	}
}

// syncedWriter makes bytes durable as a careful program does: a file, its sync,
// its directory's.
type syncedWriter struct {
	b    *testing.B
	dir  string
	data []byte
	n    *atomic.Int64
}

func newSyncedWriter(b *testing.B, data []byte) syncedWriter {
	return syncedWriter{b, b.TempDir(), data, new(atomic.Int64)}
}

func (w syncedWriter) write() {
	f, err := os.Create(filepath.Join(w.dir, fmt.Sprint(w.n.Add(1))))
	if err != nil {
		w.b.Error(err)
		return
	}
	defer f.Close()
	_, err = f.Write(w.data)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = store.SyncDir(w.dir)
	}
	if err != nil {
		w.b.Error(err)
	}
}

// What keeping an image costs with a year's ledger and a long outage's spool here,
// beside what it costs with nothing here; in turns.
func BenchmarkKeepBesideManyKept(b *testing.B) {
	const callers = 4
	data := noise(525 << 10)
	empty, full := newKeeper(b, data), newKeeper(b, data)
	full.fill(1_000_000, 100_000)
	var few, many float64
	for b.Loop() {
		few += rate(callers, empty.keep)
		many += rate(callers, full.keep)
	}
	b.ReportMetric(few/float64(b.N), "empty/s")
	b.ReportMetric(many/float64(b.N), "full/s")
	b.ReportMetric(few/many, "empty/full")
}

// fill adds records, and objects of 1,000 series without their files.
func (k keeper) fill(records, objects int) {
	for i := range records {
		k.l.Note("object.delivered", map[string]any{
			"association": "01hzy3v7q2k5w8x9", "archive": "pacs", "status": 0, "bytes": 525_000, "alarm": false, "reason": "",
			"sop_class_uid": "1.2.840.10008.5.1.4.1.1.2", "sop_instance_uid": fmt.Sprintf("2.25.310947857392047583920475839204758%05d", i),
			"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "findings": []any{},
		})
	}
	k.keep()
	err := k.db.Update(k.b.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO custody_objects (id, state, received_at, bytes, sha256, device, calling_ae, called_ae, archive, lane,
			sop_class_uid, sop_instance_uid, study_instance_uid, series_instance_uid, transfer_syntax_uid, findings, engines,
			priority, move_originator_ae, move_originator_id, turn)
			WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			SELECT 'id' || i, state, received_at, bytes, randomblob(32), device, calling_ae, called_ae, archive, i / 100,
			sop_class_uid, '2.25.' || abs(random()) || i, '2.25.' || i / 500, i / 100, transfer_syntax_uid, findings, engines,
			priority, move_originator_ae, move_originator_id, i % 100 = 0
			FROM custody_objects, n`, objects)
		return err
	})
	if err != nil {
		k.b.Fatal(err)
	}
}
