package asset_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/asset"
	"cordon/custody"
	"cordon/dicom"
	"cordon/policy"
	"cordon/store"
)

// TestInventedNamesStopNoLearning: titles that are chosen so that the names made
// from them meet keep nothing from being learned, and nobody from deciding.
func TestInventedNamesStopNoLearning(t *testing.T) {
	site := twoArchives
	site.Devices = []policy.Device{{Name: "us1-5", AETitle: "US1-5", Addresses: one("10.0.0.44")}}
	r := open(t, t.TempDir(), site)
	for _, title := range []dicom.AETitle{"A-3", "A", "a", "a?", "US1", "us1"} {
		r.associates(peer(title, "10.6.6.6"), time.Now())
		r.all(t)
	}
	var names []string
	for _, d := range r.all(t) {
		names = append(names, d.Name)
	}
	slices.Sort(names)
	if len(names) != 7 || len(slices.Compact(names)) != 7 {
		t.Errorf("got %q", names)
	}
}

// TestADecisionDoesNotStandBesideADeclaredDevice: a device that was approved
// under one name and is declared under another now has to show what the
// configuration asks for.
func TestADecisionDoesNotStandBesideADeclaredDevice(t *testing.T) {
	dir := t.TempDir()
	site := twoArchives
	site.Devices = nil
	r := open(t, dir, site)
	for _, at := range []string{"10.0.0.21", "10.0.0.22"} {
		r.associates(peer("CT1", at), time.Now())
		r.all(t)
	}
	for _, name := range []string{"ct1", "ct1-2"} {
		if _, err := r.Approve(t.Context(), name, approval("A. Able")); err != nil {
			t.Fatal(err)
		}
	}

	site.Devices = []policy.Device{{Name: "ct-room-1", AETitle: "CT1", Addresses: one("10.0.0.21"), Certificates: []policy.Fingerprint{{1}}}}
	again := open(t, dir, site)
	site.Devices = again.Devices()
	plain := policy.Association{Address: one("10.0.0.21")[0].Addr(), Calling: "CT1", Called: "CORDON"}
	if got := site.Admit(plain); got.Refusal != policy.WrongCertificate {
		t.Errorf("admitted as %q without its certificate", got.Device)
	}
	plain.Address = one("10.0.0.22")[0].Addr()
	if got := site.Admit(plain); got.Device != "ct1-2" {
		t.Errorf("the other scanner: %+v", got)
	}
	if d := again.show(t, "ct1"); d.State != asset.Superseded {
		t.Errorf("it is shown as %s", d.State)
	}
	if _, err := again.Approve(t.Context(), "ct1", approval("A. Able")); !errors.Is(err, asset.ErrDeclared) {
		t.Errorf("approved: %v", err)
	}
	if _, err := again.Deny(t.Context(), "ct1", custody.Request{By: "A. Able", Reason: "sold"}); !errors.Is(err, asset.ErrDeclared) {
		t.Errorf("denied: %v", err)
	}
}

// TestASpareThatWasTurnedAwayIsApprovedAsItWas: a device that did nothing for
// long but to be refused gets again what it had, not less, and at any hour.
func TestASpareThatWasTurnedAwayIsApprovedAsItWas(t *testing.T) {
	r := open(t, t.TempDir(), twoArchives)
	spare, long := peer("DX9", "10.0.0.99"), time.Now().Add(-170*24*time.Hour)
	r.associates(spare, long)
	r.stores(spare, long, dicom.DigitalXRayImageStorageForPresentation)
	first := approval("A. Able")
	first.Hours, first.Implementation = true, true
	before, err := r.Approve(t.Context(), "dx9", first)
	if err != nil || len(before.Permissions.Hours) == 0 || before.Permissions.Implementation == "" {
		t.Fatalf("got %+v, %v", before.Permissions, err)
	}
	r.age(t, 30*24*time.Hour)
	if _, err := r.Deny(t.Context(), "dx9", custody.Request{By: "A. Able", Reason: "in the store room"}); err != nil {
		t.Fatal(err)
	}
	spare.Device = "dx9"
	r.Observe(asset.Observation{At: time.Now(), Peer: spare, Refusal: policy.Denied, Asked: []dicom.UID{dicom.Verification}})
	after, err := r.Approve(t.Context(), "dx9", approval("A. Able"))
	if err != nil {
		t.Fatal(err)
	}
	want := *before.Permissions
	want.Hours, want.Implementation = nil, ""
	same(t, *after.Permissions, want)
}

