// Package evidence shows what Cordon can prove of a set of controls: for each a
// page, with figures from the ledger and the database, exceptions with their ends,
// and records that are proved to be in the ledger.
//
// Ordinary use:
//
//	m, err := evidence.ReadMapping(evidence.HIPAA())
//	e := evidence.New(config, parts)
//	signed, err := e.Make(ctx, evidence.Request{From: from, To: to, Mapping: m})
//	err = signed.PDF(w)                                   // or JSON, CSV
//	verdict, err := signed.Verify(ledger.VerifyOptions{Key: key})   // offline, by an auditor
//
// The mapping of controls to figures is data (mappings/hipaa.yaml); others are
// written like it. Nothing in a pack is fixed beforehand: where a figure is not
// what was asked, the control is not met; where nothing happened, it says so; and
// what Cordon cannot see it calls not evidenced, rather than met.
//
// A pack is made from one pass over the records of its period (and of 31 days
// before, for what began earlier), and a verification of the whole ledger. Its
// digest is signed with the ledger's key. What PDF and CSV show is the JSON's; the
// PDF has the JSON attached.
//
// It will not say that a site complies with anything.
package evidence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cordon/custody"
	"cordon/exception"
	"cordon/ledger"
	"cordon/review"
	"cordon/store"
)

// Config is what a site says of itself.
type Config struct {
	Site     string
	Version  string             // of this Cordon
	Owner    string             // of controls that name none
	Standing func() []Exception // what the configuration and the settings exempt, without an end; nil: nothing
}

// Parts are what is looked at; all are required.
type Parts struct {
	DB         *store.DB
	Ledger     *ledger.Ledger
	Custody    *custody.Custody
	Exceptions *exception.Exceptions
	Reviews    *review.Reviews
}

// Request asks for a pack.
type Request struct {
	From, To time.Time // To is excluded
	Mapping  Mapping
	By       string // who asks, as asserted; may be ""
}

// ErrRequest means that a pack cannot be made of such a request, or not now.
var ErrRequest = errors.New("no such pack")

// Maker makes packs, one at a time.
type Maker struct {
	config Config
	parts  Parts
	making sync.Mutex
}

// New returns a Maker.
func New(c Config, p Parts) *Maker { return &Maker{config: c, parts: p} }

// making is a pack on its way.
type making struct {
	config    Config
	parts     Parts
	from, to  time.Time
	now       time.Time
	first     time.Time // of the ledger
	collected *collector
	intact    verified
}

// lookback is how long before the period something may have begun that counts.
const lookback = 31 * 24 * time.Hour

// Make makes a pack. It reads the whole ledger and may take a while; another
// request meanwhile is refused.
func (k *Maker) Make(ctx context.Context, rq Request) (Signed, error) {
	if !rq.From.Before(rq.To) {
		return Signed{}, fmt.Errorf("%w: the period ends before it begins", ErrRequest)
	}
	if now := time.Now(); rq.To.After(now) {
		rq.To = now // nothing is known of the rest
	}
	if !rq.From.Before(rq.To) {
		return Signed{}, fmt.Errorf("%w: the period has not begun", ErrRequest)
	}
	if !k.making.TryLock() {
		return Signed{}, fmt.Errorf("%w: another one is being made; try again when it is done", ErrRequest)
	}
	defer k.making.Unlock()
	s, err := k.make(ctx, rq)
	if err != nil {
		return Signed{}, fmt.Errorf("making an evidence pack: %w", err)
	}
	return s, nil
}

func (k *Maker) make(ctx context.Context, rq Request) (s Signed, err error) {
	mapping, err := rq.Mapping.Digest()
	if err != nil {
		return s, err
	}
	m := &making{config: k.config, parts: k.parts, from: rq.From, to: rq.To, now: time.Now()}
	seed, end, err := m.begin(ctx)
	if err != nil {
		return s, err
	}
	m.intact = verify(ctx, k.parts)
	m.collected = newCollector(rq.Mapping, rq.From, rq.To, m.now, seed)
	if err := m.collect(ctx, end); err != nil {
		return s, err
	}
	p := Pack{
		Format: packFormat, Site: k.config.Site, Version: k.config.Version, MadeAt: m.now.UTC().Truncate(time.Second), MadeBy: rq.By, From: rq.From.UTC(), To: rq.To.UTC(),
		Mapping: MappingName{Name: rq.Mapping.Name, Edition: rq.Mapping.Edition, SHA256: mapping, Paper: rq.Mapping.Paper},
		Ledger:  Ledger{Records: m.collected.records, First: m.first, Intact: m.intact.ok, Says: m.intact.says, Seed: seed},
	}
	var sampled []int64
	for i, c := range rq.Mapping.Controls {
		r, err := m.result(ctx, c, i)
		if err != nil {
			return s, fmt.Errorf("control %s: %w", c.ID, err)
		}
		for _, one := range r.Samples {
			sampled = append(sampled, one.Record)
		}
		p.Controls = append(p.Controls, r)
	}
	if err := m.prove(ctx, &p, sampled); err != nil {
		return s, err
	}
	return k.sign(ctx, p)
}

// begin fixes the tree whose root chooses the samples, and how far it goes.
func (m *making) begin(ctx context.Context) (seed string, end int64, err error) {
	_, proved, err := m.proof(ctx, []int64{0})
	if err != nil {
		return "", 0, err
	}
	m.first = proved.Proved[0].Time
	return proved.Root, proved.TreeSize, nil
}

