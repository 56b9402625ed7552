package asset

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"cordon/dicom"
	"cordon/policy"
	"cordon/store"
)

// Device is what is known of one device, declared or learned.
type Device struct {
	Name         string        `json:"name"`
	State        State         `json:"state"`
	AETitle      dicom.AETitle `json:"ae_title"`
	Addresses    []string      `json:"addresses"` // it was seen at
	Certificates []string      `json:"certificates,omitempty"`
	Subjects     []string      `json:"subjects,omitempty"` // of the certificates
	Services     []string      `json:"services"`           // it was seen to use

	FirstSeen    time.Time `json:"first_seen,omitzero"`
	LastSeen     time.Time `json:"last_seen,omitzero"`
	Associations int       `json:"associations"` // that were admitted
	Secured      int       `json:"secured"`      // of these, over TLS
	Requests     int       `json:"requests"`
	Refused      int       `json:"refused"`          // associations
	WouldRefuse  int       `json:"would_refuse"`     // associations, contexts and moves that shadow let pass
	Untold       int       `json:"untold,omitempty"` // things seen that there was no room for

	DecidedBy string    `json:"decided_by,omitempty"`
	DecidedAt time.Time `json:"decided_at,omitzero"`
	Reason    string    `json:"reason,omitempty"`
}

// Detail is all that there is to say about one device.
type Detail struct {
	Device
	Permissions *Permissions `json:"permissions,omitempty"` // that it has; nil while it is learned
	Uses        []Use        `json:"uses"`
	Hours       []string     `json:"hours,omitempty"`  // of the week, in which it was seen; none: in every one, or never
	Unused      []Use        `json:"unused,omitempty"` // of its permissions, with the last use that is long ago, or none
	Proposal    Permissions  `json:"proposal"`         // the least set
}

// subject is a device, with what it is made of.
type subject struct {
	name     string
	state    State
	device   policy.Device // zero while it is learned
	decision decision
	peers    []peer
}

// isKnownAs reports whether somebody may mean the device by a name.
func (s subject) isKnownAs(name string) bool {
	if strings.EqualFold(s.name, name) || s.device.AETitle != "" && strings.EqualFold(string(s.device.AETitle), name) {
		return true
	}
	return slices.ContainsFunc(s.peers, func(p peer) bool {
		return p.name == name || p.calling != "" && (strings.EqualFold(string(p.calling), name) || string(p.calling)+"@"+p.address == name)
	})
}

func (s subject) summary(services map[int64][]string) Device {
	d := Device{
		Name: s.name, State: s.state, AETitle: s.device.AETitle, Addresses: []string{}, Services: []string{},
		DecidedBy: s.decision.By, DecidedAt: s.decision.At, Reason: s.decision.Reason,
	}
	for _, p := range s.peers {
		d.AETitle = cmp.Or(d.AETitle, p.calling)
		d.Addresses = with(d.Addresses, p.address)
		d.Certificates = with(d.Certificates, p.certificate)
		d.Subjects = with(d.Subjects, p.subject)
		for _, service := range services[p.id] {
			d.Services = with(d.Services, service)
		}
		if d.FirstSeen.IsZero() || p.first.Before(d.FirstSeen) {
			d.FirstSeen = p.first
		}
		if p.last.After(d.LastSeen) {
			d.LastSeen = p.last
		}
		d.Associations += p.associations
		d.Secured += p.secured
		d.Requests += p.requests
		d.Refused += p.refused
		d.WouldRefuse += p.wouldRefuse
		d.Untold += p.untold
	}
	if d.State == Learned && d.Associations == 0 {
		d.State = Rejected
	}
	return d
}

