// Package folder is an archive that keeps objects as files in one directory
// tree: what a gateway delivers to when there is no PACS yet. It is an SCP of
// Verification, of any storage SOP class and of storage commitment (PS3.4 annexes
// A, B and J).
//
//	archive, err := folder.New(dir, "ARCHIVE", ul.Limits{})
//	if err != nil {
//		return err
//	}
//	err = archive.Serve(ctx, listener)
//
// # Life of an object
//
// The data set of a C-STORE request goes, as it arrives and byte for byte,
// behind a File Meta Information of our own (PS3.10 §7.1) into a file that has
// no name yet. At its end the file is synced, named and its directory synced;
// then, and only then, is success answered. If the sender stops half way, or
// the disk does, no file appears under any name. The name is made of a digest
// of the SOP Instance UID and a digest of the content, so nothing that a peer
// says becomes part of a path; the same object sent twice is one file, and an
// object with the same UID but other content never replaces the first.
//
// Storage commitment is answered by looking for the file, and reported on the
// association that it was asked on.
//
// It will not inspect, index, query or give back what it holds: it is for a
// first run, for tests, and for sites whose archive reads a directory.
package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/store"
)

// maxAssociations bounds what is received at a time; more are rejected as
// transient (PS3.8 table 9-21, local limit exceeded).
const maxAssociations = 512

// acceptPause is how long Serve waits when the system gives it no connection.
const acceptPause = 100 * time.Millisecond

// Archive is one directory and the AE title under which it receives.
type Archive struct {
	Log *slog.Logger // set before Serve; discards unless set

	dir    string
	ae     dicom.AETitle
	limits ul.Limits
}

// New prepares the directory: it is made if it is not there, and what a crash
// left half written is removed.
func New(dir string, ae dicom.AETitle, l ul.Limits) (*Archive, error) {
	if err := store.MakeDir(dir); err != nil {
		return nil, fmt.Errorf("archive folder: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".tmp-*"))
	if err != nil {
		return nil, fmt.Errorf("archive folder: %w", err)
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("archive folder: %w", err)
		}
	}
	return &Archive{Log: slog.New(slog.DiscardHandler), dir: dir, ae: ae, limits: l}, nil
}

// Serve receives associations until ctx ends, then waits for those under way,
// whose next message it no longer awaits, and returns nil.
func (a *Archive) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var under sync.WaitGroup
	defer under.Wait()
	slots := make(chan struct{}, maxAssociations)
	for {
		nc, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("archive folder: %w", err)
		case err != nil: // out of descriptors, say: it passes
			a.Log.Error("archive folder: accepting a connection", "err", err)
			time.Sleep(acceptPause)
			continue
		}
		under.Go(func() { // ends with the association, or soon after ctx
			defer nc.Close()
			a.associate(ctx, nc, slots)
		})
	}
}

// associate negotiates one association and answers its messages.
func (a *Archive) associate(ctx context.Context, nc net.Conn, slots chan struct{}) {
	defer func() {
		if p := recover(); p != nil {
			a.Log.Error("archive folder: association ended by a defect", "panic", p)
		}
	}()
	indication, err := ul.Receive(ctx, nc, a.limits)
	if err != nil {
		return // not an association; the peer has been told
	}
	if indication.Request.Called != a.ae {
		_ = indication.Reject(ul.Rejection{Result: ul.RejectedPermanent, Source: ul.RejectSourceUser, Reason: ul.RejectCalledAETitle})
		return
	}
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	default:
		_ = indication.Reject(ul.Rejection{Result: ul.RejectedTransient, Source: ul.RejectSourcePresentation, Reason: ul.RejectLocalLimitExceeded})
		return
	}
	association, err := indication.Accept(indication.Request.Respond(choose))
	if err != nil {
		return
	}
	conn := dimse.NewConn(association)
	defer conn.Close()
	if err := a.serve(ctx, conn); !errors.Is(err, io.EOF) && ctx.Err() == nil {
		a.Log.Warn("archive folder: association ended", "calling", indication.Request.Calling, "err", err)
	}
}

