// Package dicom reads and writes DICOM data sets and Part 10 files
// (PS3.5, PS3.6, PS3.10).
//
// Reading is a push tokenizer: bytes go in as they arrive, events come out, and
// no value is ever held whole.
//
//	d := dicom.NewDecoder(visitor, dicom.Options{})
//	if _, err := io.Copy(d, file); err != nil { ... } // reading the file went wrong
//	d.Close()                                         // reports truncation
//
// The decoder accepts anything. What a conformant encoder would not have written is
// an [Anomaly], reported to the [Visitor] beside the events; where the structure can no
// longer be followed, the rest of the input still passes the visitor, as one unparsed
// piece. No byte escapes it: for input that is not deflated, the Header bytes and the
// Value bytes of all events, in order, are the input.
//
// Writing is [Writer] for data sets and [WriteFileMeta] for what precedes them in a file.
//
// The package does not interpret values: no character sets, no numbers from strings,
// no pixels. It does not decide what is acceptable. It does no input or output of its
// own, and it keeps no tree of a data set in memory; [ReadElements] is for the small
// ones, command sets and identifiers.
package dicom
