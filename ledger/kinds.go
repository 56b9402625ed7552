package ledger

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Kind is what a record of one kind says.
type Kind struct {
	Name   string
	Owner  string // the package that writes it
	Means  string
	Keys   string // that a body may have, with spaces in between
	Sealed string // those of them that hold patient data, sealed: see Ledger.Seal
	Latest bool   // the last one is looked up: see Ledger.Latest
}

// The keys that many bodies share.
const (
	// ofPeer is the other end of an association, or of a visit over the web: its
	// socket's address, its titles, the device that it is declared as, who issued the
	// token that it showed.
	ofPeer = "association visit address calling_ae called_ae device certificate issuer"
	// ofVisit is who asks over the web.
	ofVisit = "visit address calling_ae device certificate issuer subject archive"
	// ofObject names one object, and the bytes that were judged.
	ofObject = "id from to who sha256 bytes device calling_ae called_ae archive also copy_of sop_class_uid sop_instance_uid study_instance_uid series_instance_uid findings exceptions"
	// ofOperation is a DIMSE operation that was relayed.
	ofOperation = ofPeer + " operation service archive sop_class_uid sop_instance_uid transfer_syntax status reason offending_element error omitted direction identifier_bytes"
	// ofPerson is who decided, as asserted.
	ofPerson = "by reason"
	// ofRequest is one of storage commitment.
	ofRequest = "request transaction_uid calling_ae called_ae address association device"
	// ofStep is a message about a procedure step.
	ofStep = "message operation archive sop_instance_uid calling_ae called_ae address association device bytes error status"
	// ofInstance is one that an archive was asked about.
	ofInstance = "archive study_instance_uid series_instance_uid sop_instance_uid sop_class_uid sha256"
	// ofTicket is a ticket: of which kind, whose, for what, where to. The address is
	// its machine's.
	ofTicket = ofPerson + " id ticket sponsor visitor purpose address mac to declaration report verified since until ended ended_by why"
	// ofContainment is one of a device.
	ofContainment = ofPerson + " containment device level rule until"
	// ofPlan is the firewall plan, by the digest of its rules.
	ofPlan = ofPerson + " mode digest rules until"
	// ofIssued is a certificate of our own authority.
	ofIssued = "name kind fingerprint serial not_after by hosts reason"
)

// Kinds returns every kind that Cordon writes, in the order of its packages.
// Keys are only ever added to a kind; where the meaning of one changes, the kind
// gets another name.
func Kinds() []Kind { return slices.Clone(kinds[:]) }

