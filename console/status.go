package console

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"cordon/alarm"
	"cordon/bypass"
	"cordon/commitment"
	"cordon/console/answer"
	"cordon/custody"
	"cordon/deadman"
	"cordon/ledger"
	"cordon/mpps"
	"cordon/review"
)

// Level sums up whether imaging flows.
type Level string

const (
	Well     Level = "well"     // imaging flows
	Degraded Level = "degraded" // it flows or is kept, and somebody must look
	Down     Level = "down"     // associations are not accepted
)

// Status is the answer to "is imaging flowing?".
type Status struct {
	Level   Level    `json:"level"`
	Says    []string `json:"says"` // one sentence each, the most important first
	Site    string   `json:"site"`
	Version string   `json:"version"`
	Flow
	Held        int `json:"held"`         // objects in the vault now
	Spooled     int `json:"spooled"`      // objects that wait for an archive now
	Attention   int `json:"attention"`    // of these, refused by their archive until a person decides
	Alarms      int `json:"alarms"`       // objects whose copy here has something wrong
	ReviewsDue  int `json:"reviews_due"`  // emergency releases that nobody has reviewed
	ReviewsLate int `json:"reviews_late"` // of these, older than they may be
	Unclaimed   int `json:"unclaimed"`    // files here that belong to no object

	ActivityReviews review.Status `json:"activity_reviews"`

	Rescan RescanCounts    `json:"rescan"`           // what was delivered unscanned
	Bypass []bypass.Bypass `json:"bypass,omitempty"` // on now

	Deadman []deadman.Event `json:"deadman,omitempty"` // when images went past Cordon, and nobody has reviewed it

	Commitment commitment.Status `json:"commitment"` // requests that are not answered yet
	Steps      mpps.Status       `json:"steps"`      // messages about procedure steps that wait

	DiskError   string         `json:"disk_error,omitempty"`   // why nothing more can be kept here
	Disks       []custody.Disk `json:"disks,omitempty"`        // of the data directory
	LedgerError string         `json:"ledger_error,omitempty"` // why nothing can be recorded
	LedgerCut   bool           `json:"ledger_cut,omitempty"`   // it was not intact when Cordon started

	Accounting *Reconciled `json:"accounting,omitempty"` // the last for what was acknowledged; absent before the first

	Witnesses []ledger.WitnessState `json:"witnesses,omitempty"` // who cosigns the ledger

	troubles []alarm.Alarm // what of Says somebody must look at

	signatureAge time.Duration // from which an engine's signatures are an alarm
}

// Status answers whether imaging is flowing, for a page.
func (c *Console) Status(ctx context.Context) (Status, error) { return c.status(ctx) }

// status asks the flow and custody.
func (c *Console) status(ctx context.Context) (Status, error) {
	s := Status{Site: c.config.Site, Version: c.config.Version, signatureAge: c.signatureAge()}
	if c.config.Flow != nil {
		flow, err := c.config.Flow(ctx)
		if err != nil {
			return s, err
		}
		s.Flow = flow
	}
	counts, err := c.parts.Custody.Stats(ctx)
	if err != nil {
		return s, err
	}
	s.Held, s.Spooled, s.Attention = counts.Held, counts.Spooled, counts.NeedsAttention
	s.Alarms, s.Unclaimed, s.ReviewsDue, s.ReviewsLate = counts.Alarms, counts.Unclaimed, counts.ReviewsDue, counts.ReviewsLate
	s.DiskError, s.Disks = counts.Full, counts.Disks
	s.LedgerCut = !c.parts.Ledger.Start().Intact
	if err := c.parts.Ledger.Err(); err != nil {
		s.LedgerError = err.Error()
	}
	s.Witnesses = c.parts.Ledger.Witnesses()
	s.Bypass = c.bypasses()
	if s.Deadman, err = c.pastCordon(ctx); err != nil {
		return s, err
	}
	if c.parts.Recalls != nil {
		if s.Rescan, err = c.parts.Recalls.Counts(ctx); err != nil {
			return s, err
		}
	}
	if s.ActivityReviews, err = c.activityReviews(ctx, time.Now()); err != nil {
		return s, err
	}
	if err := c.waiting(ctx, &s); err != nil {
		return s, err
	}
	s.Accounting = c.lastAccounting()
	s.judge(time.Now())
	return s, nil
}

