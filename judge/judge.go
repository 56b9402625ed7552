// Package judge is the one pipeline from an object's bytes to a verdict. Every
// way in and out of the house uses it: DIMSE, files, and whatever comes later.
//
// The object is pushed through once, as it arrives; nothing reads it a second
// time:
//
//	j := judge.New(judge.Config{Rules: rules, Hashes: hashes})
//	jm := j.Begin(judge.Source{TransferSyntax: ts, SOPClassUID: class, SOPInstanceUID: instance})
//	_, err := io.Copy(jm, object)
//	report, decision := jm.Finish()
//
// # Life of a judgement
//
// Begin makes an inspection and, if nobody else does, a hash. Write feeds both. Finish closes the
// inspection, compares the identity that the sender announced with the one in
// the data set, marks what is excepted for the device, and asks policy for the
// verdict. A judgement that was not finished has no verdict, and the zero
// Verdict admits nothing.
//
// It will not keep the bytes (custody does), and it knows no sockets.
package judge

import (
	"context"
	"crypto/sha256"
	"hash"
	"runtime"
	"time"

	"cordon/dicom"
	"cordon/engine"
	"cordon/finding"
	"cordon/inspect"
	"cordon/policy"
)

// Config is what every judgement shares.
type Config struct {
	Rules  policy.Rules     // Monitor may be set for one Source as well
	Hashes inspect.HashList // digests of known objects and pieces

	Engines       []Engine       // asked about every piece; none is fine
	Scratch       func() Scratch // where larger pieces wait for them; nil: such pieces are not scanned
	ScanPixelData bool           // engines see uncompressed pixel data as well
	Deadline      time.Duration  // for the engines, after the object's last byte; 10 s
	Live          func() Live    // asked for each object; nil: Rules, ScanPixelData and Deadline as they are here
	Arriving      int            // objects that keep containers while they come in, at a time, of at most 16 MiB each; 64
}

// Live is what people may change while Cordon runs. It holds from the next object
// on.
type Live struct {
	Rules         policy.Rules
	ScanPixelData bool
	Deadline      time.Duration
}

// live is what holds now.
func (j *Judge) live() Live {
	if j.config.Live == nil {
		return Live{j.config.Rules, j.config.ScanPixelData, j.config.Deadline}
	}
	return j.config.Live()
}

// Judge makes judgements. It is safe for concurrent use.
type Judge struct {
	config   Config
	turns    inspect.Turns
	arriving inspect.Turns
	cache    *engine.Cache
	rests    rests
	asked    asked
}

// New returns a Judge.
func New(c Config) *Judge {
	if c.Deadline == 0 {
		c.Deadline = defaultDeadline
	}
	if c.Arriving == 0 {
		c.Arriving = defaultArriving
	}
	return &Judge{
		config:   c,
		turns:    inspect.NewTurns(runtime.GOMAXPROCS(0)), // opening containers is work for the processor alone
		arriving: inspect.NewTurns(c.Arriving),
		cache:    engine.NewCache(cacheEntries, cacheAge),
		rests:    rests{until: map[string]time.Time{}},
	}
}

// Source says where an object comes from and what its sender announced.
type Source struct {
	TransferSyntax dicom.UID // of a bare data set; "" for a file
	SOPClassUID    dicom.UID // announced by the command; "" if none did
	SOPInstanceUID dicom.UID // announced by the command; "" if none did
	Size           int64     // total bytes if known, else 0
	Unhashed       bool      // no digest is made, since whoever keeps the bytes makes it; the report's stays zero
	Monitor        bool      // deliver everything, record what would have been held
	Bypass         bool      // the same, and ask no engine: each is recorded as not asked
	Strict         bool      // what is suspicious is held whatever the rules say, monitor mode and a bypass too; engines see all pixel data
	ScanLater      bool      // no engine is asked now: the object is not passed on before it was judged once more

	Origin     policy.Origin      // who sent it
	Exceptions []policy.Exception // approved for that device
}

// Judgement is one object under way. It is an io.Writer for that object's
// bytes, and belongs to one goroutine.
type Judgement struct {
	source     Source
	rules      policy.Rules
	inspection *inspect.Inspection
	scans      *scans                 // nil without engines
	unasked    []finding.EngineResult // what a bypass says of them
	digest     hash.Hash              // nil if none is made
	bytes      int64
	patient    inspect.Patient
}

