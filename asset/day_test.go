package asset_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"cordon/asset"
	"cordon/dicom"
	"cordon/policy"
)

func stop(t testing.TB, r *register) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Run(ctx, slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
		t.Fatal(err)
	}
}

// habit is what one device of a made-up hospital does all day.
type habit struct {
	peer     asset.Peer
	from, to int // hours of the day
	contexts []policy.Context
	moves    []dicom.AETitle
}

var hospital = []habit{
	{peer: peer("CT1", "10.1.0.21"), from: 7, to: 19, contexts: proposed(dicom.Verification, dicom.CTImageStorage, dicom.SecondaryCaptureImageStorage,
		dicom.StorageCommitmentPushModel, dicom.ModalityWorklistInformationModelFind, dicom.ModalityPerformedProcedureStep)},
	{peer: peer("US", "10.1.0.41"), from: 8, to: 17, contexts: proposed(dicom.UltrasoundImageStorage, dicom.UltrasoundMultiFrameImageStorage, dicom.ModalityWorklistInformationModelFind)},
	{peer: peer("US", "10.1.0.42"), from: 8, to: 17, contexts: proposed(dicom.UltrasoundImageStorage)},
	{peer: secured(peer("READ1", "10.1.0.80")), from: 6, to: 22, contexts: proposed(dicom.StudyRootQueryRetrieveInformationModelFind, dicom.StudyRootQueryRetrieveInformationModelMove),
		moves: []dicom.AETitle{"READ1", "READ2"}},
}

func proposed(classes ...dicom.UID) (out []policy.Context) {
	for i, c := range classes {
		out = append(out, policy.Context{ID: uint8(2*i + 1), AbstractSyntax: c})
	}
	return out
}

func secured(p asset.Peer) asset.Peer {
	p.TLS = true
	p.Certificate = &policy.Peer{Fingerprint: policy.Fingerprint{1}, Subject: "CN=read1"}
	return p
}

// association is what policy is asked about a habit at a time.
func (h habit) association(at time.Time) policy.Association {
	return policy.Association{
		Address: h.peer.Address, TLS: h.peer.TLS, Certificate: h.peer.Certificate, Calling: h.peer.Calling, Called: h.peer.Called,
		Implementation: h.peer.Implementation, At: policy.WallClock{Day: int(at.Weekday()), Hour: at.Hour(), Minute: at.Minute()}, Contexts: h.contexts,
	}
}

// live has a hospital work for a day under a site's admission, and returns how
// many associations, contexts and moves were refused.
func live(r *register, site policy.Site, day time.Time, habits []habit) (refused int) {
	random := rand.New(rand.NewPCG(7, 7))
	for minute := 0; minute < 24*60; minute += 10 {
		at := day.Add(time.Duration(minute) * time.Minute)
		for _, h := range habits {
			if at.Hour() < h.from || at.Hour() >= h.to {
				continue
			}
			site.Devices = r.Devices()
			ad := site.Admit(h.association(at))
			p := h.peer
			p.Device = ad.Device
			if ad.Refusal != policy.NotRefused {
				refused++
				r.Observe(asset.Observation{At: at, Peer: p, Refusal: ad.Refusal})
				continue
			}
			refused += use(r, h, ad, p, at, random)
		}
	}
	return refused
}

// use has an admitted habit use each of its contexts, or be refused it.
func use(r *register, h habit, ad policy.Admission, p asset.Peer, at time.Time, random *rand.Rand) (refused int) {
	associated := asset.Observation{At: at, Peer: p, WouldRefuse: ad.WouldRefuse}
	for i, g := range ad.Contexts {
		class := h.contexts[i].AbstractSyntax
		if g.Reason != policy.Granted {
			refused++
			associated.Refused = append(associated.Refused, policy.Objection{Context: g.ID, Reason: g.Reason, Service: policy.ServiceOf(class), SOPClass: class})
			continue
		}
		o := asset.Observation{At: at, Peer: p, Service: g.Service, SOPClass: class, TransferSyntax: dicom.ExplicitVRLittleEndian, Archive: g.Archive}
		if class == dicom.StudyRootQueryRetrieveInformationModelMove {
			o.Destination = h.moves[random.IntN(len(h.moves))]
			may, why := ad.MayMove(o.Destination)
			if !may {
				refused++
				continue
			}
			if why != nil {
				o.WouldRefuse = append(o.WouldRefuse, *why)
			}
		}
		r.Observe(o)
	}
	r.Observe(associated)
	return refused
}

