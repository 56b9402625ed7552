// Package query judges what is asked of an archive: the identifier of a C-FIND, C-MOVE or C-GET request (PS3.4
// annexes C, K, U, Y, Z and CC), before the archive sees it, and what a C-FIND finds, before the one who asked does.
//
//	rules := query.Rules{NeedKey: true}
//	refusal := rules.Check(query.Request{Command: dimse.CFindRQ, SOPClass: class, TransferSyntax: ts, Identifier: identifier})
//	if refusal != nil { ... } // answer refusal.Status, with its Offending Element and its comment
//
// An identifier may pass if it can be read in one way only, is within the limits, fits its SOP class (Query/Retrieve
// Level, unique keys, sequences), and each value fits its VR, its VM and the declared character set, with ranges,
// lists and wildcards only where the standard has them. Package dicom's dictionary says what each key is.
//
// It refuses a query as a whole or not at all. To leave out a key that is not allowed would widen the match, and the
// answer would be about other patients. A refusal names the rule and the element, never a value.
//
// Broad queries are normal: a worklist query often has no key but today's date, or none. They are limited in size here,
// and in rate and in the number of matches by whoever relays them.
//
// It does no input or output, keeps nothing between calls, and does not know who asks.
package query

import (
	"fmt"

	"cordon/dicom"
	"cordon/dicom/dimse"
)

// Rules are what a site allows. The zero Rules allow every key that the standard knows, within the default limits.
type Rules struct {
	Keys    []dicom.Tag // the only keys that may be asked for, at any depth; empty: all
	NeedKey bool        // a Query/Retrieve C-FIND has to match on some key; else it may ask for everything there is
	Limits  Limits
}

// Limits bound an identifier. A zero field means its default.
type Limits struct {
	Bytes     int // of the identifier, inflated; 128 KiB
	Elements  int // at all depths, items included; 512
	Depth     int // sequences around an element; 4
	UIDs      int // in one list; 2000
	Values    int // in any other list; 64
	Wildcards int // '*' in one value; 8
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&l.Bytes, 128 << 10}, {&l.Elements, 512}, {&l.Depth, 4}, {&l.UIDs, 2000}, {&l.Values, 64}, {&l.Wildcards, 8},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return l
}

// MaxBytes is the most bytes of an identifier that may pass.
func (r Rules) MaxBytes() int { return r.Limits.withDefaults().Bytes }

// Request is what is asked, and how.
type Request struct {
	Command        dimse.CommandField // C-FIND-RQ, C-MOVE-RQ or C-GET-RQ
	SOPClass       dicom.UID
	TransferSyntax dicom.UID // of the identifier
	Identifier     []byte
	Extended       []byte // the application information that both sides agreed on for the SOP class (PS3.7 §D.3.3.5); may be empty
}

// Statuses of refusals (PS3.4 tables C.4-1, C.4-2 and C.4-3). What the standard leaves open, Cxxx, is numbered here.
const (
	StatusMismatch     = dimse.DataSetDoesNotMatchSOPClass // A900: the offending element does not fit the SOP class, its VR or its VM
	StatusWrongClass   = dimse.SOPClassNotSupported        // 0122: the SOP class is not for this command
	StatusUnreadable   = dimse.Status(0xC020)              // the identifier cannot be read, or can be read in more than one way
	StatusTooLarge     = dimse.Status(0xC021)              // the identifier passes a limit
	StatusKeyForbidden = dimse.Status(0xC022)              // the site does not allow the offending element as a key
	StatusNoKey        = dimse.Status(0xC023)              // the query matches on nothing, and the site wants it to
)

// Refusal says why a request may not pass. Its texts hold no values.
type Refusal struct {
	Status    dimse.Status
	Offending []dicom.Tag // Offending Element (0000,0901)
	Comment   string      // Error Comment (0000,0902), at most 64 characters
}

// Error is the refusal in one line, for a log or a record.
func (r *Refusal) Error() string {
	if len(r.Offending) == 0 {
		return fmt.Sprintf("%s (status %04X)", r.Comment, uint16(r.Status))
	}
	return fmt.Sprintf("%v: %s (status %04X)", r.Offending[0], r.Comment, uint16(r.Status))
}

func mismatch(t dicom.Tag, format string, args ...any) *Refusal {
	return refuse(StatusMismatch, t, format, args...)
}

func refuse(s dimse.Status, t dicom.Tag, format string, args ...any) *Refusal {
	r := &Refusal{Status: s, Comment: fmt.Sprintf(format, args...)}
	if t != 0 {
		r.Offending = []dicom.Tag{t}
	}
	return r
}

// Check says why the request may not pass, or nil.
func (r Rules) Check(rq Request) *Refusal {
	m := modelOf(rq.SOPClass, rq.Command)
	if m == nil {
		return refuse(StatusWrongClass, 0, "SOP class is not for %v", rq.Command)
	}
	limits := r.Limits.withDefaults()
	elements, refusal := read(rq.Identifier, rq.TransferSyntax, limits)
	if refusal != nil {
		return refusal
	}
	c := check{rules: r, limits: limits, model: m, relational: isRelational(rq.Extended), elements: elements}
	for _, step := range [...]func(*check) *Refusal{(*check).keys, (*check).values, (*check).level, (*check).breadth} {
		if refusal := step(&c); refusal != nil {
			return refusal
		}
	}
	return nil
}

// check is one identifier under examination.
type check struct {
	rules      Rules
	limits     Limits
	model      *model
	relational bool
	elements   []element
}

// isRelational tells whether relational queries or retrieval were agreed on: the first byte (PS3.4 tables C.5-1, C.5-2, C.5-3).
func isRelational(extended []byte) bool { return len(extended) > 0 && extended[0] == 1 }
