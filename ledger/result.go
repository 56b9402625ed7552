package ledger

import (
	"fmt"
	"strings"
	"time"
)

// VerifyOptions says what is known beforehand.
type VerifyOptions struct {
	// Key is one of the ledger's verifier keys, or its fingerprint "SHA256:…",
	// had from somewhere else than the export. Without it the origin is not
	// proved.
	Key string
	// Witnesses are verifier keys or fingerprints of witnesses; each must have
	// cosigned.
	Witnesses []string
	// Since is an older signed checkpoint of the same ledger, from which it must
	// have grown: see ReadCheckpoint.
	Since []byte
}

// Head is the signed tree that something was found in.
type Head struct {
	TreeSize     int64             `json:"tree_size"` // records signed
	Root         string            `json:"root"`      // base64
	Origin       string            `json:"origin"`
	Key          string            `json:"key"` // the verifier key that signed last
	Fingerprint  string            `json:"fingerprint"`
	Keys         []string          `json:"keys"` // fingerprints of all that signed, each introduced by the one before
	OriginProved bool              `json:"origin_proved"`
	Signed       time.Time         `json:"signed"`     // time of the last checkpoint
	Checkpoint   string            `json:"checkpoint"` // the last one, to be kept elsewhere
	Cosigned     []CosignedRecords `json:"cosigned,omitempty"`
}

// Result is what a verification found intact.
type Result struct {
	Head
	Records    int64     `json:"records"`
	First      time.Time `json:"first"` // time of the first record
	Last       time.Time `json:"last"`  // of the last that is signed
	Starts     int64     `json:"starts"`
	Unclean    int64     `json:"unclean_stops"` // starts after a run that did not end in order
	Broken     int64     `json:"broken_starts"` // starts that found the ledger changed, or an older copy of it
	Gaps       int64     `json:"gaps"`          // times at which the ledger says that records could not be written
	ClockJumps int64     `json:"clock_jumps"`
	Pruned     int64     `json:"pruned"` // records whose body is gone
	Since      *Since    `json:"since,omitempty"`
	Proves     string    `json:"proves"` // one sentence
}

// ProofResult is what a proof proves.
type ProofResult struct {
	Head
	Proved []Record `json:"proved"` // by number
	Proves string   `json:"proves"` // one sentence
}

// CosignedRecords is how many records a witness has cosigned.
type CosignedRecords struct {
	Cosignature
	Records int64 `json:"records"`
	Proved  bool  `json:"proved"` // its key was given
}

// Since is an older state from which the tree has grown.
type Since struct {
	Records int64     `json:"records"`
	Signed  time.Time `json:"signed"`
}

const second = time.RFC3339

func (r Result) sentence() string {
	records := fmt.Sprintf("%d records", r.TreeSize)
	if r.TreeSize == 1 {
		records = "one record"
	}
	s := fmt.Sprintf("The %s from %s to %s are, in this order and without a gap, what was signed at %s by the key %s",
		records, r.First.Format(second), r.Last.Format(second), r.Signed.Format(second), r.Fingerprint)
	if later := r.Records - r.TreeSize; later > 0 {
		s += fmt.Sprintf(" (%d later ones await their signature)", later)
	}
	if r.Since != nil {
		s += fmt.Sprintf("; the first %d are those that were signed at %s", r.Since.Records, r.Since.Signed.Format(second))
	}
	if r.Pruned > 0 {
		s += fmt.Sprintf("; of %d only time, kind and digest are left, as the ledger says", r.Pruned)
	}
	if r.Broken > 0 {
		s += fmt.Sprintf("; %d of them are starts that found the ledger changed, or an older copy in its place", r.Broken)
	}
	if r.Gaps > 0 {
		s += fmt.Sprintf("; %d of them say that others could not be written", r.Gaps)
	}
	return s + r.by()
}

func (r ProofResult) sentence() string {
	what := fmt.Sprintf("Record %d is", r.Proved[0].Seq)
	if n := len(r.Proved); n > 1 {
		what = fmt.Sprintf("The %d records shown, %d to %d, are", n, r.Proved[0].Seq, r.Proved[n-1].Seq)
	}
	s := fmt.Sprintf("%s, as shown, among the %d that were signed at %s by the key %s", what, r.TreeSize, r.Signed.Format(second), r.Fingerprint)
	bare := 0
	for _, p := range r.Proved {
		if p.Body == nil {
			bare++
		}
	}
	if bare > 0 {
		s += fmt.Sprintf("; of %d the body is not shown: it was pruned, or taken off this file", bare)
	}
	return s + r.by()
}

// by ends a sentence with whose word it is.
func (h Head) by() (s string) {
	for _, c := range h.Cosigned {
		whose := ", whose key was not checked"
		if c.Proved {
			whose = ", the witness you gave"
		}
		name, _, _ := strings.Cut(c.Witness, "+")
		s += fmt.Sprintf("; the first %d were cosigned at %s by %s%s", c.Records, c.Time.Format(second), name, whose)
	}
	if n := len(h.Keys); n > 1 {
		s += fmt.Sprintf("; that key is the last of %d, each introduced by the one before", n)
	}
	if !h.OriginProved {
		return s + "; whose key that is was not checked: give it with --key."
	}
	if len(h.Keys) > 1 {
		return s + "; the key you gave is among them."
	}
	return s + ", which is the key you gave."
}
