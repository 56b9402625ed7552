package asset

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"
	"unicode"

	"cordon/custody"
	"cordon/store"
)

// Source says who declares a flow.
type Source string

const (
	FromConfig Source = "config" // the configuration file
	FromPeople Source = "people"
	FromMUD    Source = "mud"  // a manufacturer usage description (RFC 8520)
	FromMDS2   Source = "mds2" // a manufacturer disclosure statement (ANSI/NEMA HN 1)
)

var sources = []Source{FromConfig, FromPeople, FromMUD, FromMDS2}

// Flow is one thing that a device is declared to talk to, or to be called by.
type Flow struct {
	Purpose  string         `json:"purpose"`           // dicom, dhcp, dns, time, logon, licence, service, other
	To       []netip.Prefix `json:"to,omitempty"`      // the other end; empty: anybody
	Protocol string         `json:"protocol"`          // tcp, udp, icmp
	Port     uint16         `json:"port,omitempty"`    // at whoever is called; 0: every port
	PortTo   uint16         `json:"port_to,omitempty"` // the last of a range; 0: Port alone
	Needed   bool           `json:"needed,omitempty"`  // the device cannot make images without it
	Inbound  bool           `json:"inbound,omitempty"` // the other end calls the device
	Source   Source         `json:"source"`
	Note     string         `json:"note,omitempty"`
}

// Purposes are what a flow may be for.
var purposes = []string{"dicom", "dhcp", "dns", "time", "logon", "licence", "service", "other"}

const maxFlows = 500 // of one device and source

// Check says what is wrong with a flow, or nil.
func (f Flow) Check() error {
	switch {
	case !slices.Contains(purposes, f.Purpose):
		return fmt.Errorf("%w: purpose %.40q: expected one of %s", custody.ErrRequest, f.Purpose, purposes)
	case !slices.Contains([]string{"tcp", "udp", "icmp"}, f.Protocol):
		return fmt.Errorf("%w: protocol %.40q: expected tcp, udp or icmp", custody.ErrRequest, f.Protocol)
	case f.Protocol == "icmp" && (f.Port != 0 || f.PortTo != 0):
		return fmt.Errorf("%w: icmp has no ports", custody.ErrRequest)
	case f.PortTo != 0 && f.PortTo < f.Port:
		return fmt.Errorf("%w: ports %d to %d: the last comes before the first", custody.ErrRequest, f.Port, f.PortTo)
	case len(f.Note) > maxField || slices.ContainsFunc([]rune(f.Note), unicode.IsControl):
		return fmt.Errorf("%w: a note has at most %d bytes and no control characters", custody.ErrRequest, maxField)
	case slices.ContainsFunc(f.To, func(p netip.Prefix) bool { return !p.IsValid() }):
		return fmt.Errorf("%w: an address is not valid", custody.ErrRequest)
	}
	return nil
}

// Flows are what a device is declared to talk to, by whomever.
func (r *Register) Flows(ctx context.Context, name string) ([]Flow, error) {
	all, err := r.AllFlows(ctx)
	return all[name], err
}

// AllFlows are what all devices are declared to talk to, by name.
func (r *Register) AllFlows(ctx context.Context) (map[string][]Flow, error) {
	out := map[string][]Flow{}
	err := r.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT device, source, flows FROM asset_flows ORDER BY device, source`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name, text string
			var source Source
			if err := rows.Scan(&name, &source, &text); err != nil {
				return err
			}
			var flows []Flow
			if err := json.Unmarshal([]byte(text), &flows); err != nil {
				return fmt.Errorf("flows of %s: %w", name, err)
			}
			out[name] = append(out[name], flows...)
		}
		return rows.Err()
	})
	return out, err
}

// SetFlows writes down what a device is declared to talk to by one source, in the
// place of what that source declared before.
func (r *Register) SetFlows(ctx context.Context, name string, source Source, flows []Flow, rq custody.Request) error {
	if !slices.Contains(sources, source) {
		return fmt.Errorf("%w: source %.40q: expected one of %s", custody.ErrRequest, source, sources)
	}
	if len(flows) > maxFlows {
		return fmt.Errorf("%w: %d flows; at most %d", custody.ErrRequest, len(flows), maxFlows)
	}
	declared := slices.Clone(flows)
	for i := range declared {
		declared[i].Source = source
		if err := declared[i].Check(); err != nil {
			return fmt.Errorf("flow %d: %w", i+1, err)
		}
	}
	text, err := json.Marshal(declared)
	if err != nil {
		return err
	}
	return r.describe(ctx, name, rq, func(tx *store.Tx, name, by string, now time.Time) error {
		_, err := tx.Exec(`INSERT INTO asset_flows (device, source, flows, changed_by, changed_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (device, source) DO UPDATE SET flows = excluded.flows, changed_by = excluded.changed_by, changed_at = excluded.changed_at`,
			name, string(source), string(text), by, now.UnixMicro())
		return err
	}, "device.flows", "flows", declared)
}
