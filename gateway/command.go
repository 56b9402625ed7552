package gateway

import (
	"strings"

	"cordon/dicom"
	"cordon/dicom/dimse"
)

// Commands are not judged: of what a peer can choose freely, no more goes on
// than the message needs.

// unnamed reports whether a command names its class or instance by what cannot
// be a UID.
func unnamed(c *dimse.Command) bool {
	for _, u := range [...]dicom.UID{c.AffectedSOPClassUID, c.RequestedSOPClassUID, c.AffectedSOPInstanceUID, c.RequestedSOPInstanceUID} {
		if len(u) > maxUID || strings.ContainsFunc(string(u), noUIDHas) {
			return true
		}
	}
	return false
}

// noUIDHas tells the characters that make something else of a UID: a path, a
// list, or nothing that can be printed. There are instances whose UIDs have
// letters.
func noUIDHas(r rune) bool { return r <= ' ' || r > '~' || r == '/' || r == '\\' }

// bare is a command as it is relayed: without the elements that its message does
// not have (PS3.7 §9.3, §10.3).
func bare(c dimse.Command) dimse.Command {
	c.MoveOriginatorAETitle, c.MoveOriginatorMessageID = "", nil // of a C-STORE alone
	if c.Field != dimse.CMoveRQ {
		c.MoveDestination = ""
	}
	if !c.Field.IsResponse() {
		c.ErrorComment, c.ErrorID, c.OffendingElement = "", nil, nil
	}
	if c.Field != dimse.NGetRQ && !(c.Field.IsResponse() && isNormalized(c.Field)) {
		c.AttributeIdentifierList = nil
	}
	c.ErrorComment = comment(c.ErrorComment)
	return c
}

// isNormalized reports whether a message is one of PS3.7 §10.
func isNormalized(f dimse.CommandField) bool { return f&0x0F00 != 0 }

// comment is the other side's Error Comment (0000,0902) as it goes on: nothing
// of one that is not text of one line.
func comment(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7F || r == '\\' }) {
		return ""
	}
	return text
}
