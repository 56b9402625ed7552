package network

import "time"

// The ids of the rules.
const (
	Lateral       = "NET-LATERAL"
	EastWest      = "NET-EAST-WEST"
	ScanHosts     = "NET-SCAN-HOSTS"
	ScanPorts     = "NET-SCAN-PORTS"
	NewPeer       = "NET-NEW-PEER"
	NewService    = "NET-NEW-SERVICE"
	Inbound       = "NET-INBOUND"
	SYNFlood      = "NET-SYN-FLOOD"
	Flooding      = "NET-FLOODING"
	StrangerScans = "NET-STRANGER-SCANS"
	RateStep      = "NET-RATE-STEP"
	Beacon        = "NET-BEACON"
	Recognised    = "NET-DETECTED"
	Attacked      = "NET-ATTACKED"
	AddressChange = "NET-ADDRESS-CHANGE"
	Silent        = "NET-SILENT"
	StrangeNames  = "NET-STRANGE-NAMES"
)

// What a person does about it, where several rules ask for the same.
const (
	contain = "Treat the device as infected until shown otherwise: contain it (cordon device contain NAME), so that it goes on making images and reaches nobody else, and look at what else talks to the same peers."
	declare = "Ask whoever answers for the device what the connection is for. When it belongs there, declare it (devices[].flows); when it does not, contain the device."
)

