package reconcile_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/ledger"
	"cordon/reconcile"
	"cordon/store"
)

// everything is an archive that has whatever it is asked about, in series of so many instances.
type everything struct{ series int }

// instanceOf names the nth instance there is.
func (e *everything) instanceOf(n int) string { return fmt.Sprintf("1.2.%d.1.%d", n/e.series, n) }

func (e *everything) Find(_ context.Context, _ string, _ dicom.AETitle, _ dicom.UID, identifier []byte, match func([]byte, dicom.UID) error) (dimse.Command, error) {
	ts, _ := dicom.LookupTransferSyntax(dicom.ExplicitVRLittleEndian)
	_, study, _ := strings.Cut(string(identifier), "1.2.")
	var nth int
	fmt.Sscan(strings.FieldsFunc(study, func(r rune) bool { return r < '0' || r > '9' })[0], &nth)
	for n := range e.series {
		var b strings.Builder
		w := dicom.NewWriter(&b, ts)
		w.String(dicom.TagSOPInstanceUID, dicom.UI, e.instanceOf(nth*e.series+n))
		w.Close()
		if err := match([]byte(b.String()), dicom.ExplicitVRLittleEndian); err != nil {
			return dimse.Command{}, err
		}
	}
	return dimse.Command{}, nil
}

// What the first accounting of many instances costs, and one after it: time for each, and memory at the most.
func BenchmarkAccounting(b *testing.B) {
	for _, instances := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(instances), func(b *testing.B) {
			db, err := store.OpenDB(b.Context(), filepath.Join(b.TempDir(), "cordon.db"), []store.Migrations{ledger.Migrations(), custody.Migrations(), reconcile.Migrations()})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			l, err := ledger.Open(b.Context(), db, filepath.Join(b.TempDir(), "ledger.key"), "test")
			if err != nil {
				b.Fatal(err)
			}
			c, err := custody.Open(b.Context(), db, b.TempDir(), l, custody.Options{})
			if err != nil {
				b.Fatal(err)
			}
			a := &everything{series: 500}
			fill(b, db, l, a, instances)
			config := reconcile.Config{Calling: "CORDON", Limit: time.Hour, Archives: []reconcile.Archive{{Name: "pacs", Query: true}}}
			r := reconcile.New(config, reconcile.Parts{DB: db, Ledger: l, Custody: c, Find: a, Log: slog.New(slog.DiscardHandler)})
			most, stop := peak()
			began := time.Now()
			report, err := r.Now(b.Context())
			took := time.Since(began)
			stop()
			if err != nil || !report.Well() || report.Archives[0].Present != instances {
				b.Fatalf("%+v, %v", report, err)
			}
			began = time.Now()
			if _, err := r.Now(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(took.Microseconds())/float64(instances), "µs/instance")
			b.ReportMetric(float64(*most>>20), "MiB-heap-peak")
			b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-again")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func fill(b *testing.B, db *store.DB, l *ledger.Ledger, a *everything, instances int) {
	b.Helper()
	for n := 0; n < instances; n += 5000 {
		err := db.Update(b.Context(), func(tx *store.Tx) error {
			for i := n; i < min(instances, n+5000); i++ {
				uid := a.instanceOf(i)
				err := l.Append(tx, "object.delivered", map[string]any{
					"association": "A1", "archive": "pacs", "sop_instance_uid": uid, "sop_class_uid": string(dicom.CTImageStorage),
					"series_instance_uid": fmt.Sprintf("1.2.%d.1", i/a.series), "study_instance_uid": fmt.Sprintf("1.2.%d", i/a.series), "sha256": strings.Repeat("ab", 32),
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// peak watches the heap until stop.
func peak() (most *uint64, stop func()) {
	most, done, ended := new(uint64), make(chan struct{}), make(chan struct{})
	go func() { // ends with stop
		defer close(ended)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			*most = max(*most, m.HeapInuse)
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return most, func() { close(done); <-ended }
}
