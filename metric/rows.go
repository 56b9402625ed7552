package metric

// ID names a metric: its place in the catalogue.
type ID int

// Kind is a metric's type (https://prometheus.io/docs/concepts/metric_types/).
type Kind string

const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Row is one metric as operators read about it.
type Row struct {
	Name    string // ends with its unit, a counter's with _total
	Kind    Kind
	Help    string    // one sentence
	Labels  []string  // names
	Buckets []float64 // of a histogram: upper bounds, ascending, +Inf left out
	Limit   int       // of label sets; defaultLimit if 0
}

// defaultLimit is more devices than one gateway serves.
const defaultLimit = 500

func (r Row) limit() int {
	if r.Limit == 0 {
		return defaultLimit
	}
	return r.Limit
}

// Row returns the metric's row.
func (id ID) Row() Row { return catalogue[id] }

// The metrics, in the order in which they are written.
const (
	BuildInfo ID = iota
	StartTime
	Accepting
	Degraded

	Associations
	AssociationsTotal
	Rejected
	Rejections
	Faults
	WouldRefuse
	HandshakeFailures

	Objects
	ReceivedBytes
	ObjectSize
	VerdictDuration
	DeliveryDuration
	DeviceObjects
	DeviceHeld

	WebRequests
	WebObjects
	ReceivedWeb

	Queries
	Retrieves
	InstancesSent
	Commitments
	CommitmentsPending
	CommitmentOldest
	CommitmentsGivenUp
	Steps
	StepsPending
	StepsStuck

	VaultObjects
	SpoolObjects
	AttentionObjects
	AlarmObjects
	UnclaimedBlobs
	ArchiveUp
	ArchiveQueued
	ArchiveQueuedBytes
	ArchiveOldestQueued
	DiskFree
	DiskFreeFiles
	DiskLow

	EngineUp
	EngineSignaturesAge
	BypassOn
	DeadmanUnreviewed
	RescanObjects
	RescanBytes
	RecallObjects
	NotRescannable

	ReviewsDue
	ReviewsLate
	ActivityReviewsWaiting
	ActivityReviewsOverdue
	DevicesProposed
	AlarmsOpen
	AlarmsUnseen
	NoticesFailing
	Contained
	Containments
	DeviceSilent

	NetworkPackets
	NetworkDrops
	NetworkFlows
	NetworkTracked
	NetworkAlerts
	NetworkCPU
	NetworkRecords
	NetworkBad

	LedgerWritable
	LedgerIntact
	WitnessLate
	AuditUp
	AuditMessages
	AuditQueue
	AuditLag
	CertificateExpiry

	end
)

var (
	// seconds from a millisecond to two minutes.
	durations = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120}
	// bytes from 4 KiB to 4 GiB.
	sizes = []float64{1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26, 1 << 28, 1 << 30, 1 << 32}
)

