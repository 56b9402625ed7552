package policy

import (
	"strings"

	"cordon/dicom"
)

// serviceOf names the service that an abstract syntax belongs to, or "" if the
// gateway has none for it.
//
// Storage SOP classes are recognised by their registered names (PS3.6 annex
// A). A UID that the dictionary does not know may be a vendor's private
// storage class, or one newer than the dictionary, so it counts as storage:
// the archive still has to accept it, and its objects are judged as any other.
func serviceOf(abstract dicom.UID) Service {
	if abstract == dicom.Verification {
		return ServiceEcho
	}
	known, ok := dicom.LookupUID(abstract)
	if !ok || isStorage(known.Name) {
		return ServiceStore
	}
	return ""
}

// isStorage tells the storage SOP classes by name from those which only speak
// of storage.
func isStorage(name string) bool {
	return strings.Contains(name, "Storage") &&
		!strings.Contains(name, "Commitment") &&
		!strings.Contains(name, "Directory") &&
		!strings.Contains(name, "Management")
}
