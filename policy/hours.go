package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// WallClock is what a clock on the wall shows, in the zone that hours are meant
// in. The zero WallClock is Sunday midnight.
type WallClock struct {
	Day          int // of the week, 0 is Sunday
	Hour, Minute int
}

// Hours are the times of the week at which a device may associate. The zero
// Hours are always.
//
// They are wall-clock times: a time is within them if the clock on the wall
// says so. When the clock is put forward, the hour that is left out is within
// no hours, since no clock ever shows it; when it is put back, the hour that
// comes twice is within them both times or neither. So a device that may work
// until six may do so until the clock says six, whatever was done to it in the
// night.
type Hours struct {
	spans []span
}

// span is from a minute of the day until another, on some days of the week. If
// until is not after from, it ends on the next day, and belongs to the day it
// begins on.
type span struct {
	days        [7]bool // from Sunday
	from, until int     // minutes since midnight, 0 to 1440
}

var weekdays = [7]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseHours reads spans such as "mon-fri 07:00-19:00", "sat,sun 22:00-06:00"
// (until the next morning), "06:30-21:00" (every day) and "sun" (all day).
func ParseHours(texts []string) (Hours, error) {
	var h Hours
	for _, text := range texts {
		s, err := parseSpan(text)
		if err != nil {
			return Hours{}, err
		}
		h.spans = append(h.spans, s)
	}
	return h, nil
}

func parseSpan(text string) (span, error) {
	s := span{until: 24 * 60}
	fields := strings.Fields(strings.ToLower(text))
	if len(fields) == 0 || len(fields) > 2 {
		return s, fmt.Errorf("%q is not days and hours; write \"mon-fri 07:00-19:00\"", text)
	}
	if strings.Contains(fields[0], ":") {
		fields = append([]string{"sun-sat"}, fields...)
	}
	days, err := parseDays(fields[0])
	if err != nil {
		return s, fmt.Errorf("%q: %w", text, err)
	}
	s.days = days
	if len(fields) == 1 {
		return s, nil
	}
	if len(fields) > 2 {
		return s, fmt.Errorf("%q has something after the hours; write one span a line", text)
	}
	from, until, ok := strings.Cut(fields[1], "-")
	if s.from, err = parseMinute(from); err == nil && ok {
		s.until, err = parseMinute(until)
	}
	switch {
	case err != nil || !ok:
		return s, fmt.Errorf("%q: hours are written as 07:00-19:00", text)
	case s.from == s.until || s.from == 24*60:
		return s, fmt.Errorf("%q: the hours are empty; leave them out for the whole day", text)
	}
	return s, nil
}

func parseDays(text string) (days [7]bool, err error) {
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		from, until := slices.Index(weekdays[:], first), slices.Index(weekdays[:], last)
		if from < 0 || until < 0 {
			return days, fmt.Errorf("%q is no day; write mon, tue, wed, thu, fri, sat or sun, as in mon-fri or sat,sun", part)
		}
		for day := from; ; day = (day + 1) % 7 {
			days[day] = true
			if day == until {
				break
			}
		}
	}
	return days, nil
}

// parseMinute reads 00:00 to 24:00.
func parseMinute(text string) (int, error) {
	hour, minute, ok := strings.Cut(text, ":")
	h, errHour := strconv.ParseUint(hour, 10, 8)
	m, errMinute := strconv.ParseUint(minute, 10, 8)
	if !ok || len(text) != len("15:04") || len(hour) != 2 || errHour != nil || errMinute != nil || m > 59 || h*60+m > 24*60 {
		return 0, fmt.Errorf("%q is no time", text)
	}
	return int(h*60 + m), nil
}

// Contain reports whether the clock is within the hours.
func (h Hours) Contain(t WallClock) bool {
	if len(h.spans) == 0 {
		return true
	}
	return slices.ContainsFunc(h.spans, func(s span) bool { return s.contains(t) })
}

func (s span) contains(t WallClock) bool {
	minute := t.Hour*60 + t.Minute
	today, yesterday := t.Day%7, (t.Day+6)%7
	if s.from < s.until {
		return s.days[today] && s.from <= minute && minute < s.until
	}
	return s.days[today] && s.from <= minute || s.days[yesterday] && minute < s.until
}

// IsZero reports whether they are always.
func (h Hours) IsZero() bool { return len(h.spans) == 0 }

// Strings writes the hours as ParseHours reads them.
func (h Hours) Strings() []string {
	var out []string
	for _, s := range h.spans {
		out = append(out, s.String())
	}
	return out
}

func (s span) String() string {
	var days []string
	for i := range 7 {
		if day := (i + 1) % 7; s.days[day] { // from Monday on
			days = append(days, weekdays[day])
		}
	}
	return fmt.Sprintf("%s %02d:%02d-%02d:%02d", strings.Join(days, ","), s.from/60, s.from%60, s.until/60, s.until%60)
}
