package web

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"cordon/dicom"
)

// URIRequest is a retrieval by the WADO-URI service (PS3.18 §9).
type URIRequest struct {
	Study, Series, Instance dicom.UID
	ContentType             Accept    // empty: what the archive likes
	TransferSyntax          dicom.UID // empty: explicit VR little endian
	Frame                   int       // frameNumber, from 1; 0: all
	Rendering               []string  // other parameters of PS3.18 §9.1.2 and §9.4.1, name=value, escaped, in their order
}

// renderings are the parameters that a rendered image may have: of WADO-URI (PS3.18 §9.4.1.2)
// and of the rendered resources (PS3.18 §8.3.5).
var (
	uriRenderings = []string{"charset", "anonymize", "annotation", "rows", "columns", "region", "windowCenter", "windowWidth",
		"imageQuality", "presentationUID", "presentationSeriesUID", "imageAnnotation", "iccprofile"}
	renderings = []string{"annotation", "quality", "viewport", "window", "iccprofile", "charset"}
)

// ParseURIRequest reads the query of a WADO-URI request. Parameters that PS3.18 §9 does not have, or
// that come twice, are refused. The error is a *[Refusal] with status 400 or 414.
func ParseURIRequest(rawQuery string) (URIRequest, error) {
	parameters, err := parseParameters(rawQuery)
	if err != nil {
		return URIRequest{}, err
	}
	var r URIRequest
	wado := false
	for _, p := range parameters {
		if p.name == "requestType" {
			wado = p.value == "WADO"
			continue
		}
		if err := r.parameter(p.name, p.value); err != nil {
			return URIRequest{}, err
		}
	}
	if !wado {
		return URIRequest{}, bad("query: requestType is WADO (PS3.18 §9.1.2.1.1)")
	}
	for _, u := range []dicom.UID{r.Study, r.Series, r.Instance} {
		if err := u.Validate(); err != nil {
			return URIRequest{}, bad("query: studyUID, seriesUID, objectUID: %v", err)
		}
	}
	return r, nil
}

func (r *URIRequest) parameter(name, value string) error {
	switch name {
	case "studyUID":
		r.Study = dicom.UID(value)
	case "seriesUID":
		r.Series = dicom.UID(value)
	case "objectUID":
		r.Instance = dicom.UID(value)
	case "contentType":
		a, err := ParseAccept([]string{value}, "")
		r.ContentType = a
		return err
	case "transferSyntax":
		r.TransferSyntax = dicom.UID(value)
		if err := r.TransferSyntax.Validate(); err != nil {
			return bad("query: transferSyntax: %v", err)
		}
	case "frameNumber":
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil || n == 0 {
			return bad("query: frameNumber is a number from 1")
		}
		r.Frame = int(n)
	default:
		if !slices.Contains(uriRenderings, name) {
			return bad("query: a parameter that PS3.18 §9 does not have")
		}
		r.Rendering = append(r.Rendering, name+"="+url.QueryEscape(value))
	}
	return nil
}

// Resource is the instance, or its frame.
func (r URIRequest) Resource() Resource {
	x := Resource{Kind: KindInstance, Study: r.Study, Series: r.Series, Instance: r.Instance}
	if r.Frame > 0 {
		x.Kind, x.Frames = KindFrames, []int{r.Frame}
	}
	return x
}

// ParseRendering reads the query of a rendered resource or thumbnail (PS3.18 §8.3.5) and returns it as it is
// to be sent on: known parameters, each once. accept is left to content negotiation.
// The error is a *[Refusal].
func ParseRendering(rawQuery string) (string, error) {
	parameters, err := parseParameters(rawQuery)
	if err != nil {
		return "", err
	}
	var s []string
	for _, p := range parameters {
		switch {
		case p.name == "accept":
		case slices.Contains(renderings, p.name):
			s = append(s, p.name+"="+url.QueryEscape(p.value))
		default:
			return "", bad("query: a parameter that PS3.18 §8.3.5 does not have")
		}
	}
	return strings.Join(s, "&"), nil
}