// TestTheBlockOfADeclaredDeviceKeepsItsPort: what is shown for the
// configuration says of the port what the configuration says.
func TestTheBlockOfADeclaredDeviceKeepsItsPort(t *testing.T) {
	site := twoArchives
	site.Devices = []policy.Device{{Name: "ws-1", AETitle: "WS1", Addresses: one("10.0.0.90"), Port: 2762, PortTLS: true}}
	r := open(t, t.TempDir(), site)
	if d := r.show(t, "ws-1"); !d.Proposal.PortTLS || !d.Permissions.PortTLS {
		t.Errorf("got %+v", d)
	}
}

// age makes everything that was seen so much older.
func (r *register) age(t *testing.T, by time.Duration) {
	t.Helper()
	err := r.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE asset_use SET first_seen = first_seen - ?1, last_seen = last_seen - ?1`, by.Microseconds())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestWhatIsAskedForIsBounded: SOP classes that a refused peer makes up, a
// hundred in each association, wait for the next write up to the same bound
// under which they are written.
func TestWhatIsAskedForIsBounded(t *testing.T) {
	r := open(t, t.TempDir(), twoArchives)
	for k := range 5 {
		o := asset.Observation{At: time.Now(), Peer: peer("NEW", "10.6.6.6"), Refusal: policy.UnknownDevice}
		for j := range 100 {
			o.Asked = append(o.Asked, dicom.UID(fmt.Sprintf("1.2.%d.%d", k, j)))
		}
		r.Observe(o)
	}
	asked, d := 0, r.show(t, "new")
	for _, u := range d.Uses {
		if u.Kind == asset.Asked {
			asked++
		}
	}
	if asked != 64 || d.Untold != 500-64 || d.Refused != 5 {
		t.Errorf("%d asked for, %d untold, %d refused", asked, d.Untold, d.Refused)
	}
}

// TestAFullRegisterIsSaid: a device that finds no room is missing from the list,
// and would be refused one day; somebody has to hear of it.
func TestAFullRegisterIsSaid(t *testing.T) {
	r := open(t, t.TempDir(), twoArchives)
	fill(t, r.db, 4096)
	r.associates(peer("CT9", "10.0.0.29"), time.Now())
	var said strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Run(ctx, slog.New(slog.NewTextHandler(&said, nil))); err != nil {
		t.Fatal(err)
	}
	if n := len(r.all(t)); n != 4096+1 || !strings.Contains(said.String(), "no room to learn of more devices") {
		t.Errorf("%d devices, and the log says %q", n, said.String())
	}
}

// TestAnAssociationFromBeforeTheDecision: what a device goes on doing in an
// association that began before it was approved is its own, and no new peer that
// waits for a decision.
func TestAnAssociationFromBeforeTheDecision(t *testing.T) {
	r := open(t, t.TempDir(), twoArchives)
	ct := peer("CT1", "10.0.0.21")
	r.associates(ct, time.Now())
	r.stores(ct, time.Now(), dicom.CTImageStorage)
	a := approval("A. Able")
	a.Name = "ct-room-1"
	if _, err := r.Approve(t.Context(), "ct1", a); err != nil {
		t.Fatal(err)
	}
	r.stores(ct, time.Now(), dicom.CTImageStorage)
	if all := r.all(t); len(all) != 2 || all[1].Name != "ct-room-1" || all[1].Requests != 2 {
		t.Errorf("got %+v", all)
	}
	if n, err := r.Waiting(t.Context()); n != 0 || err != nil {
		t.Errorf("%d wait, %v", n, err)
	}
}
