package held

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"cordon/custody"
	"cordon/finding"
)

const (
	studiesOnPage = 25
	objectsOnPage = 50
	looked        = 10 // objects of a study that say what was found in it
)

// filter is what the list is narrowed to, as the address says.
type filter struct {
	From, Archive, Finding, Severity, Since string
	Study                                   string
	OfStudy                                 bool // the objects of one study, not studies
	Before                                  string
}

func filterOf(q url.Values) filter {
	return filter{
		From: q.Get("from"), Archive: q.Get("archive"), Finding: q.Get("finding"), Severity: q.Get("severity"), Since: q.Get("since"),
		Study: q.Get("study"), OfStudy: q.Has("study"), Before: q.Get("before"),
	}
}

// Any reports whether something is narrowed.
func (f filter) Any() bool {
	return f.From != "" || f.Archive != "" || f.Finding != "" || f.Severity != "" || f.Since != ""
}

// query is the filter as an address has it, from a key on.
func (f filter) query(before string) string {
	q := url.Values{}
	for name, value := range map[string]string{
		"from": f.From, "archive": f.Archive, "finding": f.Finding, "severity": f.Severity, "since": f.Since, "before": before,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.OfStudy {
		q.Set("study", f.Study)
	}
	return "/held?" + q.Encode()
}

// custody is the filter as custody takes it. A time that is none narrows nothing.
func (f filter) custody(limit int) custody.HeldFilter {
	h := custody.HeldFilter{
		StudyInstanceUID: f.Study, Study: f.OfStudy, From: f.From, Archive: f.Archive, Before: f.Before, Limit: limit,
	}
	if since, err := time.ParseInLocation(time.DateOnly, f.Since, time.Local); err == nil {
		h.Since = since
	}
	var severity finding.Severity
	if f.Severity != "" && severity.UnmarshalText([]byte(f.Severity)) == nil {
		h.Findings = []string{}
		for _, k := range finding.Catalogue() {
			if k.Severity == severity {
				h.Findings = append(h.Findings, k.ID)
			}
		}
	}
	if f.Finding != "" {
		h.Findings = []string{f.Finding}
	}
	return h
}

// list is what the page shows.
type list struct {
	Filter  filter
	Held    int // in all
	Waits   []wait
	Kinds   []finding.Kind
	Studies []study
	Items   []line // of one study, if the filter says so
	Of      study  // that study
	Next    string // address of the next page; "" if this is the last
	First   string // address of the first page; "" if this is it
	Behind  int64  // records that the count of studies does not know yet
}

// study is one of which something is held.
type study struct {
	custody.HeldStudy
	Total    int      // instances of it that Cordon has heard of, those held included
	From     []string // devices, or calling AE titles
	Archives []string
	Titles   []string // of what was found, the worst first
	Worst    finding.Severity
	More     bool // objects were not looked at
	Link     string
}

// line is one held object.
type line struct {
	custody.Object
	Titles  []string
	Worst   finding.Severity
	Waiting string // for a second person, to do this
}

func (p *pages) showList(w http.ResponseWriter, r *http.Request) {
	l, err := p.gather(r.Context(), filterOf(r.URL.Query()))
	if err != nil {
		p.refused(w, r, err)
		return
	}
	p.list.Show(w, r, l)
}

func (p *pages) gather(ctx context.Context, f filter) (l list, err error) {
	l.Filter = f
	stats, err := p.Custody.Stats(ctx)
	if err != nil {
		return l, err
	}
	l.Held = stats.Held
	ids, err := p.Custody.HeldFindings(ctx)
	if err != nil {
		return l, err
	}
	for _, id := range ids {
		if k, ok := finding.Lookup(id); ok && k.Severity > finding.Info {
			l.Kinds = append(l.Kinds, k)
		}
	}
	if f.Before != "" {
		l.First = f.query("")
	}
	if f.OfStudy {
		return l, p.gatherItems(ctx, &l)
	}
	if f == (filter{}) {
		if l.Waits, err = p.waits(ctx); err != nil {
			return l, err
		}
	}
	return l, p.gatherStudies(ctx, &l)
}

func (p *pages) gatherStudies(ctx context.Context, l *list) error {
	chosen := l.Filter.custody(studiesOnPage + 1)
	all, err := p.Custody.HeldStudies(ctx, chosen)
	if err != nil {
		return err
	}
	if len(all) > studiesOnPage {
		all = all[:studiesOnPage]
		l.Next = l.Filter.query(all[studiesOnPage-1].Latest)
	}
	totals, err := p.totals(ctx, all)
	if err != nil {
		return err
	}
	if l.Behind, err = p.Studies.Behind(ctx); err != nil {
		return err
	}
	chosen.Before, chosen.Study, chosen.Limit = "", true, looked
	for _, h := range all {
		s := study{HeldStudy: h, Total: max(h.Objects, totals[h.StudyInstanceUID])}
		chosen.StudyInstanceUID = h.StudyInstanceUID
		objects, err := p.Custody.Held(ctx, chosen)
		if err != nil {
			return err
		}
		s.add(objects)
		of := l.Filter
		of.Study, of.OfStudy = h.StudyInstanceUID, true
		if s.Link = of.query(""); h.Objects == 1 && len(objects) == 1 {
			s.Link = "/held/" + objects[0].ID
		}
		l.Studies = append(l.Studies, s)
	}
	return nil
}

// totals counts the instances of studies. What names no study is not one.
func (p *pages) totals(ctx context.Context, all []custody.HeldStudy) (map[string]int, error) {
	var uids []string
	for _, s := range all {
		if s.StudyInstanceUID != "" {
			uids = append(uids, s.StudyInstanceUID)
		}
	}
	return p.Studies.Instances(ctx, uids)
}

func (p *pages) gatherItems(ctx context.Context, l *list) error {
	chosen := l.Filter.custody(objectsOnPage + 1)
	objects, err := p.Custody.Held(ctx, chosen)
	if err != nil {
		return err
	}
	if len(objects) > objectsOnPage {
		objects = objects[:objectsOnPage]
		l.Next = l.Filter.query(objects[objectsOnPage-1].ID)
	}
	chosen.Before = ""
	of, err := p.Custody.HeldStudies(ctx, chosen)
	if err != nil {
		return err
	}
	l.Of = study{HeldStudy: custody.HeldStudy{StudyInstanceUID: l.Filter.Study}}
	if len(of) > 0 {
		l.Of.HeldStudy = of[0]
	}
	totals, err := p.totals(ctx, of)
	if err != nil {
		return err
	}
	l.Of.Total = max(l.Of.Objects, totals[l.Filter.Study])
	for _, o := range objects {
		n := line{Object: o}
		n.Titles, n.Worst = titles(nil, o)
		asked, err := p.Custody.Asked(ctx, o.ID)
		if err != nil {
			return err
		}
		if len(asked) > 0 {
			n.Waiting = asked[0].Action
		}
		l.Items = append(l.Items, n)
	}
	return nil
}

// add names what a study's objects have in common, and what not.
func (s *study) add(objects []custody.Object) {
	for _, o := range objects {
		s.From, s.Archives = with(s.From, o.Origin()), with(s.Archives, o.Archive)
		var worst finding.Severity
		s.Titles, worst = titles(s.Titles, o)
		s.Worst = max(s.Worst, worst)
	}
	s.More = s.Objects > len(objects)
}

func with(all []string, one string) []string {
	if one == "" || slices.Contains(all, one) {
		return all
	}
	return append(all, one)
}

// titles adds those of an object's findings, payloads first, and says how bad the
// worst is.
func titles(all []string, o custody.Object) ([]string, finding.Severity) {
	worst := finding.Info
	for _, f := range o.Findings {
		kind, ok := finding.Lookup(f.ID)
		if !ok || f.Severity == finding.Info || f.Excepted != "" {
			continue
		}
		if worst = max(worst, f.Severity); slices.Contains(all, kind.Title) {
			continue
		}
		if f.Severity == finding.Malicious {
			all = slices.Insert(all, 0, kind.Title)
		} else {
			all = append(all, kind.Title)
		}
	}
	return all, worst
}