var kinds = [...]Kind{
	{Name: "ledger.start", Owner: "ledger", Means: "A run began; whether the one before ended in order, and whether the tree is still what was signed last.", Keys: "clean intact key records checkpoint rolled_back_from"},
	{Name: "ledger.stop", Owner: "ledger", Means: "A run ended in order, and why.", Keys: "records reason"},
	{Name: "ledger.lost", Owner: "ledger", Means: "So many records could not be written since then, while what they were about went on.", Keys: "records since"},
	{Name: "ledger.clock", Owner: "ledger", Means: "The machine's clock was set since the record before, by so many seconds.", Keys: "was seconds"},
	{Name: "ledger.key", Owner: "ledger", Means: "The key was replaced; the old one signed the new one's name together with all records before.", Keys: ofPerson + " checkpoint key"},
	{Name: "ledger.pruned", Owner: "ledger", Means: "Bodies of records below a number were taken out because of their age.", Keys: "to bodies before"},
	{Name: "ledger.erased", Owner: "ledger", Means: "What was sealed about one patient or study can no longer be read.", Keys: ofPerson + " id"},
	{Name: "ledger.read", Owner: "console", Means: "Somebody read records, exported them or had them proved.", Keys: "by how records"},
	{Name: "ledger.verified", Owner: "console", Means: "Somebody verified the ledger, and what was found.", Keys: "by how intact records error"},
	{Name: "witness.late", Owner: "ledger", Means: "A checkpoint has waited too long for a witness.", Keys: "witness records error"},
	{Name: "witness.refused", Owner: "ledger", Means: "A witness has seen another history of this ledger.", Keys: "witness records error"},
	{Name: "witness.back", Owner: "ledger", Means: "A witness cosigns again.", Keys: "witness records error"},
	{Name: "witness.key", Owner: "ledger/witness", Means: "A ledger that this Cordon witnesses has a new key, introduced by the old one.", Keys: "origin key records"},
	{Name: "witness.fork", Owner: "ledger/witness", Means: "A ledger that this Cordon witnesses showed another history than before.", Keys: "origin remembered root shown shown_root"},
	{Name: "audit.repository", Owner: "ledger/atna", Means: "An audit repository went away, came back, or could not be served.", Keys: "repository up error"},
	{Name: "audit.skipped", Owner: "ledger/atna", Means: "Audit messages that a repository was never sent.", Keys: "repository records"},

	{Name: "config.applied", Owner: "cmd/cordon", Means: "The configuration of this run: the file's digest, a keyed digest for each key, and the keys that changed since the run before.", Keys: "sha256 version values changed", Latest: true},
	{Name: "alarm.raised", Owner: "alarm", Means: "A cause needs people: it is new, became worse, or its snooze is over.", Keys: "alarm alarm_kind subject severity what count"},
	{Name: "alarm.ended", Owner: "alarm", Means: "A cause has ended by itself.", Keys: "alarm alarm_kind subject severity what count"},
	{Name: "alarm.handled", Owner: "alarm", Means: "A person acknowledged, assigned, snoozed or closed an alarm.", Keys: "alarm alarm_kind subject what by note"},
	{Name: "setting.asked", Owner: "setting", Means: "A person asks for a change of settings that lets something through which was kept back; it waits for a second person.", Keys: ofPerson + " id changes preview reverts"},
	{Name: "setting.changed", Owner: "setting", Means: "Settings were changed by those named: each key, what it was and what it is; and what the preview said of the last seven days.", Keys: ofPerson + " second_reason id changes preview reverts"},
	{Name: "setting.withdrawn", Owner: "setting", Means: "A change that waited for a second person was withdrawn.", Keys: ofPerson + " id changes"},
	{Name: "engine.state", Owner: "cmd/cordon", Means: "An engine went away, came back, or has other signatures.", Keys: "engine up signatures"},
	{Name: "tls.rotated", Owner: "cmd/cordon", Means: "New certificate files are in use.", Keys: "end files fingerprint not_after"},
	{Name: "tls.not_rotated", Owner: "cmd/cordon", Means: "Certificate files are not used, and why; closed: none were before, so every connection is refused there.", Keys: "end files error closed"},
	{Name: "tls.failed", Owner: "gateway, webgate", Means: "Cordon and a peer could not agree on TLS.", Keys: "address archive why error fingerprint subject omitted"},
	{Name: "tokens.rotated", Owner: "cmd/cordon", Means: "New keys of an issuer of bearer tokens are in use, by their ids.", Keys: "issuer keys"},
	{Name: "tokens.not_rotated", Owner: "cmd/cordon", Means: "An issuer's file of keys is not used, and why.", Keys: "issuer error"},
	{Name: "pki.authority", Owner: "pki", Means: "A certificate authority was made.", Keys: ofIssued},
	{Name: "pki.enrolled", Owner: "pki", Means: "A certificate was issued.", Keys: ofIssued},
	{Name: "pki.renewed", Owner: "pki", Means: "A certificate was issued in the place of another.", Keys: ofIssued + " replaces"},
	{Name: "pki.revoked", Owner: "pki", Means: "A certificate was revoked.", Keys: ofIssued},
	{Name: "pki.list_signed", Owner: "pki", Means: "A revocation list was signed.", Keys: "number revoked until"},

	{Name: "association.begin", Owner: "gateway", Means: "An association was admitted. Durable before the first object; it covers each delivery.", Keys: ofPeer + " archive learned implementation contexts tls subject user_identity refused direction destination"},
	{Name: "association.end", Owner: "gateway", Means: "How it ended, and how many objects took which way.", Keys: ofPeer + " outcome received delivered held spooled refused sent error"},
	{Name: "association.rejected", Owner: "gateway", Means: "An association was rejected, with the reason of PS3.8 §9.3.4 and what policy objected to.", Keys: ofPeer + " result source reason refusal objections omitted subject implementation"},
	{Name: "association.failed", Owner: "gateway", Means: "A connection never became an association, or Cordon ended it.", Keys: "address error omitted"},
	{Name: "association.turned_away", Owner: "gateway", Means: "So many associations were turned away since then because no record could be written, and have none.", Keys: "associations since"},
	{Name: "association.unfinished", Owner: "gateway", Means: "An association without an end: a crash cut it short, and what it delivered in its last second may be missing here.", Keys: "association calling_ae address archive began"},
	{Name: "visit.begin", Owner: "webgate", Means: "Requests of one peer over the web began to be served. Durable before the first; it covers each delivery.", Keys: ofVisit + " tls"},
	{Name: "visit.end", Owner: "webgate", Means: "None has come for a while: how many there were, and how many objects took which way.", Keys: ofVisit + " requests refusals queries received delivered held spooled refused sent withheld"},
	{Name: "visit.unfinished", Owner: "webgate", Means: "A visit without an end: a crash cut it short, and what it delivered in its last second may be missing here.", Keys: "visit device address archive began"},
	{Name: "web.refused", Owner: "webgate", Means: "A request over the web was not served, with the HTTP status and the reason that its sender was told.", Keys: ofVisit + " operation resource status reason omitted"},
	{Name: "study.accessed", Owner: "webgate", Means: "Metadata, frames, bulk data or renderings of a study were given out; once in a visit.", Keys: ofVisit + " resource study_instance_uid"},
	{Name: "refusals.omitted", Owner: "gateway, webgate", Means: "Refusals without a record of their own, counted.", Keys: "omitted peers addresses"},
	{Name: "connections.refused", Owner: "gateway", Means: "Connections that came too fast, or too many in a day from an address of no known device, counted.", Keys: "refused peers addresses"},
	{Name: "transfer.begin", Owner: "gateway", Means: "Objects of one study begin to go to a peer.", Keys: "association visit direction peer peer_ae peer_address own_ae study patient", Sealed: "patient"},
	{Name: "transfer.end", Owner: "gateway", Means: "Objects of one study that came from a peer or went to it, counted by SOP class.", Keys: "association visit direction peer peer_ae peer_address own_ae study patient stored failed reason", Sealed: "patient"},
	{Name: "object.delivered", Owner: "gateway, webgate, custody", Means: "An archive has answered success.", Keys: ofObject + " association visit status alarm reason by emergency review_due"},
	{Name: "object.refused_by_archive", Owner: "gateway, webgate", Means: "An archive has refused an object, and the sender was told.", Keys: ofObject + " association visit status alarm reason"},
	{Name: "object.refused", Owner: "gateway, webgate, custody", Means: "An object was refused; the sender was told, or a person must see to it.", Keys: ofPeer + " " + ofObject + " status reason error attempts omitted alarm subject"},
	{Name: "object.held", Owner: "custody", Means: "An object is held: durable before success is answered.", Keys: ofObject + " reason"},
	{Name: "object.held_again", Owner: "custody", Means: "An object that is held was sent once more.", Keys: "id device repeats"},
	{Name: "object.spooled", Owner: "custody", Means: "An object waits for its archive; the rule that applied to it, if one did.", Keys: ofObject + " reason"},
	{Name: "object.asked", Owner: "custody", Means: "The first of two people asks for a release or a destruction.", Keys: ofPerson + " id action sop_instance_uid"},
	{Name: "object.released", Owner: "custody", Means: "A held object was released; each of those who decided.", Keys: ofPerson + " " + ofObject + " emergency review_due"},
	{Name: "object.destroyed", Owner: "custody", Means: "An object was destroyed; each of those who decided.", Keys: ofPerson + " " + ofObject},
	{Name: "object.reviewed", Owner: "custody", Means: "An emergency release was reviewed by a second person.", Keys: ofPerson + " id late sop_instance_uid study_instance_uid"},
	{Name: "object.retried", Owner: "custody", Means: "A person has an object delivered once more.", Keys: ofPerson + " id"},
	{Name: "object.shown", Owner: "console", Means: "Somebody looked at what is known of an object; what of it: the page, its bytes, a frame.", Keys: "by id what sop_instance_uid study_instance_uid"},
	{Name: "study.searched", Owner: "console", Means: "Somebody looked for studies; archives: those that were asked as well. The identifier is that of a C-FIND, base64.", Keys: "by identifier archives device from to", Sealed: "identifier"},
	{Name: "study.shown", Owner: "console", Means: "Somebody looked at where a study is; archives: those that were asked about it.", Keys: "by study_instance_uid archives"},
	{Name: "object.exported", Owner: "custody", Means: "A person took an object's bytes out.", Keys: ofPerson + " id sha256 sop_instance_uid study_instance_uid"},
	{Name: "object.alarm", Owner: "custody", Means: "The copy here is missing or damaged.", Keys: "id alarm state sop_instance_uid"},
	{Name: "object.back", Owner: "custody", Means: "A copy that was missing is here again.", Keys: "id"},
	{Name: "object.requeued", Owner: "custody", Means: "An object that its archive has lost is due again: its bytes were still here.", Keys: ofObject},
	{Name: "object.missing", Owner: "reconcile", Means: "An archive answered success for an instance and does not have it, and it is not here either: an alarm.", Keys: ofInstance},
	{Name: "object.there_again", Owner: "reconcile", Means: "An archive has an instance that was missing.", Keys: ofInstance},
	{Name: "object.unaccounted", Owner: "reconcile", Means: "The ledger has an object as kept here that custody does not know: an alarm.", Keys: "id archive sop_instance_uid"},
	{Name: "association.accounted", Owner: "reconcile", Means: "What an archive has of a study of an association or visit that a crash cut short, and the instances that had no record of their delivery (at most 200 by name).", Keys: "association visit archive study_instance_uid instances unrecorded sop_instance_uids error"},
	{Name: "reconcile.done", Owner: "reconcile", Means: "What was acknowledged has been accounted for: what archives were asked for, what they have, what is missing.", Keys: "well unfinished spooled held alarms instances present requeued back unasked missing unaccounted associations unrecorded"},
	{Name: "reconcile.given_up", Owner: "reconcile", Means: "A person ended the alarms about instances that are missing.", Keys: ofPerson + " instances"},
	{Name: "custody.found", Owner: "custody", Means: "What a start found on the disk that no crash can explain.", Keys: "in_flight leftovers missing orphans unclaimed"},
	{Name: "custody.key", Owner: "custody", Means: "The key that objects are encrypted to.", Keys: "recipient"},
	{Name: "object.scanned", Owner: "custody", Means: "An object of a contained device was scanned and found clean; it may go to its archive now.", Keys: ofObject},
	{Name: "object.passed_unscanned", Owner: "custody", Means: "A person lets an object of a contained device go to its archive although it was not scanned.", Keys: ofPerson + " " + ofObject},
	{Name: "object.rescanned", Owner: "rescan", Means: "What was delivered unscanned was judged again.", Keys: ofObject + " reason vault_id"},
	{Name: "object.late_hit", Owner: "rescan", Means: "What was delivered was found harmful later.", Keys: ofObject + " reason vault_id"},
	{Name: "object.not_rescannable", Owner: "rescan", Means: "What was delivered unscanned can no longer be judged.", Keys: ofObject + " objects reason"},
	{Name: "recall.done", Owner: "rescan", Means: "A person has recalled what was delivered.", Keys: ofPerson + " id objects"},

	{Name: "query.answered", Owner: "gateway, webgate", Means: "A query or worklist query was answered; matches that were not let through are counted.", Keys: ofOperation + " matches held limited identifier subject resource", Sealed: "identifier"},
	{Name: "query.refused", Owner: "gateway, webgate", Means: "A query was refused.", Keys: ofOperation + " identifier subject resource", Sealed: "identifier"},
	{Name: "query.passed", Owner: "gateway, webgate", Means: "A query was let through although a rule objects, since the device is only watched.", Keys: ofOperation + " identifier subject resource", Sealed: "identifier"},
	{Name: "retrieve.ended", Owner: "gateway, webgate", Means: "A retrieval ended; sub-operations by outcome.", Keys: ofOperation + " destination completed failed warning held subject resource"},
	{Name: "retrieve.refused", Owner: "gateway", Means: "A retrieval was refused.", Keys: ofOperation + " destination"},
	{Name: "instance.sent", Owner: "gateway, webgate", Means: "An object of an archive went out to a device or to whoever asked over the web.", Keys: ofPeer + " " + ofObject + " destination status alarm reason subject resource"},
	{Name: "step.relayed", Owner: "gateway", Means: "A message about a procedure step was passed on.", Keys: ofOperation},
	{Name: "step.refused", Owner: "gateway, mpps", Means: "A message about a procedure step was refused, by Cordon or by its receiver.", Keys: ofOperation + " " + ofStep + " attempts"},
	{Name: "step.kept", Owner: "mpps", Means: "A message about a procedure step waits for its receiver.", Keys: ofStep},
	{Name: "step.delivered", Owner: "mpps", Means: "It was delivered.", Keys: ofStep + " duplicate"},
	{Name: "step.retried", Owner: "mpps", Means: "A person has it delivered once more.", Keys: ofPerson + " " + ofStep},
	{Name: "step.dropped", Owner: "mpps", Means: "A person gave it up.", Keys: ofPerson + " " + ofStep},
	{Name: "operation.relayed", Owner: "gateway", Means: "Any other operation was passed on.", Keys: ofOperation},
	{Name: "operation.refused", Owner: "gateway", Means: "Any other operation was refused.", Keys: ofOperation},
	{Name: "commitment.asked", Owner: "commitment", Means: "A device asked for storage commitment.", Keys: ofRequest + " archives instances"},
	{Name: "commitment.forwarded", Owner: "commitment", Means: "An archive was asked for its part.", Keys: ofRequest + " archive instances"},
	{Name: "commitment.answered", Owner: "commitment", Means: "An archive has answered.", Keys: ofRequest + " archive committed failed"},
	{Name: "commitment.reported", Owner: "commitment", Means: "The device was told.", Keys: ofRequest + " committed failed reasons event_type"},
	{Name: "commitment.given_up", Owner: "commitment", Means: "The device could not be told; a person must see to it.", Keys: ofRequest + " error attempts"},
	{Name: "commitment.retried", Owner: "commitment", Means: "A person has the device told once more.", Keys: ofPerson + " " + ofRequest},
	{Name: "commitment.dropped", Owner: "commitment", Means: "A person gave the report up.", Keys: ofPerson + " " + ofRequest},

	{Name: "ticket.asked", Owner: "ticket", Means: "A person asked for a ticket that a second one has to agree to.", Keys: ofTicket},
	{Name: "ticket.opened", Owner: "ticket", Means: "A visitor or a remote service may reach what the ticket names, for a time.", Keys: ofTicket},
	{Name: "ticket.extended", Owner: "ticket", Means: "The sponsor had it last longer.", Keys: ofTicket},
	{Name: "ticket.unattended", Owner: "ticket", Means: "The sponsor of a remote service has not been seen; it closes unless they come.", Keys: ofTicket},
	{Name: "ticket.closed", Owner: "ticket", Means: "A ticket ended: its time was over, a person closed it, or something was not as it says.", Keys: ofTicket},
	{Name: "plan.shadow", Owner: "plan", Means: "What the firewall plan does not allow passes and is counted.", Keys: ofPlan},
	{Name: "plan.enforced", Owner: "plan", Means: "What the firewall plan does not allow is dropped; undone at that time unless a person confirms it.", Keys: ofPlan},
	{Name: "plan.confirmed", Owner: "plan", Means: "A person confirmed the enforced plan.", Keys: ofPlan},
	{Name: "plan.undone", Owner: "plan", Means: "The plan is as it was before: nobody confirmed it, or it could not be applied.", Keys: ofPlan},
	{Name: "plan.off", Owner: "plan", Means: "There is no firewall plan any more.", Keys: ofPlan},
	{Name: "transparent.on", Owner: "transparent", Means: "A person had the connections of devices to archives led to Cordon on their way.", Keys: ofPerson + " archives from when_dead"},
	{Name: "transparent.off", Owner: "transparent", Means: "No connection is led to Cordon any more: by a person, or since it could not be done.", Keys: ofPerson + " archives from when_dead error"},
	{Name: "transparent.mended", Owner: "transparent", Means: "The routes or rules of it were gone, and are in place again.", Keys: "error"},
	{Name: "transparent.encrypted", Owner: "gateway", Means: "A connection that was led to Cordon was encrypted, so that nothing could be judged: it ended, or went to the archive uninspected, as the site has chosen.", Keys: "address device archive passed omitted"},

	{Name: "admission.learned", Owner: "asset", Means: "A peer that nobody declared was admitted for the first time.", Keys: "calling_ae address certificate"},
	{Name: "admission.would_refuse", Owner: "gateway, webgate", Means: "What limits that are only watched would have refused.", Keys: ofPeer + " reasons omitted subject"},
	{Name: "incident.opened", Owner: "incident", Means: "A person says that something is an incident of a device.", Keys: ofPerson + " device"},
	{Name: "incident.told", Owner: "incident", Means: "Somebody was told of an incident.", Keys: ofPerson + " incident device whom how"},
	{Name: "incident.promise", Owner: "incident", Means: "A vendor promised when a device will be in order.", Keys: ofPerson + " incident device vendor what due"},
	{Name: "incident.note", Owner: "incident", Means: "A person noted something about an incident.", Keys: ofPerson + " incident device"},
	{Name: "incident.closed", Owner: "incident", Means: "A person closed an incident.", Keys: ofPerson + " incident device"},
	{Name: "incident.exported", Owner: "incident", Means: "An incident's story was handed out.", Keys: ofPerson + " incident device"},
	{Name: "device.proposed", Owner: "asset", Means: "The least that a peer needs, after a day of learning, for a person to decide on.", Keys: "device calling_ae address permissions"},
	{Name: "device.approved", Owner: "asset", Means: "A person declared a peer, with what it may.", Keys: ofPerson + " device calling_ae permissions was"},
	{Name: "device.described", Owner: "asset", Means: "A person said what a device is: whose, where, which make.", Keys: ofPerson + " device inventory"},
	{Name: "device.flows", Owner: "asset", Means: "What a device is declared to talk to was changed.", Keys: ofPerson + " device flows"},
	{Name: "device.denied", Owner: "asset", Means: "A person denied a peer.", Keys: ofPerson + " device calling_ae permissions was"},
	{Name: "source.silent", Owner: "silence", Means: "A device that always talks has stopped.", Keys: "device calling_ae address last_heard rule"},
	{Name: "source.heard", Owner: "silence", Means: "It talks again.", Keys: "device calling_ae address last_heard rule"},
	{Name: "source.forgotten", Owner: "silence", Means: "It has been silent for so long that nobody waits for it.", Keys: "device calling_ae address last_heard rule"},
	{Name: "exception.proposed", Owner: "exception", Means: "A finding is proposed as a device's habit.", Keys: ofPerson + " id device calling_ae address finding place expires"},
	{Name: "exception.approved", Owner: "exception", Means: "It was approved by those named.", Keys: ofPerson + " id device calling_ae address finding place expires object"},
	{Name: "exception.revoked", Owner: "exception", Means: "It no longer counts.", Keys: ofPerson + " id device calling_ae address finding place expires"},
	{Name: "bypass.started", Owner: "bypass", Means: "In an emergency a person has everything delivered, until then.", Keys: ofPerson + " device since until"},
	{Name: "bypass.ended", Owner: "bypass", Means: "The override ended.", Keys: ofPerson + " device since until ended_by"},
	{Name: "deadman.opened", Owner: "deadman", Means: "While Cordon did not answer, the dead-man's bypass led its listener's traffic straight to an archive, uninspected; recorded when Cordon was back.", Keys: "since archive listen to"},
	{Name: "deadman.closed", Owner: "deadman", Means: "The dead-man's bypass ended, by itself.", Keys: "since until archive listen to"},
	{Name: "deadman.reviewed", Owner: "deadman", Means: "A person has seen to what came in meanwhile.", Keys: ofPerson + " since until"},
	{Name: "backup.begun", Owner: "backup", Means: "A backup of the whole data directory, keys included, is being made, encrypted to those named.", Keys: "by to"},
	{Name: "backup.made", Owner: "backup", Means: "It was made; the file's digest.", Keys: "by to sha256 bytes objects missing records"},
	{Name: "backup.restored", Owner: "backup", Means: "The data directory was made of a backup of that time: what this ledger had beyond so many records is not here.", Keys: ofPerson + " made_at records objects"},
	{Name: "media.import", Owner: "console", Means: "A medium was imported, in numbers.", Keys: "by label dicomdir_sha256 archive calling_ae complete files objects stored held listed refused failed unreadable bytes studies"},
	{Name: "containment.ordered", Owner: "contain", Means: "A device is to lose its paths but the one of its images. Durable before it takes effect.", Keys: ofContainment},
	{Name: "containment.applied", Owner: "contain", Means: "It has lost them: read back from the enforcement point.", Keys: ofContainment + " enforcer enforced why"},
	{Name: "containment.not_enforced", Owner: "contain", Means: "It has not, and why; inspection of what it sends is stricter all the same, and enforcing is tried again.", Keys: ofContainment + " enforcer enforced why"},
	{Name: "containment.followed", Owner: "contain", Means: "A contained device was heard of at further addresses, and is contained there too.", Keys: ofContainment + " addresses"},
	{Name: "containment.clock", Owner: "contain", Means: "A containment ends at another time by this machine's clock than was said, because that was set or the machine was off: neither shortens it.", Keys: ofContainment + " was"},
	{Name: "containment.restore_asked", Owner: "contain", Means: "The first of two people says that a device is clean, and how that was found.", Keys: ofContainment + " proof"},
	{Name: "containment.restoring", Owner: "contain", Means: "A device is to have its paths back; by whom, and the proof that it is clean. Durable before it takes effect.", Keys: ofContainment + " proof"},
	{Name: "containment.restored", Owner: "contain", Means: "It has them back; packets meanwhile.", Keys: ofContainment + " proof counts"},
	{Name: "containment.ended", Owner: "contain", Means: "A containment ended by itself, at its time; packets meanwhile.", Keys: ofContainment + " proof counts"},
	{Name: "containment.proposed", Owner: "contain", Means: "A person is asked whether to contain a device, because of what a sensor saw.", Keys: "device rule detail level why until"},
	{Name: "containment.confirmed", Owner: "contain", Means: "A person said yes.", Keys: ofPerson + " device rule"},
	{Name: "containment.dismissed", Owner: "contain", Means: "A person said no.", Keys: ofPerson + " device rule"},
	{Name: "containment.lapsed", Owner: "contain", Means: "Nobody said yes in time.", Keys: ofPerson + " device rule"},
	{Name: "firewall.changed", Owner: "cmd/cordon", Means: "Somebody else changed Cordon's packet rules; whether they were put right.", Keys: "program restored why"},
	{Name: "network.alert", Owner: "network", Means: "Something unusual was seen on the network; of one device and rule the first time, and from then on in growing pauses with its count.", Keys: "rule severity device address acted proof first count peers more service detail sensor omitted"},
	{Name: "review.made", Owner: "review", Means: "An activity review was made.", Keys: "id first_record end_record items sha256 due"},
	{Name: "review.signed", Owner: "review", Means: "A person signed it.", Keys: ofPerson + " id first_record end_record sha256 late"},
	{Name: "evidence.made", Owner: "evidence", Means: "A person had an evidence pack made.", Keys: "by from to mapping sha256"},
	{Name: "person.setup_link", Owner: "people", Means: "A link was made by which the first administrator makes an account, until then.", Keys: "until"},
	{Name: "person.invited", Owner: "people", Means: "An account was made for somebody, with a link to take it by, until then.", Keys: ofPerson + " person roles products until"},
	{Name: "person.joined", Owner: "people", Means: "Somebody took an account: by a link, or from an issuer of OpenID Connect.", Keys: "by how link issuer roles address"},
	{Name: "person.roles", Owner: "people", Means: "Somebody has other roles than before.", Keys: ofPerson + " person roles was products"},
	{Name: "person.disabled", Owner: "people", Means: "Somebody may not sign in any more; sessions and tokens ended.", Keys: ofPerson + " person roles"},
	{Name: "person.enabled", Owner: "people", Means: "Somebody who was disabled may sign in again.", Keys: ofPerson + " person roles"},
	{Name: "person.recovery", Owner: "people", Means: "A link was made by which whoever has it becomes somebody, until then.", Keys: ofPerson + " person until"},
	{Name: "person.password", Owner: "people", Means: "Somebody chose another password.", Keys: "by"},
	{Name: "person.passkey", Owner: "people", Means: "Somebody has another passkey.", Keys: "by label"},
	{Name: "person.passkey_removed", Owner: "people", Means: "Somebody has a passkey less.", Keys: ofPerson},
	{Name: "person.signed_in", Owner: "people", Means: "Somebody signed in, or, signed in already, proved again who they are.", Keys: "by how address again"},
	{Name: "person.signed_out", Owner: "people", Means: "Somebody signed out.", Keys: "by how"},
	{Name: "person.failed", Owner: "people", Means: "Attempts to sign in that failed within a minute, counted; the person, if it is one.", Keys: "person address failures"},
	{Name: "person.session_ended", Owner: "people", Means: "A session of somebody's was ended.", Keys: ofPerson + " person id"},
	{Name: "person.token", Owner: "people", Means: "Somebody made an API token, with what it may do and until when.", Keys: "by id label scopes until"},
	{Name: "person.token_ended", Owner: "people", Means: "An API token of somebody's was ended.", Keys: ofPerson + " person id"},
	{Name: "person.glass", Owner: "people", Means: "In an emergency somebody took one more role, until then.", Keys: ofPerson + " id role since until"},
	{Name: "person.glass_ended", Owner: "people", Means: "It ended: by its time, or earlier.", Keys: ofPerson + " id role since until ended_by"},
	{Name: "person.glass_reviewed", Owner: "people", Means: "Another person has looked at what was done with it.", Keys: ofPerson + " id person role late"},
	{Name: "person.denied", Owner: "console/guard", Means: "Requests of somebody who is signed in for what their roles do not have, counted.", Keys: "by route failures"},
}

func find(name string) (Kind, bool) {
	at := slices.IndexFunc(kinds[:], func(k Kind) bool { return k.Name == name })
	if at < 0 {
		return Kind{}, false
	}
	return kinds[at], true
}

// Listed is an error if a record is of a kind that is not among Kinds, has a key
// that its kind does not have, or patient data that are not sealed.
func Listed(r Record) error {
	k, ok := find(r.Kind)
	if !ok {
		return fmt.Errorf("kind %s is not listed", r.Kind)
	}
	if r.Body == nil {
		return nil
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return fmt.Errorf("kind %s: the body is no object: %w", r.Kind, err)
	}
	known, sealed := strings.Fields(k.Keys), strings.Fields(k.Sealed)
	for key, value := range body {
		if !slices.Contains(known, key) {
			return fmt.Errorf("kind %s: key %q is not listed", r.Kind, key)
		}
		if slices.Contains(sealed, key) && !strings.HasPrefix(string(value), `"`+sealPrefix) {
			return fmt.Errorf("kind %s: %q is not sealed", r.Kind, key)
		}
	}
	return nil
}

// latest reports whether the last record of a kind is looked up.
func latest(kind string) bool {
	k, ok := find(kind)
	return ok && k.Latest
}
