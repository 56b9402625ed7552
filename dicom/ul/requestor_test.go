package ul

import (
	"context"
	"cordon/dicom"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Whatever is negotiated reaches both sides as it was meant.
func TestNegotiationReachesBothSides(t *testing.T) {
	noLeaks(t)
	rq := rqWant
	rq.Contexts = nil
	for range 128 {
		rq.Contexts = append(rq.Contexts, ProposedContext{AbstractSyntax: verification, TransferSyntaxes: []dicom.UID{explicit, implicit}})
	}
	answer := Response{
		Roles: rq.Roles, Async: &AsyncWindow{1, 1}, Extended: rq.Extended,
		UserIdentity: &UserIdentityResponse{[]byte("ticket")},
	}
	address := serve(t, func(nc net.Conn) {
		i, err := Receive(context.Background(), nc, Limits{MaxPDULength: 65536})
		if err != nil {
			t.Error(err)
			return
		}
		got := i.Request
		if len(got.Contexts) != 128 || got.MaxPDULength != 32768 {
			t.Errorf("%d contexts, maximum length %d", len(got.Contexts), got.MaxPDULength)
		}
		if !reflect.DeepEqual([]any{got.Roles, got.Async, got.Extended, *got.UserIdentity, got.Unknown},
			[]any{rq.Roles, rq.Async, rq.Extended, *rq.UserIdentity, rq.Unknown}) {
			t.Errorf("received %+v", got)
		}
		rs := answer
		rs.Contexts = got.Respond(func(p ProposedContext) AcceptedContext {
			if p.ID > 101 {
				return AcceptedContext{Result: UserRejection}
			}
			return AcceptedContext{TransferSyntax: implicit}
		}).Contexts[:100]
		a, err := i.Accept(rs)
		if err != nil {
			t.Error(err)
			return
		}
		readAll(a)
		a.Close()
	})
	a, err := Dial(t.Context(), address, nil, rq, Limits{MaxPDULength: 32768})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	got := a.Response()
	if !reflect.DeepEqual([]any{got.Roles, got.Async, got.Extended, *got.UserIdentity}, []any{answer.Roles, answer.Async, answer.Extended, *answer.UserIdentity}) {
		t.Errorf("answered %+v", got)
	}
	if len(got.Contexts) != 128 || got.Contexts[99].Result != UserRejection || got.Contexts[100].Result != NoReason || a.PeerMaxPDU() != 65536 {
		t.Errorf("%d contexts, maximum length %d", len(got.Contexts), a.PeerMaxPDU())
	}
	used := a.Contexts()
	if len(used) != 51 || used[50] != (Context{101, verification, implicit}) {
		t.Errorf("%d contexts in use, last %+v", len(used), used[len(used)-1])
	}
	if err := a.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestDialChecksTheAnswer(t *testing.T) {
	for name, c := range map[string]AcceptedContext{
		"context never proposed":         {9, Acceptance, implicit},
		"transfer syntax never proposed": {1, Acceptance, explicit},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			address := serve(t, func(nc net.Conn) {
				defer nc.Close()
				peer := script{t, nc}
				peer.pdu()
				ac := acWant
				ac.Contexts = []AcceptedContext{c}
				b, err := encodeResponse(&ac)
				if err != nil {
					t.Error(err)
				}
				peer.Write(b)
				peer.expect(encodeAbort(Abort{AbortSourceProvider, AbortInvalidParameterValue}))
			})
			if _, err := Dial(t.Context(), address, nil, testRequest, quick); err == nil {
				t.Error("established")
			}
		})
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	noLeaks(t)
	address := serve(t, func(nc net.Conn) { io.Copy(io.Discard, nc); nc.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, address, nil, testRequest, Limits{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestDialChecksItsRequest(t *testing.T) {
	for name, contexts := range map[string][]ProposedContext{
		"none":     nil,
		"even":     {{2, verification, testRequest.Contexts[0].TransferSyntaxes}},
		"twice":    {{3, verification, testRequest.Contexts[0].TransferSyntaxes}, {3, verification, testRequest.Contexts[0].TransferSyntaxes}},
		"empty":    {{1, verification, nil}},
		"too many": make([]ProposedContext, 129),
	} {
		if _, err := Dial(t.Context(), "127.0.0.1:1", nil, Request{Contexts: contexts}, quick); err == nil || strings.Contains(err.Error(), "dial") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
