package network

import (
	"net/netip"
	"time"
)

// Seen is one row of who talks to whom: every conversation of one caller with one
// port of another, together.
type Seen struct {
	Device      string     `json:"device"` // the caller's name; "": no device
	Src         netip.Addr `json:"src"`
	Peer        string     `json:"peer"` // the device that Dst is; "": none
	Dst         netip.Addr `json:"dst"`
	Protocol    Protocol   `json:"protocol"`
	Port        uint16     `json:"port"` // of Dst; of ICMP the type
	First       time.Time  `json:"first"`
	Last        time.Time  `json:"last"`
	Packets     uint64     `json:"packets"` // both ways
	Bytes       uint64     `json:"bytes"`
	Attempts    uint64     `json:"attempts"` // conversations that began
	Established uint64     `json:"established"`
	Allowed     bool       `json:"allowed"`           // declared, or the site's for everybody
	Purpose     string     `json:"purpose,omitempty"` // of the declaration that allows it
}
