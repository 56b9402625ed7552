package asset_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/asset"
	"cordon/custody"
	"cordon/dicom"
	"cordon/policy"
	"cordon/store"
)

// notebook is a journal that a test can read.
type notebook struct {
	kinds, bodies []string
	full          error
}

func (n *notebook) Append(_ *store.Tx, kind string, body any) error {
	text, err := json.Marshal(body)
	if err != nil || n.full != nil {
		return errors.Join(err, n.full)
	}
	n.kinds, n.bodies = append(n.kinds, kind), append(n.bodies, string(text))
	return nil
}

func (n *notebook) count(kind string) (count int) {
	for _, k := range n.kinds {
		if k == kind {
			count++
		}
	}
	return count
}

var twoArchives = policy.Site{
	AETitle: "CORDON", Unknown: policy.LearnUnknown,
	Archives: []policy.Archive{{Name: "pacs", AETitle: "PACS"}, {Name: "ris", AETitle: "RIS", Services: []policy.Service{policy.ServiceWorklist, policy.ServiceMPPS}}},
	Devices:  []policy.Device{{Name: "mr-1", AETitle: "MR1", Addresses: one("10.0.0.31")}},
}

func one(address string) []netip.Prefix {
	a := netip.MustParseAddr(address)
	return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}
}

type register struct {
	*asset.Register
	db      *store.DB
	journal *notebook
}

