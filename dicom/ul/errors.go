package ul

import "fmt"

// Rejection is an A-ASSOCIATE-RJ (PS3.8 §9.3.4).
type Rejection struct {
	Result, Source, Reason uint8
}

// Results, sources and reasons of a Rejection (PS3.8 table 9-21).
const (
	RejectedPermanent uint8 = 1
	RejectedTransient uint8 = 2

	RejectSourceUser         uint8 = 1
	RejectSourceACSE         uint8 = 2
	RejectSourcePresentation uint8 = 3

	RejectUserNoReason        uint8 = 1
	RejectApplicationContext  uint8 = 2
	RejectCallingAETitle      uint8 = 3
	RejectCalledAETitle       uint8 = 7
	RejectACSENoReason        uint8 = 1
	RejectProtocolVersion     uint8 = 2
	RejectTemporaryCongestion uint8 = 1
	RejectLocalLimitExceeded  uint8 = 2
)

// Error names the result, source and reason.
func (r *Rejection) Error() string {
	return fmt.Sprintf("association rejected: %s", r.describe())
}

// Abort is an A-ABORT (PS3.8 §9.3.8), received or sent.
type Abort struct {
	Source, Reason uint8
}

// Sources and reasons of an Abort (PS3.8 table 9-26). With AbortSourceUser the reason is not significant.
const (
	AbortSourceUser     uint8 = 0
	AbortSourceProvider uint8 = 2

	AbortUnspecified           uint8 = 0
	AbortUnrecognizedPDU       uint8 = 1
	AbortUnexpectedPDU         uint8 = 2
	AbortUnrecognizedParameter uint8 = 4
	AbortUnexpectedParameter   uint8 = 5
	AbortInvalidParameterValue uint8 = 6
)

// Error names the source and reason.
func (a *Abort) Error() string {
	return fmt.Sprintf("association aborted by %s", a.describe())
}

func (r *Rejection) describe() string {
	return fmt.Sprintf("%s, %s", rejectResult(r.Result), rejectReason(r.Source, r.Reason))
}

func rejectResult(result uint8) string {
	switch result {
	case RejectedPermanent:
		return "permanently"
	case RejectedTransient:
		return "transiently"
	}
	return fmt.Sprintf("result %d", result)
}

func rejectReason(source, reason uint8) string {
	switch [2]uint8{source, reason} {
	case [2]uint8{RejectSourceUser, RejectUserNoReason}, [2]uint8{RejectSourceACSE, RejectACSENoReason}:
		return "no reason given"
	case [2]uint8{RejectSourceUser, RejectApplicationContext}:
		return "application context name not supported"
	case [2]uint8{RejectSourceUser, RejectCallingAETitle}:
		return "calling AE title not recognised"
	case [2]uint8{RejectSourceUser, RejectCalledAETitle}:
		return "called AE title not recognised"
	case [2]uint8{RejectSourceACSE, RejectProtocolVersion}:
		return "protocol version not supported"
	case [2]uint8{RejectSourcePresentation, RejectTemporaryCongestion}:
		return "temporary congestion"
	case [2]uint8{RejectSourcePresentation, RejectLocalLimitExceeded}:
		return "local limit exceeded"
	}
	return fmt.Sprintf("source %d reason %d", source, reason)
}

func (a *Abort) describe() string {
	if a.Source == AbortSourceUser {
		return "the service user"
	}
	switch a.Reason {
	case AbortUnspecified:
		return "the provider: no reason given"
	case AbortUnrecognizedPDU:
		return "the provider: unrecognised PDU"
	case AbortUnexpectedPDU:
		return "the provider: unexpected PDU"
	case AbortUnrecognizedParameter:
		return "the provider: unrecognised PDU parameter"
	case AbortUnexpectedParameter:
		return "the provider: unexpected PDU parameter"
	case AbortInvalidParameterValue:
		return "the provider: invalid PDU parameter value"
	}
	return fmt.Sprintf("source %d reason %d", a.Source, a.Reason)
}

// violation is a peer's breach of the protocol: what was read, and the A-ABORT that answers it.
type violation struct {
	what  string
	abort Abort
}

func (v *violation) Error() string { return v.what + ": " + v.abort.Error() }

func (v *violation) Unwrap() error { return &v.abort }

// invalid returns a violation with the reason invalid-PDU-parameter-value.
func invalid(format string, args ...any) error {
	return &violation{fmt.Sprintf(format, args...), Abort{AbortSourceProvider, AbortInvalidParameterValue}}
}
