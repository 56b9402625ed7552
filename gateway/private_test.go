package gateway

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/policy"
)

// An archive that is part of the process sends objects to devices, judged as any
// other's; under another title it is nobody.
func TestPrivateArchiveSendsToDevices(t *testing.T) {
	device := newScriptedPeer(t, nil)
	h := behind(t, newScriptedPeer(t, nil), func(c *Config) {
		c.Site.Archives[0].Addresses = nil
		c.Site.Devices = append(c.Site.Devices, policy.Device{Name: "ws-1", AETitle: "WS1", Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Port: device.port()})
	})
	l, err := net.Listen("unix", t.TempDir()+"/private")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { h.gateway.ServeArchive(ctx, "pacs", l) })
	defer func() { cancel(); running.Wait() }()
	call := func(calling dicom.AETitle) (*dimse.Conn, error) {
		nc, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		as, err := ul.Associate(t.Context(), nc, ul.Request{Calling: calling, Called: "WS1", Contexts: []ul.ProposedContext{explicitly(3, dicom.CTImageStorage)}}, ul.Limits{})
		if err != nil {
			return nil, err
		}
		return dimse.NewConn(as), nil
	}
	c, err := call("PACS")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	clean, hostile := newImage(t, nil), newImage(t, []byte(eicar))
	if rsp := send(t, c, clean); rsp.Status != dimse.Success {
		t.Errorf("%+v", rsp)
	}
	if rsp := send(t, c, hostile); rsp.Status != statusHeldOut {
		t.Errorf("%+v", rsp)
	}
	if got := device.received(); len(got) != 1 || !bytes.Equal(got[0].data, clean.data) {
		t.Errorf("%d messages to the device", len(got))
	}
	if _, err := call("CT1"); err == nil {
		t.Error("another title was let in")
	}
}
