package finding

import "slices"

// Kind is a row of the catalogue: everything there is to say about one finding id.
type Kind struct {
	ID         string   // stable: scripts, exceptions and ledger entries name it
	Severity   Severity // of every finding of this kind
	Title      string   // a line for a list
	Meaning    string   // what it is and why it matters
	Default    string   // what happens under the default policy
	Action     string   // what a person should do
	References []string // standards, advisories
	Exceptable bool     // people may say that it is one device's habit, see Exceptable
}

// Catalogue returns every kind, in the order in which people read them: payloads first,
// then attacks on readers, then oddities.
func Catalogue() []Kind { return slices.Clone(catalogue) }

// Lookup returns the kind with the given id.
func Lookup(id string) (Kind, bool) {
	for _, k := range catalogue {
		if k.ID == id {
			return k, true
		}
	}
	return Kind{}, false
}

// Exceptable reports whether f may be excepted for a device: it is suspicious
// and of a kind that vendors are known to write, which neither runs nor breaks
// the memory of a reader. Programs, scripts, active content, detections, wrong
// lengths and sizes, and two readings of one object never are. The finding and
// its kind must agree.
func Exceptable(f Finding) bool {
	k, ok := Lookup(f.ID)
	return ok && k.Exceptable && k.Severity == Suspicious && f.Severity == Suspicious
}
