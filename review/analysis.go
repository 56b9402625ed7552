package review

import (
	"slices"
	"strings"
	"time"

	"cordon/ledger"
)

// Bounds of what an analysis keeps in memory, and of what a review shows.
const (
	// maxNames bounds devices and people each: anybody can make up AE titles. What
	// is beyond is counted together, under everybodyElse.
	maxNames = 5000
	// maxOpen bounds what waits for something else: associations that have not
	// ended, releases that nobody has answered, proposals.
	maxOpen = 10000
	// maxTallies bounds what rules count, each for each name.
	maxTallies = 20000
	// maxName bounds one name, in bytes.
	maxName = 128
	// maxSamples is how many records an item names.
	maxSamples = 5
)

// everybodyElse is the name for those beyond maxNames.
const everybodyElse = "(others)"

// analysis reads the ledger once, from the beginning of the history to the end of
// the period, and keeps counts.
type analysis struct {
	zone    *time.Location
	matches map[string][]int // rules of a kind, by index

	periods int // of the history, so far
	devices map[string]*device
	tallies map[subject]*tally // of the period now
	people  map[string]*Person
	open    *opened
	records int64 // in the period now

	whole      bool   // it begins with the ledger's first record
	configured bool   // a configuration has been seen
	config     string // the last one's digest
}

// subject is what a rule counts for.
type subject struct {
	rule int
	name string
}

// tally is what a rule has counted in the period.
type tally struct {
	n           int64
	first, last time.Time
	samples     []int64
	hours       map[int]bool // oddHours: at which
}

func (t *tally) add(r ledger.Record) {
	if t.n == 0 {
		t.first = r.Time
	}
	t.n++
	t.last = r.Time
	if len(t.samples) < maxSamples {
		t.samples = append(t.samples, r.Seq)
	}
}

// device is what is known of one device: what it did in the period now, and its
// habit before.
type device struct {
	now     Device
	samples []int64 // associations that ended, in the period now

	periods int     // of the history in which it called
	objects []int64 // in each of these
	hours   [2 * day]bool
	days    int

	nowAt   [2 * day]bool
	nowDays int
	lastDay string // on which it called
}

// day is how many hours a day has; devices keep other hours at weekends.
const day = 24

// newAnalysis begins; zone is where hours are counted, whole says that the
// ledger's first record comes first.
func newAnalysis(zone *time.Location, whole bool) *analysis {
	return &analysis{
		zone:    zone,
		whole:   whole,
		matches: map[string][]int{},
		devices: map[string]*device{},
		tallies: map[subject]*tally{},
		people:  map[string]*Person{},
		open:    newOpened(),
	}
}

// add takes the next record.
func (a *analysis) add(r ledger.Record) {
	a.records++
	matching := a.matching(r.Kind)
	if len(matching) == 0 && !strings.HasPrefix(r.Kind, "association.") {
		return
	}
	b := readBody(r.Body)
	who := clip(a.open.device(r.Kind, b))
	by := b.people()
	for _, i := range matching {
		rule := &rules[i]
		switch {
		case rule.Answer == r.Kind:
			a.open.answer(b.text("id"), r.Time)
		case !b.has(rule.Where):
		case rule.About == "person":
			a.ofPeople(i, r, b, by)
		case rule.About == "device":
			a.ofDevice(i, r, who)
		case rule.About == "site":
			a.ofSite(i, r, b)
		default:
			a.tally(i, clip(b.text(rule.About))).add(r)
		}
	}
	a.summarise(r, b, who, by)
}

// matching returns the rules that look at a kind.
func (a *analysis) matching(kind string) []int {
	all, known := a.matches[kind]
	if known {
		return all
	}
	for i, r := range rules {
		if kind == r.Answer || slices.ContainsFunc(r.Kinds, func(pattern string) bool { return Match(pattern, kind) }) {
			all = append(all, i)
		}
	}
	a.matches[kind] = all
	return all
}

// Match reports whether a kind of record is meant by a pattern: itself, or with
// "*" at its end whatever begins like it.
func Match(pattern, kind string) bool {
	if stem, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(kind, stem)
	}
	return pattern == kind
}

func (a *analysis) tally(rule int, name string) *tally {
	key := subject{rule, name}
	t := a.tallies[key]
	if t == nil && len(a.tallies) >= maxTallies {
		key.name = everybodyElse
		t = a.tallies[key]
	}
	if t == nil {
		t = &tally{}
		a.tallies[key] = t
	}
	return t
}

func (a *analysis) ofSite(i int, r ledger.Record, b body) {
	if rules[i].Test == changed && !a.changed(b.text("sha256")) {
		return
	}
	a.tally(i, "").add(r)
}

