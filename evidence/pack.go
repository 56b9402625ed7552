package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"cordon/ledger"
)

// packFormat is the form of a pack that this Cordon writes and reads.
const packFormat = 1

// Pack is what was found for each control. It holds no patient data.
type Pack struct {
	Format  int       `json:"cordon-evidence"`
	Site    string    `json:"site"`
	Version string    `json:"version"` // of the Cordon that made it
	MadeAt  time.Time `json:"made_at"`
	MadeBy  string    `json:"made_by,omitempty"` // as asserted
	From    time.Time `json:"from"`
	To      time.Time `json:"to"` // excluded

	Mapping  MappingName `json:"mapping"`
	Ledger   Ledger      `json:"ledger"`
	Controls []Result    `json:"controls"`
	Proof    string      `json:"proof"` // of each sample: what cordon ledger prove writes
}

// MappingName names the mapping that was used.
type MappingName struct {
	Name    string `json:"name"`
	Edition string `json:"edition,omitempty"`
	SHA256  string `json:"sha256"`
	Paper   string `json:"paper,omitempty"`
}

// Ledger is the log that the pack rests on.
type Ledger struct {
	Records     int64     `json:"records"`        // in the period
	First       time.Time `json:"first,omitzero"` // of the whole ledger
	TreeSize    int64     `json:"tree_size"`      // records that the checkpoint of the proof signs
	Root        string    `json:"root"`           // of the tree, base64
	Fingerprint string    `json:"fingerprint"`    // of the key
	Intact      bool      `json:"intact"`         // verified when the pack was made, every record and signature
	Says        string    `json:"says"`           // what that proved, or what was wrong
	Seed        string    `json:"seed"`           // the root by which samples were chosen: see Sample
}

// Outcome is how a figure or a control stands.
type Outcome string

const (
	Met          Outcome = "met"
	NotMet       Outcome = "not met"
	NoCase       Outcome = "no case"       // nothing happened that could be measured
	Fact         Outcome = "fact"          // of a figure: nothing is asked of it
	NotEvidenced Outcome = "not evidenced" // of a control: Cordon cannot show it
)

// Result is one control.
type Result struct {
	ID          string      `json:"id"`
	Clause      string      `json:"clause"`
	Title       string      `json:"title"`
	Kind        string      `json:"kind,omitempty"`
	Requirement string      `json:"requirement,omitempty"`
	Owner       string      `json:"owner,omitempty"`
	How         string      `json:"how"`
	Beyond      string      `json:"beyond,omitempty"`
	Outcome     Outcome     `json:"outcome"`
	Figures     []Figure    `json:"figures"`
	Exceptions  []Exception `json:"exceptions"`
	Samples     []Sample    `json:"samples"`
}

// Figure is one measure with its value: a share is Part of Of, anything else is
// Value.
type Figure struct {
	Says    string   `json:"says"`
	Value   float64  `json:"value"`
	Share   bool     `json:"share,omitempty"`
	Part    int64    `json:"part,omitempty"`
	Of      int64    `json:"of,omitempty"`
	Unit    string   `json:"unit,omitempty"`
	AtLeast *float64 `json:"at_least,omitempty"`
	AtMost  *float64 `json:"at_most,omitempty"`
	Outcome Outcome  `json:"outcome"`
	Unread  int64    `json:"unread,omitempty"` // records of the period that it looks into and whose bodies are gone
	Detail  string   `json:"detail,omitempty"` // why the value is as it is, or cannot be had
}

