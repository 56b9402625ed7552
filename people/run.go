package people

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"cordon/store"
)

// Run keeps house until ctx ends: each minute it records wrong passwords and the end
// of roles that were taken, and each hour drops what has ended.
func (a *Accounts) Run(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for n := 0; ; n++ {
		if err := a.keepHouse(ctx, n%60 == 0); err != nil && ctx.Err() == nil {
			log.Error("accounts: what has ended could not be recorded; it is tried again in a minute", "error", err)
		}
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			return a.tellFailures(last)
		case <-tick.C:
		}
	}
}

func (a *Accounts) keepHouse(ctx context.Context, all bool) error {
	if err := a.tellFailures(ctx); err != nil {
		return err
	}
	if err := a.endGlass(ctx, "", `WHERE ended = 0 AND until <= ?`, a.now().UnixMicro()); err != nil {
		return err
	}
	if !all {
		return nil
	}
	overdue, err := a.Overdue(ctx)
	if err != nil {
		return err
	}
	for _, g := range overdue {
		a.notice(Notice{"people.unreviewed", g.Name, fmt.Sprintf("what %s did with the role %s, taken in an emergency, was not reviewed within 24 h", g.Name, g.Role)})
	}
	now := a.now()
	return a.db.Update(ctx, func(tx *store.Tx) error {
		for _, s := range []struct {
			statement string
			before    time.Time
		}{
			{`DELETE FROM people_session WHERE used_at <= ?`, now.Add(-a.options.Idle)},
			{`DELETE FROM people_session WHERE created_at <= ?`, now.Add(-a.options.Absolute)},
			{`DELETE FROM people_link WHERE expires_at <= ?`, now},
			{`DELETE FROM people_browser WHERE used_at <= ?`, now.Add(-BrowserTerm)},
			{`DELETE FROM people_token WHERE expires_at <= ?`, now.Add(-30 * 24 * time.Hour)}, // people see for a while that it has expired
		} {
			if _, err := tx.Exec(s.statement, s.before.UnixMicro()); err != nil {
				return err
			}
		}
		return nil
	})
}
