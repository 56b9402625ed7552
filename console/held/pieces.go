package held

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/finding"
	"cordon/ledger"
	"cordon/preview"
	"cordon/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() store.Migrations { return store.Embedded("held", migrations) }

// Pieces knows by their digests the pieces in which something was found, so that
// the same payload is known again in another object. Its methods may be called from
// any goroutine.
//
// It follows the ledger: what is held is read once more, one object at a time and
// after it was acknowledged, so that nobody waits for it.
type Pieces struct {
	db       *store.DB
	ledger   *ledger.Ledger
	custody  *custody.Custody
	previews *preview.Previewer
}

// NewPieces returns what the tables in db know.
func NewPieces(db *store.DB, l *ledger.Ledger, c *custody.Custody, p *preview.Previewer) *Pieces {
	return &Pieces{db, l, c, p}
}

// Run digests what is held, until ctx ends.
func (p *Pieces) Run(ctx context.Context, log *slog.Logger) error {
	for ctx.Err() == nil {
		err := p.ledger.Follow(ctx, "held", 0, func(ctx context.Context, batch []ledger.Record) error {
			for _, r := range batch {
				if err := p.learn(ctx, r); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil || ctx.Err() != nil {
			return nil
		}
		log.Error("pieces of what is held are not digested: the same payload is not known again", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
		}
	}
	return nil
}

// learn digests the object of one record, if it is held.
func (p *Pieces) learn(ctx context.Context, r ledger.Record) error {
	var e struct{ ID string }
	if r.Kind != "object.held" || r.Body == nil || json.Unmarshal(r.Body, &e) != nil {
		return nil
	}
	o, err := p.custody.Get(ctx, e.ID)
	if errors.Is(err, custody.ErrNotFound) || err == nil && o.State != custody.Held {
		return nil
	}
	if err != nil {
		return err
	}
	sums, err := p.digest(ctx, o)
	if err != nil || len(sums) == 0 {
		return ctx.Err() // what cannot be read is an alarm of custody's
	}
	return p.db.Update(ctx, func(tx *store.Tx) error {
		for _, sum := range sums {
			if _, err := tx.Exec(`INSERT INTO held_pieces (digest, object) VALUES (?, ?) ON CONFLICT DO NOTHING`, sum[:], o.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// digest reads an object's pieces.
func (p *Pieces) digest(ctx context.Context, o custody.Object) (out []preview.Digest, err error) {
	var at []preview.Place
	for _, f := range o.Findings {
		if f.Severity > finding.Info {
			at = append(at, placeOf(f))
		}
	}
	if len(at) == 0 {
		return nil, nil
	}
	blob, err := p.custody.OpenBlob(ctx, o.ID)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	sums, err := p.previews.Pieces(ctx, blob, objectOf(o), at)
	for _, sum := range sums {
		if sum != (preview.Digest{}) {
			out = append(out, sum)
		}
	}
	return out, err
}

// Alike lists other objects in which something was found in a piece that this one
// has too, the latest first.
func (p *Pieces) Alike(ctx context.Context, id string, limit int) (ids []string, err error) {
	err = p.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT DISTINCT other.object FROM held_pieces own JOIN held_pieces other ON other.digest = own.digest
			WHERE own.object = ?1 AND other.object <> ?1 ORDER BY other.object DESC LIMIT ?2`, id, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var other string
			if err := rows.Scan(&other); err != nil {
				return err
			}
			ids = append(ids, other)
		}
		return rows.Err()
	})
	return ids, err
}

// objectOf says how custody's bytes of an object are to be read.
func objectOf(o custody.Object) preview.Object {
	return preview.Object{TransferSyntax: dicom.UID(o.TransferSyntaxUID), Size: o.Bytes}
}

// placeOf is where a finding is.
func placeOf(f finding.Finding) preview.Place { return preview.Place{Where: f.Where, Offset: f.Offset} }
