package policy

import (
	"net/netip"
	"strings"

	"cordon/dicom"
	"cordon/finding"
)

// Origin is who sent an object: a declared device by its name, a learned one
// by its calling AE title and address.
type Origin struct {
	Device    string
	CallingAE dicom.AETitle
	Address   netip.Addr
}

// Subject is the origin as exceptions name it: of a declared device its name
// alone. The zero Subject is nobody.
func (o Origin) Subject() Origin {
	if o.Device != "" {
		return Origin{Device: o.Device}
	}
	if o.CallingAE == "" || !o.Address.IsValid() {
		return Origin{}
	}
	return Origin{CallingAE: o.CallingAE, Address: o.Address.Unmap()}
}

// Exception says that a finding is the habit of one device, which people know.
type Exception struct {
	ID      string // names it in reports and records
	Subject Origin
	Finding string // a row of the catalogue that may be excepted
	Place   string // where, as Place writes it; "" means anywhere
}

// Place is where a finding was made without the numbers of items, fragments
// and members, which differ from object to object:
// "(0040,A730)[2].(0009,1001)" becomes "(0040,A730).(0009,1001)".
func Place(where string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(where, "[")
		out.WriteString(before)
		_, after, closed := strings.Cut(rest, "]")
		if !found || !closed {
			return out.String()
		}
		where = after
	}
}

// covers reports whether the exception applies to f in an object from o. An
// exception for one place says nothing about findings that are not listed.
func (e Exception) covers(o Origin, f finding.Finding, unlisted bool) bool {
	return e.ID != "" && finding.Exceptable(f) && e.Finding == f.ID &&
		e.Subject != Origin{} && e.Subject.Subject() == o.Subject() &&
		(e.Place == "" || !unlisted && e.Place == Place(f.Where))
}

// Except marks the findings that an exception covers, in an object from o. It
// changes no finding that may not be excepted, whatever the exceptions say.
func Except(fs []finding.Finding, o Origin, es []Exception) []finding.Finding {
	out := make([]finding.Finding, 0, len(fs))
	for _, f := range fs {
		f.Excepted = ""
		for _, e := range es {
			if e.covers(o, f, unlisted(fs, f.ID)) {
				f.Excepted = e.ID
				break
			}
		}
		out = append(out, f)
	}
	return out
}

// unlisted reports whether there are findings of a kind that fs does not list.
func unlisted(fs []finding.Finding, id string) bool {
	for _, f := range fs {
		if f.ID == id && f.More > 0 {
			return true
		}
	}
	return false
}

// Tolerable returns the findings that are all that keeps the object that r
// describes from being delivered, if every one of them may be excepted; else
// none. Monitor mode makes no difference.
func (rules Rules) Tolerable(r finding.Report) []finding.Finding {
	if rules.strongest(r).Verdict == finding.Admit {
		return nil
	}
	var all []finding.Finding
	tolerated := r
	tolerated.Findings = make([]finding.Finding, 0, len(r.Findings))
	for _, f := range r.Findings {
		if f.Excepted == "" && finding.Exceptable(f) {
			all = append(all, f)
			f.Excepted = "all"
		}
		tolerated.Findings = append(tolerated.Findings, f)
	}
	if rules.strongest(tolerated).Verdict != finding.Admit {
		return nil
	}
	return all
}

// weight is the severity that a finding has in a decision. It asks the
// catalogue again: a mark on what may not be excepted weighs nothing.
func weight(f finding.Finding) finding.Severity {
	if f.Excepted != "" && finding.Exceptable(f) {
		return finding.Info
	}
	return f.Severity
}
