package policy

import "slices"

// Subject is whom a bearer token is about. Two issuers may each have a subject
// of one name.
type Subject struct {
	Issuer, Name string
}

// identifyWeb finds the declared device that sends a request, or the zero Device
// for a peer that is none.
//
// No AE title is claimed over HTTP. A device is told by what it shows, a
// certificate or a token of its own; else by its address alone.
func (s Site) identifyWeb(p WebPeer) (Device, Refusal) {
	var found []Device
	refusal := NotRefused
	for _, d := range s.Devices {
		switch why := d.lacks(p); {
		case !d.shows(p.Certificate) && !d.shownBy(p):
		case why == NotRefused:
			found = append(found, d)
		case refusal == NotRefused:
			refusal = why
		}
	}
	switch {
	case len(found) == 1:
		return found[0], NotRefused
	case len(found) > 1:
		return Device{}, SeveralDevices
	case refusal != NotRefused:
		return Device{}, refusal
	}
	return s.identifyAddress(p)
}

// shownBy reports whether a peer's token is about the device.
func (d Device) shownBy(p WebPeer) bool {
	return p.Subject != "" && slices.Contains(d.Subjects, Subject{p.Issuer, p.Subject})
}

// lacks says what of a device a peer is not.
func (d Device) lacks(p WebPeer) Refusal {
	switch {
	case len(d.Addresses) > 0 && !within(d.Addresses, p.Address):
		return WrongAddress
	case len(d.Certificates) > 0 && !d.shows(p.Certificate):
		return WrongCertificate
	case len(d.Subjects) > 0 && !d.shownBy(p):
		return NeedsToken
	}
	return NotRefused
}

// identifyAddress finds the device of a peer that shows nothing of a device's.
// That of the smallest network comes first, and of two the one without an AE
// title, which is of the web alone. A device that has to show something keeps its
// one address for itself: leaving out what it shows must not free it of its
// limits. A person who has a token of theirs may sit there all the same.
func (s Site) identifyAddress(p WebPeer) (Device, Refusal) {
	var found Device
	best, several, withheld := 0, false, NotRefused
	for _, d := range s.Devices {
		rank := d.rank(p)
		switch why := d.lacks(p); {
		case rank == 0:
		case why != NotRefused:
			if rank >= oneHost {
				withheld = why
			}
		case rank == best:
			several = true
		case rank > best:
			found, best, several = d, rank, false
		}
	}
	switch {
	case several:
		return Device{}, SeveralDevices
	case best < oneHost && withheld != NotRefused && !s.vouches(p):
		return Device{}, withheld
	}
	return found, NotRefused
}

// oneHost is the rank of an address that is one host's.
const oneHost = 2 * (128 + 1)

// rank says how surely a peer's address tells the device: 0 is not at all.
func (d Device) rank(p WebPeer) int {
	rank := 0
	for _, network := range d.Addresses {
		addr := p.Address.Unmap().WithZone("")
		if !network.Contains(addr) {
			continue
		}
		host := addr.BitLen() - network.Bits() // bits that are the host's
		rank = max(rank, oneHost-2*host)
	}
	if rank > 0 && d.AETitle == "" {
		rank++
	}
	return rank
}
