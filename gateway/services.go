package gateway

import (
	"slices"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/policy"
)

// operations are the requests of each service (PS3.4), but those that the
// gateway has code of its own for.
var operations = []struct {
	service policy.Service
	fields  []dimse.CommandField
}{
	{policy.ServiceCommit, []dimse.CommandField{dimse.NActionRQ, dimse.NEventReportRQ}},
	{policy.ServiceQuery, []dimse.CommandField{dimse.CFindRQ}},
	{policy.ServiceWorklist, []dimse.CommandField{dimse.CFindRQ}},
	{policy.ServiceRetrieve, []dimse.CommandField{dimse.CMoveRQ, dimse.CGetRQ}},
	{policy.ServiceMPPS, []dimse.CommandField{dimse.NCreateRQ, dimse.NSetRQ, dimse.NGetRQ, dimse.NEventReportRQ}},
	{policy.ServicePrint, normalized},
	{policy.ServiceUPS, append([]dimse.CommandField{dimse.CFindRQ}, normalized...)},
	{policy.ServiceOther, append([]dimse.CommandField{dimse.CFindRQ, dimse.CMoveRQ, dimse.CGetRQ}, normalized...)},
}

// normalized are the requests of PS3.7 §10.
var normalized = []dimse.CommandField{
	dimse.NEventReportRQ, dimse.NGetRQ, dimse.NSetRQ, dimse.NActionRQ, dimse.NCreateRQ, dimse.NDeleteRQ,
}

// fitting reports whether the message belongs to the service that its context
// was granted for: a device that may query does not retrieve on the same
// context.
func fitting(service policy.Service, m *dimse.Message) bool {
	permitted := false
	for _, o := range operations {
		permitted = permitted || o.service == service && slices.Contains(o.fields, m.Command.Field)
	}
	if !permitted {
		return false
	}
	named := false
	for _, class := range [...]dicom.UID{m.Command.AffectedSOPClassUID, m.Command.RequestedSOPClassUID} {
		if class != "" && !belongs(class, service, m) {
			return false
		}
		named = named || class != ""
	}
	return named
}

// belongs reports whether a request may name the class: its context's own, or,
// of the services that have several on one context (print, procedure steps), one
// of the same service.
func belongs(class dicom.UID, service policy.Service, m *dimse.Message) bool {
	several := isNormalized(m.Command.Field) || service == policy.ServiceUPS
	return class == m.Context.AbstractSyntax || several && policy.ServiceOf(class) == service
}

// invokes reports whether whoever has these roles sends such a request: an SCP
// sends N-EVENT-REPORT, an SCU all others.
func invokes(roles policy.Roles, m *dimse.Message) bool {
	if m.Command.Field == dimse.NEventReportRQ {
		return roles.SCP
	}
	return roles.SCU
}
