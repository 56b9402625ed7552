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
