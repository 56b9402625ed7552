package gateway

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/ul"
	"cordon/store"
)

func (h *house) selfEcho(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return h.gateway.Echo(ctx, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(h.address)))
}

func TestOurOwnVerificationIsAnsweredAndLeavesNothing(t *testing.T) {
	h := start(t)
	before := len(h.records())
	for range 3 {
		if err := h.selfEcho(5 * time.Second); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range h.records()[before:] {
		if strings.HasPrefix(r.Kind, "association") {
			t.Errorf("on the ledger: %s", r.Kind)
		}
	}
}

// A crowd at the door is no reason to be taken for dead.
func TestOurOwnVerificationIsAnsweredInACrowd(t *testing.T) {
	h := start(t, func(c *Config) { c.MaxAssociations, c.ConnectionRate = 1, 1 })
	busy := h.modality()
	defer busy.Close()
	for range 2 * (burstSeconds + maxStandingEach) {
		if nc, err := net.Dial("tcp", h.address); err == nil { // else hung up on at once
			defer nc.Close()
		}
	}
	before := int64(-1) // of the crowd, once all of it is met
	eventually(t, "quiet at the door", func() bool {
		was := before
		before = int64(h.gateway.counts.rejected.Load())
		time.Sleep(100 * time.Millisecond)
		return was == before
	})
	for range 3 {
		if err := h.selfEcho(5 * time.Second); err != nil {
			t.Error(err)
		}
	}
	if n := int64(h.gateway.counts.rejected.Load()); n != before {
		t.Errorf("%d of them were turned away", n-before)
	}
}

func TestOurOwnVerificationFailsWhenNothingCanBeAnswered(t *testing.T) {
	h := start(t)
	release := make(chan struct{})
	hung := make(chan error, 1)
	go func() { // ends with release
		hung <- h.db.Update(context.Background(), func(*store.Tx) error { <-release; return nil })
	}()
	time.Sleep(50 * time.Millisecond)
	if err := h.selfEcho(time.Second); err == nil {
		t.Error("the writer hangs, and the verification was answered")
	}
	close(release)
	if err := <-hung; err != nil {
		t.Fatal(err)
	}
	if err := h.selfEcho(5 * time.Second); err != nil {
		t.Error(err)
	}
	h.stop()
	if err := h.selfEcho(time.Second); err == nil {
		t.Error("the gateway has stopped, and the verification was answered")
	}
}

// The title opens nothing: what counts is the connection.
func TestNobodyElseIsTheGateway(t *testing.T) {
	h := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	nc, err := net.Dial("tcp", h.address)
	if err != nil {
		t.Fatal(err)
	}
	a, err := ul.Associate(ctx, nc, ul.Request{Calling: selfTitle, Called: selfTitle, Contexts: []ul.ProposedContext{{AbstractSyntax: dicom.Verification, TransferSyntaxes: []dicom.UID{dicom.ImplicitVRLittleEndian}}}}, ul.Limits{})
	if err == nil {
		a.Close()
		t.Error("admitted by a title")
	}
}

func TestOwnListenerIsReached(t *testing.T) {
	for listen, want := range map[string]string{
		"0.0.0.0:104": "127.0.0.1:104", "[::]:104": "[::1]:104", "10.1.2.3:104": "10.1.2.3:104", "[fd00::1]:104": "[fd00::1]:104",
	} {
		if got := reachable(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(listen))); got != want {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
}
