package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"cordon/ledger"
	"cordon/store"
)

// ledgerRecords is how many records the ledger is measured with: a year of a
// hospital that sends 2700 objects a day.
const ledgerRecords = 1_000_000

// ledgerFigures measures appending, exporting, verifying, proving and opening a
// ledger of a million records, verifying beside SHA-256 over the same file.
func ledgerFigures(ctx context.Context, b *bench) error {
	dir := filepath.Join(b.dir, "ledger")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	rows := [][]string{{fmt.Sprintf("a ledger of %d records", ledgerRecords), "", ""}}
	row := func(what, format string, args ...any) {
		rows = append(rows, []string{what, fmt.Sprintf(format, args...), ""})
	}
	l, db, err := openLedger(ctx, dir)
	if err != nil {
		return err
	}
	took, err := lasted(func() error { return appendRecords(ctx, l, ledgerRecords) })
	if err != nil {
		return err
	}
	row("append, in groups", "%.0f records/s", ledgerRecords/took.Seconds())
	if took, err = lasted(func() error { return appendWaiting(ctx, l, 500) }); err != nil {
		return err
	}
	row("append, each waited for", "%.0f records/s", 500/took.Seconds())
	path := filepath.Join(dir, "export")
	if took, err = lasted(func() error { return exportTo(ctx, l, path) }); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	row("export", "%.1f s, %d MB, %d bytes a record", took.Seconds(), info.Size()/1e6, info.Size()/ledgerRecords)
	var proof bytes.Buffer
	if took, err = lasted(func() error { return l.Prove(ctx, &proof, ledgerRecords/2) }); err != nil {
		return err
	}
	row("proof of one record", "%d bytes, made in %.1f ms", proof.Len(), 1000*took.Seconds())
	if took, err = lasted(func() error {
		_, err := ledger.VerifyProof(bytes.NewReader(proof.Bytes()), ledger.VerifyOptions{Key: l.Key()})
		return err
	}); err != nil {
		return err
	}
	row("verify the proof", "%.2f ms", 1000*took.Seconds())
	hashed, err := lasted(func() error { return hashFile(path) })
	if err != nil {
		return err
	}
	if took, err = lasted(func() error { return verifyFile(path, l.Key()) }); err != nil {
		return err
	}
	row("verify the export", "%.1f s, %.0f records/s, %.1f times SHA-256 of the file", took.Seconds(), ledgerRecords/took.Seconds(), took.Seconds()/hashed.Seconds())
	if took, err = lasted(func() error { _, err := ledger.VerifyLive(ctx, db, ledger.VerifyOptions{}); return err }); err != nil {
		return err
	}
	row("verify in place", "%.1f s", took.Seconds())
	if err := db.Close(); err != nil {
		return err
	}
	if info, err = os.Stat(filepath.Join(dir, "cordon.db")); err != nil {
		return err
	}
	row("database", "%d MB, %d bytes a record", info.Size()/1e6, info.Size()/ledgerRecords)
	if took, err = lasted(func() error { _, db, err = openLedger(ctx, dir); return err }); err != nil {
		return err
	}
	row("open", "%.0f ms", 1000*took.Seconds())
	b.table("ledger", rows)
	return db.Close()
}

func openLedger(ctx context.Context, dir string) (*ledger.Ledger, *store.DB, error) {
	db, err := store.OpenDB(ctx, filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations()})
	if err != nil {
		return nil, nil, err
	}
	l, err := ledger.Open(ctx, db, filepath.Join(dir, "ledger.key"), "bench")
	return l, db, err
}

// aDelivery is what the ledger holds of most objects.
func aDelivery(i int) map[string]any {
	return map[string]any{
		"association": "01hzy3v7q2k5w8x9", "archive": "pacs", "status": 0, "bytes": 525_000, "alarm": false, "reason": "",
		"sop_class_uid": "1.2.840.10008.5.1.4.1.1.2", "sop_instance_uid": fmt.Sprintf("2.25.310947857392047583920475839204758%05d", i),
		"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "findings": []any{},
	}
}

// appendRecords does it as deliveries are recorded, then waits for the last.
func appendRecords(ctx context.Context, l *ledger.Ledger, n int) error {
	for i := range n - 2 {
		l.Note("object.delivered", aDelivery(i))
	}
	return l.Record(ctx, "object.delivered", aDelivery(n))
}

func appendWaiting(ctx context.Context, l *ledger.Ledger, n int) error {
	for i := range n {
		if err := l.Record(ctx, "object.delivered", aDelivery(i)); err != nil {
			return err
		}
	}
	return nil
}

func exportTo(ctx context.Context, l *ledger.Ledger, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return l.Export(ctx, f)
}

func verifyFile(path, key string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = ledger.Verify(f, ledger.VerifyOptions{Key: key})
	return err
}

func hashFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(sha256.New(), f)
	return err
}

func lasted(fn func() error) (time.Duration, error) {
	begin := time.Now()
	err := fn()
	return time.Since(begin), err
}