// collect reads the records of the period, from the lookback on.
func (m *making) collect(ctx context.Context, end int64) error {
	begin, err := ledger.Before(ctx, m.parts.DB, m.from.Add(-lookback))
	if err != nil {
		return err
	}
	return ledger.Scan(ctx, m.parts.DB, begin, end, m.collected.add)
}

// result fills in one control.
func (m *making) result(ctx context.Context, c Control, i int) (r Result, err error) {
	r = Result{
		ID: c.ID, Clause: c.Clause, Title: c.Title, Kind: c.Kind, Requirement: c.Requirement, How: c.How, Beyond: c.Beyond,
		Owner: cmp.Or(c.Owner, m.config.Owner), Figures: []Figure{}, Exceptions: []Exception{}, Samples: []Sample{},
	}
	for _, measure := range c.Measures {
		f, err := m.figure(ctx, measure)
		if err != nil {
			return r, fmt.Errorf("%s: %w", measure.Says, err)
		}
		r.Figures = append(r.Figures, f)
	}
	for _, kind := range c.Exceptions {
		more, err := m.exceptions(ctx, kind)
		if err != nil {
			return r, err
		}
		r.Exceptions = append(r.Exceptions, more...)
	}
	r.Exceptions = r.Exceptions[:min(len(r.Exceptions), maxExceptions)]
	for _, rec := range m.collected.samples[i].take() {
		if !m.intact.ok && !m.provable(ctx, rec.Seq) {
			continue // the pages say that the ledger is not intact
		}
		hash, err := rec.Hash()
		if err != nil {
			return r, err
		}
		r.Samples = append(r.Samples, Sample{Record: rec.Seq, Kind: rec.Kind, Time: rec.Time, Hash: hash})
	}
	r.Outcome = r.judge(m.collected.records)
	return r, nil
}

// maxExceptions bounds those of one control; the figures count all.
const maxExceptions = 1000

// figure computes a measure.
func (m *making) figure(ctx context.Context, measure Measure) (f Figure, err error) {
	switch {
	case measure.Count != nil:
		f = amount(m.count(measure.Count))
	case measure.Share != nil:
		f = m.share(measure.Share)
	default:
		f, err = findProbe(measure.Probe).value(m, ctx)
		if slices.Contains(fromBodies, measure.Probe) {
			f.Unread = m.collected.facts.unread
		}
	}
	for _, s := range measure.selections() {
		f.Unread += m.counted(s).unread
	}
	if f.Unread > 0 {
		f.Detail = strings.TrimPrefix(fmt.Sprintf("%s; not known of %d records, whose bodies were pruned", f.Detail, f.Unread), "; ")
	}
	f.Says, f.Unit, f.AtLeast, f.AtMost = measure.Says, measure.Unit, measure.AtLeast, measure.AtMost
	f.Outcome = f.judge()
	return f, err
}

func (m *making) share(s *Share) Figure {
	of := m.count(&s.Of)
	if s.Except != nil {
		return share(max(0, of-m.count(s.Except)), of)
	}
	return share(m.count(s.Part), of)
}

// count returns what the collector has counted for a selection of its mapping.
func (m *making) count(s *Selection) int64 { return m.counted(s).n }

func (m *making) counted(s *Selection) counted {
	i := slices.IndexFunc(m.collected.counts, func(c counted) bool { return c.Selection == s })
	return m.collected.counts[i]
}

// prove adds the proof of all samples, or of the first record where there is
// none.
func (m *making) prove(ctx context.Context, p *Pack, sampled []int64) error {
	if len(sampled) == 0 {
		sampled = []int64{0}
	}
	text, proved, err := m.proof(ctx, sampled)
	p.Proof = text
	p.Ledger.TreeSize, p.Ledger.Root, p.Ledger.Fingerprint = proved.TreeSize, proved.Root, proved.Fingerprint
	return err
}

// proof returns the proof of some records, checked.
func (m *making) proof(ctx context.Context, records []int64) (string, ledger.ProofResult, error) {
	var text strings.Builder
	if err := m.parts.Ledger.Prove(ctx, &text, records...); err != nil {
		return "", ledger.ProofResult{}, err
	}
	proved, err := ledger.VerifyProof(strings.NewReader(text.String()), ledger.VerifyOptions{})
	return text.String(), proved, err
}

// provable reports whether a record is still what was signed.
func (m *making) provable(ctx context.Context, record int64) bool {
	_, _, err := m.proof(ctx, []int64{record})
	return err == nil
}

// sign signs the pack, and records that it was made.
func (k *Maker) sign(ctx context.Context, p Pack) (s Signed, err error) {
	text, err := p.noteText()
	if err != nil {
		return s, err
	}
	s.Pack = p
	if s.Note, err = k.parts.Ledger.Attest(text); err != nil {
		return s, err
	}
	digest, err := p.Digest()
	if err != nil {
		return s, err
	}
	return s, k.parts.Ledger.Record(ctx, "evidence.made", map[string]any{
		"by": p.MadeBy, "from": p.From.Format(time.RFC3339), "to": p.To.Format(time.RFC3339), "mapping": p.Mapping.Name, "sha256": digest,
	})
}
