package asset

import (
	"net/netip"

	"cordon/dicom"
	"cordon/policy"
)

// Permissions are who a device is, what it may do and what becomes of its
// objects, as policy.Device has them, in a form for files and people.
type Permissions struct {
	AETitle        dicom.AETitle    `json:"ae_title"`
	Addresses      []netip.Prefix   `json:"addresses,omitempty"`
	Certificates   []string         `json:"certificates,omitempty"` // SHA-256, hexadecimal
	TLSRequired    bool             `json:"tls_required,omitempty"`
	Implementation dicom.UID        `json:"implementation,omitempty"`
	UserIdentity   string           `json:"user_identity,omitempty"` // require, strip; "": pass
	May            []policy.Service `json:"may,omitempty"`
	SOPClasses     []dicom.UID      `json:"sop_classes,omitempty"`
	Archives       []string         `json:"archives,omitempty"`
	MoveTo         []dicom.AETitle  `json:"move_to,omitempty"`
	Hours          []string         `json:"hours,omitempty"`
	Archive        string           `json:"archive,omitempty"`
	Also           []string         `json:"also,omitempty"`
	Monitor        bool             `json:"monitor,omitempty"`
	Port           uint16           `json:"port,omitempty"`
	PortTLS        bool             `json:"port_tls,omitempty"`
}

var identityRules = map[policy.IdentityRule]string{policy.IdentityPass: "", policy.IdentityRequire: "require", policy.IdentityStrip: "strip"}

func permissions(d policy.Device) Permissions {
	p := Permissions{
		AETitle: d.AETitle, Addresses: d.Addresses, TLSRequired: d.TLSRequired, Implementation: d.Implementation,
		UserIdentity: identityRules[d.UserIdentity], May: d.May, SOPClasses: d.SOPClasses, Archives: d.Archives, MoveTo: d.MoveTo,
		Hours: d.Hours.Strings(), Archive: d.Archive, Also: d.Also, Monitor: d.Monitor,
		Port: d.Port, PortTLS: d.PortTLS,
	}
	for _, f := range d.Certificates {
		p.Certificates = append(p.Certificates, f.String())
	}
	return p
}

// device is the same as admission takes it.
func (p Permissions) device(name string) (policy.Device, error) {
	d := policy.Device{
		Name: name, AETitle: p.AETitle, Addresses: p.Addresses, TLSRequired: p.TLSRequired, Implementation: p.Implementation,
		May: p.May, SOPClasses: p.SOPClasses, Archives: p.Archives, MoveTo: p.MoveTo,
		Archive: p.Archive, Also: p.Also, Monitor: p.Monitor,
		Port: p.Port, PortTLS: p.PortTLS,
	}
	for rule, text := range identityRules {
		if text == p.UserIdentity {
			d.UserIdentity = rule
		}
	}
	for _, text := range p.Certificates {
		f, err := policy.ParseFingerprint(text)
		if err != nil {
			return d, err
		}
		d.Certificates = append(d.Certificates, f)
	}
	var err error
	d.Hours, err = policy.ParseHours(p.Hours)
	return d, err
}
