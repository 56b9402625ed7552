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
		s.degrade("tls.unusable", p, "TLS: "+p+".")
	}
	for _, i := range s.Certificates.Items {
		left := i.NotAfter.Sub(now)
		switch {
		case left <= 0:
			s.degrade("tls.ending", named(i), fmt.Sprintf("The %s has ended%s.", named(i), remedy(i)))
		case left < secure.AlarmBefore && i.What != secure.RevocationList:
			s.degrade("tls.ending", named(i), fmt.Sprintf("The %s ends in %s%s.", named(i), age(left), remedy(i)))
		}
	}
}

// ending says which of them end before long.
func (s *Status) ending(now time.Time) {
	for _, i := range s.Certificates.Items {
		left := i.NotAfter.Sub(now)
		if left >= secure.AlarmBefore && left < secure.WarnBefore && i.What != secure.RevocationList { // lists last some days only
			s.Says = append(s.Says, fmt.Sprintf("The %s ends in %s%s.", named(i), age(left), remedy(i)))
		}
	}
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
