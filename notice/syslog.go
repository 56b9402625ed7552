package notice

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"cordon/alarm"
	"cordon/ledger/atna"
)

// Syslog sends each event of a message as one of syslog's (RFC 5424, facility 10),
// over TLS (RFC 5425) or UDP (RFC 5426), of which nobody knows whether it arrived.
type Syslog struct{ Target atna.Target }

// Name is "syslog".
func (Syslog) Name() string { return "syslog" }

// Send sends the events, and returns once the other side has them.
func (s Syslog) Send(ctx context.Context, m Message) error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	var lines [][]byte
	for _, e := range m.Events {
		lines = append(lines, atna.Line(level(e.Severity), e.At, host, "ALARM", e.pairs(m)))
	}
	if m.More > 0 {
		lines = append(lines, atna.Line(level(alarm.Warning), time.Now(), host, "ALARM", fmt.Sprintf("id=%s more=%d", m.ID, m.More)))
	}
	return s.Target.Send(ctx, lines)
}

// level is the severity of syslog (RFC 5424 §6.2.1).
func level(s alarm.Severity) int {
	switch s {
	case alarm.Critical:
		return 2
	case alarm.Warning:
		return 4
	}
	return 6
}

// pairs is an event as keys and values.
func (e Event) pairs(m Message) string {
	var out strings.Builder
	add := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&out, " %s=%q", key, value)
		}
	}
	fmt.Fprintf(&out, "id=%s what=%s severity=%s", m.ID, e.What, e.Severity)
	if e.Alarm != 0 {
		fmt.Fprintf(&out, " alarm=%d count=%d first=%s", e.Alarm, e.Count, e.First.Format(time.RFC3339))
	}
	add("kind", e.Kind)
	add("subject", e.Subject)
	add("site", m.Site)
	add("means", e.Means)
	return out.String()
}
