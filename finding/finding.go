// Package finding holds the nouns that every line of defence shares: what an inspector
// saw (Finding), how bad it is (Severity), what an outside engine answered (Result), what
// policy decided (Verdict), and the sum of one judgement (Report). The catalogue says for
// every finding what it means and what to do about it; code, documentation and console
// read that one table.
//
// Ordinary use:
//
//	f := finding.New("eicar", "(0009,1001)", 1234, "")
//	if f.Severity >= finding.Suspicious { … }
//	kind, _ := finding.Lookup(f.ID)
//	fmt.Println(kind.Title, kind.Action)
//
// The package decides nothing: packages inspect and engine produce, package policy decides.
// No field may ever hold patient data; details name tags, lengths and numbers only.
package finding

import "fmt"

// Severity says how much harm a finding stands for. The zero value is Info.
type Severity uint8

const (
	Info       Severity = iota // worth knowing; never a reason to hold an image
	Suspicious                 // has no place in a real image, or is known to break its readers
	Malicious                  // a payload: runs, or is listed as harmful
)

var severityNames = [...]string{Info: "info", Suspicious: "suspicious", Malicious: "malicious"}

func (s Severity) String() string { return name(severityNames[:], int(s), "severity") }

// MarshalText writes "info", "suspicious" or "malicious".
func (s Severity) MarshalText() ([]byte, error) { return marshal(severityNames[:], int(s), "severity") }

// UnmarshalText reads what MarshalText writes.
func (s *Severity) UnmarshalText(p []byte) error {
	i, err := unmarshal(severityNames[:], p, "severity")
	*s = Severity(i)
	return err
}

// Finding is one thing an inspector saw in one place.
type Finding struct {
	ID       string   `json:"id"`       // a row of the catalogue
	Severity Severity `json:"severity"` // of that row
	Where    string   `json:"where"`    // tag path "(0040,A730)[2].(0009,1001)", or "preamble", "trailer", "file"
	Offset   int64    `json:"offset"`   // bytes from the start of the object as received; inside deflated data, of the inflated stream
	Detail   string   `json:"detail"`   // numbers and names of formats, never values

	More     int    `json:"more,omitempty"`     // further findings of this kind, in any place, that are not listed
	Excepted string `json:"excepted,omitempty"` // the exception that covers it: it weighs as info
}

// New makes a finding of the catalogue's kind id, with that kind's severity. An id that the
// catalogue does not know is malicious: the guess may hold more, never fewer.
func New(id, where string, offset int64, detail string) Finding {
	f := Finding{ID: id, Severity: Malicious, Where: where, Offset: offset, Detail: detail}
	if k, ok := Lookup(id); ok {
		f.Severity = k.Severity
	}
	return f
}

// Worst returns the highest severity among fs; Info when there is none.
func Worst(fs []Finding) Severity {
	worst := Info
	for _, f := range fs {
		worst = max(worst, f.Severity)
	}
	return worst
}

// Verdict is what policy decided about an object. The zero value admits nothing.
type Verdict uint8

const (
	Undecided Verdict = iota
	Admit             // may be delivered
	Hold              // goes to the vault
	Refuse            // is not taken: the sender keeps its copy
)

var verdictNames = [...]string{Undecided: "undecided", Admit: "admit", Hold: "hold", Refuse: "refuse"}

func (v Verdict) String() string { return name(verdictNames[:], int(v), "verdict") }

// MarshalText writes "undecided", "admit", "hold" or "refuse".
func (v Verdict) MarshalText() ([]byte, error) { return marshal(verdictNames[:], int(v), "verdict") }

// UnmarshalText reads what MarshalText writes.
func (v *Verdict) UnmarshalText(p []byte) error {
	i, err := unmarshal(verdictNames[:], p, "verdict")
	*v = Verdict(i)
	return err
}

// Result is what an outside engine answered. The zero value is Unscanned, which is never Clean.
type Result uint8

const (
	Unscanned Result = iota
	Clean
	ResultMalicious
)

var resultNames = [...]string{Unscanned: "unscanned", Clean: "clean", ResultMalicious: "malicious"}

func (r Result) String() string { return name(resultNames[:], int(r), "result") }

// MarshalText writes "unscanned", "clean" or "malicious".
func (r Result) MarshalText() ([]byte, error) { return marshal(resultNames[:], int(r), "result") }

// UnmarshalText reads what MarshalText writes.
func (r *Result) UnmarshalText(p []byte) error {
	i, err := unmarshal(resultNames[:], p, "result")
	*r = Result(i)
	return err
}

// EngineResult is one outside engine's answer about one object.
type EngineResult struct {
	Name       string `json:"name"`
	Result     Result `json:"result"`
	Detail     string `json:"detail"`     // signature name, or why it was not scanned
	Signatures string `json:"signatures"` // version and date of the engine's signatures
}

// Identity names an object. It holds no patient data.
type Identity struct {
	SOPClassUID       string `json:"sop_class_uid,omitempty"`
	SOPInstanceUID    string `json:"sop_instance_uid,omitempty"`
	StudyInstanceUID  string `json:"study_instance_uid,omitempty"`
	SeriesInstanceUID string `json:"series_instance_uid,omitempty"`
	TransferSyntaxUID string `json:"transfer_syntax_uid,omitempty"`
}

// Report is the sum of one judgement.
type Report struct {
	Verdict  Verdict
	Findings []Finding
	Engines  []EngineResult
	Identity Identity
	Bytes    int64
	SHA256   [32]byte
	Fatal    *Finding // why the object could not be read to its end; nil when it was
}

func name(names []string, i int, kind string) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%s(%d)", kind, i)
}

func marshal(names []string, i int, kind string) ([]byte, error) {
	if i >= len(names) {
		return nil, fmt.Errorf("%s %d: not one of %q", kind, i, names)
	}
	return []byte(names[i]), nil
}

func unmarshal(names []string, p []byte, kind string) (int, error) {
	for i, n := range names {
		if n == string(p) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%s %q: not one of %q", kind, p, names)
}
