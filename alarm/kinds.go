package alarm

import (
	"slices"
	"strings"
)

// Kind is one kind of alarm.
type Kind struct {
	Name     string // "archive.away"; one that ends in ".*" stands for all that begin so
	Severity Severity
	Subject  string // what the subject of one is; "" if there is one alarm only
	Means    string // a sentence
	Do       string // what to do about it
	Lasting  bool   // it ends by itself alone, when its cause does
	Page     string // of the console where it is done, for alarms that name no other: "/engines"; "" if there is none
}

// Kinds returns the table of kinds; docs/alarms.md shows it. The caller may change
// its copy.
func Kinds() []Kind { return slices.Clone(kinds[:]) }

// Lookup finds a kind by its name: its own row, or that of all that begin so.
func Lookup(name string) (Kind, bool) {
	first, rest, ok := strings.Cut(name, ".")
	for _, k := range kinds {
		if k.Name == name || ok && rest != "" && k.Name == first+".*" {
			return k, true
		}
	}
	return Kind{}, false
}

var kinds = [...]Kind{
	// Does imaging flow.
	{"flow.stopped", Critical, "", "Associations are not accepted.", "The first lines of the Flow page (cordon status) say why. If the cause cannot be removed soon, let images go past Cordon (docs/deadman.md).", true, "/"},
	{"archive.away", Critical, "archive", "An archive does not answer; its images are kept here.", "See whether the archive and the network to it run. Images are delivered by themselves once it answers; watch the room on the disk.", true, "/"},
	{"archive.refused", Critical, "", "An archive refused objects, and a person must decide.", "The Held page (cordon vault list --attention) names them with the archive's reason. Mend what the archive complains of, then retry, or destroy with two people.", true, "/held"},
	{"disk.low", Warning, "disk", "A disk fills up.", "Make room, or have the archives take what waits, before senders are turned away.", true, "/"},
	{"disk.full", Critical, "", "Nothing more can be kept here, and senders are asked to try again.", "Make room on the disk of the data directory now.", true, "/"},
	{"object.damaged", Critical, "", "Copies that are kept here are missing or damaged.", "Look at the disk. The Held page (cordon vault list --all) names the objects; restore them from a backup, or have them sent again.", true, "/held"},
	{"object.unclaimed", Warning, "", "Files in the data directory belong to no object.", "The database is older than the files: keep both, and restore the later database.", true, ""},
	{"object.recall", Critical, "", "Objects were delivered and then found harmful.", "The Engines page (cordon recall list) names them: have them deleted in the archive, then say so there (cordon recall done).", true, "/engines"},
	{"object.not_rescannable", Warning, "", "Objects were delivered unscanned and cannot be scanned again.", "cordon recall list names them: have the archive's copies scanned.", true, ""},
	{"object.missing", Critical, "", "What was acknowledged is not all accounted for.", "cordon status --reconcile names what is missing. Have it sent again, or find who deleted it in the archive.", true, ""},
	{"object.held", Warning, "device and finding", "Objects of a device are held: something suspicious was found in them, or something malicious, and then it is critical.", "Open Held: each object says what was found, and where. Release or destroy with two people. Many of one device and one finding are mostly a habit: make an exception.", true, "/held"},
	{"review.late", Warning, "", "Objects were released in an emergency and not reviewed in time.", "A second person looks at each on the Held page (cordon vault review) and signs.", true, "/held"},
	{"activity.overdue", Warning, "", "An activity review is overdue.", "Look at it on the Reviews page (cordon review show) and sign.", true, "/reviews"},
	{"activity.failed", Warning, "", "The activity review could not be made.", "The sentence says why; most often the disk or the database.", true, "/reviews"},
	{"commitment.undelivered", Warning, "", "Answers for storage commitment could not be given to their devices.", "cordon commitment list says which: a person retries or drops them.", true, ""},
	{"commitment.refused", Warning, "archive", "An archive does not do storage commitment for Cordon.", "Switch it on there, or take commit out of its services.", true, ""},
	{"commitment.late", Warning, "", "Devices wait long for answers to storage commitment.", "cordon commitment list says for what: mostly an archive that is away.", true, ""},
	{"step.refused", Warning, "", "An archive refused messages about procedure steps.", "cordon step list says which: a person retries or drops them.", true, ""},

	// Does inspection work.
	{"bypass.on", Critical, "device", "Inspection is bypassed: what arrives is delivered whatever is found in it.", "End it as soon as it can be: cordon bypass off. What was delivered is judged again then.", true, ""},
	{"deadman.unreviewed", Critical, "archive", "Images went past Cordon, uninspected.", "Look at what came in, then sign: cordon deadman review.", true, ""},
	{"engine.down", Warning, "engine", "A scanner does not answer; what it should scan is unscanned.", "See whether it runs. What is delivered meanwhile is scanned again when it is back.", true, "/engines"},
	{"engine.stale", Warning, "engine", "The signatures of a scanner are old.", "See why it does not update: freshclam's log, the way to the mirror.", true, "/engines"},

	// Can Cordon be believed.
	{"ledger.unwritable", Critical, "", "The ledger cannot be written.", "Nothing is admitted that cannot be recorded. Look at the disk and the database.", true, ""},
	{"ledger.cut", Critical, "", "The ledger was changed while Cordon was not running, or an older copy was put back.", "Keep this data directory as evidence, and find out who was on this machine. cordon ledger verify says from where on.", true, "/ledger"},
	{"witness.refused", Critical, "witness", "A witness has seen another history of the ledger.", "Keep this data directory as evidence: one of the two was changed.", true, ""},
	{"witness.late", Warning, "witness", "A witness does not cosign the ledger.", "See whether it runs and can be reached.", true, ""},
	{"audit.away", Warning, "repository", "An audit repository is away or behind.", "See whether it runs and reads. No record is lost until it is back.", true, ""},
	{"audit.skipped", Warning, "repository", "An audit repository has missed records that were pruned before it had them.", "Give it an export of the ledger (cordon ledger export) of that time.", true, "/ledger"},
	{"tls.unusable", Critical, "file", "Files of certificates or keys are not in use.", "The sentence says which and why; put it right, and they are read again.", true, ""},
	{"tls.ending", Warning, "certificate", "A certificate or a revocation list ends soon, or has ended.", "Renew it: cordon pki renew, or at its authority.", true, ""},

	// What devices do.
	{"device.silent", Warning, "device", "A device that always talks at this hour has stopped.", "See whether it works, and whether its images take another way.", true, "/devices"},
	{"device.spent", Warning, "", "Machines that nobody knows open so many associations that they are turned away.", "Approve the device on the Devices page (cordon device list), or find the machine.", true, "/devices"},
	{"device.waiting", Info, "", "Learned devices wait for somebody to approve or deny them.", "Open Devices: approve what you know, deny what you do not.", true, "/devices"},
	{"device.contained", Critical, "device", "A device is contained: it can send images and nothing else.", "Open the device. Find out what happened to it; restore it with two people.", true, "/contained"},
	{"device.propose", Critical, "device", "Containing a device is proposed.", "Open the device, look at the evidence and the preview, and decide.", false, "/contained"},
	{"containment.not_enforced", Critical, "device", "A device is to be contained, and its packets are not.", "The sentence says why: most often its packets do not pass this machine. Unplug it, or contain it at the switch.", true, "/contained"},
	{"containment.unscanned", Critical, "device", "Objects of a contained device wait to be scanned, and are not delivered before.", "See whether the engines answer. Who must, lets them pass on the page of the device's containment (cordon device unscanned).", true, "/contained"},
	{"containment.lapsed", Critical, "device", "Nobody answered in time whether to contain a device: it is not contained.", "Open the device, look at the evidence and the preview, and decide.", false, "/contained"},
	{"containment.clock", Warning, "device", "A contained device will be free at another time than was said: the machine was off, or its clock was set.", "See that this machine's clock is right. If the device may be free sooner, restore it.", false, "/contained"},
	{"containment.*", Warning, "device", "Something about a containment must be looked at.", "Open the device.", false, "/contained"},
	{"firewall.changed", Critical, "", "Somebody else changed Cordon's packet rules.", "They are put back. Find out who changed them, and with what.", false, "/network"},
	{"firewall.*", Critical, "", "Cordon's packet rules are not as they should be.", "The sentence says what is wrong.", false, "/network"},
	{"network.sensor_blind", Warning, "interface or sensor", "A sensor of the network sees nothing: its interface is gone or down, or its file cannot be read.", "Look at the cable and the mirror port, or at Suricata and Zeek. What happens meanwhile is not seen.", true, "/network"},
	{"network.sensor_drops", Warning, "sensor", "Packets came faster than a sensor may look at them; some were not seen.", "If it lasts, mirror less, leave out networks (network.capture.ignore), or give the sensor more time (network.capture.cpu).", true, "/network"},
	{"network.*", Warning, "device", "A device did on the network what it should not.", "Open the device: the evidence says with whom it talked. Decide whether to contain it.", false, "/network"},
	{"incident.overdue", Warning, "device", "What a vendor promised for a device is late, or nobody has promised anything.", "Open the incident: ask the vendor, and write the answer down.", true, "/incidents"},
	{"incident.*", Critical, "incident", "An incident needs somebody.", "Open the incident.", false, "/incidents"},
	{"plan.*", Warning, "", "The firewall plan needs somebody.", "Open the plan.", false, "/plan"},
	{"ticket.attention", Warning, "ticket", "A ticket was closed otherwise than planned, or its sponsor is not there.", "Open Tickets: the sponsor confirms, or somebody asks what happened.", false, "/tickets"},
	{"transparent.broken", Critical, "", "Transparent mode is switched on and does not work: images may pass uninspected.", "The sentence says why. To undo it, switch it off on the Network page (cordon transparent off).", true, "/network"},
	{"transparent.encrypted", Warning, "device", "A device speaks TLS to its archive, so that nothing can be inspected.", "Have it send to Cordon itself over TLS, or without TLS. docs/transparent.md says what the choices are.", false, "/network"},
	{"ticket.*", Warning, "ticket", "An opening for a visitor or a remote session needs somebody.", "Open Tickets.", false, "/tickets"},

	// Who uses Cordon.
	{"people.break_glass", Critical, "person", "Somebody used break-glass access.", "Ask why; look at what was done, and sign the review.", false, "/people"},
	{"people.locked", Warning, "person", "Signing in as somebody failed again and again.", "Ask that person. If it was not they, somebody tries their password.", false, "/people"},
	{"people.unreviewed", Critical, "person", "What somebody did with a role taken in an emergency was not reviewed within a day.", "Another person looks at it and signs.", false, "/people"},
	{"people.recovered", Critical, "person", "Somebody recovered an account from the machine itself.", "Ask whether that was meant.", false, "/people"},
	{"people.*", Warning, "person", "Something about an account must be looked at.", "Open People.", false, "/people"},

	// Can people be told.
	{"notice.undelivered", Critical, "recipient", "Notices of alarms cannot be delivered.", "The test beside the recipient on the Alarms page (cordon alarm test NAME) says why. They are kept, and delivered when it answers.", true, "/alarms"},
	{"notice.skipped", Warning, "recipient", "Notices were dropped because they waited too long.", "Look at the Alarms page: it has all of them.", false, "/alarms"},
	{overflow, Critical, "", "More alarms are open than are listed.", "Find the common cause of the many.", false, ""},
}
