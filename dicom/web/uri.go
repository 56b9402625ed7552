package web

import (
	"errors"
	"net/url"
	"strings"

	"cordon/dicom"
)

// ParseURI is what a Retrieve URL or bulk data URI of an archive names, wherever the archive
// believes itself to be: the path from /studies/ on. A relative one is relative to the
// resource at. The error says what it is not, never what it is.
func ParseURI(uri string, at Resource) (Resource, error) {
	u, err := url.Parse(uri)
	if err != nil || uri == "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" || u.User != nil {
		return Resource{}, errNoURI
	}
	if u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https" {
		return Resource{}, errNoURI
	}
	if u.Host == "" && !strings.HasPrefix(u.Path, "/") {
		u = (&url.URL{Path: at.Path()}).ResolveReference(u)
	}
	path := u.EscapedPath()
	i := strings.Index(path, "/studies/")
	if i < 0 {
		return Resource{}, errNoURI
	}
	return ParseResource(path[i:])
}

var errNoURI = errors.New("an address that names no resource of PS3.18")

// RewriteURIs replaces each Retrieve URL and bulk data URI, at any depth, by what address
// gives for the resource that it names. One that names none, or for which address is empty,
// is taken out: nobody is sent past us. at is where the data set comes from.
func (d DataSet) RewriteURIs(at Resource, address func(Resource) string) {
	rewrite := func(uri string) string {
		r, err := ParseURI(uri, at)
		if err != nil {
			return ""
		}
		return address(r)
	}
	for i := range d {
		e := &d[i]
		if e.BulkDataURI != "" {
			e.BulkDataURI = rewrite(e.BulkDataURI)
		}
		if e.Tag == tagRetrieveURL || e.Tag == tagRetrieveURI {
			e.Value = []byte(rewrite(string(e.Value)))
		}
		for _, item := range e.Items {
			item.RewriteURIs(at, address)
		}
	}
}

// tagRetrieveURI is Retrieve URI (0040,E010): a WADO-URI address.
const tagRetrieveURI dicom.Tag = 0x0040E010
