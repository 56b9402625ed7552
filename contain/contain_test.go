package contain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/asset"
	"cordon/custody"
	"cordon/firewall"
	"cordon/store"
)

// point is an enforcement point in memory.
type point struct {
	now      []firewall.Contained
	fails    error
	cover    Coverage
	gone     error // what was enforced is no more
	enforced int
	before   func() // called when it is to be enforced
}

func (p *point) Name() string { return "point" }
func (p *point) Enforce(_ context.Context, all []firewall.Contained) error {
	if p.before != nil {
		p.before()
	}
	p.enforced++
	if p.fails == nil {
		p.now = all
	}
	return p.fails
}
func (p *point) Standing() error        { return p.gone }
func (p *point) Covers(Device) Coverage { return p.cover }
func (p *point) Counts(context.Context) (map[string]Counts, error) {
	return map[string]Counts{"us1": {Dropped: firewall.Count{Packets: 7}}}, nil
}

// journal keeps records as lines.
type journal struct {
	lines []string
	full  string // the kind for which there is no room
}

func (j *journal) Append(_ *store.Tx, kind string, body any) error {
	if kind == j.full {
		return errors.New("no room")
	}
	b, err := json.Marshal(body)
	j.lines = append(j.lines, kind+" "+string(b))
	return err
}

func (j *journal) kinds() (out []string) {
	for _, l := range j.lines {
		kind, _, _ := strings.Cut(l, " ")
		out = append(out, strings.TrimPrefix(kind, "containment."))
	}
	return out
}

type site struct {
	*Containments
	db      *store.DB
	point   *point
	journal *journal
	devices []Device
	heard   []firewall.Neighbour
	solo    bool
	policy  Policy
}

func prefix(all ...string) (out []netip.Prefix) {
	for _, a := range all {
		out = append(out, netip.MustParsePrefix(a))
	}
	return out
}