// Begin starts to judge one object. The caller must call Finish.
func (j *Judge) Begin(s Source) *Judgement {
	live := j.live()
	jm := &Judgement{source: s, rules: live.Rules}
	if !s.Unhashed {
		jm.digest = sha256.New()
	}
	jm.rules.Monitor = jm.rules.Monitor || s.Monitor
	jm.rules.Bypass = jm.rules.Bypass || s.Bypass
	if s.Strict {
		jm.rules, live.ScanPixelData, s.Bypass = live.Rules.Strict(), true, false
		if !s.ScanLater { // what engines could not scan is for whoever asked: the object waits with them
			jm.rules.Unscanned = policy.Deliver
		}
	}
	o := inspect.Options{
		Decoder: dicom.Options{TransferSyntax: s.TransferSyntax, Size: s.Size},
		Hashes:  j.config.Hashes,
		Turns:   j.turns,

		Arriving: j.arriving,
	}
	switch {
	case s.Bypass:
		jm.unasked = unasked(j.config.Engines)
	case len(j.config.Engines) > 0 && !s.ScanLater:
		jm.scans = newScans(j, live)
		o.Pieces = jm.scans.piece
	}
	jm.inspection = inspect.New(o)
	return jm
}

// Write judges the next bytes of the object. It never fails: a bad object is a
// finding.
func (jm *Judgement) Write(p []byte) (int, error) {
	if jm.digest != nil {
		jm.digest.Write(p)
	}
	jm.inspection.Write(p)
	jm.bytes += int64(len(p))
	return len(p), nil
}

// Finish ends the object and returns what is known of it and what becomes of
// it. The report's verdict is the decision's. It waits for the engines, at most
// for the deadline; when ctx ends it waits no longer, and what they have not
// answered is unscanned.
func (jm *Judgement) Finish(ctx context.Context) (finding.Report, policy.Decision) {
	out := jm.inspection.Close()
	jm.patient = out.Patient
	r := finding.Report{
		Findings: append(out.Findings, jm.identity(out)...),
		Identity: out.Identity,
		Bytes:    jm.bytes,
		Fatal:    fatal(out),
		Engines:  jm.unasked,
	}
	if jm.scans != nil {
		var hits []finding.Finding
		r.Engines, hits = jm.scans.finish(ctx)
		r.Findings = append(r.Findings, hits...)
	}
	r.Findings = policy.Except(r.Findings, jm.source.Origin, jm.source.Exceptions)
	if jm.digest != nil {
		jm.digest.Sum(r.SHA256[:0])
	}
	d := jm.rules.Decide(r)
	r.Verdict = d.Verdict
	return r, d
}

// Tolerable returns the findings that alone keep the object from delivery, if
// all of them may be excepted for its device.
func (j *Judge) Tolerable(r finding.Report) []finding.Finding { return j.live().Rules.Tolerable(r) }

// fatal says why the structure was lost, or nil. It errs towards lost.
func fatal(out inspect.Outcome) *finding.Finding {
	if out.Fatal && out.FatalFinding == nil {
		return &finding.Finding{ID: "unparseable"}
	}
	return out.FatalFinding
}

// identity holds the announced SOP class and instance against those in the
// data set. An object whose structure was lost before they were met names
// neither, which is for the unparseable rule to judge; one that was read to
// its end must name both.
func (jm *Judgement) identity(out inspect.Outcome) []finding.Finding {
	if jm.source.SOPInstanceUID == "" {
		return nil
	}
	lost := out.Fatal
	for _, pair := range [...]struct {
		where, announced, found string
	}{
		{"(0008,0016)", string(jm.source.SOPClassUID), out.Identity.SOPClassUID},
		{"(0008,0018)", string(jm.source.SOPInstanceUID), out.Identity.SOPInstanceUID},
	} {
		if pair.found == pair.announced || lost && pair.found == "" {
			continue
		}
		return []finding.Finding{finding.New(finding.AnnouncedMismatch, pair.where, 0, "the command announced another")}
	}
	return nil
}
