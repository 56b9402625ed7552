package setting

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"cordon/finding"
	"cordon/ledger"
	"cordon/ledger/search"
	"cordon/policy"
)

// Replay is what rules would have made of objects that came in.
type Replay struct {
	From      time.Time `json:"from"` // what was looked at
	To        time.Time `json:"to"`
	Cut       bool      `json:"cut,omitempty"` // From is later than was asked for: there was no time for more
	Objects   int64     `json:"objects"`       // that came in meanwhile
	Rows      []Row     `json:"rows"`          // what would have become of some of them instead
	More      int64     `json:"more,omitempty"`
	Unknown   []Unknown `json:"unknown"` // what could not be replayed
	Untouched bool      `json:"untouched,omitempty"`
}

// Row counts objects of one device that would have gone another way, for one
// reason.
type Row struct {
	Device  string          `json:"device"`
	Rule    string          `json:"rule"`    // malicious, suspicious, unscanned, unparseable
	Finding string          `json:"finding"` // a row of the catalogue, or an engine
	Title   string          `json:"title"`
	Was     finding.Verdict `json:"was"` // under the settings in effect
	Becomes finding.Verdict `json:"becomes"`
	Objects int64           `json:"objects"`
	Record  int64           `json:"record"` // of one of them on the ledger
}

// Unknown counts objects that could not be replayed.
type Unknown struct {
	Why     string `json:"why"`
	Objects int64  `json:"objects"`
}

const (
	replayFor  = 8 * time.Second // a replay reads no longer
	maxRows    = 200             // of a preview
	maxSenders = 1000            // associations whose device is looked up
	batch      = 1000            // records at a time
)

func (p Replay) otherwise() (n int64) {
	for _, r := range p.Rows {
		n += r.Objects
	}
	return n + p.More
}

func (p Replay) unknown() (n int64) {
	for _, u := range p.Unknown {
		n += u.Objects
	}
	return n
}

// replaying is a replay under way.
type replaying struct {
	search        *search.Index
	before, after policy.Rules
	rows          map[Row]*Row // by what they are about
	unknown       map[string]int64
	senders       map[string]string // devices, by association
	seen          map[string]bool   // objects that are counted, by digest
	late          time.Time
	out           Replay
}

// judged are the kinds of records that say what became of an object as it came in.
var (
	judgedAlarmed = []string{"object.delivered", "object.refused_by_archive", "instance.sent"} // only those with an alarm: of the others no rule applied
	judgedKept    = []string{"object.held", "object.spooled", "object.refused"}
)

// replay decides again on what came in between two times, the newest first.
func (s *Settings) replay(ctx context.Context, changes []Change, before, after policy.Rules, from, to time.Time) (Replay, error) {
	r := &replaying{
		search: s.parts.Search, before: before, after: after, rows: map[Row]*Row{}, unknown: map[string]int64{}, senders: map[string]string{}, seen: map[string]bool{},
		late: time.Now().Add(replayFor), out: Replay{From: from.UTC(), To: to.UTC(), Rows: []Row{}, Unknown: []Unknown{}},
	}
	r.out.Untouched = !slices.ContainsFunc(changes, func(c Change) bool { k, _ := find(c.Key); return k.Objects })
	if r.out.Untouched {
		return r.out, nil
	}
	for _, q := range []search.Query{
		{Kinds: judgedAlarmed, Alarm: true, From: from, To: to},
		{Kinds: judgedKept, From: from, To: to},
	} {
		if err := r.back(ctx, q); err != nil {
			return r.out, err
		}
	}
	counts, err := s.parts.Search.Count(ctx, r.out.From, to)
	for _, kind := range append(judgedAlarmed, judgedKept...) {
		r.out.Objects += counts[kind]
	}
	if n := counts["object.held_again"]; n > 0 {
		r.unknown["sent again while the same was held: it follows what becomes of that"] += n
	}
	r.finish()
	return r.out, err
}

// back reads what answers a query from its end on, until the time is up.
func (r *replaying) back(ctx context.Context, q search.Query) error {
	for next := int64(search.End); next > 0; {
		p, err := r.search.Find(ctx, q, next, batch)
		if err != nil {
			return err
		}
		for _, one := range p.Records {
			r.add(ctx, one)
		}
		next = p.Next
		if next > 0 && p.Reached.Before(r.out.From) {
			return nil // what is before was asked for by nobody
		}
		if next > 0 && time.Now().After(r.late) {
			r.out.Cut, r.out.From = true, p.Reached
			return nil
		}
	}
	return nil
}

// body is what a record says of an object.
type body struct {
	Association, Visit string
	Device             string
	CallingAE          string `json:"calling_ae"`
	CopyOf             string `json:"copy_of"`
	SHA256             string
	From               string
	Omitted            int64 // refusals that are only counted
	Reason             *string
	Findings           []string
}

// add decides again on one object.
func (r *replaying) add(ctx context.Context, rec ledger.Record) {
	var b body
	if rec.Body == nil || json.Unmarshal(rec.Body, &b) != nil {
		r.unknown["the record's body was pruned"]++
		return
	}
	if b.From != "" && b.From != "receiving" || b.CopyOf != "" {
		return // a later change of its state, or a copy for a further archive: it was decided on before
	}
	if b.Omitted > 0 {
		r.unknown["refusals that were too many to have a record each"] += b.Omitted
	}
	why, ok := b.why(rec.Kind)
	switch {
	case !ok:
		r.unknown["an older version recorded it without the rule that applied"]++
		return
	case why.rule == "":
		return // no rule applied, and none would
	}
	was, becomes := why.decide(r.before), why.decide(r.after)
	if was == becomes || r.seen[b.SHA256] {
		return
	}
	if b.SHA256 != "" {
		r.seen[b.SHA256] = true // it may have been delivered to one archive and kept for another
	}
	key := Row{Device: r.sender(ctx, b), Rule: why.rule, Finding: why.what, Was: was, Becomes: becomes}
	row := r.rows[key]
	if row == nil {
		if len(r.rows) >= maxRows {
			r.out.More++
			return
		}
		made := key
		made.Record, made.Title = rec.Seq, title(why.what)
		row = &made
		r.rows[key] = row
	}
	row.Objects++
}