// choose accepts every abstract syntax, with the first proposed transfer
// syntax that the dictionary knows. Its peer is a gateway, which is told that
// this archive takes Verification, storage and storage commitment alone; a private
// storage SOP class looks like any other UID.
func choose(pc ul.ProposedContext) ul.AcceptedContext {
	for _, ts := range pc.TransferSyntaxes {
		if _, known := dicom.LookupTransferSyntax(ts); known {
			return ul.AcceptedContext{ID: pc.ID, Result: ul.Acceptance, TransferSyntax: ts}
		}
	}
	return ul.AcceptedContext{ID: pc.ID, Result: ul.TransferSyntaxesNotSupported}
}

// serve answers messages until the peer releases the association (io.EOF).
func (a *Archive) serve(ctx context.Context, conn *dimse.Conn) error {
	for {
		m, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		switch m.Command.Field {
		case dimse.CCancelRQ: // nothing takes long enough to be cancelled (PS3.7 §9.3.2.3)
		case dimse.NEventReportRSP: // a report has arrived
		case dimse.NActionRQ:
			err = a.respondAction(ctx, conn, m)
		default:
			var rsp dimse.Command
			rsp.Status, rsp.ErrorComment = a.answer(conn.Association().Request().Calling, m)
			err = conn.Respond(ctx, m, rsp, nil)
		}
		if err != nil {
			return err
		}
	}
}

// respondAction answers an N-ACTION request, and reports.
func (a *Archive) respondAction(ctx context.Context, conn *dimse.Conn, m *dimse.Message) error {
	status, comment, report := a.action(m)
	err := conn.Respond(ctx, m, dimse.Command{
		Status: status, ErrorComment: comment, ActionTypeID: m.Command.ActionTypeID,
		AffectedSOPClassUID: m.Command.RequestedSOPClassUID, AffectedSOPInstanceUID: m.Command.RequestedSOPInstanceUID,
	}, nil)
	if err != nil || report == nil {
		return err
	}
	return a.tell(ctx, conn, m, *report)
}

// answer does what a request asks and returns the status and, with a failure,
// its comment.
func (a *Archive) answer(calling dicom.AETitle, m *dimse.Message) (dimse.Status, string) {
	switch m.Command.Field {
	case dimse.CEchoRQ:
		return dimse.Success, ""
	case dimse.CStoreRQ:
		return a.store(calling, m)
	}
	return dimse.UnrecognizedOperation, "only C-ECHO, C-STORE and storage commitment"
}

// store keeps the object of a C-STORE request (PS3.7 §9.1.1).
func (a *Archive) store(calling dicom.AETitle, m *dimse.Message) (dimse.Status, string) {
	rq := m.Command
	switch {
	case m.Data == nil:
		return dimse.CannotUnderstand, "no data set"
	case rq.AffectedSOPClassUID != m.Context.AbstractSyntax:
		return dimse.SOPClassNotSupported, "not the SOP class of the presentation context"
	case rq.AffectedSOPInstanceUID == "": // an irregular one names its object well enough
		return dimse.InvalidSOPInstance, "no SOP Instance UID"
	}
	err := a.keep(dicom.FileMeta{
		SOPClassUID:       rq.AffectedSOPClassUID,
		SOPInstanceUID:    rq.AffectedSOPInstanceUID,
		TransferSyntaxUID: m.Context.TransferSyntax,
		SourceAETitle:     calling,
		ReceivingAETitle:  a.ae,
	}, m.Data)
	switch {
	case err == nil:
		return dimse.Success, ""
	case errors.Is(err, store.ErrFull):
		a.Log.Error("archive folder: disk full", "dir", a.dir)
		return dimse.OutOfResources, "archive folder: disk full"
	}
	a.Log.Error("archive folder: storing", "err", err)
	return dimse.ProcessingFailure, "archive folder: not stored"
}
