package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/policy"
)

// led is a house whose further listener stands for where connections are led to: on
// 127.0.0.1 the address that devices call is the connection's own, as it is by
// TPROXY.
func led(t *testing.T, change func(*Transparent), config ...func(*Config)) (h *house, called string, alarms chan bool) {
	t.Helper()
	h = start(t, config...)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	alarms = make(chan bool, 10)
	at := netip.MustParseAddrPort(l.Addr().String())
	tr := Transparent{
		Archive: func(a netip.AddrPort) (string, bool) { return "pacs", a == at },
		TLS: func(_ context.Context, _ string, _ netip.Addr, archive string, passed bool) {
			if archive == "pacs" {
				alarms <- passed
			}
		},
	}
	if change != nil {
		change(&tr)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- h.gateway.ServeTransparent(ctx, l, tr) }() // ends with ctx
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return h, l.Addr().String(), alarms
}

// The archive is the one whose address was called, whatever title the device wrote:
// and it sees that title.
func TestTheCalledAddressChoosesTheArchive(t *testing.T) {
	h, called, _ := led(t, nil)
	h.address = called
	c, err := h.associate("CT1", "OLD_PACS")
	if err != nil {
		t.Fatal(err)
	}
	im := newImage(t, nil)
	if rsp := send(t, c, im); rsp.Status != 0 || !h.archive.holds(im) {
		t.Errorf("status %04XH, in the archive: %t", uint16(rsp.Status), h.archive.holds(im))
	}
	release(t, c)
	h.archive.mu.Lock()
	defer h.archive.mu.Unlock()
	if rq := h.archive.requests[0]; rq.Called != "OLD_PACS" || rq.Calling != "CT1" {
		t.Errorf("the archive was called as %q by %q", rq.Called, rq.Calling)
	}
}

// What is judged does not depend on the way that it came by.
func TestWhatIsLedHereIsJudged(t *testing.T) {
	h, called, _ := led(t, nil)
	h.address = called
	c, err := h.associate("CT1", "PACS")
	if err != nil {
		t.Fatal(err)
	}
	im := newImage(t, []byte(eicar))
	if rsp := send(t, c, im); rsp.Status != 0 {
		t.Errorf("status %04XH", uint16(rsp.Status))
	}
	if h.archive.holds(im) || len(h.recorded("object.held")) != 1 {
		t.Error("not held")
	}
}

func TestNobodysAddressIsHungUpOn(t *testing.T) {
	h, called, _ := led(t, func(tr *Transparent) {
		tr.Archive = func(netip.AddrPort) (string, bool) { return "", false }
	})
	h.address = called
	if c, err := h.associate("CT1", "PACS"); err == nil {
		c.Close()
		t.Error("admitted")
	}
	if len(h.recorded("association.failed")) != 1 {
		t.Error("not on the ledger")
	}
}

// Objects of one device never go to the archive over an association under the
// address of another, and a device's own is used again.
func TestEachDeviceIsSeenUnderItsOwnAddress(t *testing.T) {
	var dialled []netip.Addr
	h, called, _ := led(t, func(tr *Transparent) {
		tr.DialFrom = func(ctx context.Context, from netip.Addr, address string) (net.Conn, error) {
			dialled = append(dialled, from)
			d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
			return d.DialContext(ctx, "tcp", address)
		}
	})
	storage := implicitly(1, dicom.CTImageStorage)
	from := func(address string) {
		t.Helper()
		h.address = called
		if address == "" {
			h.address = h.gatewayAddress(t)
		}
		c, err := h.associate("CT1", "PACS", storage)
		if err != nil {
			t.Fatal(err)
		}
		release(t, c)
	}
	from("led")
	h.settled(1) // a released session's association waits a moment after its answer
	from("led")
	h.settled(1)
	from("")
	h.settled(2)
	if len(dialled) != 1 || dialled[0] != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("dialled under %v", dialled)
	}
}

// gatewayAddress is that of the house's ordinary listener.
func (h *house) gatewayAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	go h.gateway.Serve(ctx, l) // ends with the test
	t.Cleanup(stop)
	return l.Addr().String()
}

// Nothing can be judged in what is encrypted: it ends, or passes, as the site says,
// and somebody is told.
func TestEncryptedConnections(t *testing.T) {
	for _, pass := range []bool{false, true} {
		var seen []byte
		done := make(chan struct{})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() { // ends with its connection, or with l
			defer close(done)
			nc, err := l.Accept()
			if err != nil {
				return
			}
			defer nc.Close()
			seen = make([]byte, 5)
			io.ReadFull(nc, seen)
			nc.Write([]byte("answer"))
		}()
		h, called, alarms := led(t, func(tr *Transparent) {
			tr.PassTLS = pass
			tr.DialFrom = func(ctx context.Context, _ netip.Addr, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "tcp", l.Addr().String())
			}
		})
		nc, err := net.Dial("tcp", called)
		if err != nil {
			t.Fatal(err)
		}
		nc.SetDeadline(time.Now().Add(10 * time.Second))
		client := tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
		client.Handshake() // what answers is no server; its hello has arrived
		nc.Close()
		select {
		case passed := <-alarms:
			if passed != pass {
				t.Errorf("passed: %t", passed)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nobody was told")
		}
		if pass {
			<-done
			if !bytes.HasPrefix(seen, []byte{22, 3}) {
				t.Errorf("the archive saw % x", seen)
			}
		} else {
			l.Close()
			<-done
			if seen != nil {
				t.Errorf("the archive saw % x", seen)
			}
		}
		eventually(t, "the record", func() bool {
			all := h.recorded("transparent.encrypted")
			return len(all) == 1 && all[0]["passed"] == pass && all[0]["archive"] == "pacs"
		})
	}
}

// The device's permissions hold on this way too.
func TestADeviceCallsOnlyItsArchives(t *testing.T) {
	h, called, _ := led(t, nil, func(c *Config) {
		c.Site.Devices = []policy.Device{{Name: "ct1", AETitle: "CT1", Archives: []string{"other"}}}
	})
	h.address = called
	_, err := h.associate("CT1", "ANY")
	if r := asRejection(t, err); r.Reason != rejectCalled.Reason {
		t.Error(r)
	}
}
