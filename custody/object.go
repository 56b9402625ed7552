package custody

import (
	"encoding/hex"
	"fmt"
	"maps"
	"time"

	"cordon/finding"
)

// Digest is a SHA-256 of an object's bytes.
type Digest [32]byte

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText writes 64 lower-case hexadecimal digits.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (d *Digest) UnmarshalText(p []byte) error {
	if len(p) != hex.EncodedLen(len(d)) {
		return fmt.Errorf("digest of %d characters: expected %d", len(p), hex.EncodedLen(len(d)))
	}
	_, err := hex.Decode(d[:], p)
	return err
}

// Object is one row: all that we know about one object that we answer for. It
// holds no patient data; what a peer said is kept as values, never as names.
type Object struct {
	// Ours.
	ID         string    `json:"id"` // 26 characters, in order of arrival
	State      State     `json:"state"`
	ReceivedAt time.Time `json:"received_at"`
	Bytes      int64     `json:"bytes"`
	SHA256     Digest    `json:"sha256"`

	// Where from and where to. Archive is a configured name, Device ours for the peer.
	Device    string `json:"device"`
	CallingAE string `json:"calling_ae"`
	CalledAE  string `json:"called_ae"`
	Archive   string `json:"archive"`

	// Further archives that it goes to. Keep makes a row for each of a spooled
	// object, and Release of a held one; then no row has any.
	Also []string `json:"also,omitempty"`

	// What it is, as judged.
	SOPClassUID       string                 `json:"sop_class_uid"`
	SOPInstanceUID    string                 `json:"sop_instance_uid"`
	StudyInstanceUID  string                 `json:"study_instance_uid"`
	SeriesInstanceUID string                 `json:"series_instance_uid"`
	TransferSyntaxUID string                 `json:"transfer_syntax_uid"` // of the bytes; "" if they are a file of their own
	Findings          []finding.Finding      `json:"findings"`
	Engines           []finding.EngineResult `json:"engines,omitempty"`
	Reason            string                 `json:"-"` // of the decision, for the journal alone

	// What the C-STORE command said, to be said again on delivery (PS3.7 §9.3.1.1).
	Priority         uint16 `json:"priority"`
	MoveOriginatorAE string `json:"move_originator_ae,omitempty"`
	MoveOriginatorID uint16 `json:"move_originator_id,omitempty"`

	// Held and decided on by people. The zero time means never.
	HeldAt     time.Time `json:"held_at,omitzero"`
	Repeats    int       `json:"repeats,omitempty"`    // how often the same came again while it was held
	DecidedBy  []string  `json:"decided_by,omitempty"` // who released or destroyed it
	ReleasedAt time.Time `json:"released_at,omitzero"`
	ReviewDue  time.Time `json:"review_due,omitzero"` // of an emergency release, until it has been reviewed

	// On its way.
	DeliveredAt    time.Time `json:"delivered_at,omitzero"`
	Status         uint16    `json:"status,omitempty"` // of the archive's C-STORE response
	Attempts       int       `json:"attempts"`
	InFlight       bool      `json:"in_flight,omitempty"`
	NextAttempt    time.Time `json:"next_attempt,omitzero"`
	LastError      string    `json:"last_error,omitempty"`
	NeedsAttention bool      `json:"needs_attention,omitempty"` // refused for good, until a person retries or destroys it
	Alarm          string    `json:"alarm,omitempty"`           // what is wrong with our own copy
	AwaitsScan     bool      `json:"awaits_scan,omitempty"`     // spooled, and not delivered before it was scanned
}

// VaultItem is an object as `cordon vault list --json` shows it: one that was
// held at some time, whatever became of it.
type VaultItem struct {
	ID               string            `json:"id"`
	State            State             `json:"state"` // held, released or destroyed
	HeldAt           time.Time         `json:"held_at"`
	Device           string            `json:"device"` // that it came from
	CallingAE        string            `json:"calling_ae"`
	CalledAE         string            `json:"called_ae"` // the title that its sender called
	Archive          string            `json:"archive"`   // that it was for
	SOPClassUID      string            `json:"sop_class_uid"`
	SOPInstanceUID   string            `json:"sop_instance_uid"`
	StudyInstanceUID string            `json:"study_instance_uid"`
	Bytes            int64             `json:"bytes"`
	SHA256           Digest            `json:"sha256"`   // of its bytes as they were received
	Findings         []finding.Finding `json:"findings"` // why it was held
	ReleasedAt       time.Time         `json:"released_at,omitzero"`
	DeliveredAt      time.Time         `json:"delivered_at,omitzero"`
	ReviewDue        time.Time         `json:"review_due,omitzero"` // of an emergency release, by another person
}

// VaultItem returns the object as the vault shows it. Released objects are
// spooled for delivery, then delivered; the vault calls both released.
func (o Object) VaultItem() VaultItem {
	v := VaultItem{
		ID: o.ID, State: o.State, HeldAt: o.HeldAt,
		Device: o.Device, CallingAE: o.CallingAE, CalledAE: o.CalledAE, Archive: o.Archive,
		SOPClassUID: o.SOPClassUID, SOPInstanceUID: o.SOPInstanceUID, StudyInstanceUID: o.StudyInstanceUID,
		Bytes: o.Bytes, SHA256: o.SHA256, Findings: o.Findings,
		ReleasedAt: o.ReleasedAt, DeliveredAt: o.DeliveredAt, ReviewDue: o.ReviewDue,
	}
	if o.State == Spooled || o.State == Delivered {
		v.State = Released
	}
	if v.Findings == nil {
		v.Findings = []finding.Finding{}
	}
	return v
}

// entry is what the journal keeps of an object at a change of its state.
func (o Object) entry(t transition, more map[string]any) map[string]any {
	e := map[string]any{"id": o.ID, "from": t.from, "to": t.to, "who": t.who, "sha256": o.SHA256, "bytes": o.Bytes}
	for key, value := range map[string]string{
		"device": o.Device, "calling_ae": o.CallingAE, "called_ae": o.CalledAE, "archive": o.Archive,
		"sop_class_uid": o.SOPClassUID, "sop_instance_uid": o.SOPInstanceUID,
		"study_instance_uid": o.StudyInstanceUID, "series_instance_uid": o.SeriesInstanceUID,
	} {
		if value != "" {
			e[key] = value
		}
	}
	if len(o.Also) > 0 {
		e["also"] = o.Also
	}
	maps.Copy(e, more)
	return e
}
