package main

import (
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"maps"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"cordon/dicom"
	"cordon/policy"
)

func (d *document) devices(n ast.Node, c *Config) {
	d.sequence(n, func(_ int, n ast.Node) {
		v, about := DeviceConfig{}, AboutConfig{}
		known := d.device(&v)
		maps.Copy(known, d.about(&about))
		d.mapping(n, known)
		d.need(n, "name")
		about.Name = v.Name
		c.Devices, c.About = append(c.Devices, v), append(c.About, about)
	})
}

// device is what a declared device can say of itself: who it is, what it may
// do, what becomes of its objects.
func (d *document) device(v *DeviceConfig) keys {
	certificate := d.fingerprint(&v.Certificates)
	return keys{
		"name":         d.name(&v.Name),
		"ae_title":     d.aeTitle(&v.AETitle),
		"addresses":    d.list("address", d.prefix(&v.Addresses)),
		"certificate":  certificate,
		"certificates": d.list("certificate", certificate),
		"subjects":     d.subjects(&v.Subjects),

		"tls":            d.tlsRequired(&v.TLSRequired),
		"implementation": d.implementation(&v.Implementation),
		"user_identity":  d.identityRule(&v.UserIdentity),
		"may":            func(n ast.Node) { d.services(n, &v.May) },
		"sop_classes":    d.list("SOP class", d.storageClass(&v.SOPClasses)),
		"archives":       d.list("archive", d.nameTo(&v.Archives)),
		"move_to":        d.list("destination", d.aeTitleTo(&v.MoveTo)),
		"hours":          d.hours(&v.Hours),

		"archive":  d.name(&v.Archive),
		"also":     d.list("archive", d.nameTo(&v.Also)),
		"mode":     d.mode(&v.Monitor),
		"port":     d.port(&v.Port),
		"port_tls": d.yes(&v.PortTLS),
	}
}

// list reads each element of a list with read. A list that is there but empty,
// or has no value, would mean everything, so it is refused.
func (d *document) list(what string, read func(ast.Node)) func(ast.Node) {
	return func(n ast.Node) {
		d.sequence(n, func(_ int, n ast.Node) { read(n) })
		if isEmpty(n) {
			d.wrong(n, "no %s; name some, or take the line out", what)
		}
	}
}

// isEmpty reports whether a list has no element.
func isEmpty(n ast.Node) bool {
	if s, ok := n.(*ast.SequenceNode); ok {
		return len(s.Values) == 0
	}
	_, none := n.(*ast.NullNode)
	return none
}

// services reads services, as a device's and as an archive's.
func (d *document) services(n ast.Node, to *[]policy.Service) {
	var known []string
	for _, s := range policy.Services() {
		known = append(known, string(s))
	}
	d.sequence(n, func(_ int, n ast.Node) {
		if s, ok := d.scalar(n); ok && d.word(n, s, known...) {
			*to = append(*to, policy.Service(s))
		}
	})
	if isEmpty(n) {
		d.wrong(n, "no service; name some of %s, or take the line out to allow all", strings.Join(known, ", "))
	}
}

func (d *document) nameTo(to *[]string) func(ast.Node) {
	return func(n ast.Node) {
		var s string
		if d.name(&s)(n); s != "" {
			*to = append(*to, s)
		}
	}
}

func (d *document) aeTitleTo(to *[]dicom.AETitle) func(ast.Node) {
	return func(n ast.Node) {
		var t dicom.AETitle
		if d.aeTitle(&t)(n); t != "" {
			*to = append(*to, t)
		}
	}
}

// storageClass reads a storage SOP class by its UID or its keyword in PS3.6.
func (d *document) storageClass(to *[]dicom.UID) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		class := dicom.UID(s)
		if known, ok := dicom.LookupKeyword(s); ok {
			class = known.UID
		}
		switch {
		case class.Validate() != nil:
			d.wrong(n, "%q is neither a UID nor the keyword of a SOP class; write 1.2.840.10008.5.1.4.1.1.2 or CTImageStorage", s)
		case policy.ServiceOf(class) != policy.ServiceStore:
			d.wrong(n, "%q is no storage SOP class; services are limited with may", s)
		default:
			*to = append(*to, class)
		}
	}
}

func (d *document) implementation(to *dicom.UID) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		switch {
		case !ok:
		case dicom.UID(s).Validate() != nil:
			d.wrong(n, "%q is no UID; write the implementation class UID that cordon device show prints", s)
		default:
			*to = dicom.UID(s)
		}
	}
}

func (d *document) tlsRequired(to *bool) func(ast.Node) {
	return func(n ast.Node) {
		if s, ok := d.scalar(n); ok && d.word(n, s, "optional", "required") {
			*to = s == "required"
		}
	}
}

func (d *document) identityRule(to *policy.IdentityRule) func(ast.Node) {
	return func(n ast.Node) {
		if s, ok := d.scalar(n); ok && d.word(n, s, "pass", "require", "strip") {
			*to = map[string]policy.IdentityRule{"pass": policy.IdentityPass, "require": policy.IdentityRequire, "strip": policy.IdentityStrip}[s]
		}
	}
}

func (d *document) port(to *uint16) func(ast.Node) {
	return func(n ast.Node) {
		var v int
		d.number(&v, 1, 65535)(n)
		*to = uint16(v)
	}
}

// hours reads one span, or a list of them.
func (d *document) hours(to *policy.Hours) func(ast.Node) {
	var spans []string
	one := func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		if _, err := policy.ParseHours([]string{s}); err != nil {
			d.wrong(n, "%v", err)
			return
		}
		spans = append(spans, s)
	}
	return func(n ast.Node) {
		if _, several := n.(*ast.SequenceNode); several {
			d.list("hours", one)(n)
		} else {
			one(n)
		}
		*to, _ = policy.ParseHours(spans) // each has been read
	}
}

// fingerprint reads the SHA-256 of a certificate, or the PEM file that holds
// the certificate.
func (d *document) fingerprint(to *[]policy.Fingerprint) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		f, err := policy.ParseFingerprint(s)
		if err != nil {
			f, err = d.certificateFile(s)
		}
		if err != nil {
			d.wrong(n, "%v; write the SHA-256 of the device's certificate, 64 hexadecimal digits, or its PEM file", err)
			return
		}
		*to = append(*to, f)
	}
}

var errNoCertificate = errors.New("the file holds no certificate")

// certificateFile is the fingerprint of the first certificate of a file, which
// is the holder's own.
func (d *document) certificateFile(name string) (policy.Fingerprint, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(d.dir, name)
	}
	text, err := readSmallFile(name)
	if err != nil {
		return policy.Fingerprint{}, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return sha256.Sum256(block.Bytes), nil
		}
	}
	return policy.Fingerprint{}, errNoCertificate
}
