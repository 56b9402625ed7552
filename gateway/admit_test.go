package gateway

import (
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"cordon/asset"
	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/policy"
	"cordon/store"
)

// startWith opens a house whose devices are a register's.
func startWith(t *testing.T, change func(*Config)) (*house, *asset.Register) {
	t.Helper()
	a := newScriptedArchive(t)
	c := config(a.address, change)
	var register *asset.Register
	h := open(t, t.TempDir(), c, func(h *house, p *Parts) {
		var err error
		if register, err = asset.Open(t.Context(), h.db, h.ledger, c.Site); err != nil {
			t.Fatal(err)
		}
		p.Observe, p.Devices = register.Observe, register.Devices
	})
	h.archive = a
	return h, register
}

// TestADecisionTakesEffectWithTheNextAssociation: a device that was refused is
// approved, then denied, while associations come and go.
func TestADecisionTakesEffectWithTheNextAssociation(t *testing.T) {
	h, register := startWith(t, func(c *Config) { c.Site.Unknown = policy.RefuseUnknown })
	if _, err := h.associate("NEW", "CORDON"); asRejection(t, err) != rejectCalling {
		t.Fatal(err)
	}
	by := custody.Request{By: "A. Able", Reason: "installed today"}
	if _, err := register.Approve(t.Context(), "new", asset.Approval{Request: by, Scope: asset.Scope{Refused: true}}); err != nil {
		t.Fatal(err)
	}
	c, err := h.associate("NEW", "CORDON")
	if err != nil {
		t.Fatalf("approved, and %v", err)
	}
	if status := send(t, c, newImage(t, nil)).Status; status != dimse.Success {
		t.Errorf("its object was answered %v", status)
	}
	if _, err := register.Deny(t.Context(), "new", by); err != nil {
		t.Fatal(err)
	}
	if _, err := h.associate("NEW", "CORDON"); asRejection(t, err) != rejectCalling {
		t.Errorf("denied, and %v", err)
	}
	var order []string
	for _, r := range h.records() {
		if slices.Contains([]string{"association.rejected", "device.approved", "association.begin", "device.denied"}, r.Kind) {
			order = append(order, r.Kind)
		}
	}
	if want := []string{"association.rejected", "device.approved", "association.begin", "device.denied", "association.rejected"}; !slices.Equal(order, want) {
		t.Errorf("the ledger has %q", order)
	}
	release(t, c)
}

// TestEachLimitHasItsRejection: what a modality sees, and the reason that the
// ledger has.
func TestEachLimitHasItsRejection(t *testing.T) {
	var device atomic.Pointer[policy.Device]
	a := newScriptedArchive(t)
	h := open(t, t.TempDir(), config(a.address, func(c *Config) {
		c.Site.Archives = append(c.Site.Archives, policy.Archive{Name: "vna", AETitle: "VNA"})
		c.Upstreams = append(c.Upstreams, Upstream{Name: "vna", AETitle: "VNA", Address: a.address})
	}), func(_ *house, p *Parts) {
		p.Devices = func() []policy.Device { return []policy.Device{*device.Load()} }
	})
	tomorrow := []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}[time.Now().Weekday()]
	hours, err := policy.ParseHours([]string{tomorrow})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		device policy.Device
		called dicom.AETitle
		want   ul.Rejection
		why    policy.Refusal
	}{
		{"denied", policy.Device{Denied: true}, "CORDON", rejectCalling, policy.Denied},
		{"TLS", policy.Device{TLSRequired: true}, "CORDON", rejectCalling, policy.NeedsTLS},
		{"certificate", policy.Device{Certificates: []policy.Fingerprint{{1}}}, "CORDON", rejectCalling, policy.WrongCertificate},
		{"implementation", policy.Device{Implementation: "1.2.3"}, "CORDON", rejectCalling, policy.WrongImplementation},
		{"user identity", policy.Device{UserIdentity: policy.IdentityRequire}, "CORDON", rejectCalling, policy.NoUserIdentity},
		{"archive", policy.Device{Archives: []string{"vna"}}, "PACS", rejectCalled, policy.ForeignArchive},
		{"hours", policy.Device{Hours: hours}, "CORDON", rejectNow, policy.OutsideHours},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.device.Name, c.device.AETitle = "ct-1", "CT1"
			device.Store(&c.device)
			if _, err := h.associate("CT1", c.called); asRejection(t, err) != c.want {
				t.Errorf("got %v", err)
			}
			all := h.recorded("association.rejected")
			if len(all) == 0 || all[len(all)-1]["refusal"] != c.why.String() {
				t.Errorf("the ledger has %v", all)
			}
		})
	}
}

