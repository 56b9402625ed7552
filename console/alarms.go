package console

import (
	"context"
	"fmt"
	"net/url"

	"cordon/alarm"
	"cordon/bypass"
	"cordon/custody"
	"cordon/finding"
)

// Alarms is everything that somebody must look at now: what the status says,
// inspection that is bypassed, and what is held, by device and finding.
func (c *Console) Alarms(ctx context.Context) ([]alarm.Alarm, error) {
	s, err := c.status(ctx)
	if err != nil {
		return nil, err
	}
	all := s.troubles
	if !s.Accepting {
		all = append(all, alarm.Alarm{Kind: "flow.stopped", Text: "Associations are not accepted."})
	}
	for _, b := range s.Bypass {
		all = append(all, alarm.Alarm{Kind: "bypass.on", Subject: b.Device, Text: fmt.Sprintf("Inspection is bypassed for %s until %s.", bypass.Scope(b.Device), b.Until.Local().Format("15:04"))})
	}
	if s.Waiting > 0 {
		all = append(all, alarm.Alarm{Kind: "device.waiting", Text: waiting(s.Waiting), Link: "/devices"})
	}
	held, err := c.parts.Custody.HeldCounts(ctx)
	if err != nil {
		return nil, err
	}
	for _, h := range held {
		if one, ok := heldAlarm(h); ok {
			all = append(all, one)
		}
	}
	return all, nil
}

// heldAlarm is the alarm of what is held of one device for one finding; what is
// only told of it is none.
func heldAlarm(h custody.HeldCount) (alarm.Alarm, bool) {
	kind, ok := finding.Lookup(h.Finding)
	if !ok || kind.Severity == finding.Info {
		return alarm.Alarm{}, false
	}
	one := alarm.Alarm{
		Kind: "object.held", Subject: h.Origin + alarm.Within + h.Finding,
		Text: fmt.Sprintf("%s held of %s: %s.", objects(h.Objects), h.Origin, kind.Title),
		Link: "/held?" + url.Values{"from": {h.Origin}, "finding": {h.Finding}}.Encode(),
	}
	if kind.Severity == finding.Malicious {
		one.Severity = alarm.Critical
	}
	return one, true
}
