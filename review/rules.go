package review

import "time"

// A Rule is one thing that a reviewer should see. What it says of a period
// depends on the ledger alone.
type Rule struct {
	ID    string   `json:"id"`
	About string   `json:"about"` // whom it names: device, person, or another key of the record's body; site for none
	Kinds []string `json:"kinds"` // records that it looks at; a last ".*" stands for any ending
	Where Fields   `json:"where,omitempty"`

	Test      Test          `json:"test"`
	Threshold int           `json:"threshold"`        // from how many on
	Factor    int           `json:"factor,omitempty"` // above, below: times the habit
	Within    time.Duration `json:"within,omitempty"` // unanswered: how soon
	Answer    string        `json:"answer,omitempty"` // unanswered: the kind that answers, with the same id

	What string `json:"what"` // one line, of what was counted
	Why  string `json:"why"`  // why somebody should look
}

// Fields are keys of a record's body with the value that they must have.
type Fields map[string]any

// A Test is how a rule finds what is unusual.
type Test string

const (
	counted    Test = "count"      // at least Threshold records
	unseen     Test = "new"        // at least Threshold records, and none in the history
	oddHours   Test = "hours"      // at least Threshold records at hours at which there were none in the history
	atNight    Test = "night"      // at least Threshold records outside of working hours
	above      Test = "above"      // more objects than Factor times the history's average, and Threshold more
	below      Test = "below"      // fewer objects than the average divided by Factor, which is at least Threshold
	changed    Test = "changed"    // at least Threshold records whose sha256 is not that of the one before
	unanswered Test = "unanswered" // at least Threshold records that were not answered Within
	alone      Test = "alone"      // at least Threshold approvals by the person who proposed the same
)

const (
	// History is how many periods before its own a review compares with.
	History = 4
	// minDays is on how many days of the history a device must have called before
	// its hours are a habit, minPeriods in how many periods before its volume is.
	minDays, minPeriods = 5, 2
	// Working hours begin and end at these hours, on Monday to Friday.
	workBegins, workEnds = 6, 20
)

