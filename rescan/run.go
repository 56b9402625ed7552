package rescan

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/finding"
	"cordon/judge"
	"cordon/store"
)

// Work is what Run works with.
type Work struct {
	Judge   *judge.Judge
	Engines func(context.Context) (signatures string, up bool) // of all engines; up if every one answers, or none is needed
	Paused  func() bool                                        // while a bypass is on
}

const (
	afterError = 30 * time.Second // the database fails, say
	leastPause = 10 * time.Millisecond
	share      = 3 // pauses for each time of work: live traffic comes first
)

// Run judges copies again, one at a time, until ctx ends. Between two it pauses
// for three times as long as the first took, so that it takes at most a quarter
// of a processor, and of the engines, from live traffic.
func (r *Rescan) Run(ctx context.Context, w Work) error {
	for {
		pause := r.step(ctx, w)
		select {
		case <-ctx.Done():
			return r.flush(context.WithoutCancel(ctx))
		case <-time.After(pause):
		}
	}
}

// step does one piece of work and returns how long to wait before the next.
func (r *Rescan) step(ctx context.Context, w Work) time.Duration {
	began := time.Now()
	worked, err := r.next(ctx, w)
	if err == nil {
		err = r.flush(ctx)
	}
	switch {
	case err != nil && ctx.Err() == nil:
		r.parts.Log.Error("rescan", "error", err)
		return afterError
	case worked:
		return max(leastPause, share*time.Since(began))
	}
	return r.config.Poll
}

// next judges what is due first, if anything is and all that is needed is there.
func (r *Rescan) next(ctx context.Context, w Work) (worked bool, err error) {
	if r.waiting() == 0 || w.Paused() {
		return false, nil
	}
	signatures, up := w.Engines(ctx)
	if !up {
		return false, nil
	}
	c, err := r.due(ctx, signatures)
	if err != nil || c == nil {
		return false, err
	}
	return true, r.again(ctx, w, c, signatures)
}

// waitingCopy is one that is due.
type waitingCopy struct {
	object   custody.Object
	bypassed bool
	attempts int
}

// settle is how long a copy rests after an attempt, whatever signatures change.
const settle = 5 * time.Minute