// reason is why an object was decided on as it was.
type reason struct {
	rule, what      string
	monitor, bypass bool
}

// rulesNamed are the beginnings of a decision's reason (policy.Decision).
var rulesNamed = []string{"malicious", "suspicious", "unparseable", "unscanned"}

// why reads the reason of a decision, or guesses it for a record that has none;
// false if nobody can tell.
func (b body) why(kind string) (w reason, ok bool) {
	if b.Reason == nil || *b.Reason == "" && kind == "object.held" {
		return b.guess()
	}
	text := *b.Reason
	if rest, ok := strings.CutPrefix(text, "monitor mode: "); ok {
		w.monitor, text = true, rest
	}
	if rest, ok := strings.CutPrefix(text, "bypass"); ok {
		w.bypass, text = true, strings.TrimPrefix(rest, ": ")
	}
	rule, what, _ := strings.Cut(text, ": ")
	if slices.Contains(rulesNamed, rule) {
		w.rule, w.what = rule, what
	}
	return w, true
}

// guess is the reason by what was found alone. What is suspicious may have been
// held for that, or because it could not be read to its end.
func (b body) guess() (w reason, ok bool) {
	worst := finding.Info
	for _, id := range b.Findings {
		if k, known := finding.Lookup(id); known && k.Severity > worst {
			worst, w.what = k.Severity, id
		}
	}
	if worst == finding.Malicious {
		w.rule = "malicious"
		return w, true
	}
	return w, false
}

// decide is what rules make of an object by the reason that decided on it. Which
// reason is the strongest does not depend on the rules, so it is the same under
// all.
func (w reason) decide(rules policy.Rules) finding.Verdict {
	rules.Monitor, rules.Bypass = w.monitor, w.bypass
	var report finding.Report
	_, known := finding.Lookup(w.what)
	switch {
	case w.rule == "unparseable":
		report.Fatal = &finding.Finding{ID: w.what}
	case w.rule == "suspicious":
		report.Findings = []finding.Finding{{ID: w.what, Severity: finding.Suspicious}}
	case w.rule == "malicious" && known:
		report.Findings = []finding.Finding{{ID: w.what, Severity: finding.Malicious}}
	case known: // container-limit
		report.Findings = []finding.Finding{{ID: w.what}}
	case w.rule == "malicious":
		report.Engines = []finding.EngineResult{{Name: w.what, Result: finding.ResultMalicious}}
	default:
		report.Engines = []finding.EngineResult{{Name: w.what, Result: finding.Unscanned}}
	}
	return rules.Decide(report).Verdict
}

// title is a finding's, or the engine's name as it is.
func title(what string) string {
	if k, ok := finding.Lookup(what); ok {
		return k.Title
	}
	return what
}

// sender is the device that an object came from, by its name or AE title.
func (r *replaying) sender(ctx context.Context, b body) string {
	if name := cmp.Or(b.Device, b.CallingAE); name != "" {
		return name
	}
	begin, id := "association.begin", b.Association
	if b.Visit != "" {
		begin, id = "visit.begin", b.Visit
	}
	name, known := r.senders[id]
	if known || id == "" {
		return name
	}
	if len(r.senders) < maxSenders && time.Now().Before(r.late) {
		p, err := r.search.Find(ctx, search.Query{Kinds: []string{begin}, Value: id}, search.End, 1)
		if err == nil && len(p.Records) == 1 {
			var from body
			if json.Unmarshal(p.Records[0].Body, &from) == nil {
				name = cmp.Or(from.Device, from.CallingAE)
			}
		}
	}
	r.senders[id] = name
	return name
}

// finish puts what was found in order.
func (r *replaying) finish() {
	for _, row := range r.rows {
		r.out.Rows = append(r.out.Rows, *row)
	}
	slices.SortFunc(r.out.Rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Objects, a.Objects), cmp.Compare(a.Device, b.Device), cmp.Compare(a.Finding, b.Finding))
	})
	for why, n := range r.unknown {
		r.out.Unknown = append(r.out.Unknown, Unknown{why, n})
	}
	slices.SortFunc(r.out.Unknown, func(a, b Unknown) int { return cmp.Compare(a.Why, b.Why) })
}

// since holds what has come in since a preview against it: why it does not hold any
// more, or how many objects of the kinds that it spoke of came.
func (s *Settings) since(ctx context.Context, p Preview) (more int64, why string, err error) {
	r, err := s.replay(ctx, p.Changes, p.before, p.after, p.made, time.Now())
	if err != nil {
		return 0, "", err
	}
	for _, row := range r.Rows {
		more += row.Objects
		if !slices.ContainsFunc(p.Rows, row.like) {
			why = fmt.Sprintf("an object of %s came in that it does not speak of (%s)", cmp.Or(row.Device, "an unknown device"), row.Title)
		}
	}
	return more, why, nil
}

// like reports whether two rows are about the same device, finding and ways.
func (r Row) like(o Row) bool {
	return r.Device == o.Device && r.Rule == o.Rule && r.Finding == o.Finding && r.Was == o.Was && r.Becomes == o.Becomes
}
