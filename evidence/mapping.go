package evidence

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/goccy/go-yaml"
)

// A Mapping says which controls there are, and what of the ledger and the database
// shows each. It is YAML; hipaa.yaml is the example.
type Mapping struct {
	Name     string    `yaml:"name" json:"name"`
	Edition  string    `yaml:"edition" json:"edition,omitempty"`
	Paper    string    `yaml:"paper" json:"paper,omitempty"` // a4 (the default) or letter
	Controls []Control `yaml:"controls" json:"controls"`
}

// Control is one page of a pack.
type Control struct {
	ID          string    `yaml:"id" json:"id,omitempty"`
	Clause      string    `yaml:"clause" json:"clause,omitempty"`
	Title       string    `yaml:"title" json:"title,omitempty"`
	Kind        string    `yaml:"kind" json:"kind,omitempty"` // such as required, addressable
	Requirement string    `yaml:"requirement" json:"requirement,omitempty"`
	Owner       string    `yaml:"owner" json:"owner,omitempty"`   // "" for the site's
	How         string    `yaml:"how" json:"how,omitempty"`       // what Cordon does
	Beyond      string    `yaml:"beyond" json:"beyond,omitempty"` // what it does not show
	Measures    []Measure `yaml:"measures" json:"measures,omitempty"`
	Exceptions  []string  `yaml:"exceptions" json:"exceptions,omitempty"` // exceptionKinds
	Samples     []string  `yaml:"samples" json:"samples,omitempty"`       // kinds of records, as in Selection
}

// Measure is one figure: exactly one of Count, Share and Probe. Without AtLeast
// and AtMost it is a fact that nothing is asked of.
type Measure struct {
	Says    string     `yaml:"says" json:"says,omitempty"`
	Count   *Selection `yaml:"count" json:"count,omitempty"`
	Share   *Share     `yaml:"share" json:"share,omitempty"`
	Probe   string     `yaml:"probe" json:"probe,omitempty"` // one of Probes
	AtLeast *float64   `yaml:"at_least" json:"at_least,omitempty"`
	AtMost  *float64   `yaml:"at_most" json:"at_most,omitempty"`
	Unit    string     `yaml:"unit" json:"unit,omitempty"`
}

// Share is how many of some records are such records, in percent, or are not: one
// of Part and Except.
type Share struct {
	Of     Selection  `yaml:"of" json:"of,omitempty"`
	Part   *Selection `yaml:"part" json:"part,omitempty"`
	Except *Selection `yaml:"except" json:"except,omitempty"`
}

// Selection chooses records: of one of the kinds (a "*" at the end stands for any
// ending), whose body has these values. "*" is any value that is not empty; the
// key people is how many people did it.
type Selection struct {
	Kinds []string       `yaml:"kinds" json:"kinds,omitempty"`
	Where map[string]any `yaml:"where" json:"where,omitempty"`
}

const (
	maxMapping  = 1 << 20
	maxControls = 500
	maxMeasures = 12
	maxText     = 1200 // bytes
	maxTitle    = 120
)

//go:embed mappings/hipaa.yaml
var hipaa []byte

// HIPAA returns the text of the mapping for the HIPAA Security Rule.
func HIPAA() []byte { return bytes.Clone(hipaa) }

// ReadMapping reads and checks the text of a mapping. The parser's memory grows
// with the square of the levels: do not give it texts that others wrote.
func ReadMapping(text []byte) (m Mapping, err error) {
	if len(text) > maxMapping {
		return m, fmt.Errorf("mapping: %d bytes, at most %d", len(text), maxMapping)
	}
	if err := yaml.UnmarshalWithOptions(text, &m, yaml.Strict()); err != nil {
		return m, fmt.Errorf("mapping: %w", err)
	}
	return m, m.Check()
}

// Digest is the SHA-256 of the mapping in its one JSON form, in hexadecimal.
func (m Mapping) Digest() (string, error) {
	text, err := encode(m, "")
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), err
}

