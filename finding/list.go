package finding

import "slices"

// AnnouncedMismatch is the id of the finding that the sender announced one
// instance and sent another. It is refused, whatever the rules: nobody knows
// which object it is.
const AnnouncedMismatch = "announced-mismatch"

// ContainerLimit is the id of the finding that a container was not opened to its
// end. What was not looked at is never clean: policy counts it as unscanned.
const ContainerLimit = "container-limit"

// EngineDetection is the id of the finding that an outside engine recognised a
// piece.
const EngineDetection = "engine-detection"

// Has reports whether one of fs is of the kind id.
func Has(fs []Finding, id string) bool {
	return slices.ContainsFunc(fs, func(f Finding) bool { return f.ID == id })
}

// Exceptions lists the exceptions that cover findings in fs, each once.
func Exceptions(fs []Finding) []string {
	var ids []string
	for _, f := range fs {
		if f.Excepted != "" && !slices.Contains(ids, f.Excepted) {
			ids = append(ids, f.Excepted)
		}
	}
	return ids
}

// IDs lists the kinds in fs, each once, in order of first appearance.
func IDs(fs []Finding) []string {
	ids := []string{}
	for _, f := range fs {
		if !slices.Contains(ids, f.ID) {
			ids = append(ids, f.ID)
		}
	}
	return ids
}
