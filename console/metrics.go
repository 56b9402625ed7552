package console

import (
	"net/http"
	"time"

	"cordon/metric"
)

// metrics writes what the status says and what is counted. Labels are names from
// the configuration; peers cannot make new ones.
func (c *Console) metrics(w http.ResponseWriter, r *http.Request) {
	s, err := c.status(r.Context())
	if err != nil {
		word(w, false, "", "the database does not answer")
		return
	}
	w.Header().Set("Content-Type", metric.ContentType)
	metric.Write(w, s.metrics(time.Now()), c.parts.Metrics)
}

// metrics are the metrics that a status has the values of.
func (s Status) metrics(now time.Time) *metric.Metrics {
	m := metric.New()
	m.Set(metric.BuildInfo, 1, s.Version)
	m.Set(metric.StartTime, float64(s.Since.Unix()))
	m.Set(metric.Accepting, truth(s.Accepting))
	m.Set(metric.Degraded, truth(s.Level != Well))
	m.Set(metric.Associations, float64(s.Associations))

	for _, c := range []struct {
		outcome string
		n       uint64
	}{
		{"received", s.Objects.Received},
		{"delivered", s.Objects.Delivered},
		{"held", s.Objects.Held},
		{"spooled", s.Objects.Spooled},
		{"refused", s.Objects.Refused},
	} {
		m.Count(metric.Objects, float64(c.n), c.outcome)
	}
	m.Count(metric.ReceivedBytes, float64(s.Objects.BytesReceived))
	m.Count(metric.AssociationsTotal, float64(s.Objects.Associations))
	m.Count(metric.Rejected, float64(s.Objects.Rejected))
	m.Count(metric.Faults, float64(s.Objects.Panics))

	for _, g := range []struct {
		id metric.ID
		v  float64
	}{
		{metric.VaultObjects, float64(s.Held)},
		{metric.SpoolObjects, float64(s.Spooled)},
		{metric.AttentionObjects, float64(s.Attention)},
		{metric.AlarmObjects, float64(s.Alarms)},
		{metric.UnclaimedBlobs, float64(s.Unclaimed)},
		{metric.ReviewsDue, float64(s.ReviewsDue)},
		{metric.ReviewsLate, float64(s.ReviewsLate)},
		{metric.ActivityReviewsWaiting, float64(s.ActivityReviews.Waiting)},
		{metric.ActivityReviewsOverdue, float64(s.ActivityReviews.Overdue)},
		{metric.BypassOn, truth(len(s.Bypass) > 0)},
		{metric.DeadmanUnreviewed, float64(len(s.Deadman))},
		{metric.RescanObjects, float64(s.Rescan.Waiting)},
		{metric.RescanBytes, float64(s.Rescan.WaitingBytes)},
		{metric.RecallObjects, float64(s.Rescan.Recalls)},
		{metric.NotRescannable, float64(s.Rescan.NotRescannable)},
		{metric.CommitmentsPending, float64(s.Commitment.Open + s.Commitment.Reporting)},
		{metric.CommitmentOldest, waited(since(s.Commitment.Oldest), now).Seconds()},
		{metric.CommitmentsGivenUp, float64(s.Commitment.GivenUp)},
		{metric.StepsPending, float64(s.Steps.Waiting)},
		{metric.StepsStuck, float64(s.Steps.Stuck)},
		{metric.LedgerWritable, truth(s.LedgerError == "")},
		{metric.LedgerIntact, truth(!s.LedgerCut)},
	} {
		m.Set(g.id, g.v)
	}
	for _, d := range s.Disks {
		m.Set(metric.DiskFree, float64(d.Bytes), d.Name)
		m.Set(metric.DiskFreeFiles, float64(d.Inodes), d.Name)
		m.Set(metric.DiskLow, truth(d.Low != ""), d.Name)
	}
	archiveMetrics(m, s.Archives, now)
	engineMetrics(m, s.Engines, now)
	deviceMetrics(m, s.Devices)
	auditMetrics(m, s.Audit, now)
	silenceMetrics(m, s.Silent, s.Devices)
	for _, w := range s.Witnesses {
		m.Set(metric.WitnessLate, truth(w.Late || w.Refused), w.Name)
	}
	return m
}

func archiveMetrics(m *metric.Metrics, archives []Archive, now time.Time) {
	for _, a := range archives {
		if a.Asked || !a.Up {
			m.Set(metric.ArchiveUp, truth(a.Up), a.Name)
		}
		m.Set(metric.ArchiveQueued, float64(a.Queued), a.Name)
		m.Set(metric.ArchiveQueuedBytes, float64(a.QueuedBytes), a.Name)
		m.Set(metric.ArchiveOldestQueued, waited(a.OldestQueued, now).Seconds(), a.Name)
	}
}

func engineMetrics(m *metric.Metrics, engines []Engine, now time.Time) {
	for _, e := range engines {
		m.Set(metric.EngineUp, truth(e.Up), e.Name)
		if !e.SignaturesAt.IsZero() {
			m.Set(metric.EngineSignaturesAge, waited(&e.SignaturesAt, now).Seconds(), e.Name)
		}
	}
}

// deviceMetrics counts declared devices alone: anybody can make up a new one.
func deviceMetrics(m *metric.Metrics, devices []Device) {
	for _, d := range devices {
		if !d.Learned {
			m.Count(metric.DeviceObjects, float64(d.Objects), d.Name)
			m.Count(metric.DeviceHeld, float64(d.Held), d.Name)
		}
	}
}

// since is nil for the zero time.
func since(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func waited(since *time.Time, now time.Time) time.Duration {
	if since == nil {
		return 0
	}
	return max(0, now.Sub(*since))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
