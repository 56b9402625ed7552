package console

import (
	"time"

	"cordon/silence"
)

// Flow is what passes through the gateway, as the console shows it.
type Flow struct {
	Accepting    bool      `json:"accepting"` // associations are accepted
	Since        time.Time `json:"since"`
	Associations int       `json:"associations"` // now
	Objects      Counts    `json:"objects"`
	Archives     []Archive `json:"archives"`
	Devices      []Device  `json:"devices"`
	Waiting      int       `json:"waiting"` // learned devices that nobody has approved or denied
	Engines      []Engine  `json:"engines"` // outside scanners; none is fine

	Audit  []Repository     `json:"audit,omitempty"`  // where audit messages go
	Silent []silence.Missed `json:"silent,omitempty"` // devices that always talk and have stopped

	Spent []string `json:"spent,omitempty"` // addresses of no known device whose associations of a day are used up, or nearly

	Certificates Certificates `json:"certificates"` // of TLS
}

// Counts are totals since the start.
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

// Archive is one upstream and what waits for it.
type Archive struct {
	Name          string     `json:"name"`
	AETitle       string     `json:"ae_title"`
	Address       string     `json:"address"` // "" if it is not in the configuration any more
	Up            bool       `json:"up"`      // true also before it has been asked
	Asked         bool       `json:"asked"`   // since the start
	LastError     string     `json:"last_error,omitempty"`
	LastDelivered *time.Time `json:"last_delivered,omitempty"`
	Queued        int64      `json:"queued"`
	QueuedBytes   int64      `json:"queued_bytes"`
	OldestQueued  *time.Time `json:"oldest_queued,omitempty"`
}

// Engine is one outside scanner.
type Engine struct {
	Name         string    `json:"name"`
	Up           bool      `json:"up"`
	Error        string    `json:"error,omitempty"`
	Warning      string    `json:"warning,omitempty"` // what its operator should change
	Signatures   string    `json:"signatures,omitempty"`
	SignaturesAt time.Time `json:"signatures_at,omitzero"`
}

// Device is one peer that has sent something or is declared.
type Device struct {
	Name      string    `json:"name"`
	AETitle   string    `json:"ae_title"`
	Address   string    `json:"address"`
	Learned   bool      `json:"learned"` // not declared: admitted because unknown devices are learned
	FirstSeen time.Time `json:"first_seen,omitzero"`
	LastSeen  time.Time `json:"last_seen,omitzero"`
	Objects   int64     `json:"objects"`
	Held      int64     `json:"held"`
}
