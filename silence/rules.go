package silence

import (
	"fmt"
	"time"
)

// Rule says when a source is expected in an hour: it was heard in at least Of of
// the Last comparable hours before it.
type Rule struct {
	Days int // between comparable hours: 7, the same weekday; 1, every day
	Last int
	Of   int
}

// rules are looked at in this order; one is enough.
var rules = [...]Rule{
	{Days: 7, Last: 4, Of: 3}, // every week at this hour
	{Days: 1, Last: 7, Of: 7}, // every day at this hour
}

// missedHours is how many whole hours in a row, each of them expected, a source
// must have been silent.
const missedHours = 2

// horizon is how long hours are kept: as far as a rule looks back, and a day.
const horizon = 29 * 24 * time.Hour

// forgetAfter is when a silent source is no longer missed: nobody has brought it
// back, and the rules have forgotten it too.
const forgetAfter = 28 * 24 * time.Hour

// hourOf is the beginning of the hour, by the clock on the wall: people work by
// that, and it moves twice a year.
func hourOf(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, t.Hour(), 0, 0, 0, t.Location())
}

// comparable is the k-th hour before that is comparable.
func (r Rule) comparable(hour time.Time, k int) time.Time { return hour.AddDate(0, 0, -k*r.Days) }

// expects reports whether a source that was heard in some hours is expected in
// this one.
func (r Rule) expects(hour time.Time, heard func(time.Time) bool) bool {
	n := 0
	for k := 1; k <= r.Last; k++ {
		if heard(r.comparable(hour, k)) {
			n++
		}
	}
	return n >= r.Of
}

// expected finds the rule by which a source is expected in an hour.
func expected(hour time.Time, heard func(time.Time) bool) (Rule, bool) {
	for _, r := range rules {
		if r.expects(hour, heard) {
			return r, true
		}
	}
	return Rule{}, false
}

// missed finds the rule by which a source is missed at the end of the hour: it
// is expected in each of the last hours, and was heard in none.
func missed(hour time.Time, heard func(time.Time) bool) (says string, ok bool) {
	for k := range missedHours {
		h := hour.Add(-time.Duration(k) * time.Hour)
		r, is := expected(h, heard)
		if !is || heard(h) {
			return "", false
		}
		says = r.describe(hour)
	}
	return says, true
}

// describe says in words what a rule goes by at an hour.
func (r Rule) describe(hour time.Time) string {
	what := "days"
	if r.Days == 7 {
		what = hour.Weekday().String() + "s"
	}
	return fmt.Sprintf("heard on %d of the last %d %s from %02d:00 to %02d:00", r.Of, r.Last, what, hour.Hour(), (hour.Hour()+1)%24)
}
