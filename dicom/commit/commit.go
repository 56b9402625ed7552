// Package commit reads and writes the data sets of the Storage Commitment Push
// Model SOP class (PS3.4 annex J): what an N-ACTION asks for, and what an
// N-EVENT-REPORT answers.
//
// Ordinary use:
//
//	a, err := commit.ReadAction(message.Data, message.Context.TransferSyntax)
//	r := commit.Report{TransactionUID: a.TransactionUID}
//	for _, ref := range a.References { … r.Committed = append(r.Committed, ref) }
//	err = r.Write(w, transferSyntax)      // with Event Type ID r.EventType()
//
// A data set is read as a stream and at most MaxBytes and MaxReferences of it
// are kept. UIDs need not have the standard's form, since storage takes
// irregular ones too; they are printable and at most 64 bytes.
//
// It will not exchange messages, and it decides nothing.
package commit

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"

	"cordon/dicom"
)

// What an N-ACTION and an N-EVENT-REPORT of the SOP class say in their command
// sets (PS3.4 §J.3.2.1, §J.3.3.1).
const (
	RequestStorageCommitment uint16 = 1 // the one Action Type ID
	Successful               uint16 = 1 // Event Type ID: all are committed
	FailuresExist            uint16 = 2 // Event Type ID: some are not
)

// Failure Reasons (0008,1197) (PS3.4 §J.3.3.1.1).
const (
	ProcessingFailure     uint16 = 0x0110
	NoSuchObjectInstance  uint16 = 0x0112
	ClassInstanceConflict uint16 = 0x0119
	SOPClassNotSupported  uint16 = 0x0122
	ResourceLimitation    uint16 = 0x0213
	maxUID                       = 64
	maxValue                     = 128 // bytes of a value that is looked at
)

// Limits of one data set.
const (
	MaxBytes      = 16 << 20
	MaxReferences = 100_000
)

// ErrTooLong means that a data set passes MaxBytes or MaxReferences.
var ErrTooLong = errors.New("storage commitment for more than 100,000 instances, or in more than 16 MiB: ask in several transactions")

// Reference names one SOP instance.
type Reference struct {
	SOPClassUID, SOPInstanceUID dicom.UID
}

// Failure is an instance that is not committed, and why.
type Failure struct {
	Reference
	Reason uint16
}

// Action is the Action Information of a request (PS3.4 table J.3-1).
type Action struct {
	TransactionUID dicom.UID
	References     []Reference
}

// Report is the Event Information of an answer (PS3.4 table J.3-2).
type Report struct {
	TransactionUID dicom.UID
	Committed      []Reference
	Failed         []Failure
}

// EventType is the Event Type ID that goes with the report.
func (r Report) EventType() uint16 {
	if len(r.Failed) > 0 {
		return FailuresExist
	}
	return Successful
}

// NewTransactionUID makes a UID from 128 random bits (PS3.5 §B.2).
func NewTransactionUID() dicom.UID {
	var p [16]byte
	rand.Read(p[:]) // never fails
	p[6], p[8] = p[6]&0x0F|0x40, p[8]&0x3F|0x80
	return dicom.UID("2.25." + new(big.Int).SetBytes(p[:]).String())
}

// ReadAction reads the data set of an N-ACTION request. r is not drained after an
// error. A request without a transaction or without a reference is one.
func ReadAction(r io.Reader, ts dicom.UID) (Action, error) {
	v, err := read(r, ts)
	switch {
	case err != nil:
		return Action{}, fmt.Errorf("reading a request for storage commitment: %w", err)
	case len(v.report.Failed) > 0:
		return Action{}, errors.New("reading a request for storage commitment: it holds a Failed SOP Sequence")
	case len(v.report.Committed) == 0:
		return Action{}, errors.New("reading a request for storage commitment: no Referenced SOP Sequence")
	}
	return Action{TransactionUID: v.report.TransactionUID, References: v.report.Committed}, nil
}

// ReadReport reads the data set of an N-EVENT-REPORT request. r is not drained
// after an error. A failure without a reason is a ProcessingFailure.
func ReadReport(r io.Reader, ts dicom.UID) (Report, error) {
	v, err := read(r, ts)
	switch {
	case err != nil:
		return Report{}, fmt.Errorf("reading a storage commitment result: %w", err)
	case len(v.report.Committed)+len(v.report.Failed) == 0:
		return Report{}, errors.New("reading a storage commitment result: it names no instance")
	}
	return v.report, nil
}

// Write writes the data set of an N-ACTION request.
func (a Action) Write(w io.Writer, ts dicom.UID) error {
	return write(w, ts, Report{TransactionUID: a.TransactionUID, Committed: a.References})
}

// Write writes the data set of an N-EVENT-REPORT request.
func (r Report) Write(w io.Writer, ts dicom.UID) error { return write(w, ts, r) }

// write writes the attributes in the order of their tags; lengths of sequences
// are undefined, so that nothing is kept.
func write(w io.Writer, ts dicom.UID, r Report) error {
	syntax, ok := dicom.LookupTransferSyntax(ts)
	if !ok {
		return fmt.Errorf("writing a storage commitment data set: transfer syntax %.64q is not known", string(ts))
	}
	x := dicom.NewWriter(w, syntax)
	x.String(tagTransactionUID, dicom.UI, string(r.TransactionUID))
	if len(r.Failed) > 0 {
		x.BeginSequence(tagFailedSOPSequence, dicom.Undefined)
		for _, f := range r.Failed {
			x.BeginItem(dicom.Undefined)
			writeReference(x, f.Reference)
			x.Uint16(tagFailureReason, f.Reason)
			x.EndItem()
		}
		x.EndSequence()
	}
	if len(r.Committed) > 0 {
		x.BeginSequence(dicom.TagReferencedSOPSequence, dicom.Undefined)
		for _, c := range r.Committed {
			x.BeginItem(dicom.Undefined)
			writeReference(x, c)
			x.EndItem()
		}
		x.EndSequence()
	}
	return x.Close()
}

func writeReference(x *dicom.Writer, r Reference) {
	x.String(dicom.TagReferencedSOPClassUID, dicom.UI, string(r.SOPClassUID))
	x.String(dicom.TagReferencedSOPInstanceUID, dicom.UI, string(r.SOPInstanceUID))
}

const (
	tagTransactionUID    dicom.Tag = 0x00081195
	tagFailureReason     dicom.Tag = 0x00081197
	tagFailedSOPSequence dicom.Tag = 0x00081198
)
