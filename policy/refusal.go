package policy

// Refusal says why an association, or a request over HTTP, is not admitted. The zero Refusal is not
// one.
type Refusal uint8

const (
	NotRefused          Refusal = iota
	NoArchive                   // nothing to send to
	UnknownCalled               // no archive answers to the called AE title
	WrongAddress                // a declared AE title from an address that is not its own
	WrongCertificate            // a declared AE title without a certificate of its own, or a declared certificate under another AE title
	Denied                      // a device that people have denied
	UnknownDevice               // not declared, and unknown devices are refused
	NeedsTLS                    // the device may associate over TLS alone
	WrongImplementation         // another implementation class UID than the device's
	NoUserIdentity              // the device has to say who uses it
	ForeignArchive              // the called AE title is that of an archive that the device may not use
	OutsideHours                // the device may not associate now
	UnknownArchive              // a request over HTTP names none that there is
	SeveralDevices              // a request over HTTP could be that of several devices
	NeedsToken                  // a request over HTTP has no bearer token, and has to
)

// String names the refusal for a log or a record.
func (r Refusal) String() string {
	return [...]string{
		"",
		"no archive",
		"unknown called AE title",
		"declared AE title from a foreign address",
		"certificate and AE title are not one device's",
		"denied device",
		"unknown device",
		"association without TLS",
		"foreign implementation class UID",
		"no user identity",
		"archive not permitted",
		"outside the device's hours",
		"unknown archive",
		"several devices have this address or what was shown",
		"no bearer token of an issuer that is believed here",
	}[r]
}

// shadowed reports whether ShadowUnknown lets the association pass in spite of
// it. It never does for what it could not be admitted with in learning.
func (r Refusal) shadowed() bool {
	switch r {
	case NoArchive, UnknownCalled, WrongAddress, WrongCertificate, Denied, UnknownArchive, SeveralDevices, NeedsToken:
		return false
	}
	return true
}

// GrantReason says why a context, or the service of a request over HTTP, was not
// granted.
type GrantReason uint8

const (
	Granted           GrantReason = iota
	NotPermitted                  // the device may not use this service
	ClassNotPermitted             // the device may not send this storage SOP class
	NotServed                     // no archive that the device may use serves it
	NotImplemented                // the gateway has no such service
	ScopeNotPermitted             // no scope of the bearer token permits this service
)

// String names the reason for a record.
func (r GrantReason) String() string {
	return [...]string{"granted", "service not permitted", "SOP class not permitted", "no archive serves it", "not implemented", "no scope of the token permits it"}[r]
}
