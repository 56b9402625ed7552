package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cordon/ledger"
	"cordon/store"
)

// grown is the time for an image with a full house, as a part of that with an
// empty one, on one association and on four.
type grown struct {
	records, spooled int
	ratios           map[int]float64
	took             time.Duration // to fill the house
}

const (
	grownRecords = 1_000_000
	grownSpooled = 100_000
)

// grow fills one of two gateways with records, and with objects for an archive
// that is away, and sends through both by turns.
func (b *bench) grow(ctx context.Context) (grown, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir, err := os.MkdirTemp(b.dir, "grow-")
	if err != nil {
		return grown{}, err
	}
	defer os.RemoveAll(dir)
	t, err := b.startTarget(ctx, "null", dir, nil)
	if err != nil {
		return grown{}, err
	}
	away, err := freePort()
	if err != nil {
		return grown{}, err
	}
	archives := []string{t.archive("upstream"), "  - {name: away, ae_title: AWAY, address: \"127.0.0.1:" + away + "\", delivery: spool_first}"}
	begin := time.Now()
	full, err := b.fill(ctx, filepath.Join(dir, "full"), archives)
	if err != nil {
		return grown{}, err
	}
	defer full.peer.stop()
	r := grown{records: grownRecords, spooled: grownSpooled, ratios: map[int]float64{}, took: time.Since(begin)}
	empty, err := b.startCordonFor(ctx, filepath.Join(dir, "empty"), archives)
	if err != nil {
		return grown{}, err
	}
	defer empty.peer.stop()
	ct, err := ctSample(ctSide)
	if err != nil {
		return grown{}, err
	}
	rounds := 9
	if b.full {
		rounds = 21
	}
	for _, n := range []int{1, 4} {
		c := course{own: true, associations: n, sample: ct}
		each, err := b.calibrate(ctx, c, t, empty.port, time.Second/2)
		if err != nil {
			return grown{}, err
		}
		var ratios []float64
		for round := range rounds {
			var now [2]float64
			for turn := range 2 {
				way := (round + turn) % 2
				if now[way], err = b.once(ctx, c, t, []string{empty.port, full.port}[way], each); err != nil {
					return grown{}, err
				}
			}
			ratios = append(ratios, now[0]/now[1])
		}
		r.ratios[n] = quantile(ratios, 0.5)
	}
	return r, nil
}

// fill makes a data directory with a long ledger and starts a gateway on it, that
// is then given objects for the archive that is away.
func (b *bench) fill(ctx context.Context, dir string, archives []string) (*gateway, error) {
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(filepath.Join(data, "keys"), 0o700); err != nil {
		return nil, err
	}
	db, err := store.OpenDB(ctx, filepath.Join(data, "cordon.db"), []store.Migrations{ledger.Migrations()})
	if err != nil {
		return nil, err
	}
	l, err := ledger.Open(ctx, db, filepath.Join(data, "keys", "ledger.key"), "bench")
	if err != nil {
		return nil, err
	}
	if err := appendRecords(ctx, l, grownRecords); err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	g, err := b.startCordonFor(ctx, dir, archives)
	if err != nil {
		return nil, err
	}
	tiny, err := ctSample(8)
	if err != nil {
		return nil, err
	}
	const senders = 32
	if _, _, err := (generator{port: g.port, called: "AWAY", sample: tiny, associations: senders}).send(ctx, grownSpooled/senders); err != nil {
		g.peer.stop()
		return nil, fmt.Errorf("filling the spool: %w", err)
	}
	return g, nil
}
