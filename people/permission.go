package people

import (
	"slices"
	"strings"
)

// Permission is one thing that somebody may do, as roles and the scopes of tokens
// name it.
type Permission string

const (
	Anybody  Permission = ""          // nobody need be signed in
	SignedIn Permission = "signed_in" // whoever has an account

	FlowRead       Permission = "flow:read"       // is imaging flowing; plots, the map: no patient data. Pages of it are open until there are accounts
	HeldRead       Permission = "held:read"       // what is held, and what it looks like: patient data
	HeldDecide     Permission = "held:decide"     // release, destroy, export, make an exception with it
	StudySearch    Permission = "study:search"    // where a study is: patient data
	DeviceRead     Permission = "device:read"     // the register; of a vendor's, own products only
	DeviceChange   Permission = "device:change"   // approve, deny, describe; exceptions
	Contain        Permission = "contain"         // contain and restore devices
	NetworkRead    Permission = "network:read"    // who talks to whom, the firewall plan, tickets, incidents
	NetworkChange  Permission = "network:change"  // apply a plan, open tickets
	AlarmRead      Permission = "alarm:read"      //
	AlarmHandle    Permission = "alarm:handle"    // acknowledge, assign, snooze
	LedgerRead     Permission = "ledger:read"     // records, proofs, exports
	ReviewSign     Permission = "review:sign"     // sign activity reviews
	EngineRead     Permission = "engine:read"     // engines and signatures
	SettingsRead   Permission = "settings:read"   //
	SettingsChange Permission = "settings:change" // policy
	ReportRead     Permission = "report:read"     // the page for management; evidence
	PeopleRead     Permission = "people:read"     // accounts and who has which role
	PeopleChange   Permission = "people:change"   // accounts, roles, tokens of others
	BypassChange   Permission = "bypass:change"   // the emergency override
	OperateChange  Permission = "operate:change"  // backup, certificates, retries, recalls
	MetricsRead    Permission = "metrics:read"    // for machines
	ImageRead      Permission = "image:read"      // pictures of what is held, rendered here
)

// Role is what somebody is in the hospital.
type Role string

const (
	Administrator Role = "administrator"
	PACS          Role = "pacs"     // administers the archive
	Security      Role = "security" // of the hospital's IT
	Biomed        Role = "biomed"   // biomedical engineer
	Vendor        Role = "vendor"   // of a device: sees own products only
	Auditor       Role = "auditor"  // reads all, changes nothing
)

// Grant is a role and what it may do.
type Grant struct {
	Role  Role
	Title string
	May   []Permission
	Takes []Role // in an emergency, for an hour: see Accounts.Break
}

// grants is the table of roles (docs/people.md shows it).
var grants = []Grant{
	{Administrator, "Administrator", []Permission{FlowRead, HeldRead, HeldDecide, StudySearch, DeviceRead, DeviceChange, Contain, NetworkRead, NetworkChange, AlarmRead, AlarmHandle, LedgerRead, ReviewSign, EngineRead, SettingsRead, SettingsChange, ReportRead, PeopleRead, PeopleChange, BypassChange, OperateChange, MetricsRead, ImageRead}, nil},
	{PACS, "PACS administrator", []Permission{FlowRead, HeldRead, HeldDecide, StudySearch, DeviceRead, DeviceChange, NetworkRead, AlarmRead, AlarmHandle, LedgerRead, EngineRead, SettingsRead, ReportRead, BypassChange, OperateChange, ImageRead}, []Role{Security, Biomed}},
	{Security, "IT security", []Permission{FlowRead, PeopleRead, HeldRead, HeldDecide, DeviceRead, DeviceChange, Contain, NetworkRead, NetworkChange, AlarmRead, AlarmHandle, LedgerRead, ReviewSign, EngineRead, SettingsRead, SettingsChange, ReportRead, ImageRead}, []Role{PACS, Biomed}},
	{Biomed, "Biomedical engineer", []Permission{FlowRead, DeviceRead, DeviceChange, Contain, NetworkRead, AlarmRead, AlarmHandle, EngineRead, ReportRead}, []Role{PACS, Security}},
	{Vendor, "Device vendor", []Permission{DeviceRead}, nil},
	{Auditor, "Auditor", []Permission{FlowRead, HeldRead, StudySearch, DeviceRead, NetworkRead, AlarmRead, LedgerRead, EngineRead, SettingsRead, ReportRead, PeopleRead, ImageRead}, nil},
}

// Grants is the table of roles. The caller may change its copy.
func Grants() []Grant { return slices.Clone(grants) }

// May reports whether a role may do something.
func (r Role) May(p Permission) bool { return slices.Contains(r.grant().May, p) }

// Title is what people call a role.
func (r Role) Title() string { return r.grant().Title }

func (r Role) grant() Grant {
	if i := slices.IndexFunc(grants, func(g Grant) bool { return g.Role == r }); i >= 0 {
		return grants[i]
	}
	return Grant{}
}

func (r Role) known() bool { return r.grant().Role != "" }

func (r Role) mayTake(other Role) bool { return slices.Contains(r.grant().Takes, other) }

func roleNames() string {
	var names []string
	for _, g := range grants {
		names = append(names, string(g.Role))
	}
	return strings.Join(names, ", ")
}

// Having are the roles that may do something, by title: for who may not.
func Having(p Permission) (titles []string) {
	for _, g := range grants {
		if slices.Contains(g.May, p) {
			titles = append(titles, g.Title)
		}
	}
	return titles
}

// CanTake reports whether somebody who has roles may take another one in an
// emergency.
func CanTake(roles []Role, other Role) bool {
	return !slices.Contains(roles, other) && slices.ContainsFunc(roles, func(r Role) bool { return r.mayTake(other) })
}

// ScopesOf are the permissions that a token of somebody's with these roles may have.
func ScopesOf(roles []Role) (out []Permission) {
	for _, g := range grants {
		for _, p := range g.May {
			if p != PeopleChange && !slices.Contains(out, p) && slices.ContainsFunc(roles, func(r Role) bool { return r.May(p) }) {
				out = append(out, p)
			}
		}
	}
	return out
}