// Check reports what is wrong with a mapping: it names the control, and says what
// to write instead.
func (m Mapping) Check() error {
	switch {
	case m.Name == "" || len(m.Name) > maxTitle || len(m.Edition) > maxTitle:
		return fmt.Errorf("mapping: a name of 1 to %d bytes is needed, an edition has as many at most", maxTitle)
	case m.Paper != "" && m.Paper != "a4" && m.Paper != "letter":
		return fmt.Errorf("mapping: paper %.20q: write a4 or letter", m.Paper)
	case len(m.Controls) == 0 || len(m.Controls) > maxControls:
		return fmt.Errorf("mapping: %d controls, expected 1 to %d", len(m.Controls), maxControls)
	}
	seen := map[string]bool{}
	for i, c := range m.Controls {
		if err := c.check(); err != nil {
			return fmt.Errorf("mapping: controls[%d] %.40q: %w", i, c.ID, err)
		}
		if seen[c.ID] {
			return fmt.Errorf("mapping: controls[%d]: id %q appears twice", i, c.ID)
		}
		seen[c.ID] = true
	}
	return nil
}

var idForm = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`)

func (c Control) check() error {
	switch {
	case !idForm.MatchString(c.ID) || len(c.ID) > 60:
		return errors.New("id: write lower case letters and digits, with dashes between words")
	case c.Clause == "" || c.Title == "" || c.How == "":
		return errors.New("clause, title and how are needed")
	case len(c.Clause) > maxTitle || len(c.Title) > maxTitle || len(c.Kind) > maxTitle || len(c.Owner) > maxTitle:
		return fmt.Errorf("clause, title, kind and owner have at most %d bytes each", maxTitle)
	case len(c.Requirement) > maxText || len(c.How) > maxText || len(c.Beyond) > maxText:
		return fmt.Errorf("requirement, how and beyond have at most %d bytes each", maxText)
	case len(c.Measures) > maxMeasures:
		return fmt.Errorf("%d measures, at most %d fit on a page", len(c.Measures), maxMeasures)
	case len(c.Measures) == 0 && c.Beyond == "":
		return errors.New("without measures, beyond has to say who shows it instead")
	}
	for i, m := range c.Measures {
		if err := m.check(); err != nil {
			return fmt.Errorf("measures[%d]: %w", i, err)
		}
	}
	for _, k := range c.Exceptions {
		if !slices.Contains(exceptionKinds, k) {
			return fmt.Errorf("exceptions: %.40q: write some of %q", k, exceptionKinds)
		}
	}
	return checkKinds(c.Samples)
}

var kindForm = regexp.MustCompile(`^[a-z][a-z0-9._-]*\*?$`)

func checkKinds(kinds []string) error {
	for _, k := range kinds {
		if !kindForm.MatchString(k) || len(k) > 64 {
			return fmt.Errorf("%.40q is not a kind of record, such as object.held or object.*", k)
		}
	}
	return nil
}

func (m Measure) check() error {
	given := 0
	for _, is := range []bool{m.Count != nil, m.Share != nil, m.Probe != ""} {
		if is {
			given++
		}
	}
	switch {
	case m.Says == "" || len(m.Says) > maxTitle:
		return fmt.Errorf("says: 1 to %d bytes are needed", maxTitle)
	case given != 1:
		return errors.New("write exactly one of count, share and probe")
	case m.Share != nil && (m.Share.Part == nil) == (m.Share.Except == nil):
		return errors.New("share: write part or except")
	case m.AtLeast != nil && m.AtMost != nil:
		return errors.New("write at_least or at_most, not both")
	case len(m.Unit) > 8:
		return errors.New("unit: at most 8 bytes")
	case m.Probe != "" && !knownProbe(m.Probe):
		return fmt.Errorf("probe %.40q: write one of %q", m.Probe, probeNames())
	}
	for _, s := range m.selections() {
		if len(s.Kinds) == 0 {
			return errors.New("kinds are needed")
		}
		if err := checkKinds(s.Kinds); err != nil {
			return err
		}
	}
	return nil
}

func (m Measure) selections() []*Selection {
	switch {
	case m.Count != nil:
		return []*Selection{m.Count}
	case m.Share != nil:
		return []*Selection{&m.Share.Of, cmp.Or(m.Share.Part, m.Share.Except)}
	}
	return nil
}
