package report

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"cordon/asset"
	"cordon/ledger"
	"cordon/ledger/search"
)

// firstRecord is when the ledger begins.
func (m *making) firstRecord() (at time.Time, err error) {
	err = m.Ledger.Scan(m.ctx, 0, min(1, m.out.Records), func(r ledger.Record) error {
		at = r.Time
		return nil
	})
	return at, err
}

// coverage answers: are we covered?
func (m *making) coverage() error {
	states := map[asset.State]int{}
	for _, d := range m.devices {
		states[d.State]++
	}
	known := states[asset.Declared] + states[asset.Approved]
	const source = "register of devices, now"
	figures := []Figure{
		{ID: "devices_inspected", Label: "Devices whose images are inspected, declared or approved", Value: number(known), State: Fact, Source: source, Link: "/devices"},
		{ID: "devices_undeclared", Label: "Devices that nobody has declared, approved or denied", Value: number(states[asset.Learned]), State: none(int64(states[asset.Learned])), Source: source, Link: "/devices"},
		{ID: "devices_refused", Label: "Devices that are denied or refused", Value: number(states[asset.Denied] + states[asset.Rejected]), State: Fact, Source: source, Link: "/devices"},
	}
	monitored := m.Monitored()
	figures = append(figures, Figure{
		ID: "devices_monitored", Label: "Devices in monitor mode: nothing of theirs is held", Value: number(len(monitored)),
		State: none(int64(len(monitored))), Note: strings.Join(monitored, ", "), Source: "configuration and register, now", Link: "/devices",
	})
	contained := Figure{ID: "devices_contained", Label: "Devices that are contained", State: Unknown, Source: "containment, now", Link: "/devices"}
	if m.Contained != nil {
		names, err := m.Contained(m.ctx)
		if err != nil {
			return err
		}
		contained.Value, contained.State, contained.Note = number(len(names)), none(int64(len(names))), strings.Join(names, ", ")
	}
	figures = append(figures, contained)
	m.section("coverage", "Are we covered?", append(figures, m.engineFigures()...)...)
	return nil
}

// engineFigures say how the scanners stand.
func (m *making) engineFigures() []Figure {
	all := m.Engines(m.ctx)
	up, old := 0, 0
	var oldest time.Duration
	var which string
	for _, e := range all {
		if e.Up {
			up++
		}
		if e.Old {
			old++
		}
		if age := m.now.Sub(e.SignaturesAt); !e.SignaturesAt.IsZero() && age > oldest {
			oldest, which = age, e.Name
		}
	}
	answering := Figure{ID: "engines_up", Label: "Outside engines that answer", Value: number(up), Unit: fmt.Sprintf("of %d", len(all)), State: state(up == len(all) && up > 0), Source: "engines, now", Link: "/engines"}
	if len(all) == 0 {
		answering.Note = "none is configured: objects are inspected by Cordon alone"
	}
	age := Figure{ID: "signature_age", Label: "Age of the oldest signatures", Unit: "d", State: Unknown, Source: "engines, now", Link: "/engines"}
	if which != "" {
		age.Value, age.State, age.Note = number(oldest.Hours()/24), state(old == 0), which
	}
	away := m.minutes("engine_away", "An engine did not answer", m.spans.engine, "ledger: engine.state; while Cordon did not run nothing is known", "engine.state")
	if len(all) == 0 { // nothing has an age
		return []Figure{answering, away}
	}
	return []Figure{answering, age, away}
}

// cameIn answers: what came in, against the period before?
func (m *making) cameIn() error {
	stats, err := m.Custody.Stats(m.ctx)
	if err != nil {
		return err
	}
	m.section("traffic", "What came in?",
		m.counted("delivered", "Objects delivered to an archive", nil, "object.delivered"),
		m.counted("held", "Objects held for what was found in them", nil, "object.held"),
		m.counted("refused", "Objects refused", nil, "object.refused", "object.refused_by_archive"),
		m.counted("released", "Held objects released by people", nil, "object.released"),
		m.counted("destroyed", "Objects destroyed by two people", nil, "object.destroyed"),
		m.counted("late_hits", "Objects found harmful only after their delivery", none, "object.late_hit"),
		m.counted("not_rescannable", "Objects delivered unscanned that cannot be scanned any more", none, "object.not_rescannable"),
		m.counted("rejected", "Associations rejected or failed", nil, "association.rejected", "association.failed"),
		Figure{ID: "held_now", Label: "Objects that wait for a decision", Value: number(stats.Held), State: none(int64(stats.Held)), Source: "vault, now", Link: "/held"},
	)
	return nil
}

// availability answers: does imaging flow?
func (m *making) availability() error {
	stats, err := m.Custody.Stats(m.ctx)
	if err != nil {
		return err
	}
	latency, err := m.latency()
	if err != nil {
		return err
	}
	m.section("availability", "Does imaging flow?",
		m.minutes("not_running", "Cordon did not run, and took nothing", m.spans.stopped, "ledger: from the last record of a run to the next ledger.start", "ledger.start", "ledger.stop"),
		m.minutes("archive_away", "An archive did not answer; its images were kept here", m.spans.away, "ledger: alarms of the kind archive.away", "alarm.raised", "alarm.ended"),
		m.counted("delayed", "Objects kept here until their archive took them", nil, "object.spooled"),
		Figure{ID: "spooled_now", Label: "Objects that wait for their archive", Value: number(stats.Spooled), State: none(int64(stats.Spooled)), Source: "spool, now", Link: "/"},
		latency,
		m.minutes("bypassed", "Inspection was bypassed", m.spans.bypass, "ledger: bypass.started, bypass.ended", "bypass.started", "bypass.ended"),
		m.counted("missing", "Objects that an archive took and no longer has", none, "object.missing"),
		m.counted("silent", "Times that a device which always talks fell silent", nil, "source.silent"),
	)
	return nil
}