// catalogue is every metric there is.
var catalogue = [end]Row{
	BuildInfo: {Name: "cordon_build_info", Kind: Gauge, Help: "Which Cordon this is; always 1.", Labels: []string{"version"}},
	StartTime: {Name: "cordon_start_time_seconds", Kind: Gauge, Help: "When it started, Unix time."},
	Accepting: {Name: "cordon_accepting", Kind: Gauge, Help: "1 if associations are accepted."},
	Degraded:  {Name: "cordon_degraded", Kind: Gauge, Help: "1 if somebody must look."},

	Associations:      {Name: "cordon_associations", Kind: Gauge, Help: "Associations open now."},
	AssociationsTotal: {Name: "cordon_associations_total", Kind: Counter, Help: "Associations accepted since the start."},
	Rejected:          {Name: "cordon_associations_rejected_total", Kind: Counter, Help: "Associations rejected since the start."},
	Rejections:        {Name: "cordon_rejections_total", Kind: Counter, Help: "Associations rejected since the start, by reason.", Labels: []string{"reason"}, Limit: 50},
	Faults:            {Name: "cordon_faults_total", Kind: Counter, Help: "Associations ended by a fault of Cordon since the start; report each."},
	WouldRefuse:       {Name: "cordon_would_refuse_total", Kind: Counter, Help: "What was admitted in shadow mode and would have been refused, by declared device (undeclared for all others).", Labels: []string{"device"}},
	HandshakeFailures: {Name: "cordon_tls_handshake_failures_total", Kind: Counter, Help: "TLS handshakes that failed since the start, by side (device, archive, or web for whoever asks over the web).", Labels: []string{"side"}, Limit: 10},

	Objects:          {Name: "cordon_objects_total", Kind: Counter, Help: "Objects since the start, by what became of them.", Labels: []string{"outcome"}, Limit: 20},
	ReceivedBytes:    {Name: "cordon_received_bytes_total", Kind: Counter, Help: "Bytes of objects received since the start."},
	ObjectSize:       {Name: "cordon_object_size_bytes", Kind: Histogram, Help: "Sizes of the objects received.", Buckets: sizes},
	VerdictDuration:  {Name: "cordon_verdict_duration_seconds", Kind: Histogram, Help: "From an object's last byte to its verdict.", Labels: []string{"verdict"}, Buckets: durations, Limit: 5},
	DeliveryDuration: {Name: "cordon_delivery_duration_seconds", Kind: Histogram, Help: "From an object's first byte to the archive to the archive's answer.", Labels: []string{"archive"}, Buckets: durations, Limit: 50},
	DeviceObjects:    {Name: "cordon_device_objects_total", Kind: Counter, Help: "Objects received from a declared device, ever.", Labels: []string{"device"}},
	DeviceHeld:       {Name: "cordon_device_held_objects_total", Kind: Counter, Help: "Objects of a declared device that were held, ever.", Labels: []string{"device"}},

	WebRequests: {Name: "cordon_web_requests_total", Kind: Counter, Help: "Requests over DICOMweb since the start, by operation and outcome (answered, 4xx, 5xx, gone, fault).", Labels: []string{"operation", "outcome"}, Limit: 50},
	WebObjects:  {Name: "cordon_web_objects_total", Kind: Counter, Help: "Objects stored or retrieved over DICOMweb since the start, by what became of them.", Labels: []string{"outcome"}, Limit: 20},
	ReceivedWeb: {Name: "cordon_web_received_bytes_total", Kind: Counter, Help: "Bytes of objects received over DICOMweb since the start, from senders and from archives."},

	Queries:            {Name: "cordon_queries_total", Kind: Counter, Help: "C-FIND and QIDO-RS requests since the start, by archive and outcome.", Labels: []string{"archive", "outcome"}},
	Retrieves:          {Name: "cordon_retrieves_total", Kind: Counter, Help: "C-MOVE, C-GET and WADO-RS requests for instances since the start, by archive and outcome.", Labels: []string{"archive", "outcome"}},
	InstancesSent:      {Name: "cordon_instances_sent_total", Kind: Counter, Help: "Objects on their way from an archive to a device since the start, by outcome.", Labels: []string{"outcome"}, Limit: 20},
	Commitments:        {Name: "cordon_commitments_total", Kind: Counter, Help: "Storage commitment requests since the start, by what became of them.", Labels: []string{"outcome"}, Limit: 20},
	CommitmentsPending: {Name: "cordon_commitments_pending", Kind: Gauge, Help: "Storage commitment requests that are not yet reported."},
	CommitmentOldest:   {Name: "cordon_commitment_oldest_seconds", Kind: Gauge, Help: "How long the oldest storage commitment request has waited for its report."},
	CommitmentsGivenUp: {Name: "cordon_commitments_given_up", Kind: Gauge, Help: "Storage commitment reports that no device took, until a person decides."},
	Steps:              {Name: "cordon_procedure_steps_total", Kind: Counter, Help: "Modality performed procedure step messages since the start, by what became of them.", Labels: []string{"outcome"}, Limit: 20},
	StepsPending:       {Name: "cordon_procedure_steps_pending", Kind: Gauge, Help: "Procedure step messages that wait for their archive."},
	StepsStuck:         {Name: "cordon_procedure_steps_stuck", Kind: Gauge, Help: "Of these, refused by the archive until a person decides."},

	VaultObjects:        {Name: "cordon_vault_objects", Kind: Gauge, Help: "Objects held now."},
	SpoolObjects:        {Name: "cordon_spool_objects", Kind: Gauge, Help: "Objects that wait for an archive now."},
	AttentionObjects:    {Name: "cordon_attention_objects", Kind: Gauge, Help: "Objects that an archive refused and a person must decide on."},
	AlarmObjects:        {Name: "cordon_alarm_objects", Kind: Gauge, Help: "Objects whose copy here has something wrong."},
	UnclaimedBlobs:      {Name: "cordon_unclaimed_blobs", Kind: Gauge, Help: "Files in the data directory that no record names."},
	ArchiveUp:           {Name: "cordon_archive_up", Kind: Gauge, Help: "1 if the archive answers; not written before it has been asked.", Labels: []string{"archive"}},
	ArchiveQueued:       {Name: "cordon_archive_queued_objects", Kind: Gauge, Help: "Objects that wait for this archive.", Labels: []string{"archive"}},
	ArchiveQueuedBytes:  {Name: "cordon_archive_queued_bytes", Kind: Gauge, Help: "Bytes that wait for this archive.", Labels: []string{"archive"}},
	ArchiveOldestQueued: {Name: "cordon_archive_oldest_queued_seconds", Kind: Gauge, Help: "How long the oldest object has waited for this archive.", Labels: []string{"archive"}},
	DiskFree:            {Name: "cordon_disk_free_bytes", Kind: Gauge, Help: "What a disk of the data directory has left, in bytes.", Labels: []string{"disk"}, Limit: 10},
	DiskFreeFiles:       {Name: "cordon_disk_free_files", Kind: Gauge, Help: "How many files can still be made there; 0 where the file system does not count them.", Labels: []string{"disk"}, Limit: 10},
	DiskLow:             {Name: "cordon_disk_low", Kind: Gauge, Help: "1 if it is below the early warning.", Labels: []string{"disk"}, Limit: 10},

	EngineUp:            {Name: "cordon_engine_up", Kind: Gauge, Help: "1 if the engine answers.", Labels: []string{"engine"}},
	EngineSignaturesAge: {Name: "cordon_engine_signatures_age_seconds", Kind: Gauge, Help: "How old the engine's signatures are, where it says.", Labels: []string{"engine"}},
	BypassOn:            {Name: "cordon_bypass", Kind: Gauge, Help: "1 if inspection is bypassed for a device or for all."},
	DeadmanUnreviewed:   {Name: "cordon_deadman_unreviewed", Kind: Gauge, Help: "Times that images went past Cordon while it was down, and that nobody has reviewed."},
	RescanObjects:       {Name: "cordon_rescan_objects", Kind: Gauge, Help: "Objects delivered unscanned that wait to be judged again."},
	RescanBytes:         {Name: "cordon_rescan_bytes", Kind: Gauge, Help: "Bytes of their copies."},
	RecallObjects:       {Name: "cordon_recall_objects", Kind: Gauge, Help: "Objects delivered before they were found harmful, not yet acknowledged."},
	NotRescannable:      {Name: "cordon_not_rescannable_objects", Kind: Gauge, Help: "Objects delivered unscanned that cannot be judged again, not yet acknowledged."},

	ReviewsDue:             {Name: "cordon_reviews_due", Kind: Gauge, Help: "Emergency releases that nobody has reviewed."},
	ReviewsLate:            {Name: "cordon_reviews_late", Kind: Gauge, Help: "Emergency releases that nobody has reviewed in time."},
	ActivityReviewsWaiting: {Name: "cordon_activity_reviews_waiting", Kind: Gauge, Help: "Activity reviews that nobody has signed."},
	ActivityReviewsOverdue: {Name: "cordon_activity_reviews_overdue", Kind: Gauge, Help: "Activity reviews that nobody has signed in time, or that could not be made."},
	AlarmsOpen:             {Name: "cordon_alarms_open", Kind: Gauge, Help: "Alarms that are open, by severity: critical, warning, info.", Labels: []string{"severity"}, Limit: 3},
	AlarmsUnseen:           {Name: "cordon_alarms_unseen", Kind: Gauge, Help: "Open alarms that nobody has acknowledged or snoozed."},
	NoticesFailing:         {Name: "cordon_notices_failing", Kind: Gauge, Help: "Whether notices of alarms cannot be delivered to a recipient: 1 or 0.", Labels: []string{"recipient"}, Limit: 200},
	DevicesProposed:        {Name: "cordon_devices_proposed", Kind: Gauge, Help: "Devices that wait for somebody to approve or deny them."},
	Contained:              {Name: "cordon_contained_devices", Kind: Gauge, Help: "Devices that are contained, by whether that is enforced: yes or no.", Labels: []string{"enforced"}, Limit: 2},
	Containments:           {Name: "cordon_containments_total", Kind: Counter, Help: "What befell containments since the start: applied, not_enforced, ended, restored, proposed.", Labels: []string{"what"}, Limit: 10},
	DeviceSilent:           {Name: "cordon_device_silent", Kind: Gauge, Help: "1 if a device that always talks has stopped.", Labels: []string{"device"}},

	NetworkPackets: {Name: "cordon_network_packets_total", Kind: Counter, Help: "Packets that a capturing sensor looked at since the start.", Labels: []string{"sensor"}, Limit: 20},
	NetworkDrops:   {Name: "cordon_network_drops_total", Kind: Counter, Help: "Packets that were meant for a capturing sensor and that it did not see, for want of time.", Labels: []string{"sensor"}, Limit: 20},
	NetworkFlows:   {Name: "cordon_network_reports_total", Kind: Counter, Help: "What sensors said of conversations since the start.", Labels: []string{"sensor"}, Limit: 20},
	NetworkTracked: {Name: "cordon_network_tracked", Kind: Gauge, Help: "Conversations that a capturing sensor follows now.", Labels: []string{"sensor"}, Limit: 20},
	NetworkAlerts:  {Name: "cordon_network_alerts_total", Kind: Counter, Help: "Alerts of the network since the start, repetitions included, by rule.", Labels: []string{"rule"}, Limit: 50},
	NetworkCPU:     {Name: "cordon_network_cpu_seconds_total", Kind: Counter, Help: "Time that a capturing sensor worked, in seconds.", Labels: []string{"sensor"}, Limit: 20},
	NetworkRecords: {Name: "cordon_network_records_total", Kind: Counter, Help: "Records read of another sensor (Suricata, Zeek) since the start.", Labels: []string{"sensor"}, Limit: 20},
	NetworkBad:     {Name: "cordon_network_bad_records_total", Kind: Counter, Help: "Of these, records that could not be read.", Labels: []string{"sensor"}, Limit: 20},

	LedgerWritable:    {Name: "cordon_ledger_writable", Kind: Gauge, Help: "1 if the ledger can be written."},
	LedgerIntact:      {Name: "cordon_ledger_intact", Kind: Gauge, Help: "1 if the ledger was intact at the start."},
	WitnessLate:       {Name: "cordon_witness_late", Kind: Gauge, Help: "1 if a witness has not cosigned the ledger in time, or refuses to.", Labels: []string{"witness"}, Limit: 20},
	AuditUp:           {Name: "cordon_audit_repository_up", Kind: Gauge, Help: "1 if the audit repository takes messages.", Labels: []string{"repository"}, Limit: 20},
	AuditMessages:     {Name: "cordon_audit_messages_total", Kind: Counter, Help: "Audit messages sent since the start, repetitions included.", Labels: []string{"repository"}, Limit: 20},
	AuditQueue:        {Name: "cordon_audit_queued_records", Kind: Gauge, Help: "Ledger records that a repository has not been sent yet.", Labels: []string{"repository"}, Limit: 20},
	AuditLag:          {Name: "cordon_audit_lag_seconds", Kind: Gauge, Help: "How old the oldest record is that a repository has not been sent yet.", Labels: []string{"repository"}, Limit: 20},
	CertificateExpiry: {Name: "cordon_certificate_expiry_timestamp_seconds", Kind: Gauge, Help: "When a certificate ends, Unix time.", Labels: []string{"certificate"}},
}
