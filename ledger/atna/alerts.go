package atna

import "cordon/finding"

// An alert says which security alert (110113) a kind of record causes.
type alert struct {
	kind    string
	when    func(body) bool // nil: always
	typ     Code            // of PS3.15 §A.5.3.11
	what    Code            // our own second type: the standard's say little of malware
	outcome Outcome
	about   func(*scene) Object
	says    []string // keys whose values follow in the Alert Description
}

// alerts are in the order of the standard's types.
var alerts = [...]alert{
	// Node authentication: who is not let in.
	{"association.rejected", nil, nodeAuthentication, cordon("ASSOCIATION-REJECTED", "Association rejected"), Minor, aboutPeer, []string{"refusal", "omitted"}},
	{"association.failed", nil, nodeAuthentication, cordon("ASSOCIATION-FAILED", "Connection that became no association, or was cut"), Minor, aboutPeer, []string{"error", "omitted"}},
	{"web.refused", unbelieved, nodeAuthentication, cordon("REQUEST-NOT-ADMITTED", "Request over the web of somebody who is not admitted"), Minor, aboutPeer, []string{"operation", "reason", "omitted"}},
	{"refusals.omitted", nil, nodeAuthentication, cordon("REFUSALS-OMITTED", "Refusals beyond those recorded one by one"), Minor, aboutPeer, []string{"omitted", "peers", "addresses"}},
	{"admission.would_refuse", nil, nodeAuthentication, cordon("WOULD-REFUSE", "Association admitted that would be refused"), Success, aboutPeer, []string{"reason", "reasons", "refusal"}},
	{"connections.refused", nil, nodeAuthentication, cordon("CONNECTIONS-REFUSED", "Connections that came too fast or too often"), Minor, aboutPeer, []string{"refused", "peers", "addresses"}},
	{"tls.failed", nil, nodeAuthentication, cordon("TLS-FAILED", "TLS handshake failed"), Minor, aboutPeer, []string{"why", "error", "omitted"}},

	// Emergency override, started and stopped.
	{"bypass.started", nil, emergencyStarted, cordon("BYPASS-STARTED", "Inspection bypassed"), Serious, aboutConfiguration, []string{"device", "reason", "until"}},
	{"bypass.ended", nil, emergencyStopped, cordon("BYPASS-ENDED", "Inspection no longer bypassed"), Success, aboutConfiguration, []string{"device", "ended_by"}},
	{"object.released", emergency, emergencyStarted, cordon("EMERGENCY-RELEASE", "Held instance released by one person in an emergency"), Serious, aboutInstance, []string{"reason", "review_due"}},
	{"object.reviewed", nil, emergencyStopped, cordon("EMERGENCY-REVIEWED", "Emergency release reviewed"), Success, aboutInstance, []string{"reason"}},

	{"deadman.opened", nil, emergencyStarted, cordon("DEADMAN-OPENED", "Images went to the archive uninspected while Cordon did not answer"), Serious, aboutConfiguration, []string{"since", "listen", "to"}},
	{"deadman.closed", nil, emergencyStopped, cordon("DEADMAN-CLOSED", "Images are inspected again"), Success, aboutConfiguration, []string{"since", "until"}},
	{"deadman.reviewed", nil, emergencyStopped, cordon("DEADMAN-REVIEWED", "What came in uninspected was seen to"), Success, aboutConfiguration, []string{"since", "until", "reason"}},

	// Network configuration: who is there.
	{"source.silent", nil, networkConfiguration, cordon("SOURCE-SILENT", "A device that always talks has fallen silent"), Minor, aboutPeer, []string{"rule", "last_heard"}},
	{"source.forgotten", nil, networkConfiguration, cordon("SOURCE-FORGOTTEN", "A device has been silent for so long that it is no longer missed"), Success, aboutPeer, []string{"last_heard"}},
	{"source.heard", nil, networkConfiguration, cordon("SOURCE-HEARD", "A device that had fallen silent talks again"), Success, aboutPeer, nil},
	{"transparent.on", nil, networkConfiguration, cordon("TRANSPARENT-ON", "Connections to archives are led to Cordon on their way"), Success, aboutConfiguration, []string{"archives", "from", "when_dead", "reason"}},
	{"transparent.off", nil, networkConfiguration, cordon("TRANSPARENT-OFF", "Connections to archives are no longer led to Cordon"), Minor, aboutConfiguration, []string{"archives", "reason", "error"}},
	{"transparent.mended", nil, networkConfiguration, cordon("TRANSPARENT-MENDED", "Rules or routes that lead connections to Cordon were gone, and are back"), Serious, aboutConfiguration, []string{"error"}},
	{"transparent.encrypted", yes("passed"), restrictedFunction, cordon("ENCRYPTED-PASSED", "An encrypted connection went to an archive uninspected"), Serious, aboutPeer, []string{"archive"}},
	{"transparent.encrypted", no("passed"), restrictedFunction, cordon("ENCRYPTED-REFUSED", "An encrypted connection to an archive was ended"), Minor, aboutPeer, []string{"archive", "omitted"}},

	{"network.alert", no("acted"), networkConfiguration, cordon("NETWORK-DONE-TO", "Something unusual was done to a device on the network, or in its name"), Serious, aboutPeer, saysNetwork},
	{"network.alert", yes("acted"), restrictedFunction, cordon("NETWORK-UNUSUAL", "A device does on the network what it is not declared to do"), Serious, aboutPeer, saysNetwork},

	{"containment.ordered", nil, networkConfiguration, cordon("CONTAINMENT-ORDERED", "A device is to lose its paths but the one of its images"), Serious, aboutPeer, saysContainment},
	{"containment.applied", nil, networkConfiguration, cordon("CONTAINED", "A device has lost its paths but the one of its images"), Serious, aboutPeer, saysContainment},
	{"containment.not_enforced", nil, networkConfiguration, cordon("NOT-CONTAINED", "A device that is to be contained is not"), Major, aboutPeer, saysContainment},
	{"containment.followed", nil, networkConfiguration, cordon("CONTAINMENT-FOLLOWED", "A contained device has further addresses"), Serious, aboutPeer, []string{"addresses"}},
	{"containment.clock", nil, networkConfiguration, cordon("CONTAINMENT-CLOCK", "A containment ends at another time by this machine's clock"), Serious, aboutPeer, []string{"was", "until"}},
	{"containment.restore_asked", nil, networkConfiguration, cordon("RESTORE-ASKED", "One of two people says that a contained device is clean"), Success, aboutPeer, saysContainment},
	{"containment.restoring", nil, networkConfiguration, cordon("RESTORING", "A device is to have its paths back"), Success, aboutPeer, saysContainment},
	{"containment.restored", nil, networkConfiguration, cordon("RESTORED", "A device has its paths back"), Success, aboutPeer, saysContainment},
	{"containment.ended", nil, networkConfiguration, cordon("CONTAINMENT-ENDED", "A containment ended at its time"), Minor, aboutPeer, saysContainment},
	{"containment.proposed", nil, networkConfiguration, cordon("CONTAINMENT-PROPOSED", "A person is asked whether to contain a device"), Serious, aboutPeer, saysContainment},
	{"containment.confirmed", nil, networkConfiguration, cordon("CONTAINMENT-CONFIRMED", "A person said yes to containing a device"), Success, aboutPeer, saysContainment},
	{"containment.dismissed", nil, networkConfiguration, cordon("CONTAINMENT-DISMISSED", "A person said no to containing a device"), Minor, aboutPeer, saysContainment},
	{"containment.lapsed", nil, networkConfiguration, cordon("CONTAINMENT-LAPSED", "Nobody said in time whether to contain a device"), Serious, aboutPeer, saysContainment},
	{"firewall.changed", nil, networkConfiguration, cordon("FIREWALL-CHANGED", "Somebody else changed Cordon's packet rules"), Major, aboutPart("program"), []string{"restored", "why"}},
	{"plan.shadow", nil, networkConfiguration, cordon("PLAN-SHADOW", "A firewall plan counts what it does not allow"), Success, aboutConfiguration, saysPlan},
	{"plan.enforced", nil, networkConfiguration, cordon("PLAN-ENFORCED", "A firewall plan drops what it does not allow"), Success, aboutConfiguration, saysPlan},
	{"plan.confirmed", nil, networkConfiguration, cordon("PLAN-CONFIRMED", "An enforced firewall plan was confirmed"), Success, aboutConfiguration, saysPlan},
	{"plan.undone", nil, networkConfiguration, cordon("PLAN-UNDONE", "A firewall plan is as it was before"), Minor, aboutConfiguration, saysPlan},
	{"plan.off", nil, networkConfiguration, cordon("PLAN-OFF", "There is no firewall plan any more"), Minor, aboutConfiguration, saysPlan},

	// Service by people and equipment from outside, started and stopped.
	{"ticket.opened", remote, remoteServiceStarted, cordon("REMOTE-SERVICE", "Remote service is let in"), Success, aboutPeer, saysTicket},
	{"ticket.closed", remoteWas, remoteServiceStopped, cordon("REMOTE-SERVICE-ENDED", "Remote service has ended"), Success, aboutPeer, saysTicket},
	{"ticket.opened", not(remote), localServiceStarted, cordon("VISITOR", "A visitor's equipment is let in"), Success, aboutPeer, saysTicket},
	{"ticket.closed", localWas, localServiceStopped, cordon("VISITOR-ENDED", "A visitor's equipment is no longer let in"), Success, aboutPeer, saysTicket},
	{"ticket.asked", nil, securityConfiguration, cordon("TICKET-ASKED", "One of two people asks for a ticket"), Success, aboutPeer, saysTicket},
	{"ticket.extended", nil, securityConfiguration, cordon("TICKET-EXTENDED", "A ticket lasts longer"), Success, aboutPeer, saysTicket},
	{"ticket.unattended", nil, securityConfiguration, cordon("TICKET-UNATTENDED", "The sponsor of a remote service is not there"), Minor, aboutPeer, saysTicket},

	// Security configuration: who and what may pass.
	{"config.applied", nil, securityConfiguration, cordon("CONFIGURATION-APPLIED", "Configuration applied"), Success, aboutConfiguration, []string{"version"}},
	{"setting.asked", nil, securityConfiguration, cordon("SETTING-ASKED", "Change of settings that waits for a second person"), Success, aboutConfiguration, []string{"reason"}},
	{"setting.changed", nil, securityConfiguration, cordon("SETTING-CHANGED", "Settings changed"), Success, aboutConfiguration, []string{"reason"}},
	{"setting.withdrawn", nil, securityConfiguration, cordon("SETTING-WITHDRAWN", "Change of settings withdrawn"), Success, aboutConfiguration, []string{"reason"}},
	{"exception.proposed", nil, securityConfiguration, cordon("EXCEPTION-PROPOSED", "Exception proposed"), Success, aboutConfiguration, []string{"finding", "reason"}},
	{"exception.approved", nil, securityConfiguration, cordon("EXCEPTION-APPROVED", "Exception approved"), Success, aboutConfiguration, []string{"finding", "reason"}},
	{"exception.revoked", nil, securityConfiguration, cordon("EXCEPTION-REVOKED", "Exception revoked"), Success, aboutConfiguration, []string{"finding", "reason"}},
	{"device.proposed", nil, securityConfiguration, cordon("DEVICE-PROPOSED", "Device proposed for approval"), Success, aboutPeer, []string{"reason"}},
	{"device.approved", nil, securityConfiguration, cordon("DEVICE-APPROVED", "Device approved"), Success, aboutPeer, []string{"reason"}},
	{"device.denied", nil, securityConfiguration, cordon("DEVICE-DENIED", "Device denied"), Success, aboutPeer, []string{"reason"}},
	{"device.described", nil, securityConfiguration, cordon("DEVICE-DESCRIBED", "Device described in the register"), Success, aboutPeer, []string{"reason"}},
	{"device.flows", nil, networkConfiguration, cordon("DEVICE-FLOWS", "What a device is declared to talk to was changed"), Success, aboutPeer, []string{"reason"}},
	{"incident.opened", nil, securityConfiguration, cordon("INCIDENT-OPENED", "Incident of a device opened"), Serious, aboutPeer, []string{"reason"}},
	{"incident.told", nil, securityConfiguration, cordon("INCIDENT-TOLD", "Somebody was told of an incident"), Success, aboutPeer, []string{"whom", "how", "reason"}},
	{"incident.promise", nil, securityConfiguration, cordon("INCIDENT-PROMISE", "A vendor promised when a device will be in order"), Success, aboutPeer, []string{"vendor", "what", "due"}},
	{"incident.note", nil, securityConfiguration, cordon("INCIDENT-NOTE", "Note about an incident"), Success, aboutPeer, []string{"reason"}},
	{"incident.closed", nil, securityConfiguration, cordon("INCIDENT-CLOSED", "Incident closed"), Success, aboutPeer, []string{"reason"}},
	{"incident.exported", nil, securityConfiguration, cordon("INCIDENT-EXPORTED", "An incident's story was handed out"), Success, aboutPeer, []string{"reason"}},
	{"tls.not_rotated", nil, securityConfiguration, cordon("CERTIFICATE-NOT-ROTATED", "TLS files cannot be used"), Serious, aboutPart("end"), []string{"files", "error"}},
	{"tokens.rotated", nil, securityConfiguration, cordon("TOKEN-KEYS-ROTATED", "An issuer of bearer tokens has new keys"), Success, aboutPart("issuer"), []string{"keys"}},
	{"tokens.not_rotated", nil, securityConfiguration, cordon("TOKEN-KEYS-NOT-ROTATED", "An issuer's keys cannot be used"), Serious, aboutPart("issuer"), []string{"error"}},
	{"pki.authority", nil, securityConfiguration, cordon("AUTHORITY-MADE", "Certificate authority made"), Success, aboutPart("name"), nil},
	{"pki.enrolled", nil, securityConfiguration, cordon("CERTIFICATE-ISSUED", "Certificate issued"), Success, aboutPart("name"), []string{"fingerprint"}},
	{"pki.renewed", nil, securityConfiguration, cordon("CERTIFICATE-RENEWED", "Certificate renewed"), Success, aboutPart("name"), []string{"fingerprint"}},
	{"pki.revoked", nil, securityConfiguration, cordon("CERTIFICATE-REVOKED", "Certificate revoked"), Success, aboutPart("name"), []string{"fingerprint", "reason"}},
	{"ledger.key", nil, securityConfiguration, cordon("LEDGER-KEY-ROTATED", "The ledger has a new key"), Success, aboutLedger, []string{"reason"}},
	{"witness.key", nil, securityConfiguration, cordon("WITNESSED-KEY-ROTATED", "A ledger that is witnessed here has a new key"), Success, aboutPart("origin"), []string{"records"}},
	{"tls.rotated", nil, securityConfiguration, cordon("CERTIFICATE-ROTATED", "Certificate, authorities or revocation list replaced"), Success, aboutPart("end"), []string{"files", "fingerprint"}},

	// Software configuration: what Cordon and its engines are, and whether they are whole.
	{"engine.state", yes("up"), softwareConfiguration, cordon("ENGINE-UP", "Scanning engine answers"), Success, aboutPart("engine"), []string{"signatures"}},
	{"engine.state", no("up"), softwareConfiguration, cordon("ENGINE-DOWN", "Scanning engine does not answer"), Serious, aboutPart("engine"), []string{"signatures"}},
	{"custody.found", nil, softwareConfiguration, cordon("CUSTODY-REPAIRED", "What a crash left in custody was put right"), Minor, aboutPart("part"), []string{"missing", "unclaimed", "orphans", "leftovers", "in_flight"}},
	{"object.alarm", nil, softwareConfiguration, cordon("COPY-DAMAGED", "The copy of an instance here is missing or damaged"), Serious, aboutInstance, []string{"alarm"}},
	{"object.back", nil, softwareConfiguration, cordon("COPY-BACK", "The copy of an instance here is whole again"), Success, aboutInstance, nil},
	{"object.missing", nil, softwareConfiguration, cordon("INSTANCE-MISSING", "An archive answered success for an instance and does not have it"), Serious, aboutInstance, []string{"archive"}},
	{"object.there_again", nil, softwareConfiguration, cordon("INSTANCE-THERE-AGAIN", "An archive has an instance that was missing"), Success, aboutInstance, []string{"archive"}},
	{"object.requeued", nil, softwareConfiguration, cordon("INSTANCE-DUE-AGAIN", "An instance that its archive has lost is delivered again"), Minor, aboutInstance, []string{"archive"}},
	{"object.unaccounted", nil, softwareConfiguration, cordon("INSTANCE-UNACCOUNTED", "An instance recorded as kept is unknown to custody"), Serious, aboutInstance, []string{"archive"}},
	{"reconcile.given_up", nil, softwareConfiguration, cordon("MISSING-GIVEN-UP", "Alarms about missing instances were ended by a person"), Minor, aboutPart("part"), []string{"instances", "reason"}},
	{"ledger.start", no("intact"), softwareConfiguration, cordon("LEDGER-CHANGED", "The ledger was changed while Cordon was not running"), Major, aboutLedger, []string{"records"}},

	// Use of a restricted function: what a peer asked for and may not have.
	{"object.refused", fromPeer, restrictedFunction, cordon("INSTANCE-REFUSED", "Instance refused"), Minor, aboutInstance, []string{"reason", "omitted"}},
	{"query.refused", nil, restrictedFunction, cordon("QUERY-REFUSED", "Query refused"), Minor, aboutPeer, []string{"reason", "service"}},
	{"query.answered", has("limited"), restrictedFunction, cordon("QUERY-CUT-SHORT", "Query that matches more than is passed on"), Minor, aboutPeer, []string{"matches", "service"}},
	{"query.answered", has("held"), restrictedFunction, cordon("MATCHES-WITHHELD", "Matches that were not let through"), Minor, aboutPeer, []string{"held", "service"}},
	{"query.passed", nil, restrictedFunction, cordon("QUERY-PASSED", "Query let through that would be refused"), Success, aboutPeer, []string{"reason", "service"}},
	{"web.refused", not(unbelieved), restrictedFunction, cordon("REQUEST-REFUSED", "Request over the web that was not served"), Minor, aboutPeer, []string{"operation", "reason", "omitted"}},
	{"retrieve.refused", nil, restrictedFunction, cordon("RETRIEVE-REFUSED", "Retrieve refused"), Minor, aboutPeer, []string{"reason", "operation"}},
	{"step.refused", fromPeer, restrictedFunction, cordon("STEP-REFUSED", "Procedure step message refused"), Minor, aboutPeer, []string{"reason", "operation"}},
	{"operation.refused", nil, restrictedFunction, cordon("OPERATION-REFUSED", "Operation refused"), Minor, aboutPeer, []string{"reason", "operation"}},

	// Audit recording, stopped and started.
	{"ledger.start", no("clean"), auditRecordingStopped, cordon("ENDED-IN-DISORDER", "The run before ended in disorder"), Serious, aboutLedger, []string{"records"}},
	{"ledger.start", nil, auditRecordingStarted, cordon("RECORDING-STARTED", "The ledger is written"), Success, aboutLedger, nil},
	{"ledger.stop", nil, auditRecordingStopped, cordon("RECORDING-STOPPED", "The ledger is closed in order"), Success, aboutLedger, nil},
	{"ledger.clock", nil, softwareConfiguration, cordon("CLOCK-JUMPED", "The clock was set back or forth"), Minor, aboutLedger, []string{"was", "seconds"}},
	{"ledger.pruned", nil, objectSecurityChanged, cordon("RECORDS-PRUNED", "Bodies of records older than the retention were deleted; their proofs stay"), Success, aboutLedger, []string{"records"}},
	{"ledger.erased", nil, objectSecurityChanged, cordon("DATA-ERASED", "What was sealed for one patient or study was made unreadable"), Success, aboutLedger, []string{"reason"}},
	{"backup.begun", nil, softwareConfiguration, cordon("BACKUP-BEGUN", "A backup of the data directory, keys included, is made"), Success, aboutLedger, []string{"to"}},
	{"backup.made", nil, softwareConfiguration, cordon("BACKUP-MADE", "A backup of the data directory was made"), Success, aboutLedger, []string{"to", "sha256", "missing"}},
	{"backup.restored", nil, softwareConfiguration, cordon("BACKUP-RESTORED", "The data directory was restored from a backup; later records are not here"), Serious, aboutLedger, []string{"made_at", "records", "reason"}},
	{"witness.late", nil, auditRecordingStopped, cordon("WITNESS-LATE", "A witness has not cosigned in time"), Minor, aboutPart("witness"), []string{"error"}},
	{"witness.refused", nil, auditRecordingStopped, cordon("WITNESS-REFUSED", "A witness refuses to cosign: it remembers another ledger"), Major, aboutPart("witness"), []string{"error"}},
	{"witness.back", nil, auditRecordingStarted, cordon("WITNESS-BACK", "A witness cosigns again"), Success, aboutPart("witness"), nil},
	{"witness.fork", nil, auditRecordingStopped, cordon("LEDGER-FORKED", "A ledger that is witnessed here shows another past"), Major, aboutPart("origin"), []string{"remembered", "shown"}},
	{"ledger.lost", nil, auditRecordingStopped, cordon("RECORDS-LOST", "Records could not be written"), Serious, aboutLedger, []string{"records"}},
	{"association.turned_away", nil, auditRecordingStopped, cordon("TURNED-AWAY-UNRECORDED", "Associations were turned away because no record could be written"), Serious, aboutLedger, []string{"associations"}},
	{"association.unfinished", nil, auditRecordingStopped, cordon("ASSOCIATION-CUT", "An association was cut by a crash; records of its last second may be missing"), Serious, aboutPeer, []string{"began"}},
	{"visit.unfinished", nil, auditRecordingStopped, cordon("VISIT-CUT", "Requests over the web were cut by a crash; records of their last second may be missing"), Serious, aboutPeer, []string{"began"}},
	{"audit.repository", no("up"), auditRecordingStopped, cordon("REPOSITORY-AWAY", "An audit repository does not take messages; they are kept"), Minor, aboutPart("repository"), []string{"error"}},
	{"audit.repository", yes("up"), auditRecordingStarted, cordon("REPOSITORY-BACK", "An audit repository takes messages again"), Success, aboutPart("repository"), nil},
	{"audit.skipped", nil, auditRecordingStopped, cordon("MESSAGES-SKIPPED", "Records were pruned before an audit repository had them"), Serious, aboutPart("repository"), []string{"records"}},

	// Object security attributes: what is held, released, found harmful.
	{"object.held", malicious, objectSecurityChanged, cordon("MALWARE-FOUND", "Malicious content found, instance held"), Minor, aboutInstance, []string{"findings"}},
	{"object.held", not(malicious), objectSecurityChanged, cordon("INSTANCE-HELD", "Instance held"), Minor, aboutInstance, []string{"findings", "exceptions"}},
	{"object.held_again", nil, objectSecurityChanged, cordon("INSTANCE-HELD-AGAIN", "Instance that is held was sent again"), Minor, aboutInstance, []string{"repeats"}},
	{"object.asked", nil, objectSecurityChanged, cordon("DECISION-ASKED", "One of two people asks for a decision"), Success, aboutInstance, []string{"action", "reason"}},
	{"object.released", no("emergency"), objectSecurityChanged, cordon("INSTANCE-RELEASED", "Held instance released by two people"), Success, aboutInstance, []string{"reason"}},
	{"object.retried", nil, objectSecurityChanged, cordon("DELIVERY-RETRIED", "An instance that its archive refused is due again"), Success, aboutInstance, []string{"reason"}},
	{"object.late_hit", nil, objectSecurityChanged, cordon("MALWARE-DELIVERED", "An instance was delivered before it was found harmful"), Major, aboutInstance, []string{"reason", "findings", "archive"}},
	{"object.passed_unscanned", nil, objectSecurityChanged, cordon("PASSED-UNSCANNED", "A person let an instance of a contained device pass unscanned"), Serious, aboutInstance, []string{"reason", "archive"}},
	{"object.not_rescannable", nil, objectSecurityChanged, cordon("UNSCANNED", "An instance was delivered unscanned and cannot be scanned again"), Serious, aboutInstance, []string{"reason", "objects"}},
	{"recall.done", nil, objectSecurityChanged, cordon("RECALLED", "A recall was acknowledged"), Success, aboutInstance, []string{"reason"}},

	// People: who they are here, and what they may.
	{"person.setup_link", nil, userChanged, cordon("SETUP-LINK", "A link was made by which the first administrator makes an account"), Success, aboutPart("until"), nil},
	{"person.invited", nil, userChanged, cordon("PERSON-INVITED", "Somebody was invited"), Success, aboutPerson, []string{"roles", "products", "reason"}},
	{"person.joined", nil, userChanged, cordon("PERSON-JOINED", "Somebody took an account"), Success, aboutPerson, []string{"how", "link", "issuer", "roles"}},
	{"person.roles", nil, rolesChanged, cordon("ROLES-CHANGED", "Somebody has other roles"), Success, aboutPerson, []string{"roles", "was", "products", "reason"}},
	{"person.disabled", nil, userChanged, cordon("PERSON-DISABLED", "Somebody may not sign in any more"), Success, aboutPerson, []string{"reason"}},
	{"person.enabled", nil, userChanged, cordon("PERSON-ENABLED", "Somebody may sign in again"), Success, aboutPerson, []string{"reason"}},
	{"person.recovery", nil, userChanged, cordon("PERSON-RECOVERY", "A link was made by which whoever has it becomes somebody"), Minor, aboutPerson, []string{"reason", "until"}},
	{"person.password", nil, userChanged, cordon("PASSWORD-CHANGED", "Somebody chose another password"), Success, aboutPerson, nil},
	{"person.passkey", nil, userChanged, cordon("PASSKEY-MADE", "Somebody has another passkey"), Success, aboutPerson, []string{"label"}},
	{"person.passkey_removed", nil, userChanged, cordon("PASSKEY-REMOVED", "Somebody has a passkey less"), Success, aboutPerson, nil},
	{"person.session_ended", nil, userChanged, cordon("SESSION-ENDED", "A session of somebody's was ended"), Success, aboutPerson, []string{"reason"}},
	{"person.token", nil, userChanged, cordon("TOKEN-MADE", "Somebody made an API token"), Success, aboutPerson, []string{"label", "scopes", "until"}},
	{"person.token_ended", nil, userChanged, cordon("TOKEN-ENDED", "An API token of somebody's was ended"), Success, aboutPerson, []string{"reason"}},
	{"person.glass", nil, emergencyStarted, cordon("ROLE-TAKEN", "Somebody took a role in an emergency"), Serious, aboutPerson, []string{"role", "reason", "until"}},
	{"person.glass_ended", nil, emergencyStopped, cordon("ROLE-ENDED", "A role that was taken in an emergency ended"), Success, aboutPerson, []string{"role", "ended_by"}},
	{"person.glass_reviewed", nil, emergencyStopped, cordon("ROLE-REVIEWED", "What was done with a role taken in an emergency was reviewed"), Success, aboutPerson, []string{"role", "reason"}},
	{"person.denied", nil, restrictedFunction, cordon("FUNCTION-DENIED", "Somebody asked for what their roles do not include"), Minor, aboutPerson, []string{"route", "failures"}},
}