// TestShadowRecordsAndLetsPass: what refuse would refuse passes, is on the
// ledger at a bounded rate, and is counted in full.
func TestShadowRecordsAndLetsPass(t *testing.T) {
	h, register := startWith(t, func(c *Config) {
		c.Site.Unknown = policy.ShadowUnknown
		c.Site.Devices = []policy.Device{{Name: "ct-1", AETitle: "CT1", May: []policy.Service{policy.ServiceEcho}}}
	})
	still(h.gateway.objections, netip.MustParseAddr("127.0.0.1"))
	c := h.modality()
	if status := send(t, c, newImage(t, nil)).Status; status != dimse.Success {
		t.Errorf("shadow answered %v", status)
	}
	release(t, c)
	const times = 40
	for range times {
		c, err := h.associate("NEW", "CORDON")
		if err != nil {
			t.Fatal(err)
		}
		release(t, c)
	}
	all := h.recorded("admission.would_refuse")
	if len(all) == 0 || len(all) > maxRefusals+1 {
		t.Errorf("%d records", len(all))
	}
	if first := all[0]; first["device"] != "ct-1" || first["reasons"].([]any)[0] != "store "+string(dicom.CTImageStorage)+": service not permitted" {
		t.Errorf("got %v", first)
	}
	if second := all[1]; second["reasons"].([]any)[0] != policy.UnknownDevice.String() {
		t.Errorf("got %v", second)
	}
	devices, err := register.List(context.Background())
	if err != nil || len(devices) != 2 || devices[0].WouldRefuse != 1 || devices[1].WouldRefuse != times {
		t.Errorf("got %+v, %v", devices, err)
	}
}

// TestMadeUpTitlesFillNoList: there is room for so many peers that nobody
// declared; one more is served and not listed, and displaces nobody.
func TestMadeUpTitlesFillNoList(t *testing.T) {
	h := start(t, func(c *Config) { c.Site.Devices = []policy.Device{{Name: "ct-1", AETitle: "CT1"}} })
	err := h.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			INSERT INTO gateway_peer (calling_ae, address, device, first_seen, last_seen) SELECT 'X' || i, '10.6.6.6', '', 0, ? FROM n`, maxPeers, time.Now().UnixMicro())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, title := range []dicom.AETitle{"NEW", "CT1"} {
		c, err := h.associate(title, "CORDON")
		if err != nil {
			t.Fatal(err)
		}
		release(t, c)
	}
	var learned, declared int
	err = h.db.View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FILTER (WHERE device = ''), COUNT(*) FILTER (WHERE device <> '') FROM gateway_peer`).Scan(&learned, &declared)
	})
	if err != nil || learned != maxPeers || declared != 1 {
		t.Errorf("%d learned, %d declared are listed, %v", learned, declared, err)
	}
	if err := h.gateway.forgetPeers(t.Context(), time.Now().Add(2*peerTerm)); err != nil {
		t.Fatal(err)
	}
	if st, err := h.gateway.Status(t.Context()); err != nil || len(st.Devices) != 1 {
		t.Errorf("%d devices are listed at last, %v", len(st.Devices), err)
	}
}
