package secure

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"
)

// How long before its end a certificate or a list is worth a word, and when it is
// an alarm.
const (
	WarnBefore  = 30 * 24 * time.Hour
	AlarmBefore = 7 * 24 * time.Hour
)

// What an Item can be.
const (
	OwnCertificate = "certificate"
	CA             = "authority"
	RevocationList = "revocation list"
)

// Item is something of an endpoint's that has an end.
type Item struct {
	Endpoint    string    `json:"endpoint"`
	What        string    `json:"what"` // OwnCertificate, CA or RevocationList
	Subject     string    `json:"subject"`
	Fingerprint string    `json:"fingerprint,omitempty"`
	NotAfter    time.Time `json:"not_after"`
	Revoked     int       `json:"revoked,omitempty"` // certificates on the list
}

// Status is the state of an endpoint's files.
type Status struct {
	Items    []Item
	Problems []string // files that are not in use, and why; lists that are missing
}

// Status looks at the files.
func (e *Endpoint) Status() Status {
	e.current()
	e.mu.Lock()
	defer e.mu.Unlock()
	var s Status
	if e.own != nil {
		if e.own.Loaded() {
			s.Items = append(s.Items, e.item(OwnCertificate, e.own.Value().Leaf))
		}
		s.problem(e.config.Name, e.own.Loaded(), e.own.Problem())
	}
	if e.trust == nil {
		return s
	}
	s.problem(e.config.Name, e.trust.Loaded(), e.trust.Problem())
	t := e.trust.Value()
	for _, c := range t.authorities {
		s.Items = append(s.Items, e.item(CA, c))
	}
	if missing := t.unlisted(); missing != nil {
		s.Problems = append(s.Problems, fmt.Sprintf("%s: no revocation list of %s; add it to the file", e.config.Name, missing.Subject))
	}
	for _, l := range t.lists {
		if l.crl.NextUpdate.IsZero() {
			continue
		}
		s.Items = append(s.Items, Item{
			Endpoint: e.config.Name, What: RevocationList, Subject: l.crl.Issuer.String(), NotAfter: l.crl.NextUpdate, Revoked: len(l.revoked),
		})
	}
	return s
}

func (s *Status) problem(name string, loaded bool, err error) {
	switch {
	case err == nil:
	case loaded:
		s.Problems = append(s.Problems, fmt.Sprintf("%s: what was there before stays in use: %v", name, err))
	default:
		s.Problems = append(s.Problems, fmt.Sprintf("%s refuses every connection until its files are put right, which needs no restart: %v", name, err))
	}
}

func (e *Endpoint) item(what string, c *x509.Certificate) Item {
	return Item{Endpoint: e.config.Name, What: what, Subject: c.Subject.String(), Fingerprint: Fingerprint(c), NotAfter: c.NotAfter}
}

// lookEvery is how long a change may go unnoticed where nobody connects.
const lookEvery = 5 * time.Second

// Run looks at the files every few seconds, so that Notify hears of changes
// without a handshake, until ctx ends.
func (e *Endpoint) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			e.current()
		}
	}
}