// Conditions on a body.

func has(key string) func(body) bool { return func(b body) bool { return b.has(key) } }
func yes(key string) func(body) bool { return func(b body) bool { return b.yes(key) } }
func no(key string) func(body) bool  { return func(b body) bool { return !b.yes(key) } }

func not(is func(body) bool) func(body) bool { return func(b body) bool { return !is(b) } }

// saysContainment is what is said of a containment.
var saysContainment = []string{"level", "rule", "until", "reason", "why", "detail"}

// saysPlan is what is said of a firewall plan.
var saysPlan = []string{"digest", "rules", "until", "reason"}

// saysTicket is what is said of a ticket.
var saysTicket = []string{"id", "ticket", "sponsor", "purpose", "to", "until", "why", "declaration", "report"}

func remote(b body) bool    { return b.text("ticket") == "remote" }
func remoteWas(b body) bool { return remote(b) && b.has("since") }
func localWas(b body) bool  { return !remote(b) && b.has("since") }

// malicious errs towards yes: one finding is enough, and so is one that the
// catalogue does not know.
func malicious(b body) bool {
	for _, id := range b.list("findings") {
		if finding.New(id, "", 0, "").Severity >= finding.Malicious {
			return true
		}
	}
	return false
}

func emergency(b body) bool { return b.yes("emergency") }

// fromPeer tells the gateway's refusal from an archive's, which is a transfer
// that failed.
func fromPeer(b body) bool { return b.has("association") || b.has("visit") }

// unbelieved tells who may not ask (401, 403) from what may not be asked.
func unbelieved(b body) bool { return b.number("status") == 401 || b.number("status") == 403 }

// saysNetwork is what is said of something unusual on the network.
var saysNetwork = []string{"rule", "detail", "count", "proof"}