// Exception is something that weakens a control, with its end if it has one.
type Exception struct {
	What    string    `json:"what"`
	Who     string    `json:"who,omitempty"`
	Why     string    `json:"why,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	Expires time.Time `json:"expires,omitzero"` // zero: no end
}

// Sample is a record that shows the control at work. Which ones are taken is
// decided by the hash of the ledger's root and their numbers, so that nobody can
// choose those that look best.
type Sample struct {
	Record int64     `json:"record"`
	Kind   string    `json:"kind"`
	Time   time.Time `json:"time"`
	Hash   string    `json:"hash"` // of the record as a leaf of the tree, base64
}

// judge decides the figure's outcome from its own numbers. Where bodies are gone it
// is not met only if it could not be whatever they said, and never met.
func (f Figure) judge() Outcome {
	part := min(f.Of, f.Part+f.Unread)
	switch {
	case !f.asked():
		return Fact
	case f.Share && f.Of == 0:
		return NoCase
	case f.Share && f.AtLeast != nil && float64(part)*100 < *f.AtLeast*float64(f.Of),
		f.Share && f.AtMost != nil && float64(f.Part)*100 > *f.AtMost*float64(f.Of),
		!f.Share && f.AtLeast != nil && f.Value < *f.AtLeast,
		!f.Share && f.AtMost != nil && f.Value > *f.AtMost:
		return NotMet
	case f.Unread > 0:
		return NoCase
	}
	return Met
}

// judge decides the control's outcome from its figures. One that is not met is
// enough. Nothing is shown without a figure of which something is asked; the first
// of them says whether there was a case at all, so that a control of which nothing
// was asked in the period is not called met; nor is any in a period of which
// Cordon has no record.
func (r Result) judge(records int64) Outcome {
	first, met := Outcome(""), false
	for _, f := range r.Figures {
		if f.Outcome == NotMet {
			return NotMet
		}
		if first == "" && f.asked() {
			first = f.Outcome
		}
		met = met || f.Outcome == Met
	}
	switch {
	case first == "":
		return NotEvidenced
	case first == NoCase || !met || records == 0:
		return NoCase
	}
	return Met
}

func (f Figure) asked() bool { return f.AtLeast != nil || f.AtMost != nil }

// Signed is a pack with the note that signs its digest.
type Signed struct {
	Pack Pack   `json:"pack"`
	Note string `json:"note"`
}

// Digest is the SHA-256 of the pack in its one JSON form, in hexadecimal.
func (p Pack) Digest() (string, error) {
	text, err := encode(p, "")
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// encode writes JSON in one form.
func encode(v any, indent string) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	err := e.Encode(v)
	return out.Bytes(), err
}

// noteText is what is signed.
func (p Pack) noteText() (string, error) {
	digest, err := p.Digest()
	return fmt.Sprintf("evidence v%d\nsha256 %s\ntree %d %s\n", p.Format, digest, p.Ledger.TreeSize, p.Ledger.Root), err
}

// JSON writes the pack as a file that Verify accepts.
func (s Signed) JSON(w io.Writer) error {
	text, err := encode(s, " ")
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// maxPack bounds the file that Verify reads.
const maxPack = 64 << 20

// Read reads a pack's JSON. It accepts only the form that JSON writes, so that no
// bit of the file is free.
func Read(r io.Reader) (s Signed, err error) {
	text, err := io.ReadAll(io.LimitReader(r, maxPack+1))
	if err != nil {
		return s, err
	}
	if len(text) > maxPack {
		return s, fmt.Errorf("more than %d MiB: not an evidence pack", maxPack>>20)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, fmt.Errorf("not an evidence pack: %w", err)
	}
	if s.Pack.Format != packFormat {
		return s, fmt.Errorf("evidence pack of format %d: this Cordon reads format %d", s.Pack.Format, packFormat)
	}
	again, err := encode(s, " ")
	if err != nil {
		return s, err
	}
	if !bytes.Equal(again, text) {
		return s, errors.New("not in the form in which it was written: it was edited")
	}
	return s, nil
}

// Verdict is what a verification found.
type Verdict struct {
	Site         string    `json:"site"`
	From         time.Time `json:"from"`
	To           time.Time `json:"to"`
	Controls     int       `json:"controls"`
	Samples      int       `json:"samples"` // records proved to be in the ledger
	SHA256       string    `json:"sha256"`
	Fingerprint  string    `json:"fingerprint"`
	OriginProved bool      `json:"origin_proved"`
	Proves       string    `json:"proves"` // one sentence
}

// Verify checks a pack offline: the signature over its digest, the inclusion of
// every sample in the tree that is signed, and that each outcome follows from its
// figures. Any error means that it is not what Cordon made.
func (s Signed) Verify(o ledger.VerifyOptions) (v Verdict, err error) {
	p := s.Pack
	proved, err := ledger.VerifyProof(strings.NewReader(p.Proof), o)
	if err != nil {
		return v, fmt.Errorf("proof: %w", err)
	}
	if v.SHA256, err = p.Digest(); err != nil {
		return v, err
	}
	want, err := p.noteText()
	if err != nil {
		return v, err
	}
	text, err := ledger.CheckAttestation(s.Note, proved.Key)
	if err != nil {
		return v, fmt.Errorf("signature: %w", err)
	}
	if text != want {
		return v, errors.New("the signature is not over this pack: it was changed, or the signature is another's")
	}
	if err := p.verifySamples(proved); err != nil {
		return v, err
	}
	if err := p.verifyOutcomes(); err != nil {
		return v, err
	}
	v.Site, v.From, v.To, v.Controls, v.Samples = p.Site, p.From, p.To, len(p.Controls), p.samples()
	v.Fingerprint, v.OriginProved = proved.Fingerprint, proved.OriginProved
	v.Proves = v.sentence(p)
	return v, nil
}

// verifySamples holds what the pages say of the ledger against the proof.
func (p Pack) verifySamples(proved ledger.ProofResult) error {
	if p.Ledger.TreeSize != proved.TreeSize || p.Ledger.Root != proved.Root || p.Ledger.Fingerprint != proved.Fingerprint {
		return errors.New("the pages name another tree or key than the proof")
	}
	records := map[int64]ledger.Record{}
	for _, r := range proved.Proved {
		records[r.Seq] = r
	}
	for _, c := range p.Controls {
		for _, s := range c.Samples {
			r, ok := records[s.Record]
			if !ok || r.Kind != s.Kind || !r.Time.Equal(s.Time) {
				return fmt.Errorf("control %s: record %d is not what the proof holds", c.ID, s.Record)
			}
			if hash, err := r.Hash(); err != nil || hash != s.Hash {
				return fmt.Errorf("control %s: record %d has another hash", c.ID, s.Record)
			}
		}
	}
	return nil
}

// samples counts the records that the pages name. The proof has another one if
// they name none.
func (p Pack) samples() int {
	named := map[int64]bool{}
	for _, c := range p.Controls {
		for _, s := range c.Samples {
			named[s.Record] = true
		}
	}
	return len(named)
}

// verifyOutcomes judges every figure and control again.
func (p Pack) verifyOutcomes() error {
	for _, c := range p.Controls {
		for _, f := range c.Figures {
			if f.judge() != f.Outcome {
				return fmt.Errorf("control %s: %q is called %s, its figures say %s", c.ID, f.Says, f.Outcome, f.judge())
			}
		}
		if want := c.judge(p.Ledger.Records); want != c.Outcome {
			return fmt.Errorf("control %s is called %s, its figures say %s", c.ID, c.Outcome, want)
		}
	}
	return nil
}

func (v Verdict) sentence(p Pack) string {
	s := fmt.Sprintf("The pack of %d controls for %s is, to the bit, what the key %s signed at %s; its %d sample records are among the %d that the checkpoint signs",
		v.Controls, p.Site, v.Fingerprint, p.MadeAt.UTC().Format(time.RFC3339), v.Samples, p.Ledger.TreeSize)
	if v.OriginProved {
		return s + ". The key is the one you gave."
	}
	return s + ". Whose key that is was not checked: give it with --key."
}

// Count returns how many controls have an outcome.
func (p Pack) Count(o Outcome) int {
	n := 0
	for _, c := range p.Controls {
		if c.Outcome == o {
			n++
		}
	}
	return n
}