// spent says who opens so many associations that they are turned away.
func (s *Status) spent() {
	if len(s.Spent) > 0 {
		s.degrade("device.spent", "", fmt.Sprintf("Turned away, or soon: %s, of no known device, for too many associations in a day: approve the device (cordon device list), or find the machine.",
			strings.Join(s.Spent, ", ")))
	}
}

// disksLow warns before anything is turned away.
func (s *Status) disksLow() {
	for _, d := range s.Disks {
		if d.Low != "" && s.DiskError == "" {
			s.degrade("disk.low", d.Name, fmt.Sprintf("The disk of %s fills up: %s. Make room, or have the archives take what waits, before senders are turned away.", d.Name, d.Low))
		}
	}
}

// witnessed says what is wrong with those who cosign the ledger.
func (s *Status) witnessed() {
	for _, w := range s.Witnesses {
		switch {
		case w.Refused:
			s.degrade("witness.refused", w.Name, fmt.Sprintf("Witness %s has seen another history of the ledger: keep this data directory as evidence (%s).", w.Name, w.Error))
		case w.Late:
			s.degrade("witness.late", w.Name, fmt.Sprintf("Witness %s does not cosign the ledger: %s.", w.Name, w.Error))
		}
	}
}

// judge fills in the level and what there is to say, the answer first.
func (s *Status) judge(now time.Time) {
	s.Level, s.Says = Well, []string{""}
	if s.DiskError != "" {
		s.degrade("disk.full", "", "Nothing more can be kept here, and senders are asked to try again: "+s.DiskError+".")
	}
	s.disksLow()
	away := 0
	for _, a := range s.Archives {
		if !a.Up {
			away++
			s.degrade("archive.away", a.Name, a.away(now, s.DiskError == ""))
		}
	}
	for _, e := range s.Engines {
		if kind, says := e.trouble(now, s.signatureAge); kind != "" {
			s.degrade(kind, e.Name, says)
		}
	}
	s.certificates(now)
	for _, trouble := range []struct {
		is         bool
		kind, says string
	}{
		{s.Rescan.Recalls == 1, "object.recall", "1 object was delivered before it was found harmful: recall it (cordon recall list)."},
		{s.Rescan.Recalls > 1, "object.recall", fmt.Sprintf("%d objects were delivered before they were found harmful: recall them (cordon recall list).", s.Rescan.Recalls)},
		{s.Rescan.NotRescannable > 0, "object.not_rescannable", delivered(s.Rescan.NotRescannable) + " unscanned and cannot be scanned again (cordon recall list)."},
		{s.LedgerError != "", "ledger.unwritable", "The ledger cannot be written: " + s.LedgerError + "."},
		{s.LedgerCut, "ledger.cut", "The ledger was changed while Cordon was not running, or an older copy of it was put back: keep this data directory as evidence."},
		{s.Attention > 0, "archive.refused", objects(s.Attention) + " refused by the archive: a person must decide (cordon vault list --attention)."},
		{s.Alarms > 0, "object.damaged", objects(s.Alarms) + " missing or damaged here: look at the disk."},
		{s.Unclaimed > 0, "object.unclaimed", objects(s.Unclaimed) + " in the data directory that no record names: keep it, and restore the database."},
		{s.ReviewsLate > 0, "review.late", objects(s.ReviewsLate) + " released in an emergency and not reviewed in time."},
	} {
		if trouble.is {
			s.degrade(trouble.kind, "", trouble.says)
		}
	}
	s.uninspected()
	s.witnessed()
	s.accountedFor()
	s.spent()
	s.reviewed()
	s.repositories(now)
	s.silent(now)
	s.judgeWaiting(now)
	for _, e := range s.Engines {
		if e.Up && e.Warning != "" {
			s.Says = append(s.Says, fmt.Sprintf("Engine %s: %s.", e.Name, e.Warning))
		}
	}
	s.ending(now)
	if s.Rescan.Waiting > 0 {
		s.Says = append(s.Says, delivered(s.Rescan.Waiting)+" unscanned, to be judged again once every engine answers and no bypass is on.")
	}
	if s.Held > 0 {
		s.Says = append(s.Says, fmt.Sprintf("%s held in the vault.", objects(s.Held)))
	}
	if due := s.ReviewsDue - s.ReviewsLate; due > 0 {
		s.Says = append(s.Says, objects(due)+" released in an emergency, for another person to review (cordon vault list --all).")
	}
	if s.Waiting > 0 {
		s.Says = append(s.Says, waiting(s.Waiting))
	}
	s.bypassed(away)
	if !s.Accepting || s.stuck(away) {
		s.Level = Down
	}
}

