package policy

import "slices"

// identify finds the declared device, or the zero Device for a peer that
// claims to be none. Several may share an AE title, as fleets of identical
// scanners do, if their addresses or certificates tell them apart.
func (s Site) identify(a Association) (Device, Refusal) {
	refusal := NotRefused
	for _, d := range s.Devices {
		if d.AETitle != a.Calling || d.AETitle == "" {
			continue
		}
		foreign := len(d.Addresses) > 0 && !within(d.Addresses, a.Address)
		switch {
		case foreign && d.Denied:
			// Whoever has that title elsewhere is another device.
		case foreign:
			if refusal == NotRefused {
				refusal = WrongAddress
			}
		case len(d.Certificates) > 0 && !d.shows(a.Certificate):
			refusal = WrongCertificate
		case len(d.Certificates) == 0 && s.certified(a):
			refusal = WrongCertificate
		default:
			return d, NotRefused
		}
	}
	switch {
	case refusal != NotRefused:
		return Device{}, refusal
	case s.certified(a):
		return Device{}, WrongCertificate
	case s.titled(a.Calling) != nil, a.Calling == s.AETitle:
		return Device{}, WrongAddress // an archive's title, which from its own address would have been the archive; or the one that archives know us by
	}
	return Device{}, NotRefused
}

// certified reports whether the certificate is a declared device's.
func (s Site) certified(a Association) bool {
	return slices.ContainsFunc(s.Devices, func(d Device) bool { return d.shows(a.Certificate) })
}

// shows reports whether a peer's certificate is the device's.
func (d Device) shows(p *Peer) bool {
	return p != nil && slices.Contains(d.Certificates, p.Fingerprint)
}
