package alarm

import "fmt"

// Severity is how soon people must look at an alarm.
type Severity int

const (
	Info     Severity = iota + 1 // worth knowing; no mail is sent for it unless asked for
	Warning                      // today
	Critical                     // now
)

var severities = [...]string{Info: "info", Warning: "warning", Critical: "critical"}

// String is the severity as people read it.
func (s Severity) String() string {
	if s < Info || s > Critical {
		return "none"
	}
	return severities[s]
}

// ParseSeverity reads what String writes.
func ParseSeverity(text string) (Severity, error) {
	for s := Info; s <= Critical; s++ {
		if severities[s] == text {
			return s, nil
		}
	}
	return 0, fmt.Errorf("%.40q is no severity: info, warning or critical", text)
}

// MarshalText writes a severity as a word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads it.
func (s *Severity) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSeverity(string(text))
	return err
}
