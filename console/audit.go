package console

import (
	"fmt"
	"slices"
	"time"

	"cordon/metric"
	"cordon/silence"
)

// Repository is one place that audit messages go to.
type Repository struct {
	Name    string    `json:"name"`
	Up      bool      `json:"up"`
	Since   time.Time `json:"since"`           // when it came up, or went away
	Error   string    `json:"error,omitempty"` // why it is away
	Waiting int64     `json:"waiting"`         // records of the ledger that it does not have
	Oldest  time.Time `json:"oldest,omitzero"` // of these, where it is known
	Sent    uint64    `json:"sent"`            // messages since the start, repetitions included
	Skipped int64     `json:"skipped,omitempty"`
	Alarm   bool      `json:"alarm"` // it has been away, or behind, for minutes
}

// repositories says which of them people must look at.
func (s *Status) repositories(now time.Time) {
	for _, r := range s.Audit {
		switch {
		case r.Alarm && !r.Up:
			s.degrade("audit.away", r.Name, fmt.Sprintf("Audit repository %s has been away for %s (%s); %d records wait for it, none is lost.", r.Name, age(now.Sub(r.Since)), r.Error, r.Waiting))
		case r.Alarm:
			s.degrade("audit.away", r.Name, fmt.Sprintf("Audit repository %s is behind by %d records, the oldest of %s ago.", r.Name, r.Waiting, age(now.Sub(r.Oldest))))
		}
		if r.Skipped > 0 {
			s.degrade("audit.skipped", r.Name, fmt.Sprintf("Audit repository %s has missed %d records, which were pruned before it had them.", r.Name, r.Skipped))
		}
	}
}

// silent says which devices that always talk have stopped.
func (s *Status) silent(now time.Time) {
	for _, m := range s.Silent {
		s.degrade("device.silent", m.Name, fmt.Sprintf("Device %s has been silent for %s and always talks (%s): see whether it works.", m.Name, age(now.Sub(m.LastHeard)), m.Rule))
	}
}

// silenceMetrics name declared devices alone: anybody can make up a new one.
func silenceMetrics(m *metric.Metrics, missed []silence.Missed, devices []Device) {
	for _, d := range devices {
		if !d.Learned {
			m.Set(metric.DeviceSilent, truth(slices.ContainsFunc(missed, func(s silence.Missed) bool { return s.Declared && s.Name == d.Name })), d.Name)
		}
	}
}

func auditMetrics(m *metric.Metrics, repositories []Repository, now time.Time) {
	for _, r := range repositories {
		m.Set(metric.AuditUp, truth(r.Up), r.Name)
		m.Count(metric.AuditMessages, float64(r.Sent), r.Name)
		m.Set(metric.AuditQueue, float64(r.Waiting), r.Name)
		lag := 0.0
		if !r.Oldest.IsZero() {
			lag = max(0, now.Sub(r.Oldest).Seconds())
		}
		m.Set(metric.AuditLag, lag, r.Name)
	}
}
