package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/finding"
	"cordon/inspect"
)

// gateway takes everything and inspects it: what a real one would hold is what
// the play calls hostile.
type gateway struct {
	mu            sync.Mutex
	clean, caught int
	held          map[dicom.UID]bool
}

func (g *gateway) serve(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			if err := g.associate(t.Context(), nc); err != io.EOF {
				t.Errorf("association: %v", err)
			}
			nc.Close()
		}
	}()
	return l.Addr().String()
}

func (g *gateway) associate(ctx context.Context, nc net.Conn) error {
	in, err := ul.Receive(ctx, nc, ul.Limits{})
	if err != nil {
		return err
	}
	a, err := in.Accept(in.Request.Respond(func(pc ul.ProposedContext) ul.AcceptedContext {
		return ul.AcceptedContext{TransferSyntax: pc.TransferSyntaxes[0]}
	}))
	if err != nil {
		return err
	}
	conn := dimse.NewConn(a)
	defer conn.Close()
	for {
		m, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		switch m.Command.Field {
		case dimse.CStoreRQ:
			if err = g.inspect(m); err == nil {
				err = conn.Respond(ctx, m, dimse.Command{}, nil)
			}
		case dimse.NActionRQ:
			err = g.commit(ctx, conn, m)
		}
		if err != nil {
			return err
		}
	}
}

// commit answers a request for storage commitment, and reports.
func (g *gateway) commit(ctx context.Context, conn *dimse.Conn, m *dimse.Message) error {
	a, err := commit.ReadAction(m.Data, m.Context.TransferSyntax)
	if err != nil {
		return err
	}
	r := commit.Report{TransactionUID: a.TransactionUID}
	g.mu.Lock()
	for _, ref := range a.References {
		if g.held[ref.SOPInstanceUID] {
			r.Failed = append(r.Failed, commit.Failure{Reference: ref, Reason: commit.ProcessingFailure})
		} else {
			r.Committed = append(r.Committed, ref)
		}
	}
	g.mu.Unlock()
	var info bytes.Buffer
	if err := r.Write(&info, m.Context.TransferSyntax); err != nil {
		return err
	}
	event := r.EventType()
	return errors.Join(conn.Respond(ctx, m, dimse.Command{}, nil), conn.Send(ctx, m.ContextID, dimse.Command{
		Field: dimse.NEventReportRQ, MessageID: conn.NextMessageID(), EventTypeID: &event,
		AffectedSOPClassUID: dicom.StorageCommitmentPushModel, AffectedSOPInstanceUID: dicom.StorageCommitmentPushModelInstance,
	}, &info))
}

func (g *gateway) inspect(m *dimse.Message) error {
	in := inspect.New(inspect.Options{Decoder: dicom.Options{TransferSyntax: m.Context.TransferSyntax}})
	if _, err := io.Copy(in, m.Data); err != nil {
		return err
	}
	out := in.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	if finding.Worst(out.Findings) > finding.Info || out.Fatal {
		g.caught++
		if g.held == nil {
			g.held = map[dicom.UID]bool{}
		}
		g.held[m.Command.AffectedSOPInstanceUID] = true
	} else {
		g.clean++
	}
	return nil
}

func TestCleanStudiesAreCleanAndHostileOnesAreNot(t *testing.T) {
	var g gateway
	rounds := len(threats)
	sum, err := Play(t.Context(), Config{Address: g.serve(t), Called: "CORDON", Rounds: rounds})
	if err != nil {
		t.Fatal(err)
	}
	if sum.Studies != rounds*len(cast) || sum.Failed != 0 || sum.Hostile != rounds {
		t.Errorf("%+v", sum)
	}
	if sum.Uncommitted != sum.Hostile || sum.Committed != sum.Stored-sum.Hostile {
		t.Errorf("commitment: %+v", sum)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.caught != sum.Hostile || g.clean != sum.Stored-sum.Hostile {
		t.Errorf("%d clean, %d caught of %+v", g.clean, g.caught, sum)
	}
}

func TestPlayWithoutAGatewayIsAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	sum, err := Play(t.Context(), Config{Address: l.Addr().String(), Called: "CORDON", Rounds: 1})
	if err == nil || sum.Stored != 0 || sum.Failed == 0 {
		t.Errorf("%+v, %v", sum, err)
	}
}

func TestPlayEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Play(ctx, Config{Address: "127.0.0.1:1", Called: "CORDON"}); err != nil {
		t.Error(err)
	}
}
