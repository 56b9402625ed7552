package review

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Item is one thing to look at.
type Item struct {
	Rule    string    `json:"rule"`
	About   string    `json:"about"`          // device, person, engine or site
	Name    string    `json:"name,omitempty"` // whose; "" for the site
	Count   int64     `json:"count"`
	Usual   int64     `json:"usual,omitempty"` // in a period of the history
	Says    string    `json:"says"`            // a sentence
	First   time.Time `json:"first,omitzero"`
	Last    time.Time `json:"last,omitzero"`
	Records []int64   `json:"records"` // some of them, by their numbers on the ledger
}

// Device sums up what one device did in the period.
type Device struct {
	Name         string `json:"name"`
	Associations int64  `json:"associations"`
	Objects      int64  `json:"objects"`
	Usual        int64  `json:"usual"` // objects in a period of the history
	Held         int64  `json:"held"`
	Refused      int64  `json:"refused"`
	Rejected     int64  `json:"rejected"` // associations
}

// Person sums up what was done in one person's name, as asserted.
type Person struct {
	Name string           `json:"name"`
	Acts map[string]int64 `json:"acts"` // by kind of record
}

// items returns what the rules found, in the rules' order and by name. end is the
// period's.
func (a *analysis) items(end time.Time) []Item {
	a.settle(end)
	var out []Item
	for i, rule := range rules {
		out = append(out, rule.most(a.found(i))...)
	}
	return out
}

// found returns what one rule found, by name.
func (a *analysis) found(i int) []Item {
	rule := rules[i]
	if rule.Test == above || rule.Test == below {
		return a.volumes(rule)
	}
	var out []Item
	for _, key := range a.of(i) {
		if t := a.tallies[key]; t.n >= int64(rule.Threshold) {
			out = append(out, rule.item(key.name, t))
		}
	}
	return out
}

// maxItems is how many a review has of one rule.
const maxItems = 100

// most keeps those with the highest counts, and sums the others up: whoever makes
// up names makes no review that nobody can read.
func (r Rule) most(all []Item) []Item {
	if len(all) <= maxItems {
		return all
	}
	slices.SortStableFunc(all, func(x, y Item) int { return cmp.Compare(y.Count, x.Count) })
	rest := Item{Rule: r.ID, About: r.About, Name: everybodyElse, Records: []int64{}}
	for _, i := range all[maxItems:] {
		rest.Count += i.Count
	}
	rest.Says = fmt.Sprintf("%d others: %s: %d.", len(all)-maxItems, r.What, rest.Count)
	return append(all[:maxItems:maxItems], rest)
}

// of returns whom a rule has counted for, by name.
func (a *analysis) of(rule int) []subject {
	var out []subject
	for key := range a.tallies {
		if key.rule == rule {
			out = append(out, key)
		}
	}
	slices.SortFunc(out, func(x, y subject) int { return strings.Compare(x.name, y.name) })
	return out
}

func (r Rule) item(name string, t *tally) Item {
	says := r.says(name, t.n)
	if len(t.hours) > 0 {
		says += " (" + hoursText(t.hours) + ")"
	}
	return Item{Rule: r.ID, About: r.About, Name: name, Count: t.n, Says: says + ".", First: t.first, Last: t.last, Records: t.samples}
}

// says is a sentence without its full stop: "ct-1: objects refused: 7".
func (r Rule) says(name string, n int64) string {
	if name == "" {
		name = "site"
	}
	return fmt.Sprintf("%s: %s: %d", name, r.What, n)
}

// hoursText lists slots: "02:00, 03:00, weekends 14:00".
func hoursText(hours map[int]bool) string {
	var out []string
	weekend := ""
	for _, slot := range slices.Sorted(maps.Keys(hours)) {
		if slot >= day && weekend == "" {
			weekend = "weekends "
			out = append(out, fmt.Sprintf("weekends %02d:00", slot-day))
			continue
		}
		out = append(out, fmt.Sprintf("%02d:00", slot%day))
	}
	return strings.Join(out, ", ")
}

// settle counts the questions that were not answered in time by the end of the
// period.
func (a *analysis) settle(end time.Time) {
	questions := slices.Collect(maps.Values(a.open.questions))
	slices.SortFunc(questions, func(x, y question) int { return cmp.Compare(x.seq, y.seq) })
	for _, q := range questions {
		deadline := q.at.Add(rules[q.rule].Within)
		if q.answered.IsZero() && deadline.After(end) || !q.answered.IsZero() && !q.answered.After(deadline) {
			continue
		}
		t := a.tally(q.rule, q.by)
		if t.n == 0 {
			t.first = q.at
		}
		t.n++
		t.last = q.at
		if len(t.samples) < maxSamples {
			t.samples = append(t.samples, q.seq)
		}
	}
}

// volumes returns the devices whose volume is far from their habit.
func (a *analysis) volumes(rule Rule) []Item {
	var out []Item
	for _, d := range sorted(a.devices) {
		usual, known := d.usual()
		if !known || !rule.far(d.now.Objects, usual) {
			continue
		}
		out = append(out, Item{
			Rule: rule.ID, About: rule.About, Name: d.now.Name, Count: d.now.Objects, Usual: usual, Records: d.samples,
			Says: fmt.Sprintf("%s (usually %d).", rule.says(d.now.Name, d.now.Objects), usual),
		})
	}
	return out
}

// far reports whether n is far from what is usual, in the direction of the rule.
func (r Rule) far(n, usual int64) bool {
	if r.Test == above {
		return n > int64(r.Factor)*usual && n-usual > int64(r.Threshold)
	}
	return usual >= int64(r.Threshold) && n*int64(r.Factor) < usual
}

// What a review lists of devices and people at the most.
const (
	maxDevices = 200
	maxPeople  = 200
)

// summary lists the devices and people of the period, the busiest devices first.
func (a *analysis) summary() ([]Device, []Person) {
	var devices []Device
	for _, d := range sorted(a.devices) {
		if d.now.Associations+d.now.Rejected > 0 {
			d.now.Usual, _ = d.usual()
			devices = append(devices, d.now)
		}
	}
	slices.SortStableFunc(devices, func(x, y Device) int { return cmp.Compare(y.Objects, x.Objects) })
	var people []Person
	for _, p := range sorted(a.people) {
		people = append(people, *p)
	}
	return devices[:min(len(devices), maxDevices)], people[:min(len(people), maxPeople)]
}

// sorted returns a map's values by key.
func sorted[K cmp.Ordered, V any](m map[K]V) []V {
	out := make([]V, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[key])
	}
	return out
}
