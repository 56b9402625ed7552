package main

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"cordon/dicom"
	"cordon/policy"
)

// ArchiveWebConfig is how an archive is asked over DICOMweb.
type ArchiveWebConfig struct {
	URL          string           // of its services: https://host/dicom-web
	TLS          ArchiveTLSConfig // with https
	TokenFile    string           // file with a bearer token for it; "": none
	User         string           // for basic authentication; "": none
	PasswordFile string           // file with User's password
}

// dicomweb reads archives[].dicomweb: an address, or an address and more.
func (d *document) dicomweb(n ast.Node, a *ArchiveConfig) {
	w := &ArchiveWebConfig{}
	a.Web = w
	if _, one := n.(ast.ScalarNode); one {
		d.serviceURL(&w.URL)(n)
		return
	}
	d.mapping(n, keys{
		"url":           d.serviceURL(&w.URL),
		"ca":            d.path(&w.TLS.CA),
		"certificate":   d.path(&w.TLS.Certificate),
		"key":           d.path(&w.TLS.Key),
		"server_name":   d.host(&w.TLS.ServerName),
		"crl":           d.path(&w.TLS.CRL),
		"stale_crl":     d.staleCRL(&w.TLS.RefuseStale),
		"token_file":    d.path(&w.TokenFile),
		"user":          d.text(&w.User),
		"password_file": d.path(&w.PasswordFile),
	})
	d.need(n, "url")
}

// webOnly reports whether an archive has DICOMweb alone.
func (a ArchiveConfig) webOnly() bool { return a.Web != nil && a.Address == "" }

// needArchive notes what an archive lacks. One that has DICOMweb alone may leave
// out its AE title, by which devices call it over DIMSE: it is made of its name.
func (d *document) needArchive(n ast.Node, a *ArchiveConfig) {
	switch {
	case !a.webOnly():
		d.need(n, "name", "ae_title", "address")
	case a.AETitle == "":
		d.need(n, "name")
		title := strings.ToUpper(a.Name)
		a.AETitle = dicom.AETitle(title[:min(len(title), 16)])
	default:
		d.need(n, "name")
	}
	if a.webOnly() && a.TLS != nil {
		d.wrong(n, "tls is for DIMSE, and this archive has no address; write certificate, key and ca under dicomweb")
	}
	if !a.webOnly() {
		return
	}
	for _, s := range a.Services {
		if !slices.Contains(webServices, s) {
			d.wrong(n, "service %s: DICOMweb has nothing for it, and this archive has no address for DIMSE; write its ae_title and address, or leave %s out", s, s)
		}
	}
}

// webServices are those that an archive with DICOMweb alone can have.
var webServices = []policy.Service{policy.ServiceEcho, policy.ServiceStore, policy.ServiceCommit, policy.ServiceQuery, policy.ServiceRetrieve, policy.ServiceUPS}

// wholeArchiveWeb holds how an archive is asked against what it is asked with.
func (d *document) wholeArchiveWeb(w *ArchiveWebConfig, at string) {
	plain, local := strings.HasPrefix(w.URL, "http:"), localURL(w.URL)
	switch secret := w.TokenFile != "" || w.PasswordFile != ""; {
	case w.TokenFile != "" && w.User != "":
		d.wrongAt(at+".user", "a token and a password; the archive is shown one of them: take the other out")
	case (w.User == "") != (w.PasswordFile == ""):
		d.wrongAt(at, "user and password_file belong together; write both")
	case secret && plain && !local:
		d.wrongAt(at, "what is secret would be sent in the clear; write an https address, or one on this machine")
	case plain && w.TLS != ArchiveTLSConfig{}:
		d.wrongAt(at, "certificates are for https, and %q is plain HTTP; write an https address, or take them out", w.URL)
	}
}

// localURL reports whether a web service is on this machine.
func localURL(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && addr.IsLoopback()
}

// webEnd is the key of an archive's DICOMweb in messages.
func webEnd(a ArchiveConfig) string { return fmt.Sprintf("archive %s (DICOMweb)", a.Name) }
