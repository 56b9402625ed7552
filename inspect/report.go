package inspect

import (
	"fmt"

	"cordon/dicom"
	"cordon/finding"
)

// report collects findings: one for each id and place, at most perKind of one
// id, so that a hostile object cannot fill memory or a page.
type report struct {
	perKind int
	list    []finding.Finding
	kinds   map[string]*tally
	fatal   *finding.Finding
	plain   bool // the object is not DICOM
}

// tally counts the findings of one id.
type tally struct {
	listed  int
	repeats int // in a place that is listed
	more    int
	last    int // index of the last listed one
}

func newReport(l Limits) report {
	if l.PerKind <= 0 {
		l.PerKind = 16
	}
	return report{perKind: l.PerKind, kinds: map[string]*tally{}}
}

// add reports a finding about e; nil stands for the object as a whole.
func (r *report) add(id string, e *dicom.Element, offset int64, detail string) {
	if t := r.tally(id); r.admits(t) {
		r.enlist(t, finding.New(id, r.where(e), offset, detail))
	}
}

// addAt is add with the place in words.
func (r *report) addAt(id, where string, offset int64, detail string) {
	if t := r.tally(id); r.admits(t) {
		r.enlist(t, finding.New(id, where, offset, detail))
	}
}

// maxRepeats bounds how often a place is looked up among those that are listed.
const maxRepeats = 1000

// admits counts a finding, and reports whether it may be listed.
func (r *report) admits(t *tally) bool {
	if t.listed == r.perKind || t.repeats == maxRepeats {
		t.more++
		return false
	}
	return true
}

func (r *report) enlist(t *tally, f finding.Finding) {
	for _, other := range r.list {
		if other.ID == f.ID && other.Where == f.Where {
			t.repeats++
			return
		}
	}
	t.listed++
	t.last = len(r.list)
	r.list = append(r.list, f)
}

func (r *report) tally(id string) *tally {
	t := r.kinds[id]
	if t == nil {
		t = &tally{}
		r.kinds[id] = t
	}
	return t
}

// where names the place of e: its path, or "object" for the object as a whole. All
// that there is of a plain file is "file".
func (r *report) where(e *dicom.Element) string {
	switch {
	case r.plain && (e == nil || e.Kind == dicom.KindUnparsed):
		return "file"
	case e == nil:
		return "object"
	}
	return e.Path()
}

// anomaly reports what the decoder noticed. Its codes are ids of the catalogue.
func (r *report) anomaly(e *dicom.Element, a dicom.Anomaly) {
	if a.Code == dicom.AnomalyNotDICOM {
		r.plain = true
	}
	r.add(string(a.Code), e, a.Offset, a.Detail)
	if a.Fatal && r.fatal == nil {
		f := finding.New(string(a.Code), r.where(e), a.Offset, a.Detail)
		r.fatal = &f
	}
}

// findings returns what was reported, with the number of those left out.
func (r *report) findings() []finding.Finding {
	for _, t := range r.kinds {
		if t.more > 0 {
			f := &r.list[t.last]
			f.More = t.more
			if f.Detail != "" {
				f.Detail += "; "
			}
			f.Detail += fmt.Sprintf("%d more like it", t.more)
		}
	}
	return r.list
}

// full reports whether further findings of an id would only be counted.
func (r *report) full(id string) bool {
	t := r.tally(id)
	return t.listed == r.perKind || t.repeats == maxRepeats
}

// raised reports whether a finding about the given place was reported.
func (r *report) raised(where string) bool {
	for _, f := range r.list {
		if f.Where == where {
			return true
		}
	}
	return false
}
