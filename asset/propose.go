package asset

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"cordon/dicom"
	"cordon/policy"
	"cordon/store"
)

// ripe is how long a peer is learned before the least that it needs is put on
// the ledger, once, for people to decide on. They can see it at any time.
const ripe = 24 * time.Hour

// propose puts on the ledger what the peers need that have been learned for a
// day.
func (r *Register) propose(ctx context.Context, now time.Time) error {
	for more := true; more; {
		err := r.db.Update(ctx, func(tx *store.Tx) error {
			ps, err := peers(tx, `WHERE device = '' AND associations > 0 AND proposed = 0 AND first_seen < ? LIMIT ?`, now.Add(-ripe).UnixMicro(), batch)
			more = len(ps) == batch
			for _, p := range ps {
				if err == nil {
					err = r.proposeOne(tx, p, now)
				}
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Register) proposeOne(tx *store.Tx, p peer, now time.Time) error {
	us, err := uses(tx, []peer{p})
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`UPDATE asset_peer SET proposed = ? WHERE id = ?`, now.UnixMicro(), p.id); err != nil {
		return err
	}
	return r.journal.Append(tx, "device.proposed", map[string]any{
		"device": p.name, "calling_ae": string(p.calling), "address": p.address,
		"permissions": least([]peer{p}, us, r.site.Archives, Scope{}, now),
	})
}

// stale is the age at which a use is no reason for a permission any more.
const stale = 180 * 24 * time.Hour

// Scope widens or narrows a proposal. The zero Scope is what is safe to enforce
// at once: a device that works on as it did meets no limit.
type Scope struct {
	Hours          bool `json:"hours,omitempty"`          // only the hours of the week in which it was seen, and one on each side
	Implementation bool `json:"implementation,omitempty"` // only the implementation that was seen, if it was one
	Refused        bool `json:"refused,omitempty"`        // what it asked for and was refused, as well
}

// least is the least set of permissions under which a device goes on doing what
// it did. Archives are named where there are several, and none that is gone.
func least(ps []peer, us []Use, archives []policy.Archive, s Scope, now time.Time) Permissions {
	us = slices.DeleteFunc(slices.Clone(us), func(u Use) bool { return now.Sub(u.LastSeen) > stale })
	p := identity(ps)
	classes := values(us, SOPClass)
	destinations := values(us, Destination)
	used := values(us, Service)
	if s.Refused {
		asked := values(us, Asked)
		classes = append(classes, asked...)
		destinations = append(destinations, values(us, AskedDestination)...)
		for _, class := range asked {
			used = append(used, string(policy.ServiceOf(dicom.UID(class))))
		}
	}
	for _, class := range classes {
		if c := dicom.UID(class); policy.ServiceOf(c) == policy.ServiceStore && !slices.Contains(p.SOPClasses, c) {
			p.SOPClasses = append(p.SOPClasses, c)
		}
	}
	slices.Sort(p.SOPClasses)
	for _, service := range policy.Services() {
		if slices.Contains(used, string(service)) && (service != policy.ServiceStore || len(p.SOPClasses) > 0) {
			p.May = append(p.May, service)
		}
	}
	if len(p.May) == 0 {
		p.May = []policy.Service{policy.ServiceEcho} // none would mean all
	}
	if !slices.Contains(p.May, policy.ServiceStore) {
		p.SOPClasses = nil
	}
	p.MoveTo = moveTo(p.AETitle, destinations)
	for _, name := range values(us, Archive) {
		if len(archives) > 1 && slices.ContainsFunc(archives, func(a policy.Archive) bool { return a.Name == name }) {
			p.Archives = append(p.Archives, name)
		}
	}
	if implementations := values(us, Implementation); s.Implementation && len(implementations) == 1 {
		p.Implementation = dicom.UID(implementations[0])
	}
	if s.Hours {
		p.Hours = spans(values(us, Hour), 1)
	}
	return p
}

// identity is who the peers are: a certificate is part of it if each showed one.
func identity(ps []peer) Permissions {
	var p Permissions
	associations, secured, certified := 0, 0, len(ps) > 0
	for _, v := range ps {
		p.AETitle = v.calling
		associations += v.associations
		secured += v.secured
		certified = certified && v.certificate != ""
		if a, err := netip.ParseAddr(v.address); err == nil {
			if one := netip.PrefixFrom(a, a.BitLen()); !slices.Contains(p.Addresses, one) {
				p.Addresses = append(p.Addresses, one)
			}
		}
	}
	p.TLSRequired = associations > 0 && secured == associations
	for _, v := range ps {
		if certified && !slices.Contains(p.Certificates, v.certificate) {
			p.Certificates = append(p.Certificates, v.certificate)
		}
	}
	slices.SortFunc(p.Addresses, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	slices.Sort(p.Certificates)
	return p
}

// moveTo is the list of destinations, if there is more to say than that a
// device moves to itself.
func moveTo(own dicom.AETitle, destinations []string) []dicom.AETitle {
	var out []dicom.AETitle
	for _, d := range destinations {
		if !slices.Contains(out, dicom.AETitle(d)) {
			out = append(out, dicom.AETitle(d))
		}
	}
	slices.Sort(out)
	if len(out) == 1 && out[0] == own {
		return nil
	}
	return out
}

// values lists the values of one kind, in order.
func values(us []Use, k Kind) []string {
	var out []string
	for _, u := range us {
		if u.Kind == k {
			out = append(out, u.Value)
		}
	}
	slices.Sort(out)
	return out
}

var days = [7]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// spans writes hours of the week as policy.ParseHours reads them, with so many
// more on each side. Every hour is no limit at all.
func spans(hours []string, more int) []string {
	var in [7 * 24]bool
	for _, text := range hours {
		var h int
		if _, err := fmt.Sscanf(text, "%d", &h); err != nil || h < 0 || h >= len(in) {
			continue
		}
		for near := h - more; near <= h+more; near++ {
			in[(near+len(in))%len(in)] = true
		}
	}
	if !slices.Contains(in[:], false) {
		return nil
	}
	var texts []string
	var of [][]string // the days of each text
	for i := range days {
		day := (i + 1) % 7 // from Monday on
		for _, text := range ofDay(in[day*24 : day*24+24]) {
			n := slices.Index(texts, text)
			if n < 0 {
				n = len(texts)
				texts, of = append(texts, text), append(of, nil)
			}
			of[n] = append(of[n], days[day])
		}
	}
	for i, text := range texts {
		texts[i] = strings.Join(of[i], ",") + " " + text
	}
	return texts
}

// ofDay writes the stretches of one day.
func ofDay(in []bool) []string {
	var out []string
	for from := 0; from < len(in); from++ {
		if !in[from] {
			continue
		}
		until := from
		for until < len(in) && in[until] {
			until++
		}
		out = append(out, fmt.Sprintf("%02d:00-%02d:00", from, until))
		from = until
	}
	return out
}
