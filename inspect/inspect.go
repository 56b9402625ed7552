// Package inspect carves an object and judges the pieces. It implements the
// checks that PS3.10 §7.5 names and the ones that known attacks on imaging
// software ask for; what it can find is the catalogue of package finding.
//
// An inspection is a push pipeline: bytes, the tokenizer of package dicom, the
// inspectors, findings.
//
//	in := inspect.New(inspect.Options{})
//	if _, err := io.Copy(in, file); err != nil { … } // reading the file went wrong
//	out := in.Close()
//	for _, f := range out.Findings { … }
//
// The pieces are the preamble, every private, binary or long value, the
// encapsulated document, overlays, curves, waveforms and padding among them;
// each fragment and all fragments joined; offset tables; what follows a JPEG
// image's end or the last native frame; what follows the data set; and what
// could not be parsed. Deflated data sets are inflated first, and binary values
// are read in every byte order. A file that is not DICOM is one piece, a plain
// file: a program among medical images is malicious wherever it is.
//
// Pieces that begin as a container or a text (package container) are kept, up to
// 8 MiB or 64 KiB, and opened at their end; what is inside is judged from its own first byte.
// Native pixel data is never kept.
//
// What is found does not depend on how the bytes are cut into writes. Memory is
// bounded, whatever the object's size: about 256 KiB, of which the longest text
// values take 64 KiB each, beside the decoder's own; for containers 16 MiB while they
// come in, and while one is open up to 64 MiB, members and decoded copies included.
//
// The package decodes no pixels, talks to no outside engine and decides nothing:
// verdicts are package policy's.
package inspect

import (
	"io"

	"cordon/dicom"
	"cordon/finding"
)

// Options say how to inspect. The zero value is a good default.
type Options struct {
	Decoder dicom.Options
	Hashes  HashList
	Limits  Limits
	Turns   Turns // to open containers, shared by inspections that run side by side
	// Arriving are the turns of objects to keep containers while they come in, at
	// most 16 MiB each; shared as well. An object that gets none in time has its
	// containers cut short, which is a finding. Nil bounds nothing.
	Arriving Turns
	// Pieces, when set, is called for every piece that is carved. It may return
	// nil when it does not want the piece. Close comes at the piece's end, or
	// after the first error of a Write, which ends that copy and nothing else.
	Pieces func(Piece) io.WriteCloser
}

// Limits bound the findings that one inspection returns. Zero fields mean defaults.
type Limits struct {
	PerKind int // findings of one id that are listed; further ones are counted. Default 16.
}

// Outcome is what one inspection found.
type Outcome struct {
	// Findings in the order in which they were found, at most Limits.PerKind of
	// one id and one for each id and place.
	Findings []finding.Finding
	// Fatal: the structure was lost or a limit met; what follows was judged as one piece.
	// A plain file has no structure to lose, unless a data set was promised.
	Fatal bool
	// FatalFinding says why; nil unless Fatal.
	FatalFinding *finding.Finding
	// IsDICOM is false for a plain file.
	IsDICOM  bool
	Identity finding.Identity
	Patient  Patient
}

// Inspection judges one object. It is an io.Writer, for one goroutine.
type Inspection struct {
	decoder    *dicom.Decoder
	report     report
	inspectors []inspector
	carver     *carver
	opened     *containers
	identity   identity
	patient    patient
	dual       dualProgram
	whole      wholeHash
	text       []byte // the value under way, as far as inspectors of whole values want it
	wanted     bool   // it is wanted
	file       bool   // no data set was promised: this may be any file
}

// New starts an inspection.
func New(o Options) *Inspection {
	in := &Inspection{file: o.Decoder.TransferSyntax == ""}
	in.report = newReport(o.Limits)
	in.dual = dualProgram{report: &in.report, watching: in.file}
	in.whole = newWholeHash(o.Hashes, &in.report)
	in.identity = identity{report: &in.report}
	in.inspectors = in.lines(o)
	in.decoder = dicom.NewDecoder((*visitor)(in), o.Decoder)
	return in
}

