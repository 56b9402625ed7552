package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"cordon/console/view"
	"cordon/interop/browser"
	"cordon/ledger"
	database "cordon/store"
)

const (
	soonEnough  = 300 * time.Millisecond // until there is something to read
	meanwhile   = 4                      // times as long, where other tests run at the same time
	fewRecords  = 20_000
	asksOfAPage = 5
)

// aLedgerOf makes a ledger of so many deliveries before Cordon starts on it.
func (c *cordon) aLedgerOf(t *testing.T, records int) {
	t.Helper()
	keys := filepath.Join(c.Dir, "keys")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := database.OpenDB(t.Context(), filepath.Join(c.Dir, "cordon.db"), []database.Migrations{ledger.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	l, err := ledger.Open(t.Context(), db, filepath.Join(keys, "ledger.key"), "Cordon")
	if err != nil {
		t.Fatal(err)
	}
	delivery := func(i int) map[string]any {
		return map[string]any{
			"association": "01hzy3v7q2k5w8x9", "archive": "pacs", "status": 0, "bytes": 525_000, "alarm": false, "reason": "",
			"sop_class_uid": "1.2.840.10008.5.1.4.1.1.2", "sop_instance_uid": fmt.Sprintf("2.25.310947857392047583920475839204758%07d", i),
			"study_instance_uid": fmt.Sprintf("2.25.11094785739204758392047583920%07d", i/100), "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "findings": []any{},
		}
	}
	for i := range records - 1 {
		l.Note("object.delivered", delivery(i))
	}
	if err := l.Record(t.Context(), "object.delivered", delivery(records)); err != nil {
		t.Fatal(err)
	}
}

// searchable waits until the ledger has been indexed, as it is once, when a Cordon that
// has an index starts on a ledger of one that had none.
func (c *cordon) searchable(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(10 * time.Minute); ; time.Sleep(time.Second) {
		began := time.Now()
		if said := c.cli(t, "report", "--json"); said.code == 0 && time.Since(began) < time.Second {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the ledger is not indexed")
		}
	}
}

// A person sees something of every page soon, however much the ledger holds: the
// middle of several times that each is asked for. CORDON_RECORDS is how much.
func TestPagesAreThereSoonWithALargeLedger(t *testing.T) {
	t.Parallel()
	records, limit := fewRecords, meanwhile*soonEnough
	if text := os.Getenv("CORDON_RECORDS"); text != "" {
		var err error
		if records, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
		limit = soonEnough
	}
	c := newCordon(t, nil)
	c.aLedgerOf(t, records)
	c.start(t)
	p := c.administrator(t, browser.Open(t), browser.Desktop)
	c.searchable(t)
	for _, path := range view.Paths() {
		var took []time.Duration
		for range asksOfAPage {
			p.Goto(c.site() + path)
			took = append(took, p.Paint())
		}
		slices.Sort(took)
		middle := took[len(took)/2]
		t.Logf("%-12s first paint %v (%v to %v)", path, middle, took[0], took[len(took)-1])
		if middle > limit {
			t.Errorf("%s: first paint after %v", path, middle)
		}
	}
}