// changed reports whether a configuration is another than the last. The first one
// of a part of the ledger may be: it may say too much, never too little.
func (a *analysis) changed(config string) bool {
	first, before := !a.configured, a.config
	a.configured, a.config = true, config
	if first {
		return !a.whole
	}
	return config != before
}

func (a *analysis) ofPeople(i int, r ledger.Record, b body, by []string) {
	rule := &rules[i]
	if rule.Test == alone {
		if !a.open.approvedAlone(r.Kind, b.text("id"), by) {
			return
		}
	}
	if rule.Test == atNight && !night(r.Time.In(a.zone)) {
		return
	}
	for _, name := range by {
		if rule.Test == unanswered {
			a.open.ask(i, b.text("id"), name, r)
			continue
		}
		a.tally(i, name).add(r)
	}
}

// night reports whether a time is outside of working hours.
func night(t time.Time) bool {
	return weekend(t) || t.Hour() < workBegins || t.Hour() >= workEnds
}

func (a *analysis) ofDevice(i int, r ledger.Record, who string) {
	if who == "" {
		return
	}
	d := a.device(who)
	switch rules[i].Test {
	case above, below:
		return // by what took counts
	case unseen:
		if d.periods > 0 {
			return
		}
	case oddHours:
		slot := slotOf(r.Time.In(a.zone))
		if d.days < minDays || d.keeps(slot) {
			return
		}
		a.tally(i, d.now.Name).at(slot)
	}
	a.tally(i, d.now.Name).add(r)
}

// at notes the hour of what is counted.
func (t *tally) at(slot int) {
	if t.hours == nil {
		t.hours = map[int]bool{}
	}
	t.hours[slot] = true
}

// slotOf is the hour of the day, after those of working days for a weekend's.
func slotOf(t time.Time) int {
	if weekend(t) {
		return day + t.Hour()
	}
	return t.Hour()
}

func weekend(t time.Time) bool {
	return t.Weekday() == time.Saturday || t.Weekday() == time.Sunday
}

// keeps reports whether the device called at that hour, or the one before or
// after, in the history.
func (d *device) keeps(slot int) bool {
	base, hour := slot/day*day, slot%day
	return d.hours[slot] || d.hours[base+(hour+1)%day] || d.hours[base+(hour+day-1)%day]
}

// device finds or makes what is known of one.
func (a *analysis) device(name string) *device {
	if d := a.devices[name]; d != nil {
		return d
	}
	if len(a.devices) >= maxNames {
		name = everybodyElse
		if d := a.devices[name]; d != nil {
			return d
		}
	}
	d := &device{now: Device{Name: name}}
	a.devices[name] = d
	return d
}

// summarise counts what devices and people did.
func (a *analysis) summarise(r ledger.Record, b body, who string, by []string) {
	if who != "" && strings.HasPrefix(r.Kind, "association.") {
		a.device(who).took(r, b, a.zone)
	}
	for _, name := range by {
		p := a.people[name]
		if p == nil {
			if len(a.people) >= maxNames {
				name = everybodyElse
			}
			if p = a.people[name]; p == nil {
				p = &Person{Name: name, Acts: map[string]int64{}}
				a.people[name] = p
			}
		}
		p.Acts[r.Kind]++
	}
}

// took counts one record of a device.
func (d *device) took(r ledger.Record, b body, zone *time.Location) {
	switch r.Kind {
	case "association.begin":
		d.now.Associations++
		at := r.Time.In(zone)
		d.nowAt[slotOf(at)] = true
		if today := at.Format(time.DateOnly); today != d.lastDay {
			d.lastDay = today
			d.nowDays++
		}
	case "association.rejected", "association.failed":
		d.now.Rejected++
	case "association.end":
		d.now.Objects += b.number("received")
		d.now.Held += b.number("held")
		d.now.Refused += b.number("refused")
		if len(d.samples) < maxSamples {
			d.samples = append(d.samples, r.Seq)
		}
	}
}

// turn ends a period of the history: what happened in it becomes habit.
func (a *analysis) turn() {
	a.periods++
	for name, d := range a.devices {
		if d.now.Associations > 0 {
			d.periods++
			d.objects = append(d.objects, d.now.Objects)
		}
		for slot, was := range d.nowAt {
			d.hours[slot] = d.hours[slot] || was
		}
		d.days += d.nowDays
		d.now, d.nowAt, d.nowDays, d.samples = Device{Name: name}, [2 * day]bool{}, 0, nil
	}
	a.open.forget()
	clear(a.tallies)
	clear(a.people)
	a.records = 0
}

// usual is the average of the objects that a device sent in the periods of the
// history in which it called, and whether there were enough of them.
func (d *device) usual() (int64, bool) {
	if d.periods < minPeriods {
		return 0, false
	}
	sum := int64(0)
	for _, n := range d.objects {
		sum += n
	}
	return sum / int64(d.periods), true
}