// TestLeastSetOfADay: after a day of learning, what is proposed for each device
// is what it did and no more; approved, and with everybody else refused, the
// next day goes on without one refusal.
func TestLeastSetOfADay(t *testing.T) {
	r := open(t, t.TempDir(), twoArchives)
	monday := time.Now().Truncate(24 * time.Hour).Add(-48 * time.Hour).UTC()
	if n := live(r, twoArchives, monday, hospital); n != 0 {
		t.Fatalf("learning refused %d", n)
	}
	names := []string{"ct1", "us", "read1"}
	for _, d := range r.all(t) {
		if d.AETitle == "US" && d.Name != "us" {
			names = append(names, d.Name) // the second of that title
		}
	}
	same(t, r.show(t, "ct1").Proposal, asset.Permissions{
		AETitle: "CT1", Addresses: one("10.1.0.21"), Archives: []string{"pacs", "ris"},
		May:        []policy.Service{policy.ServiceEcho, policy.ServiceStore, policy.ServiceCommit, policy.ServiceWorklist, policy.ServiceMPPS},
		SOPClasses: []dicom.UID{dicom.CTImageStorage, dicom.SecondaryCaptureImageStorage},
	})
	same(t, r.show(t, "read1").Proposal, asset.Permissions{
		AETitle: "READ1", Addresses: one("10.1.0.80"), Certificates: []string{policy.Fingerprint{1}.String()}, TLSRequired: true, Archives: []string{"pacs"},
		May: []policy.Service{policy.ServiceQuery, policy.ServiceRetrieve}, MoveTo: []dicom.AETitle{"READ1", "READ2"},
	})
	for _, name := range names {
		proposal, err := json.Marshal(r.show(t, name).Proposal)
		t.Logf("%s: %s, %v", name, proposal, err)
		if _, err := r.Approve(t.Context(), name, approval("A. Able")); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	strict := twoArchives
	strict.Unknown = policy.RefuseUnknown
	if n := live(r, strict, monday.Add(24*time.Hour), hospital); n != 0 {
		t.Errorf("the least set refused %d of what was done the day before", n)
	}
}

// TestHoursOfADay: the hours that were seen, and one on each side, if asked for.
func TestHoursOfADay(t *testing.T) {
	r := open(t, t.TempDir(), twoArchives)
	now := time.Now().UTC()
	monday := now.Truncate(24*time.Hour).AddDate(0, 0, -int(now.Weekday()+6)%7-7)
	for day := range 5 {
		live(r, twoArchives, monday.AddDate(0, 0, day), hospital[1:2])
	}
	d, err := r.Show(t.Context(), "us", asset.Scope{Hours: true, Implementation: true})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"mon,tue,wed,thu,fri 07:00-18:00"}; !slices.Equal(d.Proposal.Hours, want) || d.Proposal.Implementation != "1.2.3" {
		t.Errorf("got %q, %s", d.Proposal.Hours, d.Proposal.Implementation)
	}
	if _, err := policy.ParseHours(d.Proposal.Hours); err != nil {
		t.Error(err)
	}
}

// TestShadowCountsWhatRefuseRefuses: the same day, with a device that does more
// than it may, one that nobody declared, and one that borrows a title: what
// shadow counts is what refuse refuses, but for the borrower, whom both refuse.
func TestShadowCountsWhatRefuseRefuses(t *testing.T) {
	site := twoArchives
	site.Devices = []policy.Device{
		{Name: "ct-1", AETitle: "CT1", Addresses: one("10.1.0.21"), May: []policy.Service{policy.ServiceEcho, policy.ServiceStore}, SOPClasses: []dicom.UID{dicom.CTImageStorage}},
		{Name: "read-1", AETitle: "READ1"},
	}
	habits := append(slices.Clone(hospital), habit{peer: peer("CT1", "10.6.6.6"), from: 2, to: 4, contexts: proposed(dicom.CTImageStorage)})
	day := time.Now().Truncate(24 * time.Hour).Add(-24 * time.Hour)

	site.Unknown = policy.ShadowUnknown
	shadow := open(t, t.TempDir(), site)
	borrowed := live(shadow, site, day, habits)
	counted := 0
	for _, d := range shadow.all(t) {
		counted += d.WouldRefuse
		if slices.Contains(d.Addresses, netip.MustParseAddr("10.6.6.6").String()) && (d.State != asset.Rejected || d.Refused != borrowed) {
			t.Errorf("the borrower is %+v", d)
		}
	}
	site.Unknown = policy.RefuseUnknown
	refused := live(open(t, t.TempDir(), site), site, day, habits)
	if borrowed != 12 || counted == 0 || counted != refused-borrowed {
		t.Errorf("shadow counted %d, refuse refused %d, of these the borrower %d", counted, refused, borrowed)
	}
	t.Logf("shadow counted %d, refuse refused %d more than the borrower's %d", counted, refused-borrowed, borrowed)
}