// due is the copy to be judged next, or nil: its time has come, or the engines
// have other signatures than when it was last tried.
func (r *Rescan) due(ctx context.Context, signatures string) (*waitingCopy, error) {
	var c waitingCopy
	var text string
	now := time.Now()
	err := r.parts.DB.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT object, bypassed, attempts FROM rescan_copies
			WHERE next_attempt <= ? OR signatures <> ? AND tried_at <= ? ORDER BY next_attempt, id LIMIT 1`,
			now.UnixMicro(), signatures, now.Add(-settle).UnixMicro()).Scan(&text, &c.bypassed, &c.attempts)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &c.object)
	}
	return &c, err
}

// again judges a copy and does what follows from it.
func (r *Rescan) again(ctx context.Context, w Work, c *waitingCopy, signatures string) error {
	report, err := r.judge(ctx, w.Judge, c.object)
	switch {
	case ctx.Err() != nil:
		return ctx.Err() // it is still due
	case err != nil:
		return r.giveUp(ctx, c.object, err.Error())
	}
	o := c.object
	o.Findings, o.Engines = report.Findings, report.Engines
	if d := r.rules().Decide(c.news(report)); d.Verdict != finding.Admit {
		return r.hit(ctx, o, d.Reason)
	}
	if name := c.unasked(report.Engines); name != "" {
		return r.giveUp(ctx, o, "engine "+name+" is not configured any more")
	}
	if name := unscanned(report.Engines); name != "" {
		return r.later(ctx, w, c, name, signatures)
	}
	return r.clean(ctx, o)
}

// news is what a report says that nobody has decided on yet. What was found
// before the delivery of an object that was not bypassed did not keep policy, or
// monitor mode, from delivering it; of a bypassed one, only what is excepted for
// its device was decided on.
func (c *waitingCopy) news(report finding.Report) finding.Report {
	findings := report.Findings
	report.Findings = nil
	for _, f := range findings {
		was, known := c.before(f)
		switch {
		case c.bypassed:
			f.Excepted = was.Excepted
		case known:
			continue
		}
		report.Findings = append(report.Findings, f)
	}
	if !c.bypassed {
		report.Fatal = nil
	}
	return report
}

// before finds the same finding at the first judgement.
func (c *waitingCopy) before(f finding.Finding) (was finding.Finding, known bool) {
	for _, was := range c.object.Findings {
		if was.ID == f.ID && was.Where == f.Where {
			return was, true
		}
	}
	return was, false
}

// judge reads a copy through a judgement, as the gateway did.
func (r *Rescan) judge(ctx context.Context, j *judge.Judge, o custody.Object) (finding.Report, error) {
	data, err := r.parts.Custody.OpenSealed(r.path(o.ID), o.Bytes, o.SHA256)
	if err != nil {
		return finding.Report{}, err
	}
	defer data.Close()
	jm := j.Begin(judge.Source{
		TransferSyntax: dicom.UID(o.TransferSyntaxUID),
		SOPClassUID:    dicom.UID(o.SOPClassUID),
		SOPInstanceUID: dicom.UID(o.SOPInstanceUID),
	})
	_, err = io.Copy(jm, &interruptible{ctx, data})
	if err != nil {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		ctx = ended
	}
	report, _ := jm.Finish(ctx)
	return report, err
}

// interruptible reads until ctx ends.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

// unasked names an engine that had not scanned the object and is not asked now:
// that the others find nothing does not make up for it.
func (c *waitingCopy) unasked(es []finding.EngineResult) string {
	for _, was := range c.object.Engines {
		asked := slices.ContainsFunc(es, func(e finding.EngineResult) bool { return e.Name == was.Name })
		if was.Result == finding.Unscanned && !asked {
			return was.Name
		}
	}
	return ""
}

// unscanned names the first engine that has not scanned everything, or is "".
func unscanned(es []finding.EngineResult) string {
	for _, e := range es {
		if e.Result == finding.Unscanned {
			return e.Name
		}
	}
	return ""
}

// clean ends a copy's life.
func (r *Rescan) clean(ctx context.Context, o custody.Object) error {
	err := r.parts.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(`DELETE FROM rescan_copies WHERE id = ?`, o.ID); err != nil {
			return err
		}
		return r.parts.Ledger.Append(tx, "object.rescanned", record(o))
	})
	if err == nil {
		r.drop(o)
	}
	return err
}

// waits are between attempts at which an engine answered and could not scan the
// object. One that is over an engine's limit is so every time: after the last
// wait it is not rescannable.
var waits = [...]time.Duration{time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour}

// later puts a copy off. If the engines went away meanwhile, that was no attempt.
func (r *Rescan) later(ctx context.Context, w Work, c *waitingCopy, engine, signatures string) error {
	if _, up := w.Engines(ctx); !up {
		return nil
	}
	if c.attempts >= len(waits) {
		return r.giveUp(ctx, c.object, fmt.Sprintf("engine %s could not scan it in %d attempts", engine, c.attempts+1))
	}
	now := time.Now()
	return r.parts.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE rescan_copies SET attempts = attempts + 1, tried_at = ?, next_attempt = ?, signatures = ? WHERE id = ?`,
			now.UnixMicro(), now.Add(waits[c.attempts]).UnixMicro(), signatures, c.object.ID)
		return err
	})
}

// giveUp deletes a copy that will never be judged.
func (r *Rescan) giveUp(ctx context.Context, o custody.Object, why string) error {
	if err := r.forget(ctx, o.ID); err != nil {
		return err
	}
	r.drop(o)
	r.lose(o, why)
	return nil
}
