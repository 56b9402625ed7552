package network

import (
	"net/netip"
	"time"
)

// Severity says how soon somebody has to look.
type Severity string

const (
	Notice   Severity = "notice"   // when there is time
	Warning  Severity = "warning"  // today
	Critical Severity = "critical" // now
)

// Alert is something unusual: all that one rule says of one device and one group
// of peers.
type Alert struct {
	Rule     string       `json:"rule"`
	Severity Severity     `json:"severity"`
	Device   string       `json:"device"`  // "": an address that no device has
	Address  netip.Addr   `json:"address"` // the device's own that it is about
	Acted    bool         `json:"acted"`   // it was done by the device; false: to it, or in its name
	Proof    Proof        `json:"proof"`   // that the device took part
	First    time.Time    `json:"first"`
	At       time.Time    `json:"at"` // the last
	Group    string       `json:"group"`
	Peers    []netip.Addr `json:"peers"`        // some of them, see maxNamed
	More     int          `json:"more"`         // peers that are not named; may count one twice
	Service  string       `json:"service"`      // the last one's protocol and port, such as tcp/445
	Detail   string       `json:"detail"`       // in words, with numbers
	Count    int          `json:"count"`        // how often, this time included
	Sensor   string       `json:"sensor"`       // that saw the last
	ID       int64        `json:"id,omitempty"` // of its row, once it is written
}

// May reports whether something may be done to the device because of a: it did it
// itself, and that is proven.
func (a Alert) May() bool { return a.Device != "" && a.Acted && a.Proof != NoProof }

const (
	maxNamed = 16 // peers named in one alert
	again    = time.Minute
)
