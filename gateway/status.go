package gateway

import (
	"context"
	"sync/atomic"
	"time"

	"cordon/custody"
	"cordon/store"
)

// Counts are totals since the gateway started.
type Counts struct {
	Associations  uint64 `json:"associations"`
	Rejected      uint64 `json:"rejected"` // associations
	Received      uint64 `json:"received"` // objects whose last byte arrived
	Delivered     uint64 `json:"delivered"`
	Held          uint64 `json:"held"`
	Spooled       uint64 `json:"spooled"` // kept for an archive that was away
	Refused       uint64 `json:"refused"`
	BytesReceived uint64 `json:"bytes_received"`
	Panics        uint64 `json:"panics"` // associations ended by a fault of ours
}

type counts struct {
	associations, rejected, received, delivered, held, spooled, refused, bytes, panics atomic.Uint64
}

func (c *counts) read() Counts {
	return Counts{
		Associations:  c.associations.Load(),
		Rejected:      c.rejected.Load(),
		Received:      c.received.Load(),
		Delivered:     c.delivered.Load(),
		Held:          c.held.Load(),
		Spooled:       c.spooled.Load(),
		Refused:       c.refused.Load(),
		BytesReceived: c.bytes.Load(),
		Panics:        c.panics.Load(),
	}
}

// Status answers whether imaging is flowing.
type Status struct {
	Since        time.Time       `json:"since"`
	Associations int             `json:"associations"` // under way
	TurningAway  bool            `json:"turning_away"` // associations are rejected, since the ledger cannot be written
	Spent        []string        `json:"spent"`        // addresses of no known peer whose associations of a day are used up, or nearly
	Objects      Counts          `json:"objects"`
	Archives     []ArchiveStatus `json:"archives"`
	Devices      []DeviceStatus  `json:"devices"`
	Held         int64           `json:"held"`      // instances held now
	Attention    int64           `json:"attention"` // spooled objects that need a person
}

// ArchiveStatus is one archive as the gateway last saw it.
type ArchiveStatus struct {
	Name          string     `json:"name"`
	AETitle       string     `json:"ae_title"`
	Address       string     `json:"address"` // "" if the configuration no longer has it, and objects wait for it
	Up            bool       `json:"up"`      // it answered when it was last asked; true before that
	Asked         bool       `json:"asked"`   // it has been called since the start
	LastError     string     `json:"last_error,omitempty"`
	LastDelivered *time.Time `json:"last_delivered,omitempty"`
	Queued        int64      `json:"queued"` // objects in the spool
	QueuedBytes   int64      `json:"queued_bytes"`
	OldestQueued  *time.Time `json:"oldest_queued,omitempty"`
}

// DeviceStatus is one peer that has been admitted.
type DeviceStatus struct {
	Name      string    `json:"name"` // "" if it is not declared
	AETitle   string    `json:"ae_title"`
	Address   string    `json:"address"`
	Learned   bool      `json:"learned"` // not declared: admitted, and listed for approval
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
	Objects   int64     `json:"objects"`
	Held      int64     `json:"held"`
}

// maxDevicesShown bounds the list in a Status: declared devices first, then the
// latest seen.
const maxDevicesShown = 1000

// Status reads the state of archives, spool, vault and peers.
func (g *Gateway) Status(ctx context.Context) (Status, error) {
	st := Status{Since: g.since, Associations: g.seats.inUse(), TurningAway: g.turned.isAway(), Spent: g.door.daily.Low(time.Now()), Objects: g.counts.read()}
	stats, err := g.parts.Custody.Stats(ctx)
	if err != nil {
		return st, err
	}
	st.Held, st.Attention = int64(stats.Held), int64(stats.NeedsAttention)
	for _, a := range g.config.Site.Archives {
		st.Archives = append(st.Archives, g.archives[a.Name].status(stats))
	}
	st.Archives = append(st.Archives, g.others(stats)...)
	st.Devices, err = g.devices(ctx)
	return st, err
}

func (a *archive) status(stats custody.Stats) ArchiveStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	st := ArchiveStatus{
		Name:      a.upstream.Name,
		AETitle:   string(a.upstream.AETitle),
		Address:   a.upstream.Address,
		Up:        a.lastError == "",
		Asked:     a.asked,
		LastError: a.lastError,
	}
	for _, g := range stats.Groups {
		if g.State == custody.Spooled && g.Archive == a.upstream.Name {
			st.queue(g)
		}
	}
	if !a.lastDelivered.IsZero() {
		t := a.lastDelivered
		st.LastDelivered = &t
	}
	return st
}

func (st *ArchiveStatus) queue(g custody.Group) {
	st.Queued, st.QueuedBytes, st.OldestQueued = int64(g.Objects), g.Bytes, &g.Oldest
}

// others are those that objects wait for and that are no archive: devices,
// and what the configuration no longer has, to which nothing delivers.
func (g *Gateway) others(stats custody.Stats) []ArchiveStatus {
	var out []ArchiveStatus
	for _, group := range stats.Groups {
		if group.State != custody.Spooled || g.archives[group.Archive] != nil {
			continue
		}
		st := ArchiveStatus{Name: group.Archive, LastError: "not in the configuration"}
		if a := g.target(group.Archive); a != nil {
			st = a.status(stats)
		} else {
			st.queue(group)
		}
		out = append(out, st)
	}
	return out
}

func (g *Gateway) devices(ctx context.Context) ([]DeviceStatus, error) {
	var out []DeviceStatus
	err := g.parts.DB.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT device, calling_ae, address, first_seen, last_seen, objects, held
			FROM gateway_peer ORDER BY device = '', last_seen DESC LIMIT ?`, maxDevicesShown)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var d DeviceStatus
			var first, last int64
			if err := rows.Scan(&d.Name, &d.AETitle, &d.Address, &first, &last, &d.Objects, &d.Held); err != nil {
				return err
			}
			d.Learned = d.Name == ""
			d.FirstSeen, d.LastSeen = time.UnixMicro(first), time.UnixMicro(last)
			out = append(out, d)
		}
		return rows.Err()
	})
	return out, err
}
