package contain

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"cordon/custody"
	"cordon/store"
)

// Limits of a proof.
const (
	maxText     = 2000    // bytes of what was checked
	maxFiles    = 10      //
	maxEvidence = 4 << 20 // bytes of one file
)

// MaxProof is the most bytes of all files of a proof together.
const MaxProof = maxFiles * maxEvidence

// Restore gives a device back what was taken from it. It takes two different people
// (one, if Parts.Solo): the first says how the device was found to be clean, the
// second may add to that. Its end is recorded before it takes effect, and its outcome
// after. The files are kept with their digests; the caller's copy gets these.
func (c *Containments) Restore(ctx context.Context, device string, p Proof, rq custody.Request) (custody.Decision, error) {
	rq, err := rq.Check()
	if err != nil {
		return custody.Decision{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.now, func(e entry) bool { return e.Device == device })
	if i < 0 {
		return custody.Decision{}, fmt.Errorf("%w: %.80s is not contained", ErrNotFound, device)
	}
	e := c.now[i]
	if e.Proof != nil {
		p = e.Proof.and(p)
	}
	if err := p.check(time.Now()); err != nil {
		return custody.Decision{}, err
	}
	fresh := p.hash()
	d, err := c.second(e, rq)
	if err != nil {
		return d, err
	}
	proof := p.listed()
	e.Proof = &proof
	kind, body := "containment.restore_asked", e.body()
	body["by"], body["reason"], body["proof"] = d.By, rq.Reason, proof
	if e.Asked = d.By[0]; d.Done {
		kind, e.State, e.By = "containment.restoring", Restoring, d.By
	}
	err = c.journal(ctx, kind, body, func(tx *store.Tx) error {
		if err := e.attach(tx, fresh); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE contain SET asked_by = ?, asked_at = ? WHERE id = ?`, e.Asked, time.Now().UnixMicro(), e.ID); err != nil {
			return err
		}
		return e.update(tx)
	})
	if err != nil {
		return custody.Decision{}, fmt.Errorf("restoring is not recorded, so nothing changes: %w", err)
	}
	if c.now[i] = e; !d.Done {
		return d, nil
	}
	e.Reason = rq.Reason
	return d, c.over(ctx, e, Restored, "containment.restored")
}

// second decides whether another person has to agree.
func (c *Containments) second(e entry, rq custody.Request) (custody.Decision, error) {
	switch {
	case c.parts.Solo:
		return custody.Decision{Done: true, By: []string{rq.By}}, nil
	case e.State == Restoring: // the effect failed before; whoever asks again may
		return custody.Decision{Done: true, By: join(e.By, []string{rq.By})}, nil
	case e.Asked == "":
		return custody.Decision{Waiting: "waiting for a second person", By: []string{rq.By}}, nil
	case custody.FoldName(e.Asked) == custody.FoldName(rq.By):
		return custody.Decision{}, custody.ErrSamePerson
	}
	return custody.Decision{Done: true, By: []string{e.Asked, rq.By}}, nil
}

// and adds what another person says.
func (p Proof) and(q Proof) Proof {
	if q.Checked != "" && q.Checked != p.Checked {
		p.Checked = strings.TrimSpace(p.Checked + "\n" + q.Checked)
	}
	if q.Tool != "" {
		p.Tool = q.Tool
	}
	if q.Signatures != "" {
		p.Signatures, p.Dated = q.Signatures, q.Dated
	}
	q.hash()
	p.Files = slices.Clone(p.Files)
	for _, f := range q.Files {
		if !slices.ContainsFunc(p.Files, func(g Evidence) bool { return g.SHA256 == f.SHA256 }) {
			p.Files = append(p.Files, f)
		}
	}
	return p
}

// check says what a proof lacks.
func (p Proof) check(now time.Time) error {
	if p.Checked = strings.TrimSpace(p.Checked); p.Checked == "" {
		return fmt.Errorf("%w: how was the device found to be clean? say what was checked (--checked TEXT), with what (--tool, --signatures), and attach its report (--proof FILE)", custody.ErrRequest)
	}
	for _, text := range []string{p.Checked, p.Tool, p.Signatures} {
		if len(text) > maxText || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
			return fmt.Errorf("%w: a text of the proof has at most %d bytes and no control characters", custody.ErrRequest, maxText)
		}
	}
	if p.Dated.After(now.Add(24 * time.Hour)) {
		return fmt.Errorf("%w: the signatures are of %s, which is to come", custody.ErrRequest, p.Dated.Format(time.DateOnly))
	}
	if len(p.Files) > maxFiles {
		return fmt.Errorf("%w: %d files; at most %d", custody.ErrRequest, len(p.Files), maxFiles)
	}
	for _, f := range p.Files {
		if f.Name == "" || len(f.Name) > 200 || strings.ContainsFunc(f.Name, unicode.IsControl) {
			return fmt.Errorf("%w: a file's name has 1 to 200 bytes and no control characters", custody.ErrRequest)
		}
		if len(f.Data) > maxEvidence {
			return fmt.Errorf("%w: %s has %d bytes; at most %d", custody.ErrRequest, f.Name, len(f.Data), maxEvidence)
		}
		if len(f.Data) == 0 && f.SHA256 == "" {
			return fmt.Errorf("%w: %s is empty", custody.ErrRequest, f.Name)
		}
	}
	return nil
}

// hash fills in digests and sizes, and returns the files that came with their bytes.
func (p *Proof) hash() (fresh []Evidence) {
	for i := range p.Files {
		f := &p.Files[i]
		if len(f.Data) == 0 {
			continue // attached before
		}
		sum := sha256.Sum256(f.Data)
		f.SHA256, f.Bytes = hex.EncodeToString(sum[:]), int64(len(f.Data))
		fresh = append(fresh, *f)
	}
	return fresh
}

// listed is the proof without the bytes of its files.
func (p Proof) listed() Proof {
	p.Files = slices.Clone(p.Files)
	for i := range p.Files {
		p.Files[i].Data = nil
	}
	return p
}

// attach keeps files.
func (e *entry) attach(tx *store.Tx, files []Evidence) error {
	for _, f := range files {
		_, err := tx.Exec(`INSERT INTO contain_evidence (contain_id, sha256, name, bytes, data) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			e.ID, f.SHA256, f.Name, f.Bytes, f.Data)
		if err != nil {
			return err
		}
	}
	return nil
}

// Attached is a file of the proof of a containment, by its digest.
func (c *Containments) Attached(ctx context.Context, id int64, sum string) (f Evidence, err error) {
	err = c.parts.DB.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT name, sha256, bytes, data FROM contain_evidence WHERE contain_id = ? AND sha256 = ?`, id, sum).
			Scan(&f.Name, &f.SHA256, &f.Bytes, &f.Data)
	})
	if err != nil {
		return f, fmt.Errorf("%w: no file of that digest: %w", ErrNotFound, err)
	}
	if got := sha256.Sum256(f.Data); hex.EncodeToString(got[:]) != f.SHA256 {
		return f, errors.New("the file is not what was attached: the database was changed")
	}
	return f, nil
}

// Words are the proof as text, for a page.
func (p *Proof) Words() string {
	if p == nil {
		return ""
	}
	b, err := json.Marshal(p.listed())
	if err != nil {
		return ""
	}
	return string(b)
}