// waiting says that devices are learned that nobody has decided on.
func waiting(n int) string {
	if n == 1 {
		return "1 learned device waits for somebody to approve or deny it (cordon device list)."
	}
	return fmt.Sprintf("%d learned devices wait for somebody to approve or deny them (cordon device list).", n)
}

// bypassed gives the answer its place: the first, or the second if inspection is
// bypassed, since that must not be read over.
func (s *Status) bypassed(away int) {
	if len(s.Bypass) == 0 {
		s.Says[0] = s.answer(away)
		return
	}
	s.Level = Degraded
	s.Says[0] = "Inspection is bypassed for " + strings.Join(scopes(s.Bypass), ", ") + "."
	s.Says = slices.Insert(s.Says, 1, s.answer(away), "What arrives is delivered whatever is found in it, and judged again when the bypass has ended (cordon bypass off).")
}

// scopes says what each bypass covers, and until when.
func scopes(on []bypass.Bypass) []string {
	var out []string
	for _, b := range on {
		out = append(out, fmt.Sprintf("%s until %s", bypass.Scope(b.Device), b.Until.Local().Format("15:04")))
	}
	return out
}

// stuck reports that no image can go anywhere.
func (s *Status) stuck(away int) bool {
	return s.DiskError != "" && away > 0 && away == len(s.Archives)
}

// answer is the sentence for whoever has time for one.
func (s *Status) answer(away int) string {
	switch {
	case !s.Accepting:
		return "Associations are not accepted."
	case s.stuck(away):
		return "Images are not taken: they can be neither delivered nor kept here."
	case away > 0 && s.DiskError != "":
		return "Imaging goes on only where an archive answers."
	case away > 0 && away == len(s.Archives):
		return "Imaging goes on; images are kept here until the archive is back."
	case away > 0:
		return "Imaging goes on; one archive's images are kept here."
	case s.Level == Degraded:
		return "Imaging is flowing, and somebody must look."
	}
	return "Imaging is flowing."
}

// degrade says what somebody must look at: a kind of alarm, what it is about, and
// the sentence.
func (s *Status) degrade(kind, subject, sentence string) {
	s.Level = Degraded
	s.Says = append(s.Says, sentence)
	s.troubles = append(s.troubles, alarm.Alarm{Kind: kind, Subject: subject, Text: sentence})
}

// staleSignatures is the age from which an engine's signatures are an alarm, where
// nothing else is set: anti-virus that has silently fallen behind looks exactly like
// one that works.
const staleSignatures = 7 * 24 * time.Hour

func (c *Console) signatureAge() time.Duration {
	if c.config.SignatureAge == nil {
		return staleSignatures
	}
	return c.config.SignatureAge()
}

// trouble says what is wrong with an engine, and which kind of alarm that is; or
// nothing.
func (e Engine) trouble(now time.Time, limit time.Duration) (kind, says string) {
	switch {
	case !e.Up:
		return "engine.down", fmt.Sprintf("Engine %s does not answer; what it should scan is unscanned.", e.Name)
	case !e.SignaturesAt.IsZero() && now.Sub(e.SignaturesAt) > limit:
		return "engine.stale", fmt.Sprintf("The signatures of engine %s are %s old.", e.Name, age(now.Sub(e.SignaturesAt)))
	}
	return "", ""
}

// away says what an unreachable archive means. One without an address is not in
// the configuration any more.
func (a Archive) away(now time.Time, room bool) string {
	says := fmt.Sprintf("Archive %s does not answer", a.Name)
	if a.Address == "" {
		says = fmt.Sprintf("Archive %s is not in the configuration: put it back", a.Name)
	}
	switch {
	case a.Queued == 0 && room:
		return says + "; what arrives is kept here."
	case a.Queued == 0:
		return says + "."
	}
	says += fmt.Sprintf("; %s kept here for it", objects(int(a.Queued)))
	if a.OldestQueued != nil {
		says += ", the oldest for " + age(now.Sub(*a.OldestQueued))
	}
	return says + "."
}

func delivered(n int) string {
	if n == 1 {
		return "1 object was delivered"
	}
	return fmt.Sprintf("%d objects were delivered", n)
}

func objects(n int) string {
	if n == 1 {
		return "1 object is"
	}
	return fmt.Sprintf("%d objects are", n)
}

// age writes a duration in its largest unit: 40 s, 12 min, 3 h, 5 days.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

func (c *Console) apiStatus(w http.ResponseWriter, r *http.Request) {
	s, err := c.status(r.Context())
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, s)
}
