package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
	settled          time.Duration // until it had looked at all it has, after its start
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
	if err := spooledIn(ctx, filepath.Join(dir, "full", "data"), grownSpooled); err != nil {
		return grown{}, err
	}
	if r.settled, err = full.peer.settle(ctx); err != nil {
		return grown{}, err
	}
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
	_, _, err = generator{port: g.port, called: "AWAY", sample: tiny, associations: 1}.send(ctx, seeds)
	g.peer.stop()
	if err != nil {
		return nil, fmt.Errorf("filling the spool: %w", err)
	}
	if err := multiply(ctx, data, grownSpooled); err != nil {
		return nil, fmt.Errorf("filling the spool: %w", err)
	}
	return b.startCordonFor(ctx, dir, archives)
}

// seeds is how many objects are spooled in earnest; their rows and blobs are
// copied then, a hundred to a series.
const seeds = 64

// multiply makes n of the few spooled objects of a gateway that does not run: to
// receive as many would take longer than all measurements.
func multiply(ctx context.Context, data string, n int) error {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, "cordon.db"))
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var ids, columns []string
	if ids, err = texts(ctx, tx, "SELECT id FROM custody_objects WHERE archive = 'away'"); err != nil {
		return err
	}
	if columns, err = texts(ctx, tx, "SELECT name FROM pragma_table_info('custody_objects') WHERE name NOT IN ('seq', 'id', 'lane', 'turn', 'series_instance_uid', 'sop_instance_uid')"); err != nil {
		return err
	}
	same := strings.Join(columns, ", ")
	insert, err := tx.PrepareContext(ctx, "INSERT INTO custody_objects (id, lane, series_instance_uid, sop_instance_uid, turn, "+same+") SELECT ?, ?, ?, ?, ?, "+same+" FROM custody_objects WHERE id = ?")
	if err != nil {
		return err
	}
	for i := range n {
		from := ids[i%len(ids)]
		id := another(from, i)
		series := fmt.Sprintf("%s.2.%d", uidPrefix, i/100)
		if _, err := insert.ExecContext(ctx, id, series, series, fmt.Sprintf("%s.%d", series, i), i%100 == 0, from); err != nil {
			return err
		}
		shard := filepath.Join(data, "objects", id[len(id)-1:])
		if err := os.Link(filepath.Join(data, "objects", from[len(from)-1:], from), filepath.Join(shard, id)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// spooledIn makes sure that at least n objects wait.
func spooledIn(ctx context.Context, data string, n int) error {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, "cordon.db"))
	if err != nil {
		return err
	}
	defer db.Close()
	var have int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM custody_objects WHERE state = 'spooled' AND needs_attention = 0").Scan(&have); err != nil {
		return err
	}
	if have < n {
		return fmt.Errorf("%d objects wait, not %d", have, n)
	}
	return nil
}

// settleTime bounds the wait for a program to have nothing to do.
const settleTime = 90 * time.Second

// settle waits until a program uses less than a twentieth of a processor: what a
// start looks at is no image's cost. It returns how long that took.
func (p *peer) settle(ctx context.Context) (time.Duration, error) {
	const look = time.Second
	begin := time.Now()
	for before := int64(-1); ; {
		ticks, err := p.ticks()
		if err != nil {
			return 0, err
		}
		since := time.Since(begin)
		if before >= 0 && ticks-before < 5 || since > settleTime { // of 100 a second
			return since, nil
		}
		before = ticks
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(look):
		}
	}
}

// ticks is the processor time that a program has had, in hundredths of a second.
func (p *peer) ticks() (int64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(after(string(stat), ") ")) // from the third on (proc(5))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: %d fields", p.cmd.Process.Pid, len(fields))
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return user + system, err
}

// another is an id like the one given, whose random middle says i.
func another(id string, i int) string {
	const digits, at = "0123456789abcdefghjkmnpqrstvwxyz", 14
	p := []byte(id)
	for k := range 6 {
		p[at+k] = digits[i>>(5*k)&31]
	}
	return string(p)
}

func texts(ctx context.Context, tx *sql.Tx, query string) ([]string, error) {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, rows.Err()
}