// lines lists the inspectors in the order in which they see each piece.
func (in *Inspection) lines(o Options) []inspector {
	r := &in.report
	opened := &containers{report: r, hashes: o.Hashes, turns: o.Turns, arriving: o.Arriving}
	in.opened = opened
	c := &carver{report: r, syntax: in.syntax, cut: cutter{hashes: o.Hashes, pieces: o.Pieces, report: r, containers: opened}}
	c.sweep.found = c.found
	in.carver = c
	g := &geometry{report: r, excess: c.cut.piece()}
	return []inspector{
		c,                           // executables, scripts, shortcuts, EICAR, listed hashes
		opened,                      // containers and texts among the pieces, and what is in them
		&preamble{report: r},        // what else the preamble holds
		&metaInformation{report: r}, // group 0002
		&in.identity,                // SOP class and instance
		&in.patient,                 // whom it is of
		&ambiguous{report: r},       // elements that stand twice
		&uids{report: r},            // UIDs
		&names{report: r},           // AE titles, file ids
		&markup{report: r},          // text that a viewer would run
		g,                           // the image's size against native pixel data
		&overlays{report: r},        // overlay sizes
		&palettes{report: r},        // palette descriptors against data
		&offsetTables{report: r},    // BOT and EOT against fragments
		&rle{report: r, geometry: g, syntax: in.syntax},                             // RLE headers
		&codestream{report: r, geometry: g, syntax: in.syntax, rest: c.cut.piece()}, // JPEG, JPEG-LS, JPEG 2000
	}
}

// syntax returns the transfer syntax, known once the first data set element has begun.
func (in *Inspection) syntax() dicom.TransferSyntax { return in.decoder.TransferSyntax() }

// Write judges the next bytes of the object. It never fails before Close.
func (in *Inspection) Write(p []byte) (int, error) {
	n, err := in.decoder.Write(p)
	if err != nil {
		return n, err
	}
	in.dual.write(p)
	in.whole.write(p)
	return len(p), nil
}

// Close says that the object is complete, and returns what was found.
func (in *Inspection) Close() Outcome {
	if err := in.decoder.Close(); err != nil {
		return Outcome{Fatal: true} // closed twice: an outcome that admits nothing
	}
	for _, i := range in.inspectors {
		i.finish()
	}
	in.opened.leave()
	in.dual.finish()
	in.whole.finish()
	id := in.identity.identity
	id.TransferSyntaxUID = string(in.decoder.TransferSyntax().UID)
	fatal := in.report.fatal
	if in.report.plain && in.file {
		fatal = nil
	}
	return Outcome{
		Findings:     in.report.findings(),
		Fatal:        fatal != nil,
		FatalFinding: fatal,
		IsDICOM:      !in.report.plain,
		Identity:     id,
		Patient:      in.patient.patient(),
	}
}

// inspector judges one aspect of an object. It sees every element, and tells the
// report what it finds.
type inspector interface {
	raises() []string                 // the ids that it can find
	begin(e *dicom.Element)           // with the header
	chunk(e *dicom.Element, p []byte) // with successive pieces of the value
	whole(e *dicom.Element, v []byte) // before end, for texts and for values up to shortValue; texts are cut at maxText
	end(e *dicom.Element)             // with the end of what begin began
	finish()                          // with the end of the object
}

// blind is an inspector that sees nothing, for others to embed.
type blind struct{}

func (blind) begin(*dicom.Element)         {}
func (blind) chunk(*dicom.Element, []byte) {}
func (blind) whole(*dicom.Element, []byte) {}
func (blind) end(*dicom.Element)           {}
func (blind) finish()                      {}

const (
	shortValue = 64       // values of any VR up to this length are shown whole
	maxText    = 64 << 10 // texts are shown whole up to this length
)

// visitor passes the decoder's events to the inspectors.
type visitor Inspection

func (in *visitor) Begin(e *dicom.Element) {
	in.wanted = e.Kind == dicom.KindElement && (e.Length <= shortValue || isText(e))
	in.text = in.text[:0]
	for _, i := range in.inspectors {
		i.begin(e)
	}
}

func (in *visitor) Value(e *dicom.Element, p []byte) {
	if in.wanted {
		in.text = append(in.text, p[:min(len(p), maxText-len(in.text))]...)
	}
	for _, i := range in.inspectors {
		i.chunk(e, p)
	}
}

func (in *visitor) End(e *dicom.Element) {
	for _, i := range in.inspectors {
		if in.wanted && e.Kind == dicom.KindElement {
			i.whole(e, in.text)
		}
		i.end(e)
	}
}

func (in *visitor) Anomaly(e *dicom.Element, a dicom.Anomaly) {
	in.report.anomaly(e, a)
	if a.Code == dicom.AnomalyDoubtfulElement && e != nil && e.Kind == dicom.KindElement {
		in.carver.doubtful(e)
	}
}