// rules is every rule, in the order in which a review shows what they find: what
// people did against the ordinary course first.
var rules = [...]Rule{
	{ID: "bypass", About: "person", Kinds: []string{"bypass.started"}, Test: counted, Threshold: 1,
		What: "bypasses of inspection started",
		Why:  "While it lasts, harmful objects reach the archive. Was it needed, and is the cause mended?"},
	{ID: "emergency-release", About: "person", Kinds: []string{"object.released"}, Where: Fields{"emergency": true}, Test: counted, Threshold: 1,
		What: "objects released in an emergency, by one person",
		Why:  "Break-glass: the second person was left out. Each must have been an emergency."},
	{ID: "emergency-unreviewed", About: "person", Kinds: []string{"object.released"}, Where: Fields{"emergency": true}, Test: unanswered, Threshold: 1,
		Within: 24 * time.Hour, Answer: "object.reviewed",
		What: "emergency releases that nobody else reviewed within 24 hours",
		Why:  "What one person let out alone has to be seen by another. Review it now: cordon vault list --all."},
	{ID: "released", About: "person", Kinds: []string{"object.released"}, Test: counted, Threshold: 1,
		What: "held objects released for delivery",
		Why:  "Each release lets something through that inspection held back. Do the reasons hold?"},
	{ID: "exported", About: "person", Kinds: []string{"object.exported"}, Test: counted, Threshold: 1,
		What: "held objects exported to files",
		Why:  "An exported object is a patient's image, and perhaps harmful, outside of Cordon's keeping."},
	{ID: "destroyed", About: "person", Kinds: []string{"object.destroyed"}, Test: counted, Threshold: 1,
		What: "objects destroyed",
		Why:  "It cannot be undone. Is each image in the archive by another way, or known to be lost?"},
	{ID: "exception", About: "person", Kinds: []string{"exception.approved"}, Test: counted, Threshold: 1,
		What: "exceptions approved",
		Why:  "From then on a finding holds a device's objects no longer. Has the vendor confirmed the habit?"},
	{ID: "exception-alone", About: "person", Kinds: []string{"exception.proposed", "exception.approved"}, Test: alone, Threshold: 1,
		What: "exceptions approved by the person who proposed them",
		Why:  "Nobody else has looked at it."},
	{ID: "device-decision", About: "person", Kinds: []string{"device.approved", "device.denied"}, Test: counted, Threshold: 1,
		What: "decisions on devices",
		Why:  "Who may connect was changed. Does the register say what the site means?"},
	{ID: "night", About: "person", Kinds: []string{"object.*", "exception.*", "bypass.*", "device.*", "recall.*", "commitment.*", "step.*", "pki.*", "ledger.key", "ledger.erased"}, Test: atNight, Threshold: 1,
		What: "acts at night or at a weekend",
		Why:  "A stolen account is often used when nobody watches. Was the person on duty?"},

	{ID: "held", About: "device", Kinds: []string{"object.held", "object.held_again"}, Test: counted, Threshold: 1,
		What: "objects held for what was found in them",
		Why:  "Harmful or damaged content came from this device: is it infected, or a habit of its software?"},
	{ID: "late-hit", About: "device", Kinds: []string{"object.late_hit"}, Test: counted, Threshold: 1,
		What: "objects found harmful after they had been delivered",
		Why:  "They are in the archive. See that each has been recalled: cordon recall list."},
	{ID: "new-device", About: "device", Kinds: []string{"association.begin"}, Test: unseen, Threshold: 1,
		What: "associations of a device that did not call before",
		Why:  "Every connection is known and wanted, or is taken away. Declare it or deny it."},
	{ID: "unusual-hours", About: "device", Kinds: []string{"association.begin"}, Test: oddHours, Threshold: 3,
		What: "associations at hours at which it never called",
		Why:  "Devices keep hours. Another machine under its name, or its own program gone wrong, does not."},
	{ID: "volume-high", About: "device", Kinds: []string{"association.end"}, Test: above, Threshold: 100, Factor: 3,
		What: "objects, far more than it usually sends",
		Why:  "New work, a copy of an old archive, or somebody who feeds images in."},
	{ID: "volume-low", About: "device", Kinds: []string{"association.end"}, Test: below, Threshold: 100, Factor: 5,
		What: "objects, far fewer than it usually sends",
		Why:  "Is it being serviced, or do its images go another way, past inspection?"},
	{ID: "silent", About: "device", Kinds: []string{"source.silent"}, Test: counted, Threshold: 1,
		What: "times that it stopped talking, which it always does",
		Why:  "Out of order, or its images go another way, past inspection."},
	{ID: "rejected", About: "device", Kinds: []string{"association.rejected", "association.failed"}, Test: counted, Threshold: 10,
		What: "associations rejected or failed",
		Why:  "A wrong configuration, or somebody who tries what is open."},
	{ID: "refused", About: "device", Kinds: []string{"object.refused", "object.refused_by_archive"}, Test: counted, Threshold: 5,
		What: "objects refused",
		Why:  "A refused image is not in the archive. Does the device still have it?"},
	{ID: "query-refused", About: "device", Kinds: []string{"query.refused", "retrieve.refused", "step.refused", "operation.refused"}, Test: counted, Threshold: 5,
		What: "queries, retrieves and other operations refused",
		Why:  "It asks for what it may not have, or asks too much: look at what, and from where."},
	{ID: "tls-failed", About: "device", Kinds: []string{"tls.failed"}, Test: counted, Threshold: 3,
		What: "TLS handshakes that failed",
		Why:  "A certificate has run out, or somebody without one tries."},
	{ID: "would-refuse", About: "device", Kinds: []string{"admission.would_refuse", "query.passed"}, Test: counted, Threshold: 1,
		What: "times that shadow mode let pass what will be refused",
		Why:  "Mend the rule or the device before unknown devices are refused."},
	{ID: "unscanned", About: "device", Kinds: []string{"object.delivered"}, Where: Fields{"alarm": true}, Test: counted, Threshold: 1,
		What: "objects delivered with an alarm: not scanned in full, under a bypass, or only watched",
		Why:  "Was every one judged again since? See cordon recall list."},
	{ID: "unfinished", About: "device", Kinds: []string{"association.unfinished"}, Test: counted, Threshold: 1,
		What: "associations cut short by a crash",
		Why:  "Deliveries of the last second may be missing from the ledger. Why did Cordon end?"},

	{ID: "engine-away", About: "engine", Kinds: []string{"engine.state"}, Where: Fields{"up": false}, Test: counted, Threshold: 1,
		What: "times that the engine was found away",
		Why:  "What passed meanwhile was not scanned by it."},
	{ID: "commitment-given-up", About: "site", Kinds: []string{"commitment.given_up"}, Test: counted, Threshold: 1,
		What: "storage commitment requests given up",
		Why:  "A device still waits to hear that its images are safe, or has deleted them unheard."},
	{ID: "configuration", About: "site", Kinds: []string{"config.applied"}, Test: changed, Threshold: 1,
		What: "starts with another configuration than before",
		Why:  "Is each change known, and does somebody answer for it?"},
	{ID: "keys", About: "site", Kinds: []string{"ledger.key", "witness.key", "pki.*", "tls.rotated", "tls.not_rotated", "tokens.*", "custody.key"}, Test: counted, Threshold: 1,
		What: "keys and certificates made, changed or withdrawn",
		Why:  "Each is an act of a person or of the calendar: is it the right one?"},
	{ID: "verification-failed", About: "site", Kinds: []string{"ledger.verified"}, Where: Fields{"intact": false}, Test: counted, Threshold: 1,
		What: "verifications of the ledger that failed",
		Why:  "The record was changed. Keep the data directory as evidence."},
	{ID: "ledger-cut", About: "site", Kinds: []string{"ledger.start"}, Where: Fields{"intact": false}, Test: counted, Threshold: 1,
		What: "starts at which the ledger was not what had been signed",
		Why:  "It was changed while Cordon was not running. Keep the data directory as evidence."},
	{ID: "ledger-lost", About: "site", Kinds: []string{"ledger.lost"}, Test: counted, Threshold: 1,
		What: "gaps: records that could not be written",
		Why:  "What happened then is not provable. Was the disk full?"},
	{ID: "damaged", About: "site", Kinds: []string{"object.alarm"}, Test: counted, Threshold: 1,
		What: "objects whose copy here was missing or damaged",
		Why:  "A disk that fails, or somebody at the data directory."},
	{ID: "unclean-stop", About: "site", Kinds: []string{"ledger.start"}, Where: Fields{"clean": false}, Test: counted, Threshold: 1,
		What: "starts after a run that did not end in order",
		Why:  "A crash, a power failure, or somebody who ends Cordon by force."},
	{ID: "clock", About: "site", Kinds: []string{"ledger.clock"}, Test: counted, Threshold: 1,
		What: "times that the machine's clock was set",
		Why:  "Times on the ledger may be wrong there, or not in order. Is the time service trusted?"},
	{ID: "another-history", About: "site", Kinds: []string{"witness.refused", "witness.fork"}, Test: counted, Threshold: 1,
		What: "times that a witness was shown another history than before",
		Why:  "Somebody has rewritten a ledger, or restored an old copy. Keep both as evidence."},
	{ID: "audit-lost", About: "site", Kinds: []string{"audit.skipped"}, Test: counted, Threshold: 1,
		What: "gaps in what an audit repository was sent",
		Why:  "The repository was away for longer than Cordon keeps messages for it. The ledger has them."},
	{ID: "flood", About: "site", Kinds: []string{"refusals.omitted", "connections.refused"}, Test: counted, Threshold: 1,
		What: "minutes in which so much was refused that not each refusal was recorded",
		Why:  "Somebody hammers at the door. The records name the addresses."},
	{ID: "erased", About: "site", Kinds: []string{"ledger.erased", "ledger.pruned"}, Test: counted, Threshold: 1,
		What: "erasures of patient data or old records from the ledger",
		Why:  "By rule or by request: does each have its reason?"},
	{ID: "signed-late", About: "person", Kinds: []string{"review.signed"}, Where: Fields{"late": true}, Test: counted, Threshold: 1,
		What: "activity reviews signed late",
		Why:  "Reviewing regularly is the point of it."},
}

// Rules returns every rule, in order.
func Rules() []Rule { return append([]Rule(nil), rules[:]...) }