func with(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// subjects lists the declared devices, then those that people decided on, then
// the learned ones, the latest seen first.
func (r *Register) subjects(tx *store.Tx) ([]subject, error) {
	decided, err := decisions(tx)
	if err != nil {
		return nil, err
	}
	var out []subject
	for _, d := range r.site.Devices {
		out = append(out, subject{name: d.Name, state: Declared, device: d})
	}
	for _, d := range decided {
		if r.isDeclared(d.Name) {
			continue
		}
		if _, ok := r.declared(d.device); ok {
			d.State = Superseded
		}
		out = append(out, subject{name: d.Name, state: d.State, device: d.device, decision: d})
	}
	all, err := peers(tx, `ORDER BY last_seen DESC, id`)
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	for i, s := range out {
		at[s.name] = i
	}
	for _, p := range all {
		if i, ok := at[p.device]; ok {
			out[i].peers = append(out[i].peers, p)
		} else {
			out = append(out, subject{name: p.name, state: Learned, peers: []peer{p}})
		}
	}
	return out, nil
}

// List tells of all devices: those of the configuration, those that people
// decided on, and the learned ones, the latest seen first.
func (r *Register) List(ctx context.Context) (all []Device, err error) {
	if err := r.write(ctx); err != nil {
		return nil, err
	}
	err = r.db.View(ctx, func(tx *store.Tx) error {
		subjects, err := r.subjects(tx)
		if err != nil {
			return err
		}
		used, err := services(tx)
		for _, s := range subjects {
			all = append(all, s.summary(used))
		}
		return err
	})
	return all, err
}

// Waiting counts the peers that were admitted and that nobody declared.
func (r *Register) Waiting(ctx context.Context) (n int, err error) {
	err = r.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM asset_peer WHERE device = '' AND associations > 0`).Scan(&n)
	})
	return n, err
}

// Show tells everything about one device.
func (r *Register) Show(ctx context.Context, name string, s Scope) (d Detail, err error) {
	if err := r.write(ctx); err != nil {
		return d, err
	}
	err = r.db.View(ctx, func(tx *store.Tx) error {
		d, err = r.detail(tx, name, s, time.Now())
		return err
	})
	return d, err
}

func (r *Register) detail(tx *store.Tx, name string, scope Scope, now time.Time) (Detail, error) {
	s, err := r.find(tx, name)
	if err != nil {
		return Detail{}, err
	}
	d := Detail{Device: s.summary(nil)}
	if d.Uses, err = uses(tx, s.peers); err != nil {
		return d, err
	}
	d.Services = append(d.Services, values(d.Uses, Service)...)
	d.Hours = spans(values(d.Uses, Hour), 0)
	d.Proposal = least(s.peers, d.Uses, r.site.Archives, scope, now)
	if d.Proposal.AETitle == "" {
		d.Proposal.AETitle = d.AETitle // it was never seen
	}
	if s.state != Learned {
		p := permissions(s.device)
		d.Permissions = &p
		d.Unused = unused(s.device, d.Uses, r.site, now)
		d.Proposal.keep(p)
	}
	return d, nil
}

// keep takes over what is not a matter of what a device does.
func (p *Permissions) keep(from Permissions) {
	p.UserIdentity, p.Archive, p.Also, p.Monitor = from.UserIdentity, from.Archive, from.Also, from.Monitor
	p.Port, p.PortTLS = from.Port, from.PortTLS
	if p.Archive != "" && len(p.Archives) > 0 && !slices.Contains(p.Archives, p.Archive) {
		p.Archives = append(p.Archives, p.Archive)
	}
}

// Name is what the register calls a device, by any spelling that find knows.
func (r *Register) Name(ctx context.Context, spelled string) (name string, err error) {
	if r.isDeclared(spelled) {
		return spelled, nil
	}
	if err := r.write(ctx); err != nil {
		return "", err
	}
	err = r.db.View(ctx, func(tx *store.Tx) error {
		s, err := r.find(tx, spelled)
		name = s.name
		return err
	})
	return name, err
}

// find looks a device up: by its name, or, while it is learned, also as
// AE@ADDRESS, if that is one. Else by whatever it is known by, if it is the only one:
// its name or AE title in other letters, AE@ADDRESS, or the name that it had while it
// was learned.
func (r *Register) find(tx *store.Tx, name string) (subject, error) {
	all, err := r.subjects(tx)
	if err != nil {
		return subject{}, err
	}
	if i := slices.IndexFunc(all, func(s subject) bool { return s.name == name }); i >= 0 {
		return all[i], nil
	}
	var found []subject
	for _, s := range all {
		if s.state == Learned && string(s.peers[0].calling)+"@"+s.peers[0].address == name {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		found = slices.DeleteFunc(all, func(s subject) bool { return !s.isKnownAs(name) })
	}
	switch len(found) {
	case 0:
	case 1:
		return found[0], nil
	default:
		return subject{}, fmt.Errorf("%w: %.80q may be any of %d, such as %s and %s; use the name of one", ErrNotFound, name, len(found), found[0].name, found[1].name)
	}
	return subject{}, fmt.Errorf("%w: %.80q; cordon device list shows their names", ErrNotFound, name)
}

// unused lists the permissions that a device has and did not use lately: the
// services, classes, archives and destinations that it may use, and TLS or not.
func unused(d policy.Device, us []Use, site policy.Site, now time.Time) []Use {
	var out []Use
	look := func(k Kind, value string) {
		i := slices.IndexFunc(us, func(u Use) bool { return u.Kind == k && u.Value == value })
		switch {
		case i < 0:
			out = append(out, Use{Kind: k, Value: value})
		case now.Sub(us[i].LastSeen) > stale:
			out = append(out, us[i])
		}
	}
	may := d.May
	if len(may) == 0 {
		may = policy.Services()
	}
	for _, s := range may {
		look(Service, string(s))
	}
	for _, c := range d.SOPClasses {
		look(SOPClass, string(c))
	}
	archives := d.Archives
	if len(archives) == 0 && len(site.Archives) > 1 {
		for _, a := range site.Archives {
			archives = append(archives, a.Name)
		}
	}
	for _, a := range archives {
		look(Archive, a)
	}
	for _, t := range d.MoveTo {
		look(Destination, string(t))
	}
	return out
}