// latency says how long verdicts took.
func (m *making) latency() (Figure, error) {
	f := Figure{ID: "latency_p95", Label: "Time from an object's last byte to its verdict, for 95 of 100 at most", Unit: "ms", State: Unknown, Source: "history of what was measured", Link: "/"}
	if m.Latency == nil {
		return f, nil
	}
	now, err := m.Latency(m.ctx, m.period.From, m.period.To)
	if err != nil {
		return f, err
	}
	was, err := m.Latency(m.ctx, m.before.From, m.before.To)
	if now.Hours > 0 {
		f.Value, f.State, f.Note = number(now.P95), Fact, fmt.Sprintf("on average over %d hours in which objects came", now.Hours)
	}
	if was.Hours > 0 {
		f.Before = number(was.P95)
	}
	return f, err
}

// people answers: does somebody look?
func (m *making) people() error {
	due, inTime, overdue, err := m.reviews()
	if err != nil {
		return err
	}
	emergencies, err := m.emergencies()
	if err != nil {
		return err
	}
	stats, err := m.Custody.Stats(m.ctx)
	if err != nil {
		return err
	}
	m.section("people", "Does somebody look?",
		Figure{ID: "reviews_in_time", Label: "Activity reviews signed in time", Value: number(inTime), Unit: fmt.Sprintf("of %d due", due), State: inTimeState(inTime, due), Source: "reviews", Link: "/reviews"},
		Figure{ID: "reviews_overdue", Label: "Activity reviews that are overdue", Value: number(overdue), State: none(int64(overdue)), Source: "reviews, now", Link: "/reviews"},
		emergencies,
		Figure{ID: "emergency_unreviewed", Label: "Emergency releases that nobody else has reviewed", Value: number(stats.ReviewsDue), Note: late(stats.ReviewsLate), State: none(int64(stats.ReviewsDue)), Source: "vault, now", Link: "/held"},
		m.counted("exceptions", "Exceptions approved", nil, "exception.approved"),
		m.counted("settings", "Settings changed", nil, "setting.changed"),
		m.counted("configurations", "Configurations applied", nil, "config.applied"),
	)
	return nil
}

// late says how many of those that wait are too late.
func late(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d of them too late", n)
}

func inTimeState(inTime, due int) State {
	if due == 0 {
		return Fact
	}
	return state(inTime == due)
}

// emergencies counts releases by one person.
func (m *making) emergencies() (Figure, error) {
	f := m.counted("emergencies", "Held objects released by one person in an emergency", nil, "object.released")
	n, was := 0, 0
	err := m.Search.Each(m.ctx, search.Query{Kinds: []string{"object.released"}, From: m.before.From, To: m.period.To}, func(r ledger.Record) error {
		var b struct{ Emergency bool }
		if json.Unmarshal(r.Body, &b) != nil || !b.Emergency {
			return nil
		}
		if r.Time.Before(m.period.From) {
			was++
		} else {
			n++
		}
		return nil
	})
	f.Value, f.State = number(n), none(int64(n))
	if f.Before != nil {
		f.Before = number(was)
	}
	return f, err
}

// incidents answers: what happened?
func (m *making) incidents() error {
	m.section("incidents", "What happened?",
		m.counted("incidents_opened", "Incidents opened", none, "incident.opened"),
		m.counted("incidents_closed", "Incidents closed", nil, "incident.closed"),
		m.counted("containments", "Times that a device was contained", none, "containment.applied"),
		m.counted("restored", "Times that a device was restored", nil, "containment.restored"),
		m.counted("alarms", "Alarms raised", nil, "alarm.raised"),
	)
	return nil
}

// backupAge is how old the last backup may be.
const backupAge = 7 * 24 * time.Hour

// resilience answers: what happens if it goes down?
func (m *making) resilience() error {
	made, err := m.Search.Find(m.ctx, search.Query{Kinds: []string{"backup.made"}}, search.End, 1)
	if err != nil {
		return err
	}
	last := Figure{ID: "backup_age", Label: "Age of the last backup", Unit: "d", State: Look, Source: "ledger: backup.made", Link: "/ledger?kind=backup.made", Note: "none was ever made"}
	if len(made.Records) > 0 {
		age := m.now.Sub(made.Records[0].Time)
		last.Value, last.State, last.Note = number(age.Hours()/24), state(age <= backupAge), made.Records[0].Time.Local().Format("2 Jan 2006 15:04")
	}
	armed := Figure{ID: "past", Label: "The way past Cordon to the archive is set up", Value: number(truth(m.Past.Armed)), Word: map[bool]string{true: "yes", false: "no"}[m.Past.Armed], State: state(m.Past.Armed), Note: m.Past.Says, Source: "configuration: deadman", Link: "/settings"}
	m.section("resilience", "What happens if Cordon goes down?",
		armed,
		m.minutes("went_past", "Images went past Cordon, uninspected", m.spans.past, "ledger: deadman.opened, deadman.closed", "deadman.opened", "deadman.closed"),
		Figure{ID: "starts", Label: "Times that Cordon was started", Value: number(m.spans.starts), Note: crashes(m.spans.unclean), State: none(int64(m.spans.unclean)), Source: "ledger: ledger.start", Link: "/ledger?" + m.dates() + "&kind=ledger.start"},
		last,
		m.counted("backups", "Backups made", nil, "backup.made"),
		m.counted("verified", "Times that somebody verified the ledger", nil, "ledger.verified"),
	)
	return nil
}

// crashes says how many starts followed a run that did not end in order.
func crashes(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d after a run that did not end in order", n)
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}
