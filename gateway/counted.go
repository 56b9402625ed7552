package gateway

import (
	"cordon/dicom/dimse"
	"cordon/metric"
	"cordon/policy"
)

// outcomes are the words under which operations that an archive has answered are
// counted.
var outcomes = map[dimse.Class]string{
	dimse.ClassSuccess: "answered",
	dimse.ClassWarning: "warning",
	dimse.ClassCancel:  "cancelled",
	dimse.ClassFailure: "failed",
}

// counted counts a query or a retrieve by what became of it.
func (r *relay) counted(outcome string) {
	switch r.service {
	case policy.ServiceQuery, policy.ServiceWorklist:
		r.s.g.parts.Metrics.Count(metric.Queries, 1, r.archive, outcome)
	case policy.ServiceRetrieve:
		r.s.g.parts.Metrics.Count(metric.Retrieves, 1, r.archive, outcome)
	}
}
