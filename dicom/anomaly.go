package dicom

// Anomaly is something that a conformant encoder would not have written, or a limit met.
// Readers differ in what they make of it, which is why it matters.
type Anomaly struct {
	Code AnomalyCode
	// Fatal: the structure could not be followed from here on.
	Fatal bool
	// Offset is where it was noticed, counted as in [Element].
	Offset int64
	// Detail says more in tags, lengths and numbers. It never holds a value.
	Detail string
}

// AnomalyCode names a kind of anomaly. The names are stable.
type AnomalyCode string

// The kinds of anomaly. Those marked fatal always are; the others never are.
const (
	AnomalyNotDICOM              AnomalyCode = "not-dicom"               // fatal: neither a Part 10 file nor a data set in a known encoding
	AnomalyNoPreamble            AnomalyCode = "no-preamble"             // no preamble, or no DICM after it
	AnomalyNoMeta                AnomalyCode = "no-meta"                 // no file meta information
	AnomalyMetaLength            AnomalyCode = "meta-length"             // the group length of group 0002 is missing or wrong
	AnomalyMetaInDataSet         AnomalyCode = "meta-in-data-set"        // an element of group 0002 in a data set
	AnomalyNoTransferSyntax      AnomalyCode = "no-transfer-syntax"      // none named; the encoding was guessed
	AnomalyUnknownTransferSyntax AnomalyCode = "unknown-transfer-syntax" // one named that the table lacks; the encoding was guessed
	AnomalyEncodingMismatch      AnomalyCode = "encoding-mismatch"       // the data set is not encoded as its transfer syntax says; read as it is encoded
	AnomalyImplicitInExplicit    AnomalyCode = "implicit-in-explicit"    // an element or item without VR in a data set with explicit VRs
	AnomalyExplicitInImplicit    AnomalyCode = "explicit-in-implicit"    // an item with explicit VRs where they are implicit
	AnomalyUnknownVR             AnomalyCode = "unknown-vr"              // an explicit VR that PS3.5 table 6.2-1 lacks
	AnomalyReservedBytes         AnomalyCode = "reserved-bytes"          // the two reserved bytes after a VR are not zero
	AnomalyOddLength             AnomalyCode = "odd-length"              // an odd length
	AnomalyUndefinedLength       AnomalyCode = "undefined-length"        // undefined length where it is not allowed
	AnomalyDelimiterLength       AnomalyCode = "delimiter-length"        // a delimitation item whose length is not zero; the length was ignored
	AnomalyMissingDelimiter      AnomalyCode = "missing-delimiter"       // an undefined length that was ended by something else than its delimiter
	AnomalyStrayDelimiter        AnomalyCode = "stray-delimiter"         // a delimitation item that ends nothing
	AnomalyInvalidHeader         AnomalyCode = "invalid-header"          // fatal: bytes inside a sequence or the meta information that cannot be a header
	AnomalyUnexpectedItem        AnomalyCode = "unexpected-item"         // fatal: an item outside a sequence
	AnomalyItemExpected          AnomalyCode = "item-expected"           // fatal: something else than an item in a sequence or in Pixel Data
	AnomalyFragmentLength        AnomalyCode = "fragment-length"         // fatal: a fragment of undefined length
	AnomalyUNSequence            AnomalyCode = "un-sequence"             // UN of defined length where the dictionary has SQ; its items were not read
	AnomalyGroupLength           AnomalyCode = "group-length"            // a group length that is not the length of its group
	AnomalyTagOrder              AnomalyCode = "tag-order"               // a tag smaller than the one before it
	AnomalyDuplicateElement      AnomalyCode = "duplicate-element"       // the same tag twice in a row
	AnomalyDoubtfulElement       AnomalyCode = "doubtful-element"        // a root header that may as well be the first bytes of something appended
	AnomalyLengthExceedsParent   AnomalyCode = "length-exceeds-parent"   // a length beyond the end of the item or sequence around it; the inner length was followed
	AnomalyLengthExceedsRest     AnomalyCode = "length-exceeds-rest"     // a length beyond the end of the input
	AnomalyTrailingBytes         AnomalyCode = "trailing-bytes"          // bytes after the data set
	AnomalyTruncated             AnomalyCode = "truncated"               // fatal: the input ends inside an element
	AnomalyInflate               AnomalyCode = "inflate"                 // fatal: the deflate stream is corrupt
	AnomalyInflateLimit          AnomalyCode = "inflate-limit"           // fatal: Limits.InflateBytes
	AnomalyInflateRatio          AnomalyCode = "inflate-ratio"           // fatal: Limits.InflateRatio
	AnomalyDepthLimit            AnomalyCode = "depth-limit"             // fatal: Limits.Depth
	AnomalyElementLimit          AnomalyCode = "element-limit"           // fatal: Limits.Elements
	AnomalyItemLimit             AnomalyCode = "item-limit"              // fatal: Limits.Items
	AnomalyValueLength           AnomalyCode = "value-length"            // fatal: Limits.ValueLength
	AnomalyItemLength            AnomalyCode = "item-length"             // fatal: Limits.ItemLength
)

// Codes lists all kinds of anomaly.
func Codes() []AnomalyCode {
	return []AnomalyCode{
		AnomalyNotDICOM, AnomalyNoPreamble, AnomalyNoMeta, AnomalyMetaLength, AnomalyMetaInDataSet,
		AnomalyNoTransferSyntax, AnomalyUnknownTransferSyntax, AnomalyEncodingMismatch,
		AnomalyImplicitInExplicit, AnomalyExplicitInImplicit, AnomalyUnknownVR, AnomalyReservedBytes,
		AnomalyOddLength, AnomalyUndefinedLength, AnomalyDelimiterLength, AnomalyMissingDelimiter,
		AnomalyStrayDelimiter, AnomalyInvalidHeader, AnomalyUnexpectedItem, AnomalyItemExpected, AnomalyFragmentLength,
		AnomalyUNSequence, AnomalyGroupLength, AnomalyTagOrder, AnomalyDuplicateElement,
		AnomalyDoubtfulElement, AnomalyLengthExceedsParent, AnomalyLengthExceedsRest,
		AnomalyTrailingBytes, AnomalyTruncated, AnomalyInflate, AnomalyInflateLimit,
		AnomalyInflateRatio, AnomalyDepthLimit, AnomalyElementLimit, AnomalyItemLimit,
		AnomalyValueLength, AnomalyItemLength,
	}
}
