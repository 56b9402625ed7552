package judge_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/engine"
	"cordon/finding"
	"cordon/judge"
	"cordon/policy"
)

var _ = []judge.Engine{(*engine.Clamd)(nil), (*engine.ICAP)(nil)}

// object is a small data set in explicit VR little endian, with private values.
func object(t *testing.T, class, instance string, private ...[]byte) []byte {
	t.Helper()
	ts, _ := dicom.LookupTransferSyntax(dicom.ExplicitVRLittleEndian)
	var b bytes.Buffer
	w := dicom.NewWriter(&b, ts)
	w.String(dicom.TagSOPClassUID, dicom.UI, class)
	w.String(dicom.TagSOPInstanceUID, dicom.UI, instance)
	w.String(dicom.NewTag(9, 0x10), dicom.LO, "CORDON TEST")
	for i, value := range private {
		w.Element(dicom.NewTag(9, 0x1001+uint16(i)), dicom.OB, value)
	}
	w.Uint16(dicom.TagRows, 2)
	w.Uint16(dicom.TagColumns, 4)
	w.Uint16(dicom.TagBitsAllocated, 16)
	w.Uint16(dicom.TagSamplesPerPixel, 1)
	w.Element(dicom.TagPixelData, dicom.OW, []byte("PIXELS!!PIXELS!!"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func source(class, instance dicom.UID) judge.Source {
	return judge.Source{TransferSyntax: dicom.ExplicitVRLittleEndian, SOPClassUID: class, SOPInstanceUID: instance}
}

func run(t *testing.T, j *judge.Judge, s judge.Source, data []byte) (finding.Report, policy.Decision) {
	t.Helper()
	jm := j.Begin(s)
	if _, err := jm.Write(data); err != nil {
		t.Fatal(err)
	}
	return jm.Finish(context.Background())
}

const class, instance = "1.2.840.10008.5.1.4.1.1.2", "2.25.1"

func TestIdentityMustBeTheAnnouncedOne(t *testing.T) {
	j := judge.New(judge.Config{})
	data := object(t, class, instance)
	for _, c := range []struct {
		name            string
		class, instance dicom.UID
		data            []byte
		want            finding.Verdict
	}{
		{"the same", class, instance, data, finding.Admit},
		{"another instance", class, "2.25.2", data, finding.Refuse},
		{"another class", "1.2.840.10008.5.1.4.1.1.4", instance, data, finding.Refuse},
		{"a data set that names none", class, instance, data[8+len(class)+1+8+len(instance):], finding.Refuse},
		{"lost before it was named", class, instance, []byte{0x08, 0, 0x16, 0, 'U', 'I', 0xFF, 0}, finding.Hold},
	} {
		if r, d := run(t, j, source(c.class, c.instance), c.data); d.Verdict != c.want || r.Verdict != c.want {
			t.Errorf("%s: %v, want %v (%v)", c.name, d.Verdict, c.want, r.Findings)
		}
	}
}

func TestAnUnfinishedJudgementAdmitsNothing(t *testing.T) {
	var r finding.Report
	if r.Verdict == finding.Admit {
		t.Error("a zero report admits")
	}
}

// fakeEngine is an engine that answers what a test decides.
type fakeEngine struct {
	name string
	down bool
	scan func(ctx context.Context, piece []byte) finding.EngineResult

	mu     sync.Mutex
	pieces [][]byte
}

func (e *fakeEngine) Name() string                      { return e.name }
func (e *fakeEngine) Signatures(context.Context) string { return "v1" }
func (e *fakeEngine) State(context.Context) engine.State {
	return engine.State{Name: e.name, Up: !e.down}
}
func (e *fakeEngine) Scan(ctx context.Context, r io.Reader, size int64) finding.EngineResult {
	piece, err := io.ReadAll(r)
	if err != nil || int64(len(piece)) != size {
		return finding.EngineResult{Name: e.name, Detail: "piece is not whole"}
	}
	e.mu.Lock()
	e.pieces = append(e.pieces, piece)
	e.mu.Unlock()
	answer := e.scan(ctx, piece)
	answer.Name, answer.Signatures = e.name, "v1"
	return answer
}

func (e *fakeEngine) saw(text string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, p := range e.pieces {
		if bytes.HasPrefix(p, []byte(text)) {
			n++
		}
	}
	return n
}

func clean(context.Context, []byte) finding.EngineResult {
	return finding.EngineResult{Result: finding.Clean}
}

func TestEnginesSeeEachPieceFromItsFirstByte(t *testing.T) {
	e := &fakeEngine{name: "fake", scan: clean}
	j := judge.New(judge.Config{Engines: []judge.Engine{e}})
	r, d := run(t, j, source(class, instance), object(t, class, instance, []byte("first private value"), []byte("second private value")))
	if d.Verdict != finding.Admit || len(r.Engines) != 1 || r.Engines[0].Result != finding.Clean {
		t.Errorf("%v, %+v", d, r.Engines)
	}
	if e.saw("first private") != 1 || e.saw("second private") != 1 {
		t.Errorf("pieces: %q", e.pieces)
	}
	if e.saw("PIXELS") != 0 {
		t.Error("pixel data went to the engine without leave")
	}
}

func TestPixelDataGoesToEnginesByPolicy(t *testing.T) {
	e := &fakeEngine{name: "fake", scan: clean}
	j := judge.New(judge.Config{Engines: []judge.Engine{e}, ScanPixelData: true})
	run(t, j, source(class, instance), object(t, class, instance))
	if e.saw("PIXELS!!") != 1 {
		t.Errorf("pieces: %q", e.pieces)
	}
}

func TestIdenticalPiecesAreScannedOnce(t *testing.T) {
	e := &fakeEngine{name: "fake", scan: clean}
	j := judge.New(judge.Config{Engines: []judge.Engine{e}})
	for range 5 {
		run(t, j, source(class, instance), object(t, class, instance, []byte("the same in every slice")))
	}
	if n := e.saw("the same in"); n != 1 {
		t.Errorf("scanned %d times", n)
	}
}

func TestAnEnginesHitHolds(t *testing.T) {
	hit := &fakeEngine{name: "hit", scan: func(_ context.Context, p []byte) finding.EngineResult {
		if strings.HasPrefix(string(p), "infected") {
			return finding.EngineResult{Result: finding.ResultMalicious, Detail: "Test.Virus"}
		}
		return finding.EngineResult{Result: finding.Clean}
	}}
	blind := &fakeEngine{name: "blind", scan: clean}
	j := judge.New(judge.Config{Engines: []judge.Engine{blind, hit}})
	r, d := run(t, j, source(class, instance), object(t, class, instance, []byte("harmless private value"), []byte("infected private value")))
	if d.Verdict != finding.Hold || r.Engines[0].Result != finding.Clean || r.Engines[1].Result != finding.ResultMalicious {
		t.Errorf("%+v, %+v", d, r.Engines)
	}
	if !finding.Has(r.Findings, finding.EngineDetection) {
		t.Errorf("the place is not told: %+v", r.Findings)
	}
	for _, f := range r.Findings {
		if f.ID == finding.EngineDetection && (f.Where != "(0009,1002)" || f.Detail != "hit: Test.Virus") {
			t.Errorf("%+v", f)
		}
	}
}

// One piece that was not scanned makes the object unscanned, however many were.
func TestUnscannedIsNeverClean(t *testing.T) {
	e := &fakeEngine{name: "fake", scan: func(_ context.Context, p []byte) finding.EngineResult {
		if strings.HasPrefix(string(p), "over") {
			return finding.EngineResult{Detail: "over the limit"}
		}
		return finding.EngineResult{Result: finding.Clean}
	}}
	data := object(t, class, instance, []byte("over the engine's limit"), []byte("clean private value"))
	for _, c := range []struct {
		rules policy.Rules
		want  finding.Verdict
	}{{policy.Rules{}, finding.Hold}, {policy.DefaultRules(), finding.Admit}} {
		j := judge.New(judge.Config{Engines: []judge.Engine{e}, Rules: c.rules})
		if r, d := run(t, j, source(class, instance), data); r.Engines[0].Result != finding.Unscanned || d.Verdict != c.want || !d.Alarm {
			t.Errorf("%+v, %+v; want %v and an alarm", r.Engines, d, c.want)
		}
	}
}

// The clock runs from the last byte; an engine that hangs must not hold up the
// image, nor the next one.
func TestHangingEngineIsWaitedForOnce(t *testing.T) {
	e := &fakeEngine{name: "fake", down: true, scan: func(ctx context.Context, _ []byte) finding.EngineResult {
		<-ctx.Done()
		return finding.EngineResult{Detail: "no answer"}
	}}
	j := judge.New(judge.Config{Engines: []judge.Engine{e}, Deadline: 300 * time.Millisecond, Rules: policy.DefaultRules()})
	began := time.Now()
	for i := range 5 {
		r, d := run(t, j, source(class, instance), object(t, class, instance, []byte("private value of some length"), []byte{byte(i), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}))
		if r.Engines[0].Result != finding.Unscanned || d.Verdict != finding.Admit || !d.Alarm {
			t.Errorf("%+v, %+v", r.Engines, d)
		}
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("five objects took %v", took)
	}
}

// A piece over which an engine takes too long must not switch the engine off for
// what is sent next.
func TestSlowPieceOpensNoWayForTheNext(t *testing.T) {
	e := &fakeEngine{name: "fake", scan: func(ctx context.Context, p []byte) finding.EngineResult {
		if strings.HasPrefix(string(p), "bomb") {
			<-ctx.Done()
			return finding.EngineResult{}
		}
		return finding.EngineResult{Result: finding.ResultMalicious, Detail: "Test.Virus"}
	}}
	j := judge.New(judge.Config{Engines: []judge.Engine{e}, Deadline: 200 * time.Millisecond, Rules: policy.DefaultRules()})
	run(t, j, source(class, instance), object(t, class, instance, []byte("bomb that takes an engine long")))
	if _, d := run(t, j, source(class, instance), object(t, class, instance, []byte("infected private value"))); d.Verdict != finding.Hold {
		t.Errorf("%+v", d)
	}
}

// scratch is a judge.Scratch in memory.
type scratch struct {
	bytes.Buffer
	discarded *int
}

func (s *scratch) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(s.Bytes())), nil }
func (s *scratch) Discard()                     { *s.discarded++ }

func TestLargePiecesWaitInScratch(t *testing.T) {
	e := &fakeEngine{name: "fake", scan: clean}
	discarded := 0
	large := bytes.Repeat([]byte("large private value "), 10_000)
	data := object(t, class, instance, large)
	j := judge.New(judge.Config{Engines: []judge.Engine{e}, Scratch: func() judge.Scratch { return &scratch{discarded: &discarded} }})
	jm := j.Begin(source(class, instance))
	for len(data) > 0 {
		n := min(len(data), 1000)
		jm.Write(data[:n])
		data = data[n:]
	}
	r, _ := jm.Finish(context.Background())
	if r.Engines[0].Result != finding.Clean || e.saw("large private") != 1 || discarded != 1 {
		t.Errorf("%+v, seen %d times, %d discarded", r.Engines, e.saw("large private"), discarded)
	}

	without := judge.New(judge.Config{Engines: []judge.Engine{e}})
	if r, _ := run(t, without, source(class, instance), object(t, class, instance, append(large, 'x', 'y'))); r.Engines[0].Result != finding.Unscanned {
		t.Errorf("a piece that could not be kept is %v", r.Engines[0].Result)
	}
}

func TestNobodyWaitsForEnginesOfAnAbandonedObject(t *testing.T) {
	e := &fakeEngine{name: "fake", scan: func(ctx context.Context, _ []byte) finding.EngineResult {
		<-ctx.Done()
		return finding.EngineResult{}
	}}
	j := judge.New(judge.Config{Engines: []judge.Engine{e}, Deadline: time.Minute})
	jm := j.Begin(source(class, instance))
	jm.Write(object(t, class, instance, []byte("private value of some length")))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	began := time.Now()
	if _, d := jm.Finish(ctx); d.Verdict == finding.Admit || time.Since(began) > 5*time.Second {
		t.Errorf("%+v after %v", d, time.Since(began))
	}
}

// A bypass delivers what would be held and waits for nobody; what is not the
// announced instance is refused all the same.
func TestBypassDeliversAndAsksNobody(t *testing.T) {
	e := &fakeEngine{name: "fake", scan: clean}
	j := judge.New(judge.Config{Engines: []judge.Engine{e}})
	s := source(class, instance)
	s.Bypass = true
	r, d := run(t, j, s, object(t, class, instance, []byte("private value of some length")))
	if d.Verdict != finding.Admit || !d.Alarm || d.Reason != "bypass: unscanned: fake" {
		t.Errorf("%+v", d)
	}
	if len(r.Engines) != 1 || r.Engines[0].Result != finding.Unscanned || e.saw("private") != 0 {
		t.Errorf("%+v", r.Engines)
	}
	s.SOPInstanceUID = "2.25.2"
	if _, d := run(t, j, s, object(t, class, instance)); d.Verdict != finding.Refuse {
		t.Errorf("another instance: %+v", d)
	}
	s = source(class, instance)
	s.Bypass = true
	if _, d := run(t, judge.New(judge.Config{}), s, object(t, class, instance)); d != (policy.Decision{Verdict: finding.Admit, Reason: "bypass", Alarm: true}) {
		t.Errorf("nothing against it: %+v", d)
	}
}

// However many pieces an object has, and however slow an engine is that says it
// is well, the object does not wait longer than twice the deadline.
func TestManySlowPiecesDoNotBlock(t *testing.T) {
	const deadline = 300 * time.Millisecond
	e := &fakeEngine{name: "fake", scan: func(ctx context.Context, _ []byte) finding.EngineResult {
		<-ctx.Done()
		return finding.EngineResult{}
	}}
	var pieces [][]byte
	for i := range 200 {
		pieces = append(pieces, bytes.Repeat([]byte{byte(i)}, 64))
	}
	j := judge.New(judge.Config{Engines: []judge.Engine{e}, Deadline: deadline})
	began := time.Now()
	r, _ := run(t, j, source(class, instance), object(t, class, instance, pieces...))
	if took := time.Since(began); took > 5*deadline || r.Engines[0].Result != finding.Unscanned {
		t.Errorf("took %v, %+v", took, r.Engines)
	}
}
