package alarm

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"cordon/store"
)

// Filter chooses alarms.
type Filter struct {
	Severity Severity // so bad or worse
	Kind     string   // or what it begins with, up to a full stop: "network"
	Subject  string
	State    State // "" means every one
	Limit    int   // 0 means all that are open, 100 of history
	Before   int64 // of history: the ended ones before this one, by number; 0 means the latest
}

func (f Filter) fits(i Item) bool {
	return i.Severity >= f.Severity && InKind(i.Kind, f.Kind) && (f.Subject == "" || i.Subject == f.Subject) && (f.State == "" || i.State == f.State)
}

// InKind reports whether a kind is the one that is named, or one of those: "" is
// all, "network" all that begin with "network.".
func InKind(kind, named string) bool {
	return named == "" || kind == named || strings.HasPrefix(kind, strings.TrimSuffix(named, ".")+".")
}

// List returns what is open: the worst first, of these what nobody has
// acknowledged, of these the latest. It asks no disk.
func (a *Alarms) List(f Filter) []Item {
	a.mu.Lock()
	var all []Item
	for _, e := range a.open {
		if f.fits(e.Item) {
			all = append(all, e.Item)
		}
	}
	a.mu.Unlock()
	slices.SortFunc(all, func(x, y Item) int {
		return cmp.Or(cmp.Compare(y.Severity, x.Severity), cmp.Compare(y.State, x.State), y.Raised.Compare(x.Raised), cmp.Compare(y.ID, x.ID))
	})
	if f.Limit > 0 && len(all) > f.Limit {
		all = all[:f.Limit]
	}
	return all
}

// History returns what is over, the latest first.
func (a *Alarms) History(ctx context.Context, f Filter) (page []Item, err error) {
	f.Limit = cmp.Or(f.Limit, 100)
	err = a.db.View(ctx, func(tx *store.Tx) error {
		before := [2]int64{1 << 62, 1 << 62}
		if f.Before != 0 {
			if err := tx.QueryRow(`SELECT coalesce(max(ended_at), 0), coalesce(max(id), 0) FROM alarm WHERE id = ? AND ended_at > 0`, f.Before).Scan(&before[0], &before[1]); err != nil {
				return err
			}
		}
		page, err = query(tx, `WHERE ended_at > 0 AND (ended_at, id) < (?, ?) AND severity >= ? AND (? = '' OR kind = ? OR kind GLOB ?) AND (? = '' OR subject = ?)
			ORDER BY ended_at DESC, id DESC LIMIT ?`,
			before[0], before[1], int(f.Severity), f.Kind, f.Kind, glob(f.Kind), f.Subject, f.Subject, f.Limit)
		return err
	})
	return page, err
}

// glob matches the kinds below one.
func glob(kind string) string {
	return strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]").Replace(strings.TrimSuffix(kind, ".")) + ".*"
}

// Counts are how many alarms are open.
type Counts struct {
	Critical int `json:"critical"`
	Warning  int `json:"warning"`
	Info     int `json:"info"`
	Unseen   int `json:"unseen"` // of these, that nobody has acknowledged
}

// Counts returns how many are open. It asks no disk.
func (a *Alarms) Counts() (c Counts) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.open {
		switch e.Severity {
		case Critical:
			c.Critical++
		case Warning:
			c.Warning++
		default:
			c.Info++
		}
		if e.State == Unseen {
			c.Unseen++
		}
	}
	return c
}

// Unseen returns what has been open since before a time, and nobody has
// acknowledged or snoozed: the worst first.
func (a *Alarms) Unseen(before time.Time) []Item {
	return slices.DeleteFunc(a.List(Filter{State: Unseen}), func(i Item) bool { return i.Raised.After(before) })
}
