package people

import (
	"context"
	"fmt"
	"sync"

	"cordon/store"
)

// failures counts wrong passwords between two records of them, so that nobody can
// fill the ledger by guessing. A name is recorded if it is somebody's, and not what
// was typed: some type their password there.
type failures struct {
	mu   sync.Mutex
	all  map[failure]int
	more int
}

type failure struct{ name, address string }

// maxFailures bounds how many are told apart in a minute.
const maxFailures = 200

func newFailures() *failures { return &failures{all: map[failure]int{}} }

func (f *failures) add(name, address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := failure{name, address}
	if _, ok := f.all[k]; !ok && len(f.all) >= maxFailures {
		f.more++
		return
	}
	f.all[k]++
}

func (f *failures) drain() (all map[failure]int, more int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all, more = f.all, f.more
	f.all, f.more = map[failure]int{}, 0
	return all, more
}

// manyFailures of one person's in a minute are no slip of the fingers.
const manyFailures = 8

// tellFailures records what was wrong since the last time.
func (a *Accounts) tellFailures(ctx context.Context) error {
	all, more := a.failed.drain()
	if len(all) == 0 {
		return nil
	}
	return a.db.Update(ctx, func(tx *store.Tx) error {
		for k, n := range all {
			if k.name != "" && n >= manyFailures {
				tx.OnCommit(func() {
					a.notice(Notice{"people.locked", k.name, fmt.Sprintf("signing in as %s failed %d times in a minute", k.name, n)})
				})
			}
			if err := a.journal.Append(tx, "person.failed", map[string]any{"person": k.name, "address": k.address, "failures": n}); err != nil {
				return err
			}
		}
		if more == 0 {
			return nil
		}
		return a.journal.Append(tx, "person.failed", map[string]any{"failures": more})
	})
}