// rules is the one table. Order: what a worm does, what is new, what is done to a
// device.
var rules = [...]Rule{
	{
		ID: Lateral, Severity: Critical, Acted: true, Title: "File sharing or remote administration that is not declared",
		Meaning: "The device calls a port of SMB, RPC, RDP, WinRM, Telnet or SSH where nothing of the kind is declared. Worms travel on these.",
		Action:  contain,
	},
	{
		ID: EastWest, Severity: Critical, Acted: true, Title: "One modality calls another",
		Meaning: "A device calls another imaging device. Modalities have nothing to say to one another; an infection has.",
		Action:  contain,
	},
	{
		ID: ScanHosts, Severity: Critical, Acted: true, Title: "Many destinations in a short time",
		Meaning:   "The device calls one host after the other that it is not declared to talk to, answered or not. So does what looks for its next victim.",
		Action:    contain,
		Threshold: 8, Unit: "destinations", Within: 10 * time.Second,
		Why: "A device that is switched on calls five or six servers at once, most of them declared; a scanner calls tens a second.",
	},
	{
		ID: ScanPorts, Severity: Warning, Acted: true, Title: "Many ports of one destination",
		Meaning:   "The device tries one port of another host after the other. It looks for a service to attack.",
		Action:    contain,
		Threshold: 15, Unit: "ports", Within: time.Minute,
		Why: "Remote procedure calls open a handful of further ports; passive file transfer a few in a minute.",
	},
	{
		ID: NewPeer, Severity: Warning, Acted: true, Title: "A peer that is not declared",
		Meaning: "The device calls a host that nothing declares: neither what the gateway admits for it, nor its flows in the configuration, by people, by its manufacturer's description, nor the site's for everybody; and in the time of learning it did not.",
		Action:  declare,
	},
	{
		ID: NewService, Severity: Warning, Acted: true, Title: "A service that is not declared",
		Meaning: "The device calls another port of a host that it is declared to talk to. A port more on a known server is often an update, and sometimes somebody who uses the way that is open.",
		Action:  declare,
	},
	{
		ID: Beacon, Severity: Critical, Acted: true, Title: "Calls to outside at regular intervals",
		Meaning:   "The device calls an address outside the hospital again and again at intervals that differ little, as malware does to ask for orders.",
		Action:    contain,
		Threshold: 8, Unit: "intervals in a row", Within: 0,
		Why: "Intervals of people and jobs vary by as much as their mean; these by less than a quarter. With eight of them chance is below one in ten thousand.",
	},
	{
		ID: RateStep, Severity: Warning, Acted: true, Title: "Many more connections than ever",
		Meaning:   "The device opens far more connections in a minute than it is used to. Images to the gateway do not count.",
		Action:    declare,
		Threshold: 60, Unit: "connections and eight times its mean", Within: time.Minute,
		Why: "One a second for a minute, beside images, is more than any modality was seen to open; the mean keeps busy ones out.",
	},
	{
		ID: SYNFlood, Severity: Critical, Acted: false, Title: "A flood of half-open connections",
		Meaning:   "A device, an archive or the gateway gets far more requests for connections than are completed. Their sources may be forged. Images, which complete theirs, do not count.",
		Action:    "Look at which switch port it comes from; the addresses may not be true. Nothing is done to the addresses named.",
		Threshold: 200, Unit: "connections never completed", Within: 5 * time.Second,
		Why: "The busiest archive of a large hospital gets some ten associations a second, and completes them.",
	},
	{
		ID: Flooding, Severity: Critical, Acted: true, Title: "A device floods others with half-open connections",
		Meaning:   "The device asks for far more connections than it completes, of one host or of many.",
		Action:    contain,
		Threshold: 100, Unit: "connections never completed", Within: 5 * time.Second,
		Why: "A device whose server is away tries a few times a second at most.",
	},
	{
		ID: StrangerScans, Severity: Warning, Acted: true, Title: "An address that is no device scans",
		Meaning:   "A host that no device is calls many others, or many ports of one, without an answer.",
		Action:    "Find the host and take it off the network. When it watches the network (discovery, vulnerability scans), declare it a device of its own and what it may call.",
		Threshold: 32, Unit: "destinations or ports without an answer", Within: 10 * time.Second,
		Why: "Servers call many hosts, and are answered by nearly all.",
	},
	{
		ID: Inbound, Severity: Warning, Acted: false, Title: "Called by somebody who is not declared",
		Meaning: "A host that nothing declares calls the device. The device is the one in danger.",
		Action:  "Find out who calls. When it belongs there (a service engineer, monitoring) open a ticket or declare it (devices[].flows with inbound: true).",
	},
	{
		ID: Recognised, Severity: Critical, Acted: true, Title: "Recognised by the intrusion detection system",
		Meaning: "Suricata recognised something in what the device sent. The detail names the signature.",
		Action:  contain,
	},
	{
		ID: Attacked, Severity: Warning, Acted: false, Title: "Attack on a device recognised",
		Meaning: "The intrusion detection system recognised something in what was sent to the device. The detail names the signature.",
		Action:  "Contain the sender when it is one of the hospital's; look at whether the device has begun to do what it did not before.",
	},
	{
		ID: AddressChange, Severity: Critical, Acted: false, Title: "Somebody else's hardware has the device's address",
		Meaning: "Another network card claims, or sends from, an address of the device: it was replaced, an address was given out twice, or somebody passes for it.",
		Action:  "Look at the device. When its network card was replaced, write the new hardware address (devices[].hardware). Nothing that comes from the other card is held against the device.",
	},
	{
		ID: Silent, Severity: Warning, Acted: false, Title: "A talker has fallen silent",
		Meaning:   "The device, which always had something to say, has sent nothing, while the sensor sees others. It is broken, switched off, moved or cut off.",
		Action:    "Look at the device and its network port.",
		Threshold: 15, Unit: "minutes",
		Why: "Only of a device that was heard in nine of ten spans of five minutes in the last day, so three in a row are out of the question.",
	},
	{
		ID: StrangeNames, Severity: Warning, Acted: true, Title: "Names that do not exist",
		Meaning:   "The device asks for many names that there are not, as malware does that makes up the names of its servers by the day.",
		Action:    contain,
		Threshold: 20, Unit: "names that do not exist", Within: 10 * time.Minute,
		Why: "A device knows a few names, and asks for them again; a search list triples those that are missing.",
	},
}