func newSite(t *testing.T) *site {
	t.Helper()
	db, err := store.OpenDB(t.Context(), filepath.Join(t.TempDir(), "cordon.db"), []store.Migrations{Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s := &site{db: db, point: &point{cover: Coverage{Covered: true, Segment: true, OnLink: true}}, journal: &journal{}, devices: []Device{
		{Name: "us1", Addresses: prefix("10.1.1.5/32"), Ports: []uint16{4006}, Modality: "US", Flows: []asset.Flow{
			{Purpose: "dns", Protocol: "udp", Port: 53, To: prefix("10.9.0.53/32"), Needed: true},
			{Purpose: "service", Protocol: "tcp", Port: 443, To: prefix("192.0.2.0/24")},
			{Purpose: "logon", Protocol: "tcp", Port: 88, To: prefix("10.9.0.1/32"), Needed: true},
		}},
		{Name: "us2", Addresses: prefix("10.1.1.6/32"), Modality: "US"},
		{Name: "ct1", Addresses: prefix("10.1.1.7/32"), Modality: "CT", Criticality: asset.Life},
		{Name: "pacs", Addresses: prefix("10.2.0.5/32"), Infrastructure: "archive pacs"},
	}}
	s.open(t)
	return s
}

// open starts it, as after a crash if it ran before.
func (s *site) open(t *testing.T) {
	t.Helper()
	c, err := Open(t.Context(), Parts{
		DB: s.db, Journal: s.journal, Enforcer: s.point, Log: slog.New(slog.DiscardHandler), Solo: s.solo, Policy: s.policy,
		Devices:    func(context.Context) ([]Device, error) { return s.devices, nil },
		Neighbours: func() ([]firewall.Neighbour, error) { return s.heard, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Containments = c
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

var able, baker = custody.Request{By: "A. Able", Reason: "worm"}, custody.Request{By: "B. Baker", Reason: "clean"}

func TestOrderIsRecordedBeforeItTakesEffect(t *testing.T) {
	s := newSite(t)
	s.point.before = func() {
		if !slices.Equal(s.journal.kinds(), []string{"ordered"}) || !s.Paranoid("us1") {
			t.Errorf("at the effect: %q, paranoid %t", s.journal.kinds(), s.Paranoid("us1"))
		}
	}
	got, err := s.Contain(t.Context(), Order{Device: "us1", Level: firewall.ImageOnly, For: time.Hour, Request: able})
	if err != nil || got.State != Contained || !got.Enforced || got.Applied.IsZero() {
		t.Fatalf("%+v, %v", got, err)
	}
	if !slices.Equal(s.journal.kinds(), []string{"ordered", "applied"}) {
		t.Error(s.journal.lines)
	}
	one := s.point.now[0]
	if len(one.Allowed) != 2 || one.Allowed[0].Port != 53 || one.Allowed[1].Port != 88 || len(one.Ports) != 1 || time.Until(one.Until) < 59*time.Minute {
		t.Errorf("%+v", one)
	}
}

func TestArchiveIsNeverContained(t *testing.T) {
	s := newSite(t)
	if _, err := s.Contain(t.Context(), Order{Device: "pacs", Level: firewall.Cut, Request: able}); !errors.Is(err, ErrNever) {
		t.Error(err)
	}
	s.devices[0].Addresses = prefix("10.2.0.5/32", "10.1.1.5/32") // the archive's, in its own name
	if _, err := s.Contain(t.Context(), Order{Device: "us1", Level: firewall.Cut, Request: able}); err != nil {
		t.Fatal(err)
	}
	if got := s.point.now[0].Addresses; !slices.Equal(got, prefix("10.1.1.5/32")) {
		t.Error(got)
	}
}

func TestCrashBetweenRecordAndEffect(t *testing.T) {
	s := newSite(t)
	s.point.fails = errors.New("killed")
	got, err := s.Contain(t.Context(), Order{Device: "us1", Level: firewall.ImageOnly, Request: able})
	if err != nil || got.Enforced || got.Why != "killed" || !s.Paranoid("us1") {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := s.db.Update(t.Context(), func(tx *store.Tx) error { // as it was when the order was on disk and nothing more
		_, err := tx.Exec(`UPDATE contain SET state = 'ordered', why = '', enforcer = ''`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	s.point.fails, s.journal.lines = nil, nil
	s.open(t)
	if len(s.point.now) != 1 || !s.Paranoid("us1") || !slices.Equal(s.journal.kinds(), []string{"applied"}) {
		t.Error(s.point.now, s.journal.lines)
	}
}

func TestNotEnforcedIsTriedAgainAndSaid(t *testing.T) {
	s := newSite(t)
	s.point.fails = firewall.ErrNotEnforced
	if _, err := s.Contain(t.Context(), Order{Device: "us1", Level: firewall.ImageOnly, Request: able}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := s.retry(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.point.fails = nil
	if err := s.retry(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.journal.kinds(), []string{"ordered", "not_enforced", "applied"}) {
		t.Error(s.journal.lines)
	}
}

func TestRestoreNeedsTwoPeopleAndProof(t *testing.T) {
	s := newSite(t)
	if _, err := s.Contain(t.Context(), Order{Device: "us1", Level: firewall.ImageOnly, Request: able}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Restore(t.Context(), "us1", Proof{}, able); !errors.Is(err, custody.ErrRequest) {
		t.Error(err)
	}
	proof := Proof{Checked: "system disk scanned offline", Tool: "ClamAV 1.4.3", Signatures: "27800", Dated: time.Now().Add(-time.Hour),
		Files: []Evidence{{Name: "scan.txt", Data: []byte("Infected files: 0\n")}}}
	d, err := s.Restore(t.Context(), "us1", proof, able)
	if err != nil || d.Done {
		t.Fatal(d, err)
	}
	if _, err := s.Restore(t.Context(), "us1", Proof{}, custody.Request{By: "a ABLE", Reason: "again"}); !errors.Is(err, custody.ErrSamePerson) {
		t.Error(err)
	}
	s.point.before = func() {
		if k := s.journal.kinds(); k[len(k)-1] != "restoring" {
			t.Errorf("at the effect: %q", k)
		}
	}
	if d, err = s.Restore(t.Context(), "us1", Proof{}, baker); err != nil || !d.Done {
		t.Fatal(d, err)
	}
	if len(s.point.now) != 0 || s.Paranoid("us1") {
		t.Error(s.point.now)
	}
	all, err := s.List(t.Context())
	if err != nil || all[0].State != Restored || all[0].Counts.Dropped.Packets != 7 || !slices.Equal(all[0].By, []string{"A. Able", "B. Baker"}) {
		t.Fatalf("%+v, %v", all, err)
	}
	f, err := s.Attached(t.Context(), all[0].ID, all[0].Proof.Files[0].SHA256)
	if err != nil || string(f.Data) != "Infected files: 0\n" {
		t.Error(f, err)
	}
	if k := s.journal.kinds(); !slices.Equal(k, []string{"ordered", "applied", "restore_asked", "restoring", "restored"}) {
		t.Error(k)
	}
}

func TestRestoreIsCompletedAfterACrash(t *testing.T) {
	s := newSite(t)
	s.solo = true
	s.open(t)
	if _, err := s.Contain(t.Context(), Order{Device: "us1", Level: firewall.ImageOnly, Request: able}); err != nil {
		t.Fatal(err)
	}
	s.point.fails = errors.New("killed")
	if _, err := s.Restore(t.Context(), "us1", Proof{Checked: "reinstalled"}, able); err == nil {
		t.Fatal("no error")
	}
	if len(s.point.now) != 1 {
		t.Fatal("it has no effect")
	}
	s.point.fails = nil
	s.open(t)
	if len(s.point.now) != 0 || s.Paranoid("us1") {
		t.Error(s.point.now, s.journal.lines)
	}
}

func TestItEndsByItself(t *testing.T) {
	s := newSite(t)
	if _, err := s.Contain(t.Context(), Order{Device: "us1", Level: firewall.ImageOnly, For: time.Minute, Request: able}); err != nil {
		t.Fatal(err)
	}
	s.now[0].ends = time.Now()
	if err := s.expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(s.point.now) != 0 || s.Of("us1") != "" {
		t.Error(s.point.now)
	}
	if k := s.journal.kinds(); k[len(k)-1] != "ended" {
		t.Error(k)
	}
}

func TestDeviceThatTakesAnotherAddressIsFollowed(t *testing.T) {
	s := newSite(t)
	mac, router := net.HardwareAddr{2, 0, 0, 0, 1, 5}, net.HardwareAddr{2, 0, 0, 0, 9, 9}
	s.heard = []firewall.Neighbour{{Addr: netip.MustParseAddr("10.1.1.5"), MAC: mac}}
	if _, err := s.Contain(t.Context(), Order{Device: "us1", Level: firewall.ImageOnly, Request: able}); err != nil {
		t.Fatal(err)
	}
	if got := s.point.now[0].MACs; len(got) != 1 || got[0].String() != mac.String() {
		t.Error(got)
	}
	s.heard = append(s.heard,
		firewall.Neighbour{Addr: netip.MustParseAddr("10.1.1.77"), MAC: mac},
		firewall.Neighbour{Addr: netip.MustParseAddr("fd00:1::77"), MAC: mac},
		firewall.Neighbour{Addr: netip.MustParseAddr("10.1.1.78"), MAC: router})
	if err := s.follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.point.now[0].Addresses; !slices.Equal(got, prefix("10.1.1.5/32", "10.1.1.77/32", "fd00:1::77/128")) {
		t.Error(got)
	}
	s.heard = append(s.heard, firewall.Neighbour{Addr: netip.MustParseAddr("10.2.0.5"), MAC: mac}) // it says that it is the archive
	if err := s.follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.point.now[0].Addresses; len(got) != 3 {
		t.Error("the archive's address is taken from it", got)
	}
}

// A contained device says for a while that it has the address of a workstation that
// nobody declared. The workstation gets it back, and nothing else of it is taken.
func TestAddressThatWasSomebodyElsesIsGivenBack(t *testing.T) {
	s := newSite(t)
	mac, workstation := net.HardwareAddr{2, 0, 0, 0, 1, 5}, net.HardwareAddr{2, 0, 0, 0, 7, 7}
	own := firewall.Neighbour{Addr: netip.MustParseAddr("10.1.1.5"), MAC: mac}
	s.heard = []firewall.Neighbour{own}
	if _, err := s.Contain(t.Context(), Order{Device: "us1", Level: firewall.ImageOnly, Request: able}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		answers net.HardwareAddr
		want    []netip.Prefix
	}{{mac, prefix("10.1.1.5/32", "10.1.1.90/32")}, {workstation, prefix("10.1.1.5/32")}} {
		s.heard = []firewall.Neighbour{own, {Addr: netip.MustParseAddr("10.1.1.90"), MAC: c.answers}, {Addr: netip.MustParseAddr("10.1.1.91"), MAC: workstation}}
		if err := s.follow(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := s.point.now[0]; !slices.Equal(got.Addresses, c.want) || slices.ContainsFunc(got.MACs, func(m net.HardwareAddr) bool { return m.String() == workstation.String() }) {
			t.Errorf("%s answers: %v %v", c.answers, got.Addresses, got.MACs)
		}
	}
}

// A restore while the rules cannot be changed is none: they may still stop packets.
func TestRestoreIsNoneWhileTheRulesStand(t *testing.T) {
	s := newSite(t)
	if _, err := s.Contain(t.Context(), Order{Device: "us1", Level: firewall.ImageOnly, For: time.Hour, Request: able}); err != nil {
		t.Fatal(err)
	}
	s.point.fails = firewall.ErrNotEnforced
	s.now[0].ends = time.Now()
	if err := s.expire(t.Context()); err == nil {
		t.Error("nobody is told")
	}
	if k := s.journal.kinds(); k[len(k)-1] == "ended" {
		t.Error(k)
	}
	s.point.fails = nil
	if err := s.expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if k := s.journal.kinds(); k[len(k)-1] != "ended" {
		t.Error(k)
	}
}

func TestPolicy(t *testing.T) {
	s := newSite(t)
	p := Policy{
		Automatic: []Automatic{
			{Rule: "worm.*", Do: AtOnce, Level: firewall.ImageOnly, For: time.Hour},
			{Rule: "worm.*", Criticality: []asset.Criticality{asset.Life}, Do: Confirm, Within: 10 * time.Minute, Level: firewall.ImageOnly},
			{Rule: "odd.*", Do: Propose, Level: firewall.Observe},
		},
		Allow: []string{"us3"},
	}
	w := World{Devices: append(s.devices, Device{Name: "us3", Modality: "US"}, Device{Name: "mr1", Modality: "MR"}, Device{Name: "mr2", Modality: "MR"})}
	contained := World{Devices: w.Devices, Contained: []Containment{{Device: "mr2", Level: firewall.ImageOnly, Rule: "worm.x"}}}
	byPeople := World{Devices: w.Devices, Contained: []Containment{{Device: "mr2", Level: firewall.ImageOnly}}}
	for _, c := range []struct {
		name   string
		signal Signal
		world  World
		want   Do
	}{
		{"at once", Signal{Device: "us1", Rule: "worm.fanout", Proven: true}, w, AtOnce},
		{"a forged packet", Signal{Device: "us1", Rule: "worm.fanout"}, w, Nothing},
		{"another rule", Signal{Device: "us1", Rule: "odd.hour", Proven: true}, w, Propose},
		{"no rule", Signal{Device: "us1", Rule: "calm", Proven: true}, w, Nothing},
		{"a life", Signal{Device: "ct1", Rule: "worm.fanout", Proven: true}, w, Confirm},
		{"the archive", Signal{Device: "pacs", Rule: "worm.fanout", Proven: true}, w, Nothing},
		{"the archive's address", Signal{Device: "us1", Rule: "worm.fanout", Proven: true, Address: netip.MustParseAddr("10.2.0.5")}, w, Nothing},
		{"the allow-list", Signal{Device: "us3", Rule: "worm.fanout", Proven: true}, w, Nothing},
		{"nobody", Signal{Device: "", Rule: "worm.fanout", Proven: true}, w, Nothing},
		{"one too many", Signal{Device: "us1", Rule: "worm.fanout", Proven: true}, contained, Propose},
		{"people's count for nothing", Signal{Device: "us1", Rule: "worm.fanout", Proven: true}, byPeople, AtOnce},
		{"the last of its kind", Signal{Device: "mr1", Rule: "worm.fanout", Proven: true}, byPeople, Propose},
		{"already", Signal{Device: "mr2", Rule: "worm.fanout", Proven: true}, contained, Nothing},
	} {
		if got := p.Decide(c.signal, c.world); got.Do != c.want {
			t.Errorf("%s: %q (%s), not %q", c.name, got.Do, got.Why, c.want)
		}
	}
}

func TestSignalContainsWithinASecond(t *testing.T) {
	s := newSite(t)
	s.policy = Policy{Automatic: []Automatic{{Rule: "worm", Do: AtOnce, Level: firewall.ImageOnly, For: time.Hour}}}
	s.open(t)
	done := make(chan time.Time, 1)
	s.point.before = func() { done <- time.Now() }
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() { // ends with ctx
		s.Run(ctx)
		close(over)
	}()
	began := time.Now()
	s.Signal(Signal{Device: "us1", Rule: "worm", Detail: "40 peers", At: began, Proven: true})
	select {
	case at := <-done:
		if took := at.Sub(began); took > time.Second {
			t.Error(took)
		}
	case <-time.After(5 * time.Second):
		t.Error("nothing was done")
	}
	cancel()
	<-over
	if got := s.Of("us1"); got != firewall.ImageOnly {
		t.Error(got)
	}
}

func TestProposalWaitsForAPersonAndLapses(t *testing.T) {
	s := newSite(t)
	s.policy = Policy{Automatic: []Automatic{{Rule: "worm", Do: Confirm, Within: time.Minute, Level: firewall.ImageOnly, For: time.Hour}}}
	s.open(t)
	signal := Signal{Device: "us1", Rule: "worm", Proven: true}
	for range 3 {
		if err := s.decide(t.Context(), signal); err != nil {
			t.Fatal(err)
		}
	}
	if s.Of("us1") != "" || !slices.Equal(s.journal.kinds(), []string{"proposed"}) {
		t.Error(s.journal.lines)
	}
	if got, err := s.Confirm(t.Context(), "us1", able); err != nil || !got.Enforced || got.Rule != "worm" || got.Until.IsZero() {
		t.Error(got, err)
	}
	signal.Device = "us2"
	if err := s.decide(t.Context(), signal); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE contain_proposal SET expires = 1`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.lapse(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Confirm(t.Context(), "us2", able); !errors.Is(err, ErrState) {
		t.Error(err)
	}
	if k := s.journal.kinds(); k[len(k)-1] != "lapsed" {
		t.Error(k)
	}
}

func TestDryRunCountsWhatItWouldHaveDone(t *testing.T) {
	s := newSite(t)
	p := Policy{Automatic: []Automatic{{Rule: "worm", Do: AtOnce, Level: firewall.ImageOnly, For: time.Hour}}, Most: 1}
	at := time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)
	got := p.DryRun([]Signal{
		{Device: "us1", Rule: "worm", At: at, Proven: true},
		{Device: "us2", Rule: "worm", At: at.Add(time.Minute), Proven: true},
		{Device: "us2", Rule: "worm", At: at.Add(2 * time.Hour), Proven: true},
	}, World{Devices: s.devices})
	if got[0].Decision.Do != AtOnce || got[1].Decision.Do != Propose || got[2].Decision.Do != AtOnce {
		t.Errorf("%+v", got)
	}
	if len(s.journal.lines) != 0 {
		t.Error(s.journal.lines)
	}
}

func TestExports(t *testing.T) {
	s := newSite(t)
	gateways := []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:104")}
	text, err := s.Export(t.Context(), "us1", firewall.ImageOnly, ACL, gateways)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"ip access-list extended CORDON-US1-OUT\n permit tcp host 10.1.1.5 host 10.0.0.1 eq 104\n",
		" permit tcp host 10.1.1.5 eq 4006 host 10.0.0.1 established\n",
		" permit udp host 10.1.1.5 host 10.9.0.53 eq 53\n", " permit udp host 10.9.0.53 eq 53 host 10.1.1.5\n", " deny ip any any log\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("without %q:\n%s", want, text)
		}
	}
	if text, err = s.Export(t.Context(), "us1", firewall.ImageOnly, MUD, gateways); err != nil || !json.Valid([]byte(text)) {
		t.Error(text, err)
	}
	if text, err = s.Export(t.Context(), "us1", firewall.Cut, Table, gateways); err != nil || strings.Contains(text, "permit") || strings.Count(text, "deny\t") != 2 {
		t.Error(text, err)
	}
}

func TestPreview(t *testing.T) {
	s := newSite(t)
	now := time.Now()
	s.parts.Seen = func(context.Context) ([]Seen, error) {
		return []Seen{
			{Device: "us1", Peer: netip.MustParseAddr("10.0.0.1"), Protocol: "tcp", Port: 104, Gateway: true, Last: now},
			{Device: "us1", Peer: netip.MustParseAddr("10.9.0.53"), Protocol: "udp", Port: 53, Last: now.Add(-time.Hour)},
			{Device: "us1", Peer: netip.MustParseAddr("10.1.1.6"), Protocol: "tcp", Port: 445, Last: now.Add(-time.Minute)},
			{Device: "us2", Peer: netip.MustParseAddr("10.1.1.5"), Protocol: "tcp", Port: 445},
		}, nil
	}
	p, err := s.Preview(t.Context(), "us1", firewall.ImageOnly)
	if err != nil || len(p.Stops) != 1 || p.Stops[0].Port != 445 || len(p.GoesOn) != 2 || !p.GoesOn[0].Gateway || len(p.Allowed) != 2 {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err = s.Preview(t.Context(), "us1", firewall.Cut); err != nil || len(p.Stops) != 3 {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err = s.Preview(t.Context(), "pacs", firewall.Cut); err != nil || p.Refused == "" {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestNobodyIsFreedByALesserOrder(t *testing.T) {
	s := newSite(t)
	order := func(l firewall.Level, d time.Duration) error {
		_, err := s.Contain(t.Context(), Order{Device: "us1", Level: l, For: d, Request: able})
		return err
	}
	for _, step := range []struct {
		level firewall.Level
		lasts time.Duration
		free  bool
	}{
		{firewall.Observe, time.Hour, false},
		{firewall.ImageOnly, 30 * time.Minute, false}, // from observing it is more, not less
		{firewall.Observe, time.Hour, true},
		{firewall.ImageOnly, time.Minute, true},
		{firewall.Cut, time.Hour, false},
		{firewall.ImageOnly, 2 * time.Hour, false}, // its images
		{firewall.ImageOnly, 0, false},
		{firewall.ImageOnly, 24 * time.Hour, true},
	} {
		if err := order(step.level, step.lasts); errors.Is(err, ErrState) != step.free {
			t.Errorf("%+v: %v", step, err)
		}
	}
	if _, err := s.Extend(t.Context(), "us1", time.Minute, able); !errors.Is(err, ErrState) {
		t.Error(err)
	}
	if got := s.Of("us1"); got != firewall.ImageOnly {
		t.Error(got)
	}
}

func TestAnotherNameFreesNobody(t *testing.T) {
	s := newSite(t)
	if s.Suspect("ct2", netip.MustParseAddr("10.1.1.5")) {
		t.Error("before")
	}
	if _, err := s.Contain(t.Context(), Order{Device: "us1", Level: firewall.ImageOnly, Request: able}); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]bool{"10.1.1.5": true, "::ffff:10.1.1.5": true, "10.1.1.6": false} {
		if got := s.Suspect("ct2", netip.MustParseAddr(at)); got != want {
			t.Errorf("%s: %t", at, got)
		}
	}
	if !s.Suspect("us1", netip.Addr{}) {
		t.Error("at no address")
	}
}

// A yes to a proposal is the order: neither is without the other, on the ledger or
// in the database.
func TestYesAndOrderAreOne(t *testing.T) {
	s := newSite(t)
	s.policy = Policy{Automatic: []Automatic{{Rule: "worm", Do: Confirm, Within: time.Minute, Level: firewall.ImageOnly}}}
	s.open(t)
	if err := s.decide(t.Context(), Signal{Device: "us1", Rule: "worm", Proven: true}); err != nil {
		t.Fatal(err)
	}
	waits := func() int {
		t.Helper()
		all, err := s.Proposals(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	known := s.devices[0].Addresses
	s.devices[0].Addresses = nil
	if _, err := s.Confirm(t.Context(), "us1", able); !errors.Is(err, ErrState) || waits() != 1 || len(s.journal.kinds()) != 1 {
		t.Fatalf("without an address: %v, %d wait, %q", err, waits(), s.journal.kinds())
	}
	s.devices[0].Addresses = known
	s.journal.full = "containment.ordered"
	if _, err := s.Confirm(t.Context(), "us1", able); err == nil || waits() != 1 || s.Of("us1") != "" {
		t.Fatalf("without a record: %v, %d wait, %q", err, waits(), s.Of("us1"))
	}
	s.journal.full, s.journal.lines = "", nil
	if _, err := s.Confirm(t.Context(), "us1", able); err != nil || waits() != 0 || s.Of("us1") != firewall.ImageOnly {
		t.Fatalf("%v, %d wait, %q", err, waits(), s.Of("us1"))
	}
	if !slices.Equal(s.journal.kinds(), []string{"confirmed", "ordered", "applied"}) {
		t.Error(s.journal.lines)
	}
	if _, err := s.Confirm(t.Context(), "us1", able); !errors.Is(err, ErrState) {
		t.Error("twice:", err)
	}
}

// Who else is in the network that a device was declared by is not the device.
func TestDeviceDeclaredByANetworkHasNotItsNeighboursCards(t *testing.T) {
	s := newSite(t)
	s.devices[0].Addresses = prefix("10.3.1.0/24")
	workstation := net.HardwareAddr{2, 0, 0, 0, 7, 7}
	s.heard = []firewall.Neighbour{{Addr: netip.MustParseAddr("10.3.1.90"), MAC: workstation}, {Addr: netip.MustParseAddr("10.4.1.90"), MAC: workstation}}
	if _, err := s.Contain(t.Context(), Order{Device: "us1", Level: firewall.ImageOnly, Request: able}); err != nil {
		t.Fatal(err)
	}
	if err := s.follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.point.now[0]; len(got.MACs) != 0 || !slices.Equal(got.Addresses, prefix("10.3.1.0/24")) {
		t.Errorf("%v %v", got.MACs, got.Addresses)
	}
}

// What somebody else has taken away, and is left to a person, is not said to be
// enforced, and is not fought for; once it is there again, it is.
func TestRulesThatSomebodyElseTookAwayAreNotSaidToBeThere(t *testing.T) {
	s := newSite(t)
	if _, err := s.Contain(t.Context(), Order{Device: "us1", Level: firewall.ImageOnly, Request: able}); err != nil {
		t.Fatal(err)
	}
	now := func() Containment {
		t.Helper()
		got, err := s.Get(t.Context(), "us1")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	look := func() {
		t.Helper()
		if err := errors.Join(s.stands(t.Context()), s.retry(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	look()
	enforced := s.point.enforced
	s.point.gone = fmt.Errorf("%w: the table is gone, again", firewall.ErrElsewhere)
	look()
	look()
	if got := now(); got.Enforced || !strings.Contains(got.Why, "gone, again") || s.point.enforced != enforced || !s.Paranoid("us1") {
		t.Errorf("%+v; enforced %d times", got, s.point.enforced-enforced)
	}
	s.point.gone = nil // a person had them applied
	look()
	if got := now(); !got.Enforced || got.Why != "" {
		t.Errorf("%+v", got)
	}
	if k := s.journal.kinds(); !slices.Equal(k, []string{"ordered", "applied", "not_enforced", "applied"}) {
		t.Error(k)
	}
	s.point.gone = errors.New("it could not be put right")
	look()
	if s.point.enforced == enforced+1 {
		t.Error("what could not be put right is not tried again")
	}
}
