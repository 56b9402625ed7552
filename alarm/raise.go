package alarm

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// The longest texts of an alarm, in bytes. What is longer is cut.
const (
	maxSubject = 200
	maxText    = 500
	maxLink    = 300
)

// overflow is the kind of the alarm that counts what has no room.
const overflow = "alarm.overflow"

// Raise makes an alarm, or counts one that is open for the same cause. It asks no
// disk. An error means that the kind is not in the table.
func (a *Alarms) Raise(_ context.Context, one Alarm) error {
	one, kind, err := clean(one)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now().UTC()
	if e, ok := a.open[cause{one.Kind, one.Subject}]; ok {
		e.Count++
		a.meet(e, one, now)
		return nil
	}
	a.begin(one, kind, "", now)
	return nil
}

// Clear ends the alarm of a cause, if it is open.
func (a *Alarms) Clear(_ context.Context, kind, subject string) error {
	if _, ok := Lookup(kind); !ok {
		return fmt.Errorf("%w: %.80q", ErrKind, kind)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if e, ok := a.open[cause{kind, line(subject, maxSubject)}]; ok {
		a.end(e, time.Now().UTC())
	}
	return nil
}

// Sync says which causes there are, of all those that one source knows. One that
// it named before and does not name any more ends after Options.Settle.
func (a *Alarms) Sync(_ context.Context, source string, all []Alarm) error {
	now := time.Now().UTC()
	named := map[cause]bool{}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, one := range all {
		one, kind, err := clean(one)
		if err != nil {
			return err
		}
		c := cause{one.Kind, one.Subject}
		if e, ok := a.open[c]; ok {
			quiet := e.source == source && e.gone.IsZero() && e.Text == one.Text && e.Severity >= one.Severity && now.Sub(e.Last) < time.Minute
			if e.source, e.Lasting = source, true; !quiet {
				a.meet(e, one, now)
			}
		} else if !named[c] {
			a.begin(one, kind, source, now)
		}
		named[c] = true
	}
	for c, e := range a.open {
		switch {
		case e.source != source || named[c]:
		case e.gone.IsZero():
			e.gone = now
		case now.Sub(e.gone) >= a.options.Settle:
			a.end(e, now)
		}
	}
	return nil
}

// meet is a cause that is met again.
func (a *Alarms) meet(e *entry, one Alarm, now time.Time) {
	e.gone = time.Time{}
	e.Last, e.dirty = now, true
	if one.Text != "" {
		e.Text, e.Link = one.Text, one.Link
	}
	if one.Severity > e.Severity {
		e.Severity = one.Severity
		a.reopen(e, Worse, now)
	}
}

// reopen has people look at an alarm again.
func (a *Alarms) reopen(e *entry, why What, now time.Time) {
	e.State, e.Raised, e.AcknowledgedBy = Unseen, now, ""
	e.SnoozedUntil, e.SnoozedBy = time.Time{}, ""
	a.changed(e, why)
}

// begin makes an alarm of a new cause.
func (a *Alarms) begin(one Alarm, kind Kind, source string, now time.Time) {
	if len(a.open) >= MaxOpen && one.Kind != overflow {
		one, kind, _ = clean(Alarm{Kind: overflow, Text: fmt.Sprintf("More than %d alarms are open: the latest are counted here and not listed.", MaxOpen)})
		source = ""
		if e, ok := a.open[cause{one.Kind, one.Subject}]; ok {
			e.Count++
			a.meet(e, one, now)
			return
		}
	}
	e := &entry{Item: Item{
		ID: a.next, Kind: one.Kind, Subject: one.Subject, Severity: one.Severity, State: Unseen, Text: one.Text, Link: one.Link,
		Count: 1, First: now, Last: now, Raised: now, Lasting: source != "" || kind.Lasting, source: source,
	}}
	a.next++
	a.keep(e)
	a.changed(e, Raised)
}

// end makes an alarm history.
func (a *Alarms) end(e *entry, now time.Time) {
	e.State, e.Ended = Ended, now
	delete(a.open, cause{e.Kind, e.Subject})
	a.changed(e, Over)
}

// changed notes what is to be written. Of one alarm the last thing counts, but
// that it is new.
func (a *Alarms) changed(e *entry, what What) {
	e.dirty = true
	if before, ok := a.changes[e.ID]; ok && before.What == Raised && what != Over {
		what = Raised
	}
	a.changes[e.ID] = Change{What: what, Item: e.Item}
}

// clean bounds an alarm's texts and gives it its kind's severity.
func clean(one Alarm) (Alarm, Kind, error) {
	kind, ok := Lookup(one.Kind)
	if !ok || len(one.Kind) > maxSubject {
		return one, kind, fmt.Errorf("%w: %.80q", ErrKind, one.Kind)
	}
	if one.Severity == 0 {
		one.Severity = kind.Severity
	}
	one.Subject, one.Text, one.Link = line(one.Subject, maxSubject), line(one.Text, maxText), line(cmp.Or(one.Link, kind.Page), maxLink)
	if one.Text == "" {
		one.Text = kind.Means
	}
	return one, kind, nil
}

// line is a text on one line, of printable characters, of at most so many bytes.
func line(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}
