package console

import (
	"fmt"
	"time"

	"cordon/dicom/secure"
)

// Certificates are those that Cordon shows, trusts and has issued, and the
// revocation lists that it goes by.
type Certificates struct {
	Items    []secure.Item `json:"items"`
	Problems []string      `json:"problems,omitempty"` // files that are not in use, and why
}

// certificates says which of them end, or cannot be used.
func (s *Status) certificates(now time.Time) {
	for _, p := range s.Certificates.Problems {
		s.degrade("TLS: " + p + ".")
	}
	for _, i := range s.Certificates.Items {
		left := i.NotAfter.Sub(now)
		switch {
		case left <= 0:
			s.degrade(fmt.Sprintf("The %s has ended%s.", named(i), remedy(i)))
		case left < secure.AlarmBefore:
			s.degrade(fmt.Sprintf("The %s ends in %s%s.", named(i), age(left), remedy(i)))
		}
	}
}

// ending says which of them end before long.
func (s *Status) ending(now time.Time) {
	for _, i := range s.Certificates.Items {
		if left := i.NotAfter.Sub(now); left >= secure.AlarmBefore && left < soon(i) {
			s.Says = append(s.Says, fmt.Sprintf("The %s ends in %s%s.", named(i), age(left), remedy(i)))
		}
	}
}

// soon is how long before its end an item is worth a word. Lists are made for some
// days only.
func soon(i secure.Item) time.Duration {
	if i.What == secure.RevocationList {
		return 0
	}
	return secure.WarnBefore
}

func named(i secure.Item) string {
	return fmt.Sprintf("%s of %s (%s)", i.What, i.Subject, i.Endpoint)
}

func remedy(i secure.Item) string {
	if i.What == secure.RevocationList {
		return ": fetch the authority's new one"
	}
	return ": renew it"
}
