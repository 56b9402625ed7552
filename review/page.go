package review

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

//go:generate go run ./internal/gendocs ../docs/review.md

// Page is the rules as a page for those who review, docs/review.md.
func Page() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, preface, History, minDays, minPeriods, workBegins, workEnds)
	for _, r := range rules {
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s | %s |\n", r.ID, r.About, r.What, r.when(), r.Why)
	}
	return out.Bytes()
}

// when says when the rule finds something.
func (r Rule) when() string {
	looks := "`" + strings.Join(r.Kinds, "`, `") + "`"
	for key, value := range r.Where {
		looks += fmt.Sprintf(" with `%s` %v", key, value)
	}
	switch r.Test {
	case unseen:
		looks += "; none in the history"
	case oddHours:
		looks += "; at an hour at which, an hour before and after which there was none in the history"
	case atNight:
		looks += "; outside of working hours"
	case above:
		return fmt.Sprintf("more than %d times the average of the history, and more than %d more (%s)", r.Factor, r.Threshold, looks)
	case below:
		return fmt.Sprintf("less than 1/%d of the average of the history, if that is %d or more (%s)", r.Factor, r.Threshold, looks)
	case changed:
		looks += "; another `sha256` than the one before"
	case unanswered:
		looks += fmt.Sprintf("; no `%s` of the same `id` within %d hours", r.Answer, r.Within/time.Hour)
	case alone:
		looks += "; the same person, the same `id`"
	}
	return fmt.Sprintf("%d or more: %s", r.Threshold, looks)
}

const preface = `<!-- made by go generate ./review from the rules; not to be edited -->

# The activity review

HIPAA asks for it (45 CFR 164.308(a)(1)(ii)(D)), and good sense does: somebody looks, regularly, at what happened. Cordon makes a review each
week from the ledger. It says where to look, by device and by person, and what each has done; a named person looks, and signs it with a note.

` + "```" + `
cordon review list                                   # what waits, what is overdue
cordon review show 2026-11-16                        # what is unusual, and why somebody should look
cordon ledger tail -n 500                            # the records that it names
cordon review sign 2026-11-16 --as "A. Able" --reason "new CT in room 3, known; bypass was the drill"
` + "```" + `

` + "```yaml" + `
audit:
  review: {every: 7d, owner: "A. Able"}              # who is to sign
` + "```" + `

- A review is due before the next one is made. One that is overdue, and one that could not be made, is an alarm: in ` + "`cordon status`" + `, on the page,
  and as ` + "`cordon_activity_reviews_overdue`" + `. It stays one until somebody signs.
- Periods follow one another without a gap, by the numbers of the records: every record is in exactly one review, even when the clock was set back or Cordon
  stood still. What was due meanwhile is made at the next start.
- The same ledger makes the same review. Its digest is on the ledger when it is made, and again when it is signed, so nobody can say later that
  something else was signed.
- Names are those that people gave (` + "`--as`" + `). A review holds no patient data.
- At most 5,000 devices and as many people are told apart; what is beyond is counted together as "(others)". A review has at most 100 items of one
  rule, those with the highest counts, and sums the others up.

The history is the %d periods before. A device has hours of its own once it called on %d days of it, a volume once it called in %d of its periods.
Working hours are %d:00 to %d:00, Monday to Friday, in Cordon's time zone.

## Rules

| rule | about | what is counted | when | why somebody should look |
|---|---|---|---|---|
`
