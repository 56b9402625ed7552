package webgate

import (
	"regexp"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/web"
	"cordon/metric"
	"cordon/policy"
)

// failure is a status that is one, whatever an archive calls a failure.
func failure(s dimse.Status) dimse.Status {
	if s.Class() != dimse.ClassFailure {
		return statusProcessing
	}
	return s
}

// stored is a status that is none, whatever an archive calls a warning.
func stored(s dimse.Status) dimse.Status {
	if s.Class() == dimse.ClassWarning {
		return s
	}
	return dimse.Success
}

// A host that can stand in an address that we give out.
var plainHost = regexp.MustCompile(`^[0-9A-Za-z.\-]{1,253}(:[0-9]{1,5})?$|^\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?$`)

// retrieveURL is where an instance, a series or a study is retrieved, as this client
// calls us; "" if it does so in a way that cannot be repeated.
func (rq *request) retrieveURL(study, series, instance dicom.UID) string {
	if study.Validate() != nil || series != "" && series.Validate() != nil || instance != "" && instance.Validate() != nil || series == "" && instance != "" {
		return ""
	}
	r := web.Resource{Kind: web.KindStudy, Study: study, Series: series, Instance: instance}
	switch {
	case instance != "":
		r.Kind = web.KindInstance
	case series != "":
		r.Kind = web.KindSeries
	}
	return rq.link(r)
}

// link is the address of a resource.
func (rq *request) link(r web.Resource) string {
	if !plainHost.MatchString(rq.r.Host) {
		return ""
	}
	scheme := "http://"
	if rq.r.TLS != nil {
		scheme = "https://"
	}
	return scheme + rq.r.Host + rq.base + r.Path()
}

// wouldRefuse records what shadow let pass, at a bounded rate for each peer.
func (rq *request) wouldRefuse(os ...policy.Objection) {
	device := rq.admission.Device
	if device == "" {
		device = "undeclared"
	}
	rq.s.parts.Metrics.Count(metric.WouldRefuse, 1, device)
	reasons := []string{}
	for _, o := range os[:min(len(os), 16)] {
		reasons = append(reasons, clip(o.String(), maxWhy))
	}
	omitted, ok := rq.s.objections.Take(rq.address, time.Now())
	if !ok {
		return
	}
	body := rq.who(map[string]any{"reasons": reasons})
	delete(body, "archive")
	if omitted > 0 {
		body["omitted"] = omitted
	}
	rq.s.parts.Ledger.Note("admission.would_refuse", body)
}
