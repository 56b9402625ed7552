package reconcile

import (
	"context"
	"errors"
	"time"

	"cordon/ledger"
)

// archives asks each archive for what it has answered success for since it was
// asked last. It takes at most half of what is left of the run, and of that each
// archive its share: what was missing before has its turn however much is new.
func (w *work) archives(ctx context.Context) error {
	for _, a := range w.config.Archives {
		w.report.Archives = append(w.report.Archives, Answer{Archive: a.Name, How: w.how(a)})
	}
	deadline, _ := ctx.Deadline()
	half := time.Until(deadline) / 2
	for i, a := range w.config.Archives {
		share, cancel := context.WithTimeout(ctx, half/time.Duration(len(w.config.Archives)))
		err := w.archive(share, a, &w.report.Archives[i])
		late := share.Err() != nil && ctx.Err() == nil
		cancel()
		if late {
			w.report.Unfinished = true
		} else if err != nil {
			return err
		}
	}
	return nil
}

// window is how many records an archive is asked about before that is noted.
func (w *work) window(archive string) int64 {
	if n, ok := w.windows[archive]; ok {
		return n
	}
	return w.config.Window
}

// tooSlow has an archive that could not be asked about so many records in one run
// be asked about fewer in the next: it would never come to an end.
func (w *work) tooSlow(archive string, records int64) {
	w.windows[archive] = max(records/4, 1)
}

// how is the first way in which an archive is asked.
func (w *work) how(a Archive) string {
	switch {
	case a.Query && w.parts.Find != nil:
		return "C-FIND"
	case a.Commit && w.parts.Confirm != nil:
		return "commitment"
	}
	return ""
}

// archive reads on where the last run ended, a window at a time. The cursor
// moves when the archive has answered for all of a window: one that goes away is
// asked again from there.
func (w *work) archive(ctx context.Context, a Archive, to *Answer) error {
	next, err := w.cursor(ctx, a.Name)
	if err != nil {
		return err
	}
	end, err := w.parts.Ledger.Size(ctx)
	for first := next; err == nil && next < end && to.Error == ""; {
		upto := min(end, next+w.window(a.Name))
		var all batch
		if all, err = w.delivered(ctx, a.Name, next, upto); err != nil {
			break
		}
		if err = w.ask(ctx, a, all, to); err == nil && to.Error == "" {
			next = upto
			err = w.advance(ctx, a.Name, next)
		} else if next == first && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			w.tooSlow(a.Name, upto-next)
		}
	}
	return err
}

// delivered is what the records say that the archive has answered success for.
func (w *work) delivered(ctx context.Context, archive string, from, to int64) (batch, error) {
	all := batch{}
	err := w.read(ctx, from, to, []string{"object.delivered"}, func(_ ledger.Record, e entry) error {
		if e.Archive == archive && e.Instance != "" {
			all.add(series{e.Study, e.Series}, instance{uid: e.Instance, class: e.Class, sha256: e.SHA256})
		}
		return nil
	})
	return all, err
}

// ask asks about all of a window, and writes down what the archive lacks. Where
// it cannot be asked about a series, its word has to do; if it is away, that is
// in to, and nothing was written down that would not be again.
func (w *work) ask(ctx context.Context, a Archive, all batch, to *Answer) error {
	for s, want := range all {
		missing, err := w.lacks(ctx, a, s, want)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errNotAsked):
			to.Instances += len(want)
			to.Unasked += len(want)
			to.Why = err.Error()
			continue
		case err != nil:
			to.Error = err.Error()
			return nil
		}
		to.Instances += len(want)
		to.Present += len(want) - len(missing)
		if err := w.miss(ctx, a.Name, s, missing); err != nil {
			return err
		}
	}
	return nil
}
