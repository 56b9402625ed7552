package dicom

// Attribute is an entry of the data dictionary (PS3.6 chapters 6 to 9, PS3.7 annex E).
type Attribute struct {
	Tag     Tag
	VRs     []VR   // in the dictionary's order, not to be changed; none for items and delimiters
	VM      string // value multiplicity: 1, 1-n, 2-2n
	Keyword string // PatientName
	Name    string // Patient's Name
	Retired bool
}
