package evidence

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"cordon/exception"
	"cordon/review"
)

// exceptionKinds are what a control can list as its exceptions.
var exceptionKinds = []string{"exception", "bypass", "emergency", "review", "configuration"}

// exceptions returns those of a kind that bear on the period, the latest first.
func (m *making) exceptions(ctx context.Context, kind string) (all []Exception, err error) {
	switch kind {
	case "exception":
		err = m.eachException(ctx, func(e exception.Exception) { all = append(all, m.approved(e)...) })
	case "bypass":
		all = m.bypasses()
	case "emergency":
		all = m.emergencies()
	case "review":
		err = m.eachReview(ctx, func(r review.Review) { all = append(all, m.unsigned(r)...) })
	case "configuration":
		if m.config.Standing != nil {
			all = m.config.Standing()
		}
	}
	slices.SortStableFunc(all, func(a, b Exception) int {
		return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.What, b.What))
	})
	return all, err
}

// approved is an exception that was in force at some time of the period.
func (m *making) approved(e exception.Exception) []Exception {
	if e.State != exception.Approved && e.State != exception.Expired || !e.DecidedAt.Before(m.to) || e.Expires.Before(m.from) {
		return nil
	}
	device := cmp.Or(e.Device, e.CallingAE+"@"+e.Address)
	return []Exception{{
		What: fmt.Sprintf("%s in %s of %s holds no object", e.Finding, cmp.Or(e.Place, "any place"), device),
		Who:  names(e.DecidedBy), Why: e.Reason, Since: e.DecidedAt.UTC(), Expires: e.Expires.UTC(),
	}}
}

func (m *making) bypasses() (all []Exception) {
	for _, b := range m.collected.facts.bypasses {
		if m.collected.facts.within(b.since, b.end()) > 0 {
			all = append(all, Exception{What: "inspection bypassed for " + cmp.Or(b.device, "every device"), Who: b.by, Why: b.reason, Since: b.since, Expires: b.end().UTC()})
		}
	}
	return all
}

func (m *making) emergencies() (all []Exception) {
	for _, id := range sortedKeys(m.collected.facts.emergencies) {
		e := m.collected.facts.emergencies[id]
		one := Exception{What: "object " + id + " released by one person", Who: e.by, Why: e.reason, Since: e.at, Expires: e.at.Add(24 * time.Hour)}
		if e.reviewed.IsZero() {
			one.What += ", not reviewed"
		} else {
			one.What += fmt.Sprintf(", reviewed by %s on %s", e.reviewer, e.reviewed.UTC().Format(time.DateTime))
		}
		all = append(all, one)
	}
	return all
}

// unsigned is a review that nobody has signed.
func (m *making) unsigned(r review.Review) []Exception {
	if !r.SignedAt.IsZero() || !r.MadeAt.Before(m.to) {
		return nil
	}
	return []Exception{{What: "activity review " + r.ID + " is not signed", Who: r.Owner, Since: r.MadeAt, Expires: r.Due}}
}

func names(all []string) string {
	s := ""
	for i, n := range all {
		if i > 0 {
			s += ", "
		}
		s += n
	}
	return s
}
