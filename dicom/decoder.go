package dicom

import "errors"

// ErrClosed is the error of a Write after Close.
var ErrClosed = errors.New("dicom: write to a closed decoder")

// Visitor is told what a decoder reads, in the order of the input. Elements and bytes are
// valid only during the call.
type Visitor interface {
	// Begin comes with the header.
	Begin(e *Element)
	// Value comes with successive pieces of the value, none for an empty one.
	// Sequences, items and encapsulated Pixel Data have none: their content has its own events.
	Value(e *Element, p []byte)
	// End comes once for each Begin, innermost first.
	End(e *Element)
	// Anomaly comes after the Begin and before the End of the element it concerns.
	// Where it concerns none, e is nil.
	Anomaly(e *Element, a Anomaly)
}

// Options tell a decoder what to expect.
type Options struct {
	// TransferSyntax is that of a bare data set, as in a DIMSE message. Empty means a Part 10
	// file, or what can be recognised without preamble or meta information.
	TransferSyntax UID
	// Size is how many bytes will come, if that is known, else 0. Declared lengths are held against it.
	Size int64
	// Limits bound what is followed.
	Limits Limits
}