func open(t testing.TB, dir string, site policy.Site) *register {
	t.Helper()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{asset.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	r := &register{db: db, journal: &notebook{}}
	if r.Register, err = asset.Open(t.Context(), db, r.journal, site); err != nil {
		t.Fatal(err)
	}
	return r
}

func peer(title dicom.AETitle, address string) asset.Peer {
	return asset.Peer{Calling: title, Called: "CORDON", Address: netip.MustParseAddr(address), Implementation: "1.2.3", ImplementationVersion: "V1"}
}

// associates has a peer associate.
func (r *register) associates(p asset.Peer, at time.Time) {
	r.Observe(asset.Observation{At: at, Peer: p})
}

// stores has a peer store an object.
func (r *register) stores(p asset.Peer, at time.Time, class dicom.UID) {
	r.Observe(asset.Observation{At: at, Peer: p, Service: policy.ServiceStore, SOPClass: class, TransferSyntax: dicom.ExplicitVRLittleEndian, Archive: "pacs"})
}

func (r *register) all(t testing.TB) []asset.Device {
	t.Helper()
	all, err := r.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (r *register) show(t testing.TB, name string) asset.Detail {
	t.Helper()
	d, err := r.Show(t.Context(), name, asset.Scope{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func approval(by string) asset.Approval {
	return asset.Approval{Request: custody.Request{By: by, Reason: "as agreed"}}
}

func TestPeerIsLearnedApprovedDeniedAndApprovedAgain(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, twoArchives)
	now := time.Now()
	ct := peer("CT 1", "10.0.0.21")
	r.associates(ct, now)
	r.stores(ct, now, dicom.CTImageStorage)

	all := r.all(t)
	if len(all) != 2 || all[0].State != asset.Declared || all[1].State != asset.Learned || all[1].Name != "ct-1" || all[1].Associations != 1 || all[1].Requests != 1 {
		t.Fatalf("got %+v", all)
	}
	if n, err := r.Waiting(t.Context()); n != 1 || err != nil {
		t.Errorf("%d wait, %v", n, err)
	}
	if _, err := r.Approve(t.Context(), "ct-1", asset.Approval{}); !errors.Is(err, custody.ErrRequest) {
		t.Errorf("nobody approved: %v", err)
	}
	if _, err := r.Approve(t.Context(), "mr-1", approval("A. Able")); !errors.Is(err, asset.ErrDeclared) {
		t.Errorf("approving a declared device: %v", err)
	}
	if _, err := r.Deny(t.Context(), "nobody", custody.Request{By: "A", Reason: "b"}); !errors.Is(err, asset.ErrNotFound) {
		t.Errorf("denying nobody: %v", err)
	}

	a := approval("A. Able")
	a.Name = "CT-Room-1"
	d, err := r.Approve(t.Context(), "CT 1@10.0.0.21", a)
	if err != nil || d.Name != "CT-Room-1" || d.State != asset.Approved || d.DecidedBy != "A. Able" || d.Permissions == nil {
		t.Fatalf("got %+v, %v", d, err)
	}
	want := asset.Permissions{
		AETitle: "CT 1", Addresses: one("10.0.0.21"), May: []policy.Service{policy.ServiceStore},
		SOPClasses: []dicom.UID{dicom.CTImageStorage}, Archives: []string{"pacs"},
	}
	same(t, *d.Permissions, want)
	last := r.Devices()[len(r.Devices())-1]
	if last.Name != "CT-Room-1" || last.Denied || !slices.Equal(last.May, want.May) {
		t.Errorf("admission has %+v", last)
	}

	if d, err = r.Deny(t.Context(), "CT-Room-1", custody.Request{By: "B. Baker", Reason: "out of service"}); err != nil || d.State != asset.Denied {
		t.Fatalf("got %+v, %v", d, err)
	}
	again := open(t, dir, twoArchives)
	if last := again.Devices()[1]; !last.Denied || last.AETitle != "CT 1" {
		t.Errorf("after a restart, admission has %+v", last)
	}
	if d, err = again.Approve(t.Context(), "CT-Room-1", approval("A. Able")); err != nil || again.Devices()[1].Denied {
		t.Fatalf("got %+v, %v", d, err)
	}
	same(t, *d.Permissions, want)
	if got := strings.Join(r.journal.kinds, " "); got != "admission.learned device.approved device.denied" {
		t.Errorf("the journal has %s", got)
	}
	if body := r.journal.bodies[1]; !strings.Contains(body, `"by":["A. Able"]`) || !strings.Contains(body, `"was":"ct-1"`) || !strings.Contains(body, `"may":["store"]`) {
		t.Errorf("the journal has %s", body)
	}
}

func same(t testing.TB, got, want asset.Permissions) {
	t.Helper()
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	if string(g) != string(w) {
		t.Errorf("got  %s\nwant %s", g, w)
	}
}

// TestNothingIsDecidedUnlessTheJournalHasIt: what the ledger cannot take has no
// effect, now or at the next start.
func TestNothingIsDecidedUnlessTheJournalHasIt(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, twoArchives)
	r.associates(peer("US1", "10.0.0.40"), time.Now())
	r.all(t)
	r.journal.full = errors.New("disk full")
	if _, err := r.Approve(t.Context(), "us1", approval("A. Able")); !errors.Is(err, r.journal.full) {
		t.Errorf("got %v", err)
	}
	if n := len(r.Devices()); n != 1 {
		t.Errorf("%d devices", n)
	}
	if n := len(open(t, dir, twoArchives).Devices()); n != 1 {
		t.Errorf("%d devices after a restart", n)
	}
}

func TestTheConfigurationStandsAbove(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, policy.Site{})
	r.associates(peer("MR1", "10.0.0.31"), time.Now())
	a := approval("A. Able")
	a.Name = "mr-1"
	if _, err := r.Approve(t.Context(), "mr1", a); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, twoArchives) // which declares an mr-1
	if got := again.Devices(); len(got) != 1 || len(got[0].May) != 0 {
		t.Errorf("got %+v", got)
	}
	if _, err := again.Deny(t.Context(), "mr-1", custody.Request{By: "A", Reason: "b"}); !errors.Is(err, asset.ErrDeclared) {
		t.Errorf("got %v", err)
	}
}

// TestASpellingOfSeveralIsOfNone: nobody decides on the wrong one of two.
func TestASpellingOfSeveralIsOfNone(t *testing.T) {
	r := open(t, t.TempDir(), twoArchives)
	for _, p := range []asset.Peer{peer("MR1", "10.0.0.31"), peer("US3", "10.0.0.41"), peer("US3", "10.0.0.42")} {
		r.associates(p, time.Now())
		if _, err := r.List(t.Context()); err != nil { // written one after the other: the number in a name is the row's
			t.Fatal(err)
		}
	}
	rq := custody.Request{By: "A", Reason: "b"}
	if _, err := r.Deny(t.Context(), "Us3", rq); !errors.Is(err, asset.ErrNotFound) || !strings.Contains(err.Error(), "us3") {
		t.Errorf("one of two: %v", err)
	}
	for spelled, want := range map[string]string{"us3": "us3", "US3@10.0.0.42": "us3-3", "us3-3": "us3-3", "MR-1": "mr-1"} {
		if name, err := r.Name(t.Context(), spelled); err != nil || name != want {
			t.Errorf("%s is %q, want %q: %v", spelled, name, want, err)
		}
	}
	a := approval("A. Able")
	a.Name = "ultrasound"
	if _, err := r.Approve(t.Context(), "us3-3", a); err != nil {
		t.Fatal(err)
	}
	if name, err := r.Name(t.Context(), "us3-3"); err != nil || name != "ultrasound" {
		t.Errorf("by the name from before: %q, %v", name, err)
	}
}

// TestInventedTitlesFillNothing: a flood from one address, and from many,
// stops at its bounds; devices that are known go on being learned.
func TestInventedTitlesFillNothing(t *testing.T) {
	r := open(t, t.TempDir(), twoArchives)
	now := time.Now()
	known := peer("US1", "10.0.0.40")
	r.stores(known, now, dicom.UltrasoundImageStorage)
	r.all(t)
	fill(t, r.db, 3900)
	for i := range 700 {
		r.associates(peer(dicom.AETitle(fmt.Sprintf("X%d", i)), "10.6.6.6"), now)
		r.associates(peer(dicom.AETitle(fmt.Sprintf("X%d", i)), fmt.Sprintf("2001:db8::%x", i+1)), now)
		r.associates(peer("SAME", netip.AddrFrom4([4]byte{10, 7, byte(i >> 8), byte(i)}).String()), now)
		if i%200 == 0 {
			r.all(t)
		}
	}
	r.stores(known, now.Add(time.Minute), dicom.UltrasoundImageStorage)
	mr := peer("MR1", "10.0.0.31")
	mr.Device = "mr-1"
	r.stores(mr, now, dicom.MRImageStorage)
	all := r.all(t)
	if len(all) < 4000 || len(all) > 4096+2 {
		t.Errorf("%d devices are kept", len(all))
	}
	for _, start := range []string{"10.6.6.6", "2001:db8::"} {
		n := 0
		for _, d := range all {
			if len(d.Addresses) > 0 && strings.HasPrefix(d.Addresses[0], start) {
				n++
			}
		}
		if n == 0 || n > 32 {
			t.Errorf("%d of %s are kept", n, start)
		}
	}
	if d := r.show(t, "us1"); d.Requests != 2 {
		t.Errorf("the known device has %d requests", d.Requests)
	}
	if d := r.show(t, "mr-1"); d.Requests != 1 {
		t.Errorf("the declared device has %d requests", d.Requests)
	}
	if n := r.journal.count("admission.learned"); n > 200 {
		t.Errorf("%d on the ledger", n)
	}
}

// fill makes so many peers that nobody declared.
func fill(t *testing.T, db *store.DB, n int) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			INSERT INTO asset_peer (name, calling_ae, address, network, certificate, subject, device, first_seen, last_seen, associations)
			SELECT 'old-' || i, 'OLD', '10.200.' || i, '10.200.' || i, '', '', '', 0, 0, 1 FROM n`, n)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestOnePeerFillsNothing: what one peer does is kept up to a bound of each
// kind; the rest is counted.
func TestOnePeerFillsNothing(t *testing.T) {
	r := open(t, t.TempDir(), twoArchives)
	us := peer("US1", "10.0.0.40")
	for i := range 300 {
		r.stores(us, time.Now(), dicom.UID(fmt.Sprintf("1.2.3.%d", i)))
		us.ImplementationVersion = fmt.Sprintf("V%d\x00\n and a long text of its own", i)
		r.associates(us, time.Now())
		if i%100 == 0 {
			r.all(t)
		}
	}
	d := r.show(t, "us1")
	of := map[asset.Kind]int{}
	for _, u := range d.Uses {
		of[u.Kind]++
		if len(u.Value) > 64 || strings.ContainsAny(u.Value, "\x00\n") {
			t.Errorf("kept %q", u.Value)
		}
	}
	if of[asset.SOPClass] != 64 || of[asset.Version] != 16 || d.Untold == 0 || d.Requests != 300 {
		t.Errorf("got %v, %d untold, %d requests", of, d.Untold, d.Requests)
	}
}

func TestUnusedPermissions(t *testing.T) {
	site := twoArchives
	site.Devices = []policy.Device{{
		Name: "ct-1", AETitle: "CT1", May: []policy.Service{policy.ServiceStore, policy.ServiceQuery, policy.ServiceCommit},
		SOPClasses: []dicom.UID{dicom.CTImageStorage, dicom.SecondaryCaptureImageStorage}, MoveTo: []dicom.AETitle{"WS"},
		Archive: "pacs", Port: 104, Monitor: true,
	}}
	r := open(t, t.TempDir(), site)
	ct := peer("CT1", "10.0.0.21")
	ct.Device = "ct-1"
	long := time.Now().Add(-200 * 24 * time.Hour)
	r.Observe(asset.Observation{At: long, Peer: ct, Service: policy.ServiceQuery, SOPClass: dicom.StudyRootQueryRetrieveInformationModelFind, Archive: "pacs"})
	r.stores(ct, time.Now(), dicom.CTImageStorage)
	d := r.show(t, "ct-1")
	var got []string
	for _, u := range d.Unused {
		got = append(got, fmt.Sprintf("%s %s %v", u.Kind, u.Value, u.LastSeen.IsZero()))
	}
	want := []string{"service query false", "service commit true", "sop_class " + string(dicom.SecondaryCaptureImageStorage) + " true", "archive ris true", "destination WS true"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	same(t, d.Proposal, asset.Permissions{
		AETitle: "CT1", Addresses: one("10.0.0.21"), May: []policy.Service{policy.ServiceStore}, SOPClasses: []dicom.UID{dicom.CTImageStorage},
		Archives: []string{"pacs"}, Archive: "pacs", Port: 104, Monitor: true,
	})
}

// TestWhatRefuseTurnedAway: a peer that was refused is listed, and an approval
// may give it what it asked for.
func TestWhatRefuseTurnedAway(t *testing.T) {
	r := open(t, t.TempDir(), twoArchives)
	now := time.Now()
	r.Observe(asset.Observation{At: now, Peer: peer("NEW", "10.0.0.77"), Refusal: policy.UnknownDevice, Asked: []dicom.UID{dicom.CTImageStorage, dicom.Verification, "not a UID"}})
	all := r.all(t)
	if last := all[len(all)-1]; last.State != asset.Rejected || last.Refused != 1 || last.Associations != 0 {
		t.Fatalf("got %+v", last)
	}
	if n, _ := r.Waiting(t.Context()); n != 0 {
		t.Errorf("%d wait", n)
	}
	same(t, r.show(t, "new").Proposal, asset.Permissions{AETitle: "NEW", Addresses: one("10.0.0.77"), May: []policy.Service{policy.ServiceEcho}})
	a := approval("A. Able")
	a.Refused = true
	d, err := r.Approve(t.Context(), "new", a)
	if err != nil {
		t.Fatal(err)
	}
	same(t, *d.Permissions, asset.Permissions{
		AETitle: "NEW", Addresses: one("10.0.0.77"), May: []policy.Service{policy.ServiceEcho, policy.ServiceStore}, SOPClasses: []dicom.UID{dicom.CTImageStorage},
	})
}

// TestARefusedMoveIsNoUse: a destination that was refused is not learned as one
// that is needed, unless somebody asks for it.
func TestARefusedMoveIsNoUse(t *testing.T) {
	r := open(t, t.TempDir(), policy.Site{})
	ws := peer("WS", "10.0.0.90")
	r.Observe(asset.Observation{At: time.Now(), Peer: ws, Service: policy.ServiceRetrieve, SOPClass: dicom.StudyRootQueryRetrieveInformationModelMove, Destination: "WS"})
	r.Observe(asset.Observation{At: time.Now(), Peer: ws, Service: policy.ServiceRetrieve, Refused: []policy.Objection{{Service: policy.ServiceRetrieve, Destination: "THIEF"}}})
	want := asset.Permissions{AETitle: "WS", Addresses: one("10.0.0.90"), May: []policy.Service{policy.ServiceRetrieve}}
	if d := r.show(t, "ws"); d.Requests != 1 {
		t.Errorf("%d requests", d.Requests)
	}
	same(t, r.show(t, "ws").Proposal, want)
	d, err := r.Show(t.Context(), "ws", asset.Scope{Refused: true})
	if err != nil {
		t.Fatal(err)
	}
	want.MoveTo = []dicom.AETitle{"THIEF", "WS"}
	same(t, d.Proposal, want)
}

// TestAnArchiveThatIsGoneIsNotProposed: a device whose archives the
// configuration no longer has is approved anew with those that there are.
func TestAnArchiveThatIsGoneIsNotProposed(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, twoArchives)
	r.stores(peer("CT1", "10.0.0.21"), time.Now(), dicom.CTImageStorage)
	if d, err := r.Approve(t.Context(), "ct1", approval("A. Able")); err != nil || !slices.Equal(d.Permissions.Archives, []string{"pacs"}) {
		t.Fatalf("got %+v, %v", d.Permissions, err)
	}
	site := twoArchives
	site.Archives = []policy.Archive{{Name: "new"}, {Name: "ris"}}
	d, err := open(t, dir, site).Approve(t.Context(), "ct1", approval("A. Able"))
	if err != nil || d.Permissions.Archives != nil {
		t.Errorf("got %+v, %v", d.Permissions, err)
	}
}

// TestAfterADayTheLeastSetIsOnTheLedger: once for each peer that waits.
func TestAfterADayTheLeastSetIsOnTheLedger(t *testing.T) {
	r := open(t, t.TempDir(), twoArchives)
	yesterday := time.Now().Add(-25 * time.Hour)
	r.associates(peer("CT1", "10.0.0.21"), yesterday)
	r.stores(peer("CT1", "10.0.0.21"), time.Now(), dicom.CTImageStorage)
	r.associates(peer("US1", "10.0.0.40"), time.Now())
	mr := peer("MR1", "10.0.0.31")
	mr.Device = "mr-1"
	r.associates(mr, yesterday)
	r.all(t)
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { r.Run(ctx, slog.New(slog.DiscardHandler)) })
		for proposed := 0; proposed == 0; time.Sleep(time.Millisecond) {
			err := r.db.View(t.Context(), func(tx *store.Tx) error {
				return tx.QueryRow(`SELECT COUNT(*) FROM asset_peer WHERE proposed > 0`).Scan(&proposed)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		running.Wait()
	}
	if n := r.journal.count("device.proposed"); n != 1 {
		t.Errorf("%d proposals", n)
	}
	if last := r.journal.bodies[len(r.journal.bodies)-1]; !strings.Contains(last, `"device":"ct1"`) || !strings.Contains(last, `"may":["store"]`) {
		t.Errorf("proposed %s", last)
	}
}

func TestRunWritesBeforeItEnds(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, twoArchives)
	r.associates(peer("US1", "10.0.0.40"), time.Now())
	stop(t, r)
	if all := open(t, dir, twoArchives).all(t); len(all) != 2 {
		t.Errorf("got %+v", all)
	}
}
