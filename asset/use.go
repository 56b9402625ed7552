package asset

// Kind is a kind of thing that a peer is seen to do.
type Kind string

const (
	Service          Kind = "service"
	SOPClass         Kind = "sop_class"
	TransferSyntax   Kind = "transfer_syntax"
	Archive          Kind = "archive"
	Called           Kind = "called_ae"
	Destination      Kind = "destination" // of a C-MOVE
	Hour             Kind = "hour"        // of the week, from Sunday midnight: 000 to 167
	Implementation   Kind = "implementation"
	Version          Kind = "version"           // implementation version name
	WouldRefuse      Kind = "would_refuse"      // what shadow let pass
	Refused          Kind = "refused"           // what was refused
	Asked            Kind = "asked"             // the SOP class that was refused
	AskedDestination Kind = "asked_destination" // the destination that was refused
)

// most is how many different values of each kind are kept of one peer. Those of
// its own making get few.
func (k Kind) most() int {
	switch k {
	case Hour:
		return 7 * 24
	case SOPClass, TransferSyntax, Asked:
		return 64
	case Implementation, Version, Called:
		return 16
	}
	return 32
}

// use is one thing that a peer does.
type use struct {
	kind  Kind
	value string
}

// Bounds of what is learned.
const (
	maxLearned    = 4096 // peers that are not declared and were admitted
	maxTurnedAway = 1024 // peers that are not declared and were only ever refused
	maxOfAddress  = 32   // peers that are not declared, at one address
	maxOfDevice   = 64   // addresses and certificates of one declared device
)
